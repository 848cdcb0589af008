//! The format of the journal is what `docs/format.md` says, and stays it: a segment that was written once
//! is read, is written the same today, and is understood by a decoder that was made from the document
//! alone. Never changes the checked-in segment, unless asked to.
//!
//! The segment was made by `cargo test -p straum --test format -- --ignored`. It is of version 1 and must
//! stay readable: another version gets a folder of its own beside it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use straum::files::simulated::SimulatedFiles;
use straum::files::{File, Files};
use straum::journal::disk::{DiskJournal, Settings};
use straum::{Engine, Retention};

const NAME: &str = "00000000000000000000.segment";
const SEGMENT_BYTES: u32 = 512;

fn settings() -> Settings {
    Settings { segment_bytes: SEGMENT_BYTES, retention: Retention::default(), now_ms: || 0 }
}

type Log = (Vec<Vec<u8>>, Option<u64>);

/// What is in the segment: for each key its messages and its committed offset.
fn expected() -> BTreeMap<String, Log> {
    let k = (vec![b"1".to_vec(), Vec::new()], Some(1));
    let cle = (vec![b"{\"a\":1}".to_vec(), b"\xff\0".to_vec()], Some(1));
    BTreeMap::from([("k".to_owned(), k), ("clé".to_owned(), cle)])
}

/// Writes what is in the segment.
fn write_today() -> Vec<u8> {
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

    let mut bytes = vec![0; usize::try_from(SEGMENT_BYTES).unwrap()];
    files.open(NAME).unwrap().read_at(0, &mut bytes).unwrap();
    bytes
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn fixture_path() -> PathBuf {
    repository().join("crates/straum/tests/fixtures/v1").join(NAME)
}

fn fixture() -> Vec<u8> {
    fs::read(fixture_path()).unwrap()
}

#[test]
#[ignore = "it writes the fixture"]
fn make_the_fixture() {
    fs::write(fixture_path(), write_today()).unwrap();
}

#[test]
fn a_segment_of_version_1_is_read() {
    let files = SimulatedFiles::new(0);
    let mut file = files.create(NAME, SEGMENT_BYTES.into()).unwrap();
    file.write_at(0, &fixture()).unwrap();

    let (engine, cut) = Engine::open(files, settings()).unwrap();
    assert_eq!(cut, None);
    assert_eq!(logs(&engine, &["k", "clé"]), expected());
}

fn logs(engine: &Engine<DiskJournal<SimulatedFiles>>, keys: &[&str]) -> BTreeMap<String, Log> {
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
    assert_eq!(write_today(), fixture());
}

#[test]
fn a_decoder_made_from_the_document_agrees() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(decode(&fixture()), (2, expected()));
}

#[test]
fn the_example_in_the_document_is_this_segment() {
    let document = fs::read_to_string(repository().join("docs/format.md")).unwrap();
    let mut bytes = Vec::new();
    for line in document.lines() {
        let Some((at, rest)) = line.split_once(": ") else { continue };
        if at.len() != 4 || usize::from_str_radix(at, 16).is_err() {
            continue;
        }
        assert_eq!(usize::from_str_radix(at, 16).unwrap(), bytes.len(), "{line}");
        let hex = rest.split("  ").next().unwrap();
        bytes.extend(hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    let fixture = fixture();
    let (shown, rest) = fixture.split_at(bytes.len());
    assert_eq!(bytes, shown);
    assert!(rest.iter().all(|&byte| byte == 0), "it is shown up to the zeros");
}

// From here on: the decoder, which knows the document and nothing of Straum's code.

/// How many entries a whole first segment has, and what they come to.
fn decode(segment: &[u8]) -> (u64, BTreeMap<String, Log>) {
    assert_eq!(&segment[0..8], b"STRAUMJ\n");
    assert_eq!(number(&segment[8..12]), 1, "version");
    assert_eq!(number(&segment[12..16]), segment.len() as u64, "segment size");
    assert_eq!(number(&segment[16..24]), 0, "first position");
    assert_eq!(number(&segment[24..28]), u64::from(crc32(&segment[0..24])));
    assert_eq!(number(&segment[28..32]), 0);

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

fn decode_payload(mut payload: &[u8], logs: &mut BTreeMap<String, Log>) {
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
