//! Many logs, changed only through one journal. It never does I/O of its own: what durability there is comes
//! from the storage.

use std::mem;

use crate::command::{
    Append, Command, How, MAX_NAME_BYTES, MAX_RECORD_BYTES, MAX_VALUE_BYTES, Outcome, Producer,
    Version,
};
use crate::command_bytes::SEQUENCES;
use crate::disk::DiskStorage;
use crate::files::Files;
use crate::files::real::RealFiles;
use crate::read::{Budget, Read};
use crate::state::logs::Logs;
use crate::state::{State, commit_key, split_commit_key};
use crate::{Failed, Now, Offset, Refused};

/// What the caller calls a request; never looked into.
pub type Token = u64;

/// Many logs, changed only through one journal.
///
/// A command takes effect at once for the commands after it. What came of it may be shown to others when
/// [`sync`](Self::sync) has returned, and only then can its records be read.
#[derive(Debug)]
pub struct Engine<F: Files = RealFiles> {
    state: State,
    storage: Storage<F>,
    /// The outcomes of what was submitted since the last sync.
    decided: Vec<(Token, Outcome)>,
    /// The outcomes that may be shown.
    stable: Vec<(Token, Outcome)>,
}

/// Where a journal is.
#[derive(Debug)]
enum Storage<F: Files> {
    /// Nowhere: what is in memory is all there is.
    Memory,
    Disk(Box<DiskStorage<F>>),
}

/// What is known of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that may be read.
    pub start_offset: Offset,
    /// The offset after the last one that may be read: Kafka's high watermark.
    pub stable_end: Offset,
    /// The offset that the next record will get.
    pub next_offset: Offset,
    /// About how many bytes the records have that are left.
    pub size_bytes: u64,
    /// The latest time of a record that there ever was, in milliseconds since 1970; 0 if there was none.
    pub max_time_ms: u64,
}

/// What a group has committed for a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<'a> {
    /// The committed offset.
    pub offset: Offset,
    /// What was to be kept with it.
    pub metadata: &'a [u8],
    /// When it was committed, in milliseconds since 1970.
    pub time_ms: u64,
}

/// The logs that grew by a sync, each with its new stable end.
#[derive(Clone, Debug)]
pub struct Grown<'a> {
    logs: &'a Logs,
    slots: std::slice::Iter<'a, u32>,
}

impl<'a> Iterator for Grown<'a> {
    type Item = (&'a str, Offset);

    fn next(&mut self) -> Option<Self::Item> {
        let logs = self.logs;
        self.slots.find_map(|slot| logs.at(*slot)).map(|(key, log)| (key, log.stable_end))
    }
}

impl Engine {
    /// An engine that keeps everything in memory, and nothing beyond its own life.
    pub fn in_memory() -> Self {
        Self::new(State::default(), Storage::Memory)
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::in_memory()
    }
}

/// Commands.
impl<F: Files> Engine<F> {
    fn new(state: State, storage: Storage<F>) -> Self {
        Self { state, storage, decided: Vec::new(), stable: Vec::new() }
    }

    pub(crate) fn on_disk(state: State, storage: DiskStorage<F>) -> Self {
        Self::new(state, Storage::Disk(Box::new(storage)))
    }

    /// Appends a record to the log of a key and returns its offset.
    ///
    /// # Errors
    /// [`Refused`]; nothing was appended.
    pub fn append(&mut self, log: &str, record: &[u8]) -> Result<Offset, Refused> {
        Refused::at_most("key", log.len(), MAX_NAME_BYTES)?;
        Refused::at_most("record", record.len(), MAX_RECORD_BYTES)?;
        if let Storage::Disk(disk) = &mut self.storage {
            disk.append(&mut self.state, &[Command::Append(Append::record(log, record))])?;
        }
        // As the command is applied, without a look at what kind it is.
        let appended = self.state.logs.append(log, record, 1, self.state.time_ms);
        appended.ok_or_else(|| Refused::Full("the log has no more offsets".into()))
    }

