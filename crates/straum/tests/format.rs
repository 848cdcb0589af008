//! The format of the journal is what `docs/format.md` says, and stays it: files that were written once are
//! read, are written the same today, and are understood by a decoder that was made from the document alone.
//! Never changes the checked-in files, unless asked to.
//!
//! They were made by `cargo test -p straum --test format -- --ignored`. They are of version 1 and must stay
//! readable: another version gets a folder of its own beside theirs.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use straum::files::simulated::SimulatedFiles;
use straum::files::{File, Files};
use straum::journal::disk::{DiskJournal, Settings};
use straum::{Engine, Retention};

use common::{document, shown};

const SEGMENT: &str = "00000000000000000000.segment";
const SEALED: &str = "00000000000000000000.sealed";
const NEXT_SEGMENT: &str = "00000000000000000002.segment";
const SEGMENT_BYTES: u32 = 512;

fn settings() -> Settings {
    let now_ms = || 1_795_392_000_000;
    Settings { segment_bytes: SEGMENT_BYTES, retention: Retention::default(), now_ms }
}

type Log = (Vec<Vec<u8>>, Option<u64>);
type Logs = BTreeMap<String, Log>;

/// What is in the first segment: for each key its messages and its committed offset.
fn expected() -> Logs {
    let k = (vec![b"1".to_vec(), Vec::new()], Some(1));
    let cle = (vec![b"{\"a\":1}".to_vec(), b"\xff\0".to_vec()], Some(1));
    BTreeMap::from([("k".to_owned(), k), ("clé".to_owned(), cle)])
}

/// Too large for what is left of the first segment.
const LARGE: [u8; 320] = [b'x'; 320];

/// Writes the first segment, then another, so that the first is sealed: each file with its name.
fn write_today() -> Vec<(&'static str, Vec<u8>)> {
    let files = SimulatedFiles::new(0);
    let (mut engine, _) = Engine::open(files.clone(), settings()).unwrap();
    engine.send("k", b"1").unwrap();
    engine.send("clé", b"{\"a\":1}").unwrap();
    engine.send("k", b"").unwrap();
    engine.sync().unwrap();
    engine.send("clé", b"\xff\0").unwrap();
    engine.commit(&[("k", 1), ("clé", 9)]).unwrap();
    engine.commit(&[("k", 0)]).unwrap();
    engine.sync().unwrap();
    let segment = (SEGMENT, content(&files, SEGMENT));

    engine.send("k", &LARGE).unwrap();
    engine.sync().unwrap();
    assert_eq!(files.names().unwrap(), [SEALED, NEXT_SEGMENT]);
    let others = [SEALED, NEXT_SEGMENT].map(|name| (name, content(&files, name)));
    std::iter::once(segment).chain(others).collect()
}

fn content(files: &SimulatedFiles, name: &str) -> Vec<u8> {
    let file = files.open(name).unwrap();
    let mut bytes = vec![0; usize::try_from(file.size_bytes().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn fixture_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1").join(name)
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixture_path(name)).unwrap()
}

#[test]
#[ignore = "it writes the fixtures"]
fn make_the_fixtures() {
    for (name, bytes) in write_today() {
        fs::write(fixture_path(name), bytes).unwrap();
    }
}

fn open(names: &[&str]) -> Engine<DiskJournal<SimulatedFiles>> {
    let files = SimulatedFiles::new(0);
    for name in names {
        let bytes = fixture(name);
        files.create(name, bytes.len() as u64).unwrap().write_at(0, &bytes).unwrap();
    }
    let (engine, cut) = Engine::open(files, settings()).unwrap();
    assert_eq!(cut, None);
    engine
}

#[test]
fn a_segment_of_version_1_is_read() {
    assert_eq!(logs(&open(&[SEGMENT]), &["k", "clé"]), expected());
}

#[test]
fn a_sealed_segment_of_version_1_is_read() {
    let mut expected = expected();
    expected.get_mut("k").unwrap().0.push(LARGE.to_vec());
    assert_eq!(logs(&open(&[SEALED, NEXT_SEGMENT]), &["k", "clé"]), expected);
}

fn logs(engine: &Engine<DiskJournal<SimulatedFiles>>, keys: &[&str]) -> Logs {
    let wanted: Vec<_> = keys.iter().map(|&key| (key, 0)).collect();
    let mut logs = BTreeMap::new();
    for polled in engine.poll(&wanted, u64::MAX).unwrap() {
        let messages = polled.messages().map(|(_, message)| message.to_vec()).collect();
        logs.insert(polled.key.to_owned(), (messages, engine.committed(polled.key)));
    }
    logs
}

#[test]
fn the_same_commands_are_the_same_bytes_today() {
    for (name, bytes) in write_today() {
        assert_eq!(bytes, fixture(name), "{name}");
    }
}

#[test]
fn a_decoder_made_from_the_document_agrees() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(decode(&fixture(SEGMENT)), (2, expected()));
    assert_eq!(decode_sealed(&fixture(SEALED)), (2, expected()));
}

