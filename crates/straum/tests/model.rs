//! Holds the engine against the simplest possible one, under random sequences of all that it can do: in memory, and
//! on a disk whose segments are so small that all of it is sorted, rewritten and read back. Never looks inside.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::collections::{BTreeMap, VecDeque};

use common::{Disk, Shown, now, open, options, read_from, try_shown};
use proptest::collection::vec;
use proptest::prelude::*;
use straum::files::simulated::SimulatedFiles;
use straum::{Append, Command, How, Offset, Outcome, Producer};

const GROUPS: [&str; 2] = ["", "g"];

#[derive(Clone, Debug)]
enum Operation {
    Append { log: String, record: Vec<u8>, count: u32 },
    Produce { log: String, id: u64, epoch: u16, first_sequence: u32, count: u32 },
    Commit { group: usize, log: String, offset: Offset, metadata: Vec<u8>, how: How },
    Uncommit { group: usize, log: String },
    Set { name: String, value: Option<Vec<u8>>, if_version: Option<usize> },
    Drop { log: String },
    Cut { log: String, before: Offset },
    Read { log: String, from: Offset, max_bytes: u64 },
    Sync,
    Reopen,
}

/// The specification: what each operation means, with no thought for speed or memory.
#[derive(Debug, Default)]
struct Model {
    logs: BTreeMap<String, ModelLog>,
    commits: BTreeMap<(String, String), (Offset, Vec<u8>)>,
    registers: BTreeMap<String, (u64, Vec<u8>)>,
    last_version: u64,
}

#[derive(Debug, Default)]
struct ModelLog {
    start: Offset,
    next: Offset,
    records: Vec<(Offset, u32, Vec<u8>)>,
    producers: BTreeMap<u64, ModelProducer>,
}

/// An epoch, and the last records: first sequence, count and offset.
type ModelProducer = (u16, VecDeque<(u32, u32, Offset)>);

impl ModelLog {
    fn append(&mut self, record: &[u8], count: u32) -> Offset {
        let offset = self.next;
        self.records.push((offset, count, record.to_vec()));
        self.next += u64::from(count);
        offset
    }

    fn produce(&mut self, id: u64, epoch: u16, first: u32, count: u32) -> Outcome {
        if let Some((its_epoch, last)) = self.producers.get(&id) {
            if epoch < *its_epoch {
                return Outcome::Fenced;
            }
            if epoch > *its_epoch && first != 0 {
                return Outcome::OutOfOrder;
            }
            if epoch == *its_epoch {
                if let Some(same) = last.iter().find(|one| (one.0, one.1) == (first, count)) {
                    return Outcome::Duplicate(same.2);
                }
                let (before, its_count, _) = last.back().unwrap();
                if first != before + its_count {
                    return Outcome::OutOfOrder;
                }
            }
        }
        let offset = self.append(b"produced", count);
        let (its_epoch, last) = self.producers.entry(id).or_default();
        if *its_epoch != epoch {
            last.clear();
        }
        *its_epoch = epoch;
        last.push_back((first, count, offset));
        if last.len() > 5 {
            last.pop_front();
        }
        Outcome::Appended(offset)
    }
}

impl Model {
    fn apply(&mut self, command: &Command<'_>) -> Outcome {
        match *command {
            Command::Append(Append { log, record, count, producer, .. }) => {
                let log = self.logs.entry(log.into()).or_default();
                match producer {
                    Some(one) => log.produce(one.id, one.epoch, one.first_sequence, count),
                    None => Outcome::Appended(log.append(record, count)),
                }
            }
            Command::Commit { group, log, offset, metadata, how } => {
                let key = (group.to_owned(), log.to_owned());
                let last = self.logs.get(log).and_then(|log| log.next.checked_sub(1));
                match (how, last) {
                    (How::Set, _) => _ = self.commits.insert(key, (offset, metadata.to_vec())),
                    (How::Raise, Some(last)) => {
                        let raised = (offset.min(last), metadata.to_vec());
                        let old = self.commits.entry(key).or_insert_with(|| raised.clone());
                        if raised.0 > old.0 {
                            *old = raised;
                        }
                    }
                    (How::Raise, None) => {}
                }
                Outcome::Done
            }
            Command::Uncommit { group, log } => {
                let gone = self.commits.remove(&(group.to_owned(), log.to_owned()));
                gone.map_or(Outcome::Absent, |_| Outcome::Done)
            }
            Command::Set { name, value, if_version } => {
                let version = self.registers.get(name).map_or(0, |register| register.0);
                if if_version.is_some_and(|wanted| wanted != version) {
                    return Outcome::Conflict(version);
                }
                self.last_version += 1;
                match value {
                    Some(value) => {
                        let register = (self.last_version, value.to_vec());
                        self.registers.insert(name.into(), register);
                    }
                    None => _ = self.registers.remove(name),
                }
                Outcome::Set(self.last_version)
            }
            Command::Drop { log } => {
                let before = self.commits.len();
                self.commits.retain(|(_, its_log), _| its_log != log);
                let is_gone = self.logs.remove(log).is_some() || self.commits.len() < before;
                if is_gone { Outcome::Done } else { Outcome::Absent }
            }
            Command::Cut { log, before } => match self.logs.get_mut(log) {
                Some(log) => {
                    log.start = before.clamp(log.start, log.next);
                    Outcome::Cut(log.start)
                }
                None => Outcome::Absent,
            },
            _ => unreachable!("there are no other commands"),
        }
    }