    /// Records how far a group has got with a log: the offset may go back, and need not exist.
    ///
    /// # Errors
    /// [`Refused`]; nothing was recorded.
    pub fn commit(&mut self, group: &str, log: &str, offset: Offset) -> Result<(), Refused> {
        let command = Command::Commit { group, log, offset, metadata: b"", how: How::Set };
        self.apply(&command).map(|_| ())
    }

    /// Gives a register a value; with `if_version`, only if it has this version (0 if it does not exist).
    ///
    /// # Errors
    /// [`Refused`]; nothing was set.
    pub fn set(
        &mut self,
        name: &str,
        value: &[u8],
        if_version: Option<Version>,
    ) -> Result<Outcome, Refused> {
        self.apply(&Command::Set { name, value: Some(value), if_version })
    }

    /// Removes the records of a log before an offset.
    ///
    /// # Errors
    /// [`Refused`]; nothing was removed.
    pub fn cut(&mut self, log: &str, before: Offset) -> Result<Outcome, Refused> {
        self.apply(&Command::Cut { log, before })
    }

    /// Removes a log and all that was committed for it.
    ///
    /// # Errors
    /// [`Refused`]; nothing was removed.
    pub fn drop_log(&mut self, log: &str) -> Result<Outcome, Refused> {
        self.apply(&Command::Drop { log })
    }

    /// Carries a command out. What comes of it is decided now, and may be shown after the next
    /// [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed.
    pub fn apply(&mut self, command: &Command<'_>) -> Result<Outcome, Refused> {
        check(command)?;
        if self.state.is_done_already(command) {
            return Ok(Outcome::Done);
        }
        if let Storage::Disk(disk) = &mut self.storage {
            disk.append(&mut self.state, std::slice::from_ref(command))?;
        }
        Ok(self.state.apply(command))
    }

    /// Carries commands out, all of them or none, and nothing else between them. What comes of each is
    /// given to `outcome`, in their order, and may be shown after the next [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed.
    pub fn apply_all(
        &mut self,
        commands: &[Command<'_>],
        mut outcome: impl FnMut(Outcome),
    ) -> Result<(), Refused> {
        commands.iter().try_for_each(check)?;
        if let Storage::Disk(disk) = &mut self.storage
            && !commands.iter().all(|command| self.state.is_done_already(command))
        {
            disk.append(&mut self.state, commands)?;
        }
        for command in commands {
            outcome(self.state.apply(command));
        }
        Ok(())
    }

    /// Carries commands out, all of them or none. After the next [`sync`](Self::sync), their
    /// [`outcomes`](Self::outcomes) come under this token: one for each command, in order.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed, and no outcome follows.
    pub fn submit(&mut self, token: Token, commands: &[Command<'_>]) -> Result<(), Refused> {
        let mut decided = mem::take(&mut self.decided);
        let done = self.apply_all(commands, |outcome| decided.push((token, outcome)));
        self.decided = decided;
        done
    }

    /// Tells the engine what time it is, for the commands to come; those that wait for a sync keep theirs.
    pub fn set_time(&mut self, now: Now) {
        match &self.storage {
            Storage::Disk(disk) if disk.has_open_batch() => {}
            _ => self.state.set_time(now.time_ms),
        }
    }

    /// Makes every command so far as durable as the storage promises: on disk, it survives `kill -9` and
    /// power loss. Returns the logs that grew, each with its new stable end: what is before it can be read.
    ///
    /// On disk, some of the work is done here that keeps memory small: full segments are sorted, and what
    /// retention does not keep is removed.
    ///
    /// # Errors
    /// [`Failed`]. Nobody may be told of anything since the last sync, and every later command is refused: the
    /// process must end, and recover when it starts again.
    pub fn sync(&mut self, now: Now) -> Result<Grown<'_>, Failed> {
        if let Storage::Disk(disk) = &mut self.storage {
            disk.sync(&mut self.state, now)?;
        }
        self.state.set_time(now.time_ms);
        self.state.logs.make_stable();
        self.stable.append(&mut self.decided);
        Ok(Grown { logs: &self.state.logs, slots: self.state.logs.grown().iter() })
    }

    /// What came of the commands that were submitted and have been synced, in order.
    pub fn outcomes(&mut self) -> impl Iterator<Item = (Token, Outcome)> + use<'_, F> {
        self.stable.drain(..)
    }

