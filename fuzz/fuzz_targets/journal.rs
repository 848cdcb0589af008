//! Any bytes as the segments of a journal: opening it never panics, and if it opens, what it showed is
//! there after a further message and a crash, and so is the message.
//!
//! Bytes are taken as they are, and once more with every checksum and position made right, without which
//! the fuzzer would hardly get past them; as one segment, and as two. The fixtures are good seeds:
//! `cargo fuzz run journal fuzz/corpus/journal crates/straum/tests/fixtures/v1`.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use libfuzzer_sys::fuzz_target;
use straum::files::simulated::SimulatedFiles;
use straum::files::{File, Files};
use straum::journal::disk::{DiskJournal, Settings};
use straum::journal::format::{
    ENTRY_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, read_command, finish_entry,
    segment_header,
};
use straum::{Command, Engine, Retention};

const SEGMENT_BYTES: u32 = 512;
const SETTINGS: Settings = Settings {
    segment_bytes: SEGMENT_BYTES,
    retention: Retention { max_bytes: None, max_age_ms: None },
    now_ms: || 0,
};
const KEY: &str = "k";
const MESSAGE: &[u8] = b"safe";

type Logs = BTreeMap<String, (Vec<Vec<u8>>, Option<u64>)>;

fuzz_target!(|input: &[u8]| {
    try_journal(&[(0, input.to_vec())]);
    try_journal(&[(0, mended(input, 0).0)]);
    let Some((split, bytes)) = input.split_last_chunk() else { return };
    let split = usize::from(u16::from_le_bytes(*bytes)) % (split.len() + 1);
    let (first, second) = input.split_at(split);
    let (first_mended, position) = mended(first, 0);
    try_journal(&[(0, first_mended.clone()), (position, second.to_vec())]);
    try_journal(&[(0, first_mended), (position, mended(second, position).0)]);
});

/// The bytes with a good header in front, if they have none, and the headers of all entries made right that their lengths
/// make out; and the position of the next.
fn mended(bytes: &[u8], first_position: u64) -> (Vec<u8>, u64) {
    let header = SegmentHeader { first_position, size_bytes: SEGMENT_BYTES, begun_at_s: 0 };
    let mut segment = segment_header(header).to_vec();
    let has_header = bytes.starts_with(&segment[..8]);
    segment.extend(bytes.get(if has_header { SEGMENT_HEADER_BYTES } else { 0 }..).unwrap_or(&[]));
    let (mut at, mut position) = (SEGMENT_HEADER_BYTES, first_position);
    while let Some(length) = segment.get(at..).and_then(|rest| rest.first_chunk().copied()) {
        let end = at + ENTRY_HEADER_BYTES + u32::from_le_bytes(length) as usize;
        if length == [0; 4] || end > segment.len() {
            break;
        }
        finish_entry(&mut segment[at..end], position);
        (at, position) = (end, position + 1);
    }
    (segment, position)
}

fn try_journal(segments: &[(u64, Vec<u8>)]) {
    // As they are, which may be cut short: they open, or do not.
    _ = Engine::open(folder(segments, 0), SETTINGS);

    let files = folder(segments, SEGMENT_BYTES as usize);
    let Ok(opened) = Engine::open(files.clone(), SETTINGS) else {
        assert!(Engine::open(files, SETTINGS).is_err(), "it was refused before");
        return;
    };
    drop(opened);

    let keys = keys(segments);
    let mut engine = open_again(&files);
    let mut expected = logs(&engine, &keys);
    let offset = engine.send(KEY, MESSAGE).expect("there is room");
    engine.sync().expect("no step is made to fail");
    files.crash();

    let messages = &mut expected.entry(KEY.to_owned()).or_default().0;
    assert_eq!(offset, messages.len() as u64);
    messages.push(MESSAGE.to_vec());
    assert_eq!(logs(&open_again(&files), &keys), expected);
}

/// All keys that the segments may have commands of.
fn keys(segments: &[(u64, Vec<u8>)]) -> BTreeSet<String> {
    let places = segments.iter().flat_map(|(_, bytes)| (0..bytes.len()).map(|at| &bytes[at..]));
    let commands = places.filter_map(|bytes| read_command(bytes).ok());
    let keys = commands.map(|(Command::Send { key, .. } | Command::Commit { key, .. }, _)| key);
    keys.chain([KEY]).map(str::to_owned).collect()
}

/// A folder of segments at these positions, each filled up with zeros to at least `min_bytes`.
fn folder(segments: &[(u64, Vec<u8>)], min_bytes: usize) -> SimulatedFiles {
    let files = SimulatedFiles::new(0);
    for (position, bytes) in segments {
        let name = format!("{position:020}.segment");
        let size_bytes = bytes.len().max(min_bytes) as u64;
        // Two segments of one name: the first, without an entry, is not there.
        _ = files.remove(&name);
        let mut file = files.create(&name, size_bytes).expect("there is room");
        file.write_at(0, bytes).expect("it fits");
        file.sync().expect("no step is made to fail");
    }
    files.sync_names().expect("no step is made to fail");
    files
}

/// Opens a journal that was opened before, so that there is nothing left to cut off.
fn open_again(files: &SimulatedFiles) -> Engine<DiskJournal<SimulatedFiles>> {
    let (engine, cut) = Engine::open(files.clone(), SETTINGS).expect("it opened");
    assert_eq!(cut, None);
    engine
}

fn logs(engine: &Engine<DiskJournal<SimulatedFiles>>, keys: &BTreeSet<String>) -> Logs {
    let wanted: Vec<_> = keys.iter().map(|key| (key, 0)).collect();
    let mut logs = Logs::new();
    for polled in engine.poll(&wanted, u64::MAX).expect("it was written here") {
        let messages = polled.messages().map(|(_, message)| message.to_vec()).collect();
        logs.insert(polled.key.to_owned(), (messages, engine.committed(polled.key)));
    }
    logs
}
