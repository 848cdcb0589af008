//! Any bytes as the files of a journal: opening it never panics, and if it opens, what it showed is there after a
//! further record and a crash, and so is the record.
//!
//! The first byte says whether the rest is a segment of the write-ahead log or a sorted segment with an empty segment
//! behind it. Bytes are taken as they are, and once more with every checksum made right, without which the fuzzer
//! would hardly get past them. The fixtures are good seeds, each with a byte before it:
//! `crates/straum/tests/fixtures/v2`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use straum::files::simulated::SimulatedFiles;
use straum::files::{File, Files};
use straum::{Budget, Engine, Identity, Now, Options};

const IDENTITY: [u8; 16] = *b"identity of test";
const WAL: &str = "00000000000000000000.wal";
const SORTED: &str = "00000000000000000000-0000000000.sorted";

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else { return };
    let is_sorted = kind & 1 == 1;
    try_files(is_sorted, bytes.to_vec());
    if is_sorted {
        try_files(true, right_sorted(bytes.to_vec()));
    } else {
        try_files(false, right_wal(bytes.to_vec()));
    }
});

fn try_files(is_sorted: bool, bytes: Vec<u8>) {
    let files = SimulatedFiles::new(1);
    if is_sorted {
        let end = bytes.len().checked_sub(96).and_then(|at| number(&bytes, at));
        put(&files, SORTED, &bytes);
        if let Some(end) = end {
            put(&files, &format!("{end:020}.wal"), &right_wal(empty_wal(end)));
        }
    } else {
        put(&files, WAL, &bytes);
    }
    let Some(mut engine) = open(&files) else { return };
    let before = shown(&engine);
    let log = engine.keys().next().map_or("k".to_owned(), ToOwned::to_owned);
    if engine.append(&log, b"one more").is_err() || engine.sync(Now::default()).is_err() {
        return;
    }
    files.crash();
    let engine = open(&files).expect("what was opened and closed opens again");
    let mut expected = before;
    let after = shown(&engine);
    match expected.iter_mut().find(|(key, ..)| *key == log) {
        Some((_, _, end, _)) => *end += 1,
        None => expected.push((log, 0, 1, None)),
    }
    for ((key, start, end, first), (other, its_start, its_end, its_first)) in
        expected.iter().zip(&after)
    {
        assert_eq!((key, start, end), (other, its_start, its_end));
        assert!(first.is_none() || first == its_first);
    }
}

fn open(files: &SimulatedFiles) -> Option<Engine<SimulatedFiles>> {
    let options = Options::default().segment_bytes(4096);
    options.open_files(files.clone(), Identity::new(IDENTITY), Now::default()).ok().map(|opened| opened.0)
}

type Shown = Vec<(String, u64, u64, Option<Vec<u8>>)>;

/// Of each log its key, where it begins and ends, and its first record; read to the end.
fn shown(engine: &Engine<SimulatedFiles>) -> Shown {
    let mut shown: Shown = Vec::new();
    for key in engine.keys() {
        let bounds = engine.bounds(key).expect("a key has a log");
        let mut budget = Budget::new(1 << 20, 0);
        let read = engine.read(key, 0, u64::MAX, &mut budget);
        let records = read.and_then(|read| read.fetch().ok());
        let first = records.as_ref().and_then(|records| records.iter().next());
        let first = first.map(|record| record.bytes.to_vec());
        if let Some(records) = &records {
            assert!(records.iter().count() < 1 << 20);
        }
        shown.push((key.to_owned(), bounds.start_offset, bounds.stable_end, first));
    }
    shown.sort();
    shown
}