    fn read(&self, log: &str, from: Offset) -> Vec<common::Read> {
        let Some(log) = self.logs.get(log) else { return Vec::new() };
        let from = from.max(log.start);
        let left = |record: &&common::Read| record.0 + u64::from(record.1) > from;
        log.records.iter().filter(left).cloned().collect()
    }

    fn shown(&self) -> Shown {
        let shown = |(key, log): (&String, &ModelLog)| {
            (key.clone(), (log.start, log.next, self.read(key, 0)))
        };
        let register =
            |(name, register): (&String, &(u64, Vec<u8>))| (name.clone(), register.1.clone());
        Shown {
            logs: self.logs.iter().map(shown).collect(),
            commits: self.commits.clone(),
            registers: self.registers.iter().map(register).collect(),
        }
    }
}

fn log() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-c]", 1 => any::<String>()]
}

fn offset() -> impl Strategy<Value = Offset> {
    prop_oneof![8 => 0..40_u64, 1 => any::<u64>()]
}

fn operation() -> impl Strategy<Value = Operation> {
    // Some records are larger than a chunk, so that chunks of every kind come up.
    let length = prop_oneof![20 => 0..60_usize, 1 => 20_000..80_000_usize];
    let record = (length, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]);
    let count = prop_oneof![3 => Just(1_u32), 1 => 1..9_u32];
    let how = prop_oneof![Just(How::Raise), Just(How::Set)];
    prop_oneof![
        12 => (log(), record, count)
            .prop_map(|(log, record, count)| Operation::Append { log, record, count }),
        4 => (log(), 0..2_u64, 0..2_u16, 0..6_u32, 1..3_u32).prop_map(
            |(log, id, epoch, first_sequence, count)| {
                Operation::Produce { log, id, epoch, first_sequence, count }
            }
        ),
        3 => (0..2_usize, log(), offset(), vec(any::<u8>(), 0..3), how).prop_map(
            |(group, log, offset, metadata, how)| {
                Operation::Commit { group, log, offset, metadata, how }
            }
        ),
        1 => (0..2_usize, log()).prop_map(|(group, log)| Operation::Uncommit { group, log }),
        2 => ("[r-s]", proptest::option::of(vec(any::<u8>(), 0..5)), proptest::option::of(0..4_usize))
            .prop_map(|(name, value, if_version)| Operation::Set { name, value, if_version }),
        1 => log().prop_map(|log| Operation::Drop { log }),
        2 => (log(), offset()).prop_map(|(log, before)| Operation::Cut { log, before }),
        3 => (log(), offset(), prop_oneof![0..200_u64, Just(u64::MAX)])
            .prop_map(|(log, from, max_bytes)| Operation::Read { log, from, max_bytes }),
        3 => Just(Operation::Sync),
        1 => Just(Operation::Reopen),
    ]
}

