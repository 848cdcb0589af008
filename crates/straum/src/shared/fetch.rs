//! Entries that exist and are not here: which are missing, and which are read from the store, one by one
//! or by runs. Never applies one.
//!
//! There are three reasons to read an entry. It is known to exist, and nobody told us of it in time. Or a
//! **fence** stands: whoever waits for it wants to see everything that was in the journal when it asked.
//! Or our own proposal needs to know what is at its position.
//!
//! The journal has no gaps. So once a read that began after a fence was set finds position *p* absent,
//! all that had been there is before *p*, and the fence falls when everything before *p* is applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answers::{Asked, StoreTimes};
use super::fences::{Fences, Why};
use super::runs::RUN_ENTRIES;
use super::{Effect, StorePlace, Token};
use crate::Position;

/// How many entries are asked for at once, at most.
const MOST_ENTRIES: u64 = 64;

/// How many runs are asked for at once, at most.
const MOST_RUNS: u64 = 16;

/// So many bytes are kept of entries that came before those before them (16 MiB). The rest is read when its time
/// comes.
const KEPT_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Fetch {
    /// Entries that wait for those before them.
    learnt: BTreeMap<Position, Arc<[u8]>>,
    /// Invariant: the bytes of all of them.
    learnt_bytes: usize,
    /// All entries before this position exist, as far as we know, and since when we do.
    known_end: Position,
    known_since_ns: u64,
    /// Since when the next entry is known to exist and is not here.
    behind_since_ns: Option<u64>,
    asked: BTreeMap<StorePlace, Asked>,
    fences: Fences,
    /// How many entries and runs are asked for at once: more as long as they are found.
    entries_at_once: u64,
    runs_at_once: u64,
    /// The first run that was not found.
    missing_run: Option<u64>,
    /// Our proposal wants to know what is at the next position.
    pub(super) look: bool,
}

fn bytes_of(entries: &BTreeMap<Position, Arc<[u8]>>) -> usize {
    entries.values().map(|entry| entry.len()).sum()
}

impl Fetch {
    pub(super) fn new() -> Self {
        Self {
            learnt: BTreeMap::new(),
            learnt_bytes: 0,
            known_end: 0,
            known_since_ns: 0,
            behind_since_ns: None,
            asked: BTreeMap::new(),
            fences: Fences::default(),
            entries_at_once: 1,
            runs_at_once: 1,
            missing_run: None,
            look: false,
        }
    }

    /// Sets a fence. A node waits for one of its own kind only once.
    pub(super) fn fence(&mut self, why: Why, now_ns: u64) {
        if !self.fences.stands(why) {
            self.fences.set(why, now_ns);
        }
    }

    /// Nobody waits for this fence any more.
    pub(super) fn forget(&mut self, token: Token) {
        self.fences.forget(token);
    }

    pub(super) fn stands(&self, why: Why) -> bool {
        self.fences.stands(why)
    }

    /// Whether a fence makes us read on until nothing is found.
    pub(super) fn reads_on(&self) -> bool {
        !self.fences.is_empty()
    }

    /// Takes down the fences that nothing is missing for any more.
    pub(super) fn fallen(&mut self, next: Position) -> Vec<Why> {
        let fallen = self.fences.fallen(next);
        if self.fences.is_empty() {
            self.entries_at_once = 1;
            self.runs_at_once = 1;
            self.missing_run = None;
        }
        fallen
    }

    /// The entry at this position exists.
    pub(super) fn exists(&mut self, position: Position, now_ns: u64) {
        if self.known_end <= position {
            self.known_end = position.saturating_add(1);
            self.known_since_ns = now_ns;
        }
    }

    /// A read that began after we had heard of later entries has found this position absent: who told us of
    /// them was wrong.
    fn does_not_exist(&mut self, position: Position, asked_at_ns: u64) {
        if self.known_end > position && self.known_since_ns <= asked_at_ns {
            self.known_end = position;
            let wrong = self.learnt.split_off(&position);
            self.learnt_bytes -= bytes_of(&wrong);
        }
    }

    /// An entry has come.
    pub(super) fn learn(&mut self, position: Position, next: Position, entry: &[u8], now_ns: u64) {
        self.exists(position, now_ns);
        let has_room = self.learnt_bytes + entry.len() <= KEPT_BYTES;
        if (position == next || (position > next && has_room))
            && !self.learnt.contains_key(&position)
        {
            self.learnt_bytes += entry.len();
            self.learnt.insert(position, entry.into());
        }
    }

    pub(super) fn take(&mut self, position: Position) -> Option<Arc<[u8]>> {
        let taken = self.learnt.remove(&position)?;
        self.learnt_bytes -= taken.len();
        self.behind_since_ns = None;
        Some(taken)
    }

    pub(super) fn is_behind(&self, next: Position) -> bool {
        self.known_end > next
    }

    /// How many entries are known to exist and are not applied.
    pub(super) fn behind_by(&self, next: Position) -> u64 {
        self.known_end.saturating_sub(next)
    }

    /// An answer came, whatever it was: the question is no longer open. None if it was not.
    fn close(&mut self, place: StorePlace, now_ns: u64, store: &mut StoreTimes) -> Option<Asked> {
        let asked = self.asked.remove(&place)?;
        store.answered(&asked, now_ns);
        Some(asked)
    }

    pub(super) fn found_entry(&mut self, at: Position, now_ns: u64, store: &mut StoreTimes) {
        if self.close(StorePlace::Entry(at), now_ns, store).is_some() {
            self.entries_at_once = (2 * self.entries_at_once).min(MOST_ENTRIES);
        }
    }