#[test]
fn the_examples_in_the_document_are_these_files() {
    let document = document("format.md");
    let (of_segment, of_sealed) = document.split_once("## An example of a sealed segment").unwrap();
    let (fixture, begin) = (fixture(SEGMENT), shown(of_segment));
    let (whole, rest) = fixture.split_at(begin.len());
    assert_eq!(whole, begin);
    assert!(rest.iter().all(|&byte| byte == 0), "it is shown up to the zeros");
    assert_eq!(self::fixture(SEALED), shown(of_sealed));
}

// From here on: the decoder, which knows the document and nothing of Straum's code.

/// How many entries a whole first segment has, and what they come to.
fn decode(segment: &[u8]) -> (u64, Logs) {
    assert_eq!(&segment[0..8], b"STRAUMJ\n");
    assert_eq!(number(&segment[8..12]), 1, "version");
    assert_eq!(number(&segment[12..16]), segment.len() as u64, "segment size");
    assert_eq!(number(&segment[16..24]), 0, "first position");
    assert_eq!(number(&segment[28..32]), u64::from(crc32(&segment[0..28])));

    let (mut at, mut position, mut logs) = (32, 0, BTreeMap::new());
    while number(&segment[at..at + 4]) != 0 {
        let end = at + 16 + size(&segment[at..at + 4]);
        let covered = [&segment[at..at + 4], &segment[at + 8..end]].concat();
        assert_eq!(number(&segment[at + 4..at + 8]), u64::from(crc32(&covered)));
        assert_eq!(number(&segment[at + 8..at + 16]), position);
        decode_payload(&segment[at + 16..end], &mut logs);
        (at, position) = (end, position + 1);
    }
    assert!(segment[at..].iter().all(|&byte| byte == 0));
    (position, logs)
}

fn decode_payload(mut payload: &[u8], logs: &mut Logs) {
    while !payload.is_empty() {
        let key_end = 11 + size(&payload[1..3]);
        let key = String::from_utf8(payload[11..key_end].to_vec()).unwrap();
        let log = logs.entry(key).or_default();
        payload = match payload[0] {
            1 => {
                assert_eq!(number(&payload[3..7]), 1, "message count");
                let end = key_end + size(&payload[7..11]);
                log.0.push(payload[key_end..end].to_vec());
                &payload[end..]
            }
            2 => {
                let last = log.0.len() as u64 - 1;
                log.1 = log.1.max(Some(number(&payload[3..11]).min(last)));
                &payload[key_end..]
            }
            kind => unreachable!("no command is of kind {kind}"),
        };
    }
}

/// The position after a whole first sealed segment, and what is in it.
fn decode_sealed(sealed: &[u8]) -> (u64, Logs) {
    assert_eq!(&sealed[0..8], b"STRAUMS\n");
    assert_eq!(number(&sealed[8..12]), 1, "version");
    assert_eq!(number(&sealed[16..24]), 0, "first position");
    assert_eq!(number(&sealed[32..40]), sealed.len() as u64, "size");
    assert_eq!(number(&sealed[60..64]), u64::from(crc32(&sealed[0..60])));
    let keys = size(&sealed[12..16]);
    let names_at = 64 + 64 * keys;
    let mut names = &sealed[names_at..names_at + size(&sealed[48..56])];
    assert_eq!(number(&sealed[56..60]), u64::from(crc32(names)));

    let mut logs = Logs::new();
    for key in 0..keys {
        let row = &sealed[64 + 64 * key..64 + 64 * (key + 1)];
        let salt = [0_u64.to_le_bytes(), (key as u64).to_le_bytes()].concat();
        assert_eq!(number(&row[60..64]), u64::from(crc32(&[&row[..60], &salt].concat())));
        let (name, rest) = names.split_at(size(&row[52..56]));
        names = rest;
        let mut log = (Vec::new(), number(&row[32..40]).checked_sub(1));
        assert_eq!((number(&row[0..8]), number(&row[16..24])), (0, 0), "the first of all");
        for chunk in 0..size(&row[48..52]) {
            let at = size(&row[40..48]) + 36 * chunk;
            decode_chunk(sealed, &sealed[at..at + 36], &mut log.0);
        }
        assert_eq!(number(&row[8..16]), log.0.len() as u64);
        assert_eq!(number(&row[24..32]), log.0.iter().map(|message| message.len() as u64).sum());
        logs.insert(String::from_utf8(name.to_vec()).unwrap(), log);
    }
    assert!(names.is_empty());
    (number(&sealed[24..32]), logs)
}

fn decode_chunk(sealed: &[u8], row: &[u8], messages: &mut Vec<Vec<u8>>) {
    assert_eq!(number(&row[32..36]), u64::from(crc32(&row[..32])));
    assert_eq!(number(&row[0..8]), messages.len() as u64, "first offset");
    let (at, count, bytes) = (size(&row[16..24]), size(&row[24..28]), size(&row[28..32]));
    let chunk = &sealed[at..at + 4 + 4 * count + bytes];
    assert_eq!(number(&chunk[..4]), u64::from(crc32(&chunk[4..])));
    let (ends, bytes) = chunk[4..].split_at(4 * count);
    let mut start = 0;
    for end in ends.chunks(4).map(size) {
        messages.push(bytes[start..end].to_vec());
        start = end;
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn size(bytes: &[u8]) -> usize {
    usize::try_from(number(bytes)).unwrap()
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
