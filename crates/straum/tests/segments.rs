//! Segments of other sizes than those before: what fits is taken, what does not is refused, and nothing is
//! ever written past an end.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use straum::files::simulated::SimulatedFiles;
use straum::files::{File, Files};
use straum::journal::disk::{DiskJournal, Settings};
use straum::{Engine, Refused, Retention};

type Disk = Engine<DiskJournal<SimulatedFiles>>;

/// What a message takes in an empty segment, beside itself and a key of one byte.
const AROUND_BYTES: usize = 32 + 16 + 11 + 1;

fn open(files: &SimulatedFiles, segment_bytes: u32) -> Disk {
    let retention = Retention::default();
    Engine::open(files.clone(), Settings { segment_bytes, retention, now_ms: || 0 }).unwrap().0
}

fn messages(engine: &Disk) -> Vec<usize> {
    let logs = engine.poll(&[("k", 0)], u64::MAX).unwrap();
    logs.iter().flat_map(|log| log.messages()).map(|(_, message)| message.len()).collect()
}

fn segment_bytes(files: &SimulatedFiles) -> Vec<u64> {
    let names = files.names().unwrap().into_iter().filter(|name| name.contains(".segment"));
    names.map(|name| files.open(&name).unwrap().size_bytes().unwrap()).collect()
}

#[test]
fn the_largest_message_fills_a_segment_and_one_byte_more_is_refused() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, 512);
    let largest = 512 - AROUND_BYTES;
    for size in [largest, 0, largest, 1] {
        engine.send("k", &vec![7; size]).unwrap();
        engine.sync().unwrap();
    }
    assert!(matches!(engine.send("k", &vec![7; largest + 1]), Err(Refused::TooLarge { .. })));
    drop(engine);
    assert_eq!(messages(&open(&files, 512)), [largest, 0, largest, 1]);
}

/// A segment that was begun for a message, and no process lived to write it.
fn with_an_empty_segment(size_bytes: u32) -> SimulatedFiles {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, size_bytes);
    engine.send("k", &[7; 400]).unwrap();
    engine.sync().unwrap();
    while segment_bytes(&files).len() < 2 {
        engine.send("k", &[7; 400]).unwrap();
        if segment_bytes(&files).len() < 2 {
            engine.sync().unwrap();
        }
    }
    files
}

#[test]
fn an_empty_segment_of_another_size_is_begun_anew_for_what_does_not_fit() {
    let files = with_an_empty_segment(512);
    let mut engine = open(&files, 4_096);
    engine.send("k", &[7; 3_000]).unwrap();
    engine.sync().unwrap();
    drop(engine);
    assert_eq!(messages(&open(&files, 512)), [400, 3_000]);
}

#[test]
fn a_batch_never_outgrows_the_segments_that_a_restart_has_made_smaller() {
    let files = with_an_empty_segment(4_096);
    let mut engine = open(&files, 512);
    let stored = messages(&engine).len();
    engine.send("k", &[8; 3_000]).unwrap();
    assert!(matches!(engine.send("k", &[8; 3_000]), Err(Refused::TooLarge { .. })));
    engine.send("k", &[8; 400]).unwrap();
    engine.send("k", &[8; 400]).unwrap();
    engine.sync().unwrap();
    drop(engine);
    assert_eq!(messages(&open(&files, 512))[stored..], [3_000, 400, 400]);
}

#[test]
fn segments_grow_with_the_keys_so_that_rows_never_outweigh_messages() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, 512);
    for n in 0..5_000 {
        engine.send(&format!("key {}", n % 500), b"m").unwrap();
        engine.sync().unwrap();
    }
    let largest = segment_bytes(&files).into_iter().max().unwrap();
    assert!(largest > 500 * 64, "{largest}");
}

#[test]
fn the_smallest_segments_work_too() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, 61);
    for n in 0..5 {
        assert_eq!(engine.send("k", b"m").unwrap(), n);
        engine.sync().unwrap();
    }
    assert_eq!(messages(&open(&files, 61)), [1; 5]);
}