    /// Whether a sync has to wait for a disk.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.storage, Storage::Disk(_))
    }

    /// What the operator should know, since this was asked last: one sentence each.
    pub fn remarks(&mut self) -> Vec<String> {
        match &mut self.storage {
            Storage::Memory => Vec::new(),
            Storage::Disk(disk) => disk.remarks(),
        }
    }
}

/// What there is. Logs are shown as of the last sync; all else as of the last command, so that an answer
/// that tells of it has to wait for the next [`sync`](Engine::sync).
impl<F: Files> Engine<F> {
    /// Reads a log from the record that holds an offset on, or from the first one that is left after it, as far
    /// as is stable. Takes at most `max_bytes` of the budget; but the first record of the budget is read
    /// whatever it costs. None if there is nothing to read, or nothing left of the budget.
    ///
    /// It never waits for a disk. What it finds is the caller's, and stays as it is.
    pub fn read(
        &self,
        log: &str,
        from: Offset,
        max_bytes: u64,
        budget: &mut Budget,
    ) -> Option<Read> {
        let (slot, log) = self.state.logs.find(log)?;
        let from = from.max(log.start_offset());
        let mut allowance = budget.allowance(max_bytes);
        if from >= log.stable_end || allowance.is_spent() {
            return None;
        }
        if from < log.first_in_memory()
            && let Storage::Disk(disk) = &self.storage
        {
            let offsets = log.first_in_memory() - from;
            budget.spend(allowance.at_most(offsets, log.older_bytes()));
            return Some(Read::older(disk.older(), log.older(slot), from, allowance));
        }
        let records = log.read(from, &mut allowance);
        if records.is_empty() {
            return None;
        }
        budget.spend(allowance.spent_bytes());
        Some(Read::memory(records))
    }

    /// What is known of a log; none if there is no such log.
    pub fn bounds(&self, log: &str) -> Option<Bounds> {
        let log = self.state.logs.get(log)?;
        Some(Bounds {
            start_offset: log.start_offset().min(log.stable_end),
            stable_end: log.stable_end,
            next_offset: log.next_offset(),
            size_bytes: log.size_bytes(),
            max_time_ms: log.max_time_ms(),
        })
    }

    /// The keys of all logs, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.state.logs.iter().map(|(key, _)| key)
    }

    /// What a group has committed for a log.
    pub fn committed(&self, group: &str, log: &str) -> Option<Committed<'_>> {
        self.state.committed(group, log)
    }

    /// All that a group has committed, by log.
    pub fn commits(&self, group: &str) -> impl Iterator<Item = (&str, Committed<'_>)> {
        let all = self.state.commits.from(commit_key(group, "").into());
        all.map_while(move |(key, commit)| {
            let (_, log) = split_commit_key(key).filter(|(its_group, _)| *its_group == group)?;
            Some((log, commit.shown()))
        })
    }

    /// A register's version and value.
    pub fn register(&self, name: &str) -> Option<(Version, &[u8])> {
        let register = self.state.registers.get(name)?;
        Some((register.version, &*register.value))
    }

    /// All registers whose names begin with a prefix, in the order of their names.
    pub fn registers(&self, prefix: &str) -> impl Iterator<Item = (&str, Version, &[u8])> {
        let all = self.state.registers.from(prefix.into());
        all.take_while(move |(name, _)| name.starts_with(prefix))
            .map(|(name, register)| (&**name, register.version, &*register.value))
    }
}

