//! What a poll and a start read of the files, in bytes: it does not grow with what is stored. Never measures
//! time.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use straum::files::simulated::SimulatedFiles;
use straum::journal::disk::{DiskJournal, Settings};
use straum::{Engine, Offset, Retention};

type Disk = Engine<DiskJournal<SimulatedFiles>>;

const SEGMENT_BYTES: u32 = 64 * 1024;
const KEYS: [&str; 3] = ["a", "b", "c"];

fn open(files: &SimulatedFiles) -> Disk {
    let retention = Retention::default();
    let settings = Settings { segment_bytes: SEGMENT_BYTES, retention, now_ms: || 0 };
    Engine::open(files.clone(), settings).unwrap().0
}

/// A journal with so many messages of 100 bytes in each key.
fn journal(messages: u64) -> (SimulatedFiles, Disk) {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files);
    for n in 0..messages {
        for key in KEYS {
            engine.send(key, &[7; 100]).unwrap();
        }
        if n % 10 == 0 {
            engine.sync().unwrap();
        }
    }
    engine.sync().unwrap();
    (files, engine)
}

/// How many bytes are read by something.
fn read_by(files: &SimulatedFiles, act: impl FnOnce()) -> u64 {
    let before = files.read_bytes();
    act();
    files.read_bytes() - before
}

/// What a poll of one message reads, wherever it is.
fn poll_bytes(files: &SimulatedFiles, engine: &Disk, offset: Offset) -> u64 {
    read_by(files, || {
        let logs = engine.poll(&[("b", offset)], 0).unwrap();
        assert_eq!(logs[0].messages().next(), Some((offset, &[7; 100][..])));
    })
}

#[test]
fn a_poll_reads_one_chunk_and_a_few_rows_wherever_it_begins() {
    let chunk_and_rows = 33_000 + 20 * 64 + 10 * 36;
    let (files, engine) = journal(20_000);
    for offset in [0, 1, 5_000, 10_000, 15_000, 19_000] {
        let bytes = poll_bytes(&files, &engine, offset);
        assert!(bytes <= chunk_and_rows, "{bytes} at {offset}");
    }
    assert_eq!(poll_bytes(&files, &engine, 19_999), 0, "the last messages are in memory");
}

#[test]
fn a_start_reads_two_segments_and_the_newest_rows_however_much_is_stored() {
    for messages in [2_000, 20_000] {
        let (files, engine) = journal(messages);
        drop(engine);
        let bytes = read_by(&files, || _ = open(&files));
        let headers = 64 * 200;
        assert!(bytes <= 2 * u64::from(SEGMENT_BYTES) + headers, "{bytes} of {messages} messages");
    }
}

/// A large message that does not fit into the reply is not read only to be thrown away.
#[test]
fn a_poll_reads_little_more_than_it_returns() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files);
    let keys: Vec<String> = (0..20).map(|n| format!("key {n}")).collect();
    for _ in 0..3 {
        for key in &keys {
            engine.send(key, b"small").unwrap();
            engine.send(key, &vec![7; 40_000]).unwrap();
            engine.sync().unwrap();
        }
    }
    let wanted: Vec<_> = keys[..10].iter().map(|key| (key, 0)).collect();
    let bytes = read_by(&files, || {
        let logs = engine.poll(&wanted, 5_000).unwrap();
        assert!(logs.iter().all(|log| log.messages().count() == 1));
    });
    assert!(bytes < 40_000, "{bytes}");
}

/// A key is found by its number, so that those that come later cost it nothing.
#[test]
fn many_keys_do_not_make_a_poll_dearer() {
    let (files, mut engine) = journal(2_000);
    let few = poll_bytes(&files, &engine, 1_000);
    for n in 0..5_000 {
        engine.send(&format!("key {n}"), b"m").unwrap();
    }
    engine.sync().unwrap();
    assert!(poll_bytes(&files, &engine, 1_000) <= few + 10 * 64);
}
