//! What the tests of the engine on disk share: simulated files, a time, and all that an engine shows.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may fail, and needs not all"
)]

use std::collections::BTreeMap;

use straum::files::Files;
use straum::files::simulated::SimulatedFiles;
use straum::{
    Append, Budget, Command, Engine, Found, How, Identity, Now, Offset, OpenError, Options,
    Producer, ReadError,
};

pub(crate) type Disk = Engine<SimulatedFiles>;

/// The identity of every journal in these tests.
pub(crate) const IDENTITY: [u8; 16] = *b"identity of test";

/// A record as it is read.
pub(crate) type Read = (Offset, u32, Vec<u8>);

/// All that an engine shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) logs: BTreeMap<String, (Offset, Offset, Vec<Read>)>,
    pub(crate) commits: BTreeMap<(String, String), (Offset, Vec<u8>)>,
    pub(crate) registers: BTreeMap<String, Vec<u8>>,
}

pub(crate) fn now(time_ms: u64) -> Now {
    Now { time_ms, elapsed_ms: time_ms }
}

/// Segments of so many bytes, in a folder that may be empty.
pub(crate) fn options(segment_bytes: u32) -> Options {
    Options::default().create(true).segment_bytes(segment_bytes)
}

pub(crate) fn try_open(
    files: &SimulatedFiles,
    options: Options,
) -> Result<(Disk, Found), OpenError> {
    options.open_files(files.clone(), Identity::new(IDENTITY), now(1_000))
}

pub(crate) fn open(files: &SimulatedFiles, options: Options) -> Disk {
    try_open(files, options).unwrap().0
}

/// All records of a log from an offset on, read so many bytes at a time.
///
/// # Errors
/// [`ReadError`].
pub(crate) fn read_from<F: Files>(
    engine: &Engine<F>,
    log: &str,
    from: Offset,
    max_bytes: u64,
) -> Result<Vec<Read>, ReadError> {
    let mut all = Vec::new();
    let mut next = from;
    while let Some(read) = engine.read(log, next, u64::MAX, &mut Budget::new(max_bytes, 7)) {
        let before = all.len();
        for record in &read.fetch()? {
            all.push((record.offset, record.count, record.bytes.to_vec()));
        }
        let Some((offset, count, _)) = all[before..].last() else { break };
        next = offset + u64::from(*count);
    }
    Ok(all)
}

/// Everything, with each log read so many bytes at a time.
///
/// # Errors
/// [`ReadError`].
pub(crate) fn try_shown<F: Files>(
    engine: &Engine<F>,
    groups: &[&str],
    max_bytes: u64,
) -> Result<Shown, ReadError> {
    let mut shown = Shown::default();
    for key in engine.keys() {
        let bounds = engine.bounds(key).unwrap();
        let records = read_from(engine, key, 0, max_bytes)?;
        shown.logs.insert(key.into(), (bounds.start_offset, bounds.stable_end, records));
    }
    for group in groups {
        for (log, committed) in engine.commits(group) {
            let committed = (committed.offset, committed.metadata.to_vec());
            shown.commits.insert(((*group).into(), log.into()), committed);
        }
    }
    for (name, _, value) in engine.registers("") {
        shown.registers.insert(name.into(), value.into());
    }
    Ok(shown)
}

pub(crate) fn shown<F: Files>(engine: &Engine<F>, groups: &[&str]) -> Shown {
    try_shown(engine, groups, u64::MAX).unwrap()
}

/// A command that owns what it says.
#[derive(Clone, Debug)]
pub(crate) enum Owned {
    Append { log: String, record: Vec<u8>, count: u32 },
    Produce { log: String, id: u64, first_sequence: u32 },
    Commit { log: String, offset: Offset },
    Raise { log: String, offset: Offset },
    Set { name: String, value: Vec<u8> },
    Drop { log: String },
    Cut { log: String, before: Offset },
}

impl Owned {
    pub(crate) fn command(&self) -> Command<'_> {
        match self {
            Self::Append { log, record, count } => {
                Command::Append(Append { count: *count, ..Append::record(log, record) })
            }
            Self::Produce { log, id, first_sequence } => {
                let producer =
                    Some(Producer { id: *id, epoch: 0, first_sequence: *first_sequence });
                Command::Append(Append { producer, ..Append::record(log, b"produced") })
            }
            Self::Commit { log, offset } => {
                let (group, offset, how) = ("g", *offset, How::Set);
                Command::Commit { group, log, offset, metadata: b"meta", how }
            }
            Self::Raise { log, offset } => {
                let (group, offset, how) = ("", *offset, How::Raise);
                Command::Commit { group, log, offset, metadata: b"", how }
            }
            Self::Set { name, value } => {
                Command::Set { name, value: Some(value), if_version: None }
            }
            Self::Drop { log } => Command::Drop { log },
            Self::Cut { log, before } => Command::Cut { log, before: *before },
        }
    }
}

/// The groups of these commands.
pub(crate) const GROUPS: [&str; 2] = ["", "g"];

/// What the specification, the engine in memory, shows after each number of commands.
pub(crate) fn states(commands: &[Owned]) -> Vec<Shown> {
    let mut memory = Engine::in_memory();
    let mut states = vec![Shown::default()];
    for command in commands {
        memory.apply(&command.command()).unwrap();
        memory.sync(now(1_000)).unwrap();
        states.push(shown(&memory, &GROUPS));
    }
    states
}
