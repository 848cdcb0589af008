//! Any bytes as a sealed segment, with an empty segment behind it: neither opening nor polling ever panics,
//! and if it opens, the logs go on: a further message is there after a crash.
//!
//! Bytes are taken as they are, and once more with the checksums made right, without which the fuzzer would
//! hardly get past them. `cargo fuzz run sealed fuzz/corpus/sealed crates/straum/tests/fixtures/v1`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use straum::files::simulated::SimulatedFiles;
use straum::files::{File, Files};
use straum::journal::disk::Settings;
use straum::journal::format::{SegmentHeader, segment_header};
use straum::{Engine, Retention};

const SEGMENT_BYTES: u32 = 512;
const SETTINGS: Settings = Settings {
    segment_bytes: SEGMENT_BYTES,
    retention: Retention { max_bytes: None, max_age_ms: None },
    now_ms: || 0,
};
/// The keys of the fixture, and another.
const KEYS: [&str; 3] = ["k", "cl\u{e9}", "other"];
const MESSAGE: &[u8] = b"safe";

fuzz_target!(|input: &[u8]| {
    try_sealed(input);
    let mut file = input.to_vec();
    if make_checksums_right(&mut file).is_some() {
        try_sealed(&file);
    }
});

fn try_sealed(sealed: &[u8]) {
    let end_position = number(sealed, 24, 8).unwrap_or(0);
    let files = SimulatedFiles::new(0);
    create(&files, "00000000000000000000.sealed", sealed, sealed.len());
    let header = SegmentHeader {
        first_position: end_position,
        size_bytes: SEGMENT_BYTES,
        begun_at_s: 0,
    };
    create(&files, &format!("{end_position:020}.segment"), &segment_header(header), SEGMENT_BYTES as usize);
    files.sync_names().expect("no step is made to fail");

    let Ok((mut engine, _)) = Engine::open(files.clone(), SETTINGS) else { return };
    for key in KEYS {
        for (from, max_bytes) in [(0, u64::MAX), (1, 0), (u64::MAX, 1)] {
            if let Ok(logs) = engine.poll(&[(key, from)], max_bytes) {
                _ = logs.iter().flat_map(|log| log.messages()).count();
            }
        }
    }
    let offsets = KEYS.map(|key| engine.send(key, MESSAGE).expect("there is room"));
    engine.sync().expect("no step is made to fail");
    files.crash();
    let (engine, _) = Engine::open(files, SETTINGS).expect("it opened before");
    for (key, offset) in KEYS.into_iter().zip(offsets) {
        let logs = engine.poll(&[(key, offset)], 0).expect("it is in memory");
        assert_eq!(logs[0].messages().next(), Some((offset, MESSAGE)));
    }
}

fn create(files: &SimulatedFiles, name: &str, bytes: &[u8], size_bytes: usize) {
    let mut file = files.create(name, size_bytes as u64).expect("there is room");
    file.write_at(0, bytes).expect("it fits");
    file.sync().expect("no step is made to fail");
}

/// Makes right what a reader checks before it looks at anything: the size, the first position, and all
/// checksums that can be found. None if there is not even a header.
fn make_checksums_right(file: &mut [u8]) -> Option<()> {
    let size_bytes = file.len() as u64;
    file.get_mut(16..24)?.fill(0);
    file.get_mut(32..40)?.copy_from_slice(&size_bytes.to_le_bytes());
    let keys = number(file, 12, 4)?.min(size_bytes / 64);
    for key in 0..keys {
        make_key_row_right(file, key);
    }
    let names = crc(file, 64 + 64 * keys, number(file, 48, 8)?);
    put(file, 56, names);
    let header = crc(file, 0, 60);
    put(file, 60, header);
    Some(())
}

fn make_key_row_right(file: &mut [u8], key: u64) -> Option<()> {
    let at = 64 + 64 * key;
    let (chunk_rows_at, chunk_rows) = (number(file, at + 40, 8)?, number(file, at + 48, 4)?);
    for chunk in 0..chunk_rows.min(file.len() as u64 / 36) {
        make_chunk_right(file, chunk_rows_at.checked_add(36 * chunk)?)?;
    }
    let row = file.get(at as usize..at as usize + 60)?;
    let crc = crc32fast::hash(&[row, &[0; 8], &key.to_le_bytes()].concat());
    put(file, at + 60, Some(crc))
}

fn make_chunk_right(file: &mut [u8], row_at: u64) -> Option<()> {
    let row = crc(file, row_at, 32);
    put(file, row_at.checked_add(32)?, row)?;
    let at = number(file, row_at + 16, 8)?;
    let content_bytes = 4 * number(file, row_at + 24, 4)? + number(file, row_at + 28, 4)?;
    let content = crc(file, at.checked_add(4)?, content_bytes);
    put(file, at, content)
}

fn number(file: &[u8], at: u64, size_bytes: u64) -> Option<u64> {
    let bytes = part(file, at, size_bytes)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn crc(file: &[u8], at: u64, size_bytes: u64) -> Option<u32> {
    part(file, at, size_bytes).map(crc32fast::hash)
}

fn part(file: &[u8], at: u64, size_bytes: u64) -> Option<&[u8]> {
    file.get(usize::try_from(at).ok()?..usize::try_from(at.checked_add(size_bytes)?).ok()?)
}

fn put(file: &mut [u8], at: u64, crc: Option<u32>) -> Option<()> {
    let at = usize::try_from(at).ok()?;
    file.get_mut(at..at.checked_add(4)?)?.copy_from_slice(&crc?.to_le_bytes());
    Some(())
}