/// Refuses what is larger than a journal takes.
pub(crate) fn check(command: &Command<'_>) -> Result<(), Refused> {
    let name = |what, name: &str| Refused::at_most(what, name.len(), MAX_NAME_BYTES);
    let value = |what, value: &[u8]| Refused::at_most(what, value.len(), MAX_VALUE_BYTES);
    match command {
        Command::Append(Append { log, record, count, producer, .. }) => {
            name("key", log)?;
            Refused::at_most("record", record.len(), MAX_RECORD_BYTES)?;
            if *count == 0 {
                return Err(Refused::Malformed("a record takes at least one offset"));
            }
            let too_high = |producer: &Producer| producer.first_sequence >= SEQUENCES;
            if producer.as_ref().is_some_and(too_high) {
                return Err(Refused::Malformed("a producer's sequence is below 2^31"));
            }
            Ok(())
        }
        Command::Commit { group, log, metadata, .. } => {
            name("group", group).and_then(|()| name("key", log))?;
            value("metadata", metadata)
        }
        Command::Uncommit { group, log } => name("group", group).and_then(|()| name("key", log)),
        Command::Set { name: register, value: new, .. } => {
            name("name", register)?;
            value("value", new.unwrap_or_default())
        }
        Command::Drop { log } | Command::Cut { log, .. } => name("key", log),
    }
}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Engine>();
    is_send::<Read>();
};

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { time_ms: 1_000, elapsed_ms: 0 };

    fn read(engine: &Engine, log: &str, from: Offset) -> Vec<(Offset, Vec<u8>)> {
        let Some(read) = engine.read(log, from, u64::MAX, &mut Budget::new(u64::MAX, 0)) else {
            return Vec::new();
        };
        let records = read.fetch().unwrap();
        records.iter().map(|record| (record.offset, record.bytes.to_vec())).collect()
    }

    #[test]
    fn a_sync_says_which_logs_grew_and_only_what_is_synced_is_read() {
        let mut engine = Engine::in_memory();
        for key in ["a", "b", "a"] {
            engine.append(key, b"m").unwrap();
        }
        assert_eq!(read(&engine, "a", 0), []);
        let grown: Vec<_> =
            engine.sync(NOW).unwrap().map(|(key, end)| (key.to_owned(), end)).collect();
        assert_eq!(grown, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        engine.append("a", b"n").unwrap();
        assert_eq!(read(&engine, "a", 0).len(), 2);
        assert_eq!(engine.sync(NOW).unwrap().count(), 1);
        assert_eq!(engine.sync(NOW).unwrap().count(), 0);
        assert_eq!(read(&engine, "a", 2), [(2, b"n".to_vec())]);
    }

    #[test]
    fn outcomes_are_decided_in_order_and_shown_when_stable() {
        let mut engine = Engine::in_memory();
        let set = |value| Command::Set { name: "r", value: Some(value), if_version: Some(0) };
        engine.submit(7, &[set(b"x"), set(b"y")]).unwrap();
        engine.submit(8, &[Command::Append(Append::record("k", b"m"))]).unwrap();
        assert_eq!(engine.outcomes().count(), 0);
        engine.sync(NOW).unwrap();
        let outcomes: Vec<_> = engine.outcomes().collect();
        let expected = [(7, Outcome::Set(1)), (7, Outcome::Conflict(1)), (8, Outcome::Appended(0))];
        assert_eq!(outcomes, expected);
        assert_eq!(engine.register("r"), Some((1, &b"x"[..])));
    }

    #[test]
    fn records_end_before_any_offset() {
        let mut engine = Engine::in_memory();
        for n in 0..5_000_u32 {
            engine.append("k", &n.to_le_bytes()).unwrap();
        }
        engine.sync(NOW).unwrap();
        for end in [0, 1, 17, 2_500, 4_999, 5_000, u64::MAX] {
            let read = engine.read("k", 3, u64::MAX, &mut Budget::new(u64::MAX, 0)).unwrap();
            let mut records = read.fetch().unwrap();
            records.end_before(end);
            let offsets: Vec<_> = records.iter().map(|record| record.offset).collect();
            assert_eq!(offsets, (3..end.min(5_000)).collect::<Vec<_>>());
            assert_eq!(records.is_empty(), offsets.is_empty());
        }
    }

    #[test]
    fn only_the_first_record_of_a_budget_may_exceed_it() {
        let mut engine = Engine::in_memory();
        for log in ["a", "b", "c"] {
            engine.append(log, &[0; 1_000]).unwrap();
        }
        engine.sync(NOW).unwrap();
        let mut budget = Budget::new(10, 24);
        assert!(engine.read("none", 0, 10, &mut budget).is_none());
        assert!(engine.read("a", 1, 10, &mut budget).is_none());
        assert!(engine.read("b", 0, 10, &mut budget).is_some());
        assert!(engine.read("c", 0, 10, &mut budget).is_none());
    }

    #[test]
    fn what_a_record_that_did_not_fit_has_left_is_there_for_the_next_log() {
        let mut engine = Engine::in_memory();
        for log in ["a", "a", "b", "b"] {
            engine.append(log, &[0; 10]).unwrap();
        }
        engine.sync(NOW).unwrap();
        let mut budget = Budget::new(30, 0);
        engine.read("a", 0, 15, &mut budget).unwrap();
        assert_eq!(budget.left_bytes(), 20);
        let read = engine.read("b", 0, u64::MAX, &mut budget).unwrap().fetch().unwrap();
        assert_eq!(read.iter().count(), 2);
    }

    #[test]
    fn a_dropped_log_begins_anew_and_nothing_is_committed_for_it() {
        let mut engine = Engine::in_memory();
        engine.append("k", b"old").unwrap();
        engine.commit("g", "k", 1).unwrap();
        engine.commit("g", "other", 5).unwrap();
        assert_eq!(engine.drop_log("k").unwrap(), Outcome::Done);
        assert_eq!(engine.drop_log("k").unwrap(), Outcome::Absent);
        assert_eq!(engine.committed("g", "k"), None);
        assert_eq!(engine.commits("g").map(|(log, _)| log).collect::<Vec<_>>(), ["other"]);
        assert_eq!(engine.append("k", b"new").unwrap(), 0);
        engine.sync(NOW).unwrap();
        assert_eq!(read(&engine, "k", 0), [(0, b"new".to_vec())]);
    }

    #[test]
    fn a_raised_commit_names_a_record_that_exists_and_never_goes_back() {
        let mut engine = Engine::in_memory();
        let raise = |engine: &mut Engine, offset| {
            let how = How::Raise;
            let commit = Command::Commit { group: "", log: "k", offset, metadata: b"", how };
            engine.apply(&commit).unwrap();
            engine.committed("", "k").map(|committed| committed.offset)
        };
        assert_eq!(raise(&mut engine, 3), None);
        for _ in 0..5 {
            engine.append("k", b"m").unwrap();
        }
        assert_eq!(raise(&mut engine, 2), Some(2));
        assert_eq!(raise(&mut engine, 1), Some(2));
        assert_eq!(raise(&mut engine, 900), Some(4));
        engine.commit("", "k", 1).unwrap();
        assert_eq!(engine.committed("", "k").unwrap().offset, 1);
    }

    #[test]
    fn what_is_too_large_or_impossible_is_refused_and_changes_nothing() {
        let mut engine = Engine::in_memory();
        let too_large = vec![0; MAX_RECORD_BYTES + 1];
        let refused = engine.append("k", &too_large).unwrap_err().to_string();
        assert_eq!(refused, "the record has 1073741825 bytes, the limit is 1073741824");
        let too_long = "k".repeat(MAX_NAME_BYTES + 1);
        assert!(matches!(engine.append(&too_long, b"m"), Err(Refused::TooLarge { .. })));
        let none = Command::Append(Append { count: 0, ..Append::record("k", b"m") });
        let good = Command::Append(Append::record("k", b"m"));
        assert!(matches!(engine.submit(1, &[good, none]), Err(Refused::Malformed(_))));
        engine.sync(NOW).unwrap();
        assert_eq!((engine.outcomes().count(), engine.keys().count()), (0, 0));
    }

    #[test]
    fn a_producer_is_forgotten_a_day_after_its_last_record() {
        let mut engine = Engine::in_memory();
        let append = |engine: &mut Engine, first_sequence| {
            let producer = Some(Producer { id: 9, epoch: 0, first_sequence });
            let record = Append { producer, ..Append::record("k", b"m") };
            engine.apply(&Command::Append(record)).unwrap()
        };
        assert_eq!(append(&mut engine, 5), Outcome::Appended(0));
        assert_eq!(append(&mut engine, 5), Outcome::Duplicate(0));
        assert_eq!(append(&mut engine, 7), Outcome::OutOfOrder);
        let day_ms = 24 * 60 * 60 * 1_000;
        engine.set_time(Now { time_ms: day_ms, elapsed_ms: 0 });
        assert_eq!(append(&mut engine, 7), Outcome::Appended(1));
    }
}