fn put(files: &SimulatedFiles, name: &str, bytes: &[u8]) {
    if let Ok(mut file) = files.create(name, bytes.len() as u64) {
        file.write_at(0, bytes).expect("it has room");
        file.sync().expect("nothing fails");
    }
    files.sync_names().expect("nothing fails");
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

fn empty_wal(first_position: u64) -> Vec<u8> {
    let mut wal = vec![0; 4096];
    wal[32..40].copy_from_slice(&first_position.to_le_bytes());
    wal
}

fn set_crc(bytes: &mut [u8], at: usize, parts: &[&[u8]]) {
    let mut crc = crc32fast::Hasher::new();
    parts.iter().for_each(|part| crc.update(part));
    bytes[at..at + 4].copy_from_slice(&crc.finalize().to_le_bytes());
}

fn right_header(bytes: &mut [u8], magic: &[u8], size: usize) {
    bytes[..8].copy_from_slice(magic);
    bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
    bytes[12..16].copy_from_slice(&u32::try_from(size).unwrap_or(0).to_le_bytes());
    bytes[16..32].copy_from_slice(&IDENTITY);
    let head = bytes[..60].to_vec();
    set_crc(bytes, 60, &[&head]);
}

/// Makes the header, and the entries as long as they follow each other, right.
fn right_wal(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < 88 {
        return bytes;
    }
    let size = bytes.len();
    right_header(&mut bytes, b"STRAUMW\n", size);
    let mut position = number(&bytes, 32).unwrap_or(0);
    let mut at = 64;
    while at + 24 <= size {
        let length = u32::from_le_bytes([bytes[at], bytes[at + 1], 0, 0]) as usize;
        if length == 0 || at + 24 + length > size {
            break;
        }
        bytes[at + 2..at + 4].fill(0);
        bytes[at + 8..at + 16].copy_from_slice(&position.to_le_bytes());
        let entry = bytes[at..at + 24 + length].to_vec();
        set_crc(&mut bytes, at + 4, &[&IDENTITY, &entry[..4], &entry[8..]]);
        position = position.wrapping_add(1);
        at += 24 + length;
    }
    bytes
}

/// Makes the header, the first row block, the state blocks and the trailer right.
fn right_sorted(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < 200 {
        return bytes;
    }
    right_header(&mut bytes, b"STRAUMS\n", 0);
    bytes[32..40].fill(0);
    let size = bytes.len();
    let trailer = size - 96;
    bytes[trailer + 8..trailer + 16].copy_from_slice(&(size as u64).to_le_bytes());
    bytes[trailer + 64..trailer + 68].copy_from_slice(&2_u32.to_le_bytes());
    let index = trailer - 12;
    bytes[trailer + 32..trailer + 40].copy_from_slice(&(index as u64).to_le_bytes());
    let first = 0_u64.to_le_bytes();
    let state = number(&bytes, trailer + 24).map_or(index, |at| usize::try_from(at).unwrap_or(index));
    let mut at = state.clamp(64, index);
    bytes[trailer + 24..trailer + 32].copy_from_slice(&(at as u64).to_le_bytes());
    let block = number(&bytes, index).map_or(64, |at| usize::try_from(at).unwrap_or(64)).clamp(64, at);
    bytes[index..index + 8].copy_from_slice(&(block as u64).to_le_bytes());
    bytes[index + 8..index + 12].copy_from_slice(&u32::try_from(at - block).unwrap_or(0).to_le_bytes());
    if at - block >= 4 {
        let rows = bytes[block + 4..at].to_vec();
        set_crc(&mut bytes, block, &[&IDENTITY, &first, &first, &rows]);
    }
    while at + 8 <= index {
        let length = usize::from(bytes[at]).min(index - at - 8);
        bytes[at..at + 4].copy_from_slice(&u32::try_from(length).unwrap_or(0).to_le_bytes());
        let items = bytes[at + 8..at + 8 + length].to_vec();
        set_crc(&mut bytes, at + 4, &[&IDENTITY, &first, &items]);
        at += 8 + length;
    }
    let body = bytes[..trailer].to_vec();
    set_crc(&mut bytes, trailer + 68, &[&body]);
    let own = bytes[trailer..size - 4].to_vec();
    set_crc(&mut bytes, size - 4, &[&IDENTITY, &first, &own]);
    bytes
}