    pub(super) fn found_run(&mut self, run: u64, now_ns: u64, store: &mut StoreTimes) {
        if self.close(StorePlace::Run(run), now_ns, store).is_some() {
            self.runs_at_once = (2 * self.runs_at_once).min(MOST_RUNS);
        }
    }

    pub(super) fn absent(
        &mut self,
        place: StorePlace,
        asked_at_ns: u64,
        now_ns: u64,
        store: &mut StoreTimes,
    ) {
        if self.close(place, now_ns, store).is_none() {
            return;
        }
        match place {
            StorePlace::Run(run) => self.absent_run(run),
            StorePlace::Entry(position) => {
                self.does_not_exist(position, asked_at_ns);
                self.fences.bound(asked_at_ns, position);
            }
        }
    }

    /// A run has no entries any more.
    pub(super) fn absent_run(&mut self, run: u64) {
        self.missing_run = Some(self.missing_run.map_or(run, |other| other.min(run)));
    }

    pub(super) fn failed(&mut self, place: StorePlace, now_ns: u64, store: &mut StoreTimes) {
        if let Some(asked) = self.asked.get_mut(&place) {
            store.failed(asked, now_ns);
        }
    }

    /// Whether this run was asked for and is not in the store.
    pub(super) fn is_missing_run(&self, run: u64) -> bool {
        self.missing_run == Some(run)
    }

    /// Asks for what is missing, and again for what was not answered.
    pub(super) fn go_on(
        &mut self,
        next: Position,
        courtesy_ns: u64,
        now_ns: u64,
        store: &mut StoreTimes,
        effects: &mut Vec<Effect>,
    ) {
        self.drop_useless(next);
        for (place, asked) in &mut self.asked {
            if asked.until_ns <= now_ns {
                store.ask_again(asked, now_ns);
                effects.push(Effect::Get { place: *place });
            }
        }
        self.notice_gap(next, now_ns);
        let gap = self.read_gap_at_ns(courtesy_ns).is_some_and(|at_ns| at_ns <= now_ns);
        for place in self.wanted(next, gap) {
            self.asked.insert(place, store.ask(now_ns));
            effects.push(Effect::Get { place });
        }
    }

    fn drop_useless(&mut self, next: Position) {
        let needed = self.learnt.split_off(&next);
        self.learnt_bytes -= bytes_of(&self.learnt);
        self.learnt = needed;
        self.asked.retain(|place, _| match place {
            StorePlace::Entry(position) => *position >= next,
            StorePlace::Run(run) => (run + 1) * RUN_ENTRIES > next,
        });
        self.missing_run = self.missing_run.filter(|run| (run + 1) * RUN_ENTRIES > next);
    }

    fn notice_gap(&mut self, next: Position, now_ns: u64) {
        let gap = self.is_behind(next) && !self.learnt.contains_key(&next);
        self.behind_since_ns = gap.then(|| self.behind_since_ns.unwrap_or(now_ns));
    }

    fn read_gap_at_ns(&self, courtesy_ns: u64) -> Option<u64> {
        self.behind_since_ns.map(|since_ns| since_ns + courtesy_ns)
    }

    /// What is to be asked for now.
    fn wanted(&mut self, next: Position, gap: bool) -> Vec<StorePlace> {
        let mut wanted = self.wanted_runs(next);
        let gap_end = if gap { self.known_end.min(next + MOST_ENTRIES) } else { next };
        let look_end = next + u64::from(std::mem::take(&mut self.look));
        let end = gap_end.max(look_end).max(self.fence_end(next));
        let in_run = |position: &Position| {
            if *position < look_end {
                return false; // Our proposal waits for it, and asks once.
            }
            let run = StorePlace::Run(position / RUN_ENTRIES);
            wanted.contains(&run) || self.asked.contains_key(&run)
        };
        let entries = (next..end)
            .filter(|position| !self.learnt.contains_key(position) && !in_run(position))
            .map(StorePlace::Entry)
            .filter(|place| !self.asked.contains_key(place));
        let entries: Vec<_> = entries.collect();
        wanted.extend(entries);
        wanted
    }

    /// How far the fences make us read.
    fn fence_end(&self, next: Position) -> Position {
        self.fences.end().map_or(next, |end| end.min(next + self.entries_at_once))
    }

    fn wanted_runs(&self, next: Position) -> Vec<StorePlace> {
        let far = self.stands(Why::Start)
            || (!self.fences.is_empty()
                && (self.entries_at_once == MOST_ENTRIES || self.behind_by(next) > RUN_ENTRIES));
        if !far {
            return Vec::new();
        }
        let first = next / RUN_ENTRIES;
        let end = self.missing_run.unwrap_or(u64::MAX).min(first + self.runs_at_once);
        let known = |run: u64| {
            let positions = (run * RUN_ENTRIES).max(next)..(run + 1) * RUN_ENTRIES;
            self.learnt.range(positions.clone()).count() as u64 == positions.end - positions.start
        };
        (first..end)
            .filter(|run| !known(*run))
            .map(StorePlace::Run)
            .filter(|place| !self.asked.contains_key(place))
            .collect()
    }

    /// When to go on, if nothing happens.
    pub(super) fn wake_at_ns(&self, courtesy_ns: u64) -> Option<u64> {
        let again = self.asked.values().map(|asked| asked.until_ns);
        let gap = self.read_gap_at_ns(courtesy_ns).filter(|_| self.asked.is_empty());
        again.chain(gap).min()
    }
}