/// The command that an operation is; none if it is none.
fn command<'a>(operation: &'a Operation, model: &Model) -> Option<Command<'a>> {
    Some(match operation {
        Operation::Append { log, record, count } => {
            Command::Append(Append { count: *count, ..Append::record(log, record) })
        }
        Operation::Produce { log, id, epoch, first_sequence, count } => {
            let (id, epoch, first_sequence) = (*id, *epoch, *first_sequence);
            let producer = Some(Producer { id, epoch, first_sequence });
            Command::Append(Append { count: *count, producer, ..Append::record(log, b"produced") })
        }
        Operation::Commit { group, log, offset, metadata, how } => {
            let (group, offset, how) = (GROUPS[*group], *offset, *how);
            Command::Commit { group, log, offset, metadata, how }
        }
        Operation::Uncommit { group, log } => Command::Uncommit { group: GROUPS[*group], log },
        Operation::Set { name, value, if_version } => {
            // Some versions of the past, and some that are right.
            let version = |one: usize| match one {
                0 => 0,
                1 => model.last_version,
                _ => model.registers.get(name).map_or(0, |register| register.0),
            };
            Command::Set { name, value: value.as_deref(), if_version: if_version.map(version) }
        }
        Operation::Drop { log } => Command::Drop { log },
        Operation::Cut { log, before } => Command::Cut { log, before: *before },
        _ => return None,
    })
}

/// An outcome, but for what the engine does not say of a commit.
fn same(left: Outcome, right: Outcome) -> bool {
    let of_commit = |outcome| matches!(outcome, Outcome::Done | Outcome::Absent);
    left == right || (of_commit(left) && of_commit(right))
}

struct OnDisk {
    files: SimulatedFiles,
    segment_bytes: u32,
    engine: Disk,
    time_ms: u64,
}

impl OnDisk {
    fn new(segment_bytes: u32) -> Self {
        let files = SimulatedFiles::new(7);
        let engine = open(&files, options(segment_bytes));
        Self { files, segment_bytes, engine, time_ms: 2_000 }
    }

    fn sync(&mut self) {
        self.time_ms += 13;
        self.engine.sync(now(self.time_ms)).unwrap();
    }

    /// The machine crashes, after all that matters was synced.
    fn reopen(&mut self) {
        self.sync();
        self.files.crash();
        self.engine = open(&self.files, options(self.segment_bytes));
    }
}

fn carry_out(operations: &[Operation], segment_bytes: u32) {
    let mut model = Model::default();
    let mut disk = OnDisk::new(segment_bytes);
    for operation in operations {
        if let Some(command) = command(operation, &model) {
            let outcome = disk.engine.apply(&command).unwrap();
            let expected = model.apply(&command);
            assert!(same(outcome, expected), "{outcome:?} {expected:?} {operation:?}");
        }
        match operation {
            Operation::Sync => disk.sync(),
            Operation::Reopen => disk.reopen(),
            Operation::Read { log, from, max_bytes } => {
                disk.sync();
                let read = read_from(&disk.engine, log, *from, *max_bytes).unwrap();
                assert_eq!(read, model.read(log, *from));
            }
            _ => continue,
        }
        assert_same(&try_shown(&disk.engine, &GROUPS, 300).unwrap(), &model.shown());
    }
    disk.reopen();
    assert_same(&try_shown(&disk.engine, &GROUPS, u64::MAX).unwrap(), &model.shown());
}

/// Piece by piece, so that a difference is seen.
fn assert_same(shown: &Shown, expected: &Shown) {
    assert_eq!(shown.commits, expected.commits);
    assert_eq!(shown.registers, expected.registers);
    assert!(shown.logs.keys().eq(expected.logs.keys()));
    for (key, log) in &shown.logs {
        let summary = |(start, end, records): &(Offset, Offset, Vec<common::Read>)| {
            let records: Vec<_> = records
                .iter()
                .map(|(offset, count, record)| (*offset, *count, record.len()))
                .collect();
            (*start, *end, records)
        };
        assert_eq!(summary(log), summary(&expected.logs[key]), "{key:?}");
        assert!(*log == expected.logs[key], "{key:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_engine_on_disk_is_indistinguishable_from_the_model(
        operations in vec(operation(), 1..150),
        segment_bytes in prop_oneof![Just(100_000_u32), Just(200_000)],
    ) {
        carry_out(&operations, segment_bytes);
    }

    /// With records that fit into segments of so few bytes.
    #[test]
    fn the_same_with_segments_so_small_that_all_is_sorted_again_and_again(
        operations in vec(operation(), 1..400),
        segment_bytes in 300..1_500_u32,
    ) {
        let fits = |operation: &Operation| match operation {
            Operation::Append { record, log, .. } => record.len() + log.len() < 150,
            Operation::Produce { log, .. }
            | Operation::Commit { log, .. }
            | Operation::Uncommit { log, .. }
            | Operation::Drop { log }
            | Operation::Cut { log, .. } => log.len() < 150,
            _ => true,
        };
        let operations: Vec<_> = operations.into_iter().filter(fits).collect();
        carry_out(&operations, segment_bytes);
    }
}
