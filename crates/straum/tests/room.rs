//! What is kept and what is read: retention by size and age, the room that cut and dropped logs give back, and how little
//! a read or a start reads, however much is stored.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Disk, open, options, read_from};
use straum::files::simulated::SimulatedFiles;
use straum::files::{File, Files};
use straum::{Budget, Now, Offset, Retention};

fn size_bytes(files: &SimulatedFiles) -> u64 {
    let names = files.names().unwrap();
    names.iter().map(|name| files.open(name).unwrap().size_bytes().unwrap()).sum()
}

fn append(engine: &mut Disk, log: &str, records: u64, time_ms: u64) {
    for n in 0..records {
        engine.append(log, &[n.to_le_bytes()[0]; 40]).unwrap();
        engine.sync(common::now(time_ms)).unwrap();
    }
}

fn first_offset(engine: &Disk, log: &str) -> Offset {
    let records = read_from(engine, log, 0, u64::MAX).unwrap();
    let first = records.first().map_or(engine.bounds(log).unwrap().stable_end, |record| record.0);
    assert_eq!(engine.bounds(log).unwrap().start_offset, first);
    first
}

#[test]
fn by_default_nothing_is_removed() {
    let mut engine = open(&SimulatedFiles::new(1), options(512));
    append(&mut engine, "k", 200, 1_000);
    append(&mut engine, "k", 1, 1 << 40);
    assert_eq!(first_offset(&engine, "k"), 0);
}

#[test]
fn the_oldest_go_when_there_are_too_many_bytes_and_each_log_says_where_it_begins() {
    let files = SimulatedFiles::new(1);
    let retention = Retention { max_bytes: Some(4_000), max_age_ms: None };
    let settings = || options(512).retention(retention);
    let mut engine = open(&files, settings());
    append(&mut engine, "idle", 1, 1_000);
    append(&mut engine, "k", 300, 1_000);
    assert!(size_bytes(&files) <= 4_000 + 512, "{}", size_bytes(&files));
    let first = first_offset(&engine, "k");
    assert!(first > 100 && first < 300, "{first}");
    assert_eq!(first_offset(&engine, "idle"), 1);
    files.crash();
    let mut engine = open(&files, settings());
    assert!(first_offset(&engine, "k") >= first);
    assert_eq!(engine.append("idle", b"m").unwrap(), 1);
    assert_eq!(engine.append("k", b"m").unwrap(), 300);
}

#[test]
fn a_segment_goes_when_it_is_too_old_even_if_it_was_never_full() {
    let files = SimulatedFiles::new(1);
    let retention = Retention { max_bytes: None, max_age_ms: Some(1_000) };
    let mut engine = open(&files, options(4096).retention(retention));
    append(&mut engine, "k", 3, 10_000);
    append(&mut engine, "k", 1, 11_500);
    for time_ms in (12_000..20_000).step_by(100) {
        engine.sync(common::now(time_ms)).unwrap();
    }
    append(&mut engine, "k", 1, 20_000);
    for time_ms in (20_000..25_000).step_by(100) {
        engine.sync(common::now(time_ms)).unwrap();
    }
    assert!(first_offset(&engine, "k") >= 3);
    assert_eq!(engine.bounds("k").unwrap().next_offset, 5);
}

#[test]
fn one_jump_of_the_clock_removes_nothing_by_age_and_is_told_once() {
    let retention = Retention { max_bytes: None, max_age_ms: Some(10_000) };
    let mut engine = open(&SimulatedFiles::new(1), options(512).retention(retention));
    append(&mut engine, "k", 100, 1_000);
    engine.remarks();
    let jump = |elapsed_ms| Now { time_ms: 1_000_000_000 + elapsed_ms, elapsed_ms };
    for elapsed_ms in 1_000..1_100 {
        engine.sync(jump(elapsed_ms)).unwrap();
    }
    assert_eq!(first_offset(&engine, "k"), 0);
    let remarks = engine.remarks();
    assert!(remarks.len() == 1 && remarks[0].contains("clock"), "{remarks:?}");
    // Back again, it is believed.
    append(&mut engine, "k", 1, 1_200);
    for elapsed_ms in (13_000..15_000).step_by(10) {
        engine.sync(common::now(elapsed_ms)).unwrap();
    }
    assert!(first_offset(&engine, "k") > 50);
}

/// What `docs/operating.md` promises: dead records take at most as much room as the living, and half a segment and the
/// newest one.
#[test]
fn what_is_cut_or_dropped_gives_its_room_back() {
    const SEGMENT_BYTES: u32 = 2_048;
    for drop in [false, true] {
        let files = SimulatedFiles::new(1);
        let mut engine = open(&files, options(SEGMENT_BYTES));
        for _ in 0..10 {
            append(&mut engine, "stays", 4, 1_000);
            append(&mut engine, "goes", 100, 1_000);
        }
        let before_bytes = size_bytes(&files);
        if drop {
            engine.drop_log("goes").unwrap();
        } else {
            engine.cut("goes", 990).unwrap();
        }
        for _ in 0..3_000 {
            engine.sync(common::now(2_000)).unwrap();
        }
        assert_eq!(read_from(&engine, "stays", 0, u64::MAX).unwrap().len(), 40);
        let left_bytes = size_bytes(&files);
        let living_bytes = 40 * 50;
        let most_bytes = 2 * living_bytes + 5 * u64::from(SEGMENT_BYTES);
        assert!(
            left_bytes < most_bytes && before_bytes > 3 * most_bytes,
            "{before_bytes} {left_bytes}"
        );
        files.crash();
        let engine = open(&files, options(SEGMENT_BYTES));
        assert_eq!(read_from(&engine, "stays", 0, u64::MAX).unwrap().len(), 40);
        assert_eq!(engine.bounds("goes").map_or(990, |bounds| bounds.start_offset), 990);
    }
}

/// A read goes on as it was planned, whatever is removed meanwhile; the files go when it is done.
#[test]
fn a_read_that_was_planned_is_carried_out_though_what_it_reads_is_removed() {
    let files = SimulatedFiles::new(1);
    let retention = Retention { max_bytes: Some(4_000), max_age_ms: None };
    let mut engine = open(&files, options(512));
    append(&mut engine, "k", 300, 1_000);
    drop(engine);
    files.kill();
    let mut engine = open(&files, options(512).retention(retention));
    let read = engine.read("k", 0, u64::MAX, &mut Budget::new(u64::MAX, 0)).unwrap();
    assert!(read.is_on_disk());
    append(&mut engine, "k", 1, 1_000);
    assert!(first_offset(&engine, "k") > 100);
    let before_bytes = size_bytes(&files);
    let records = std::thread::spawn(move || read.fetch().unwrap()).join().unwrap();
    assert_eq!(records.iter().next().unwrap().offset, 0);
    append(&mut engine, "k", 1, 1_000);
    assert!(size_bytes(&files) < before_bytes / 2);
}

/// Hundreds of chunks of one log in one file, so that what is read of their rows would show.
fn large_journal(records: u64) -> (SimulatedFiles, Disk) {
    let files = SimulatedFiles::new(1);
    let mut engine = open(&files, options(8 << 20));
    for n in 0..records {
        engine.append("k", &n.to_le_bytes().repeat(16)).unwrap();
        if n % 1_000 == 0 {
            engine.sync(common::now(1_000)).unwrap();
        }
    }
    engine.sync(common::now(1_000)).unwrap();
    (files, engine)
}

#[test]
fn a_read_of_one_record_reads_a_chunk_and_a_few_rows_wherever_it_begins() {
    let (files, engine) = large_journal(200_000);
    for from in (0..100_000).step_by(9_999) {
        let before_bytes = files.read_bytes();
        let read = engine.read("k", from, 1, &mut Budget::new(1, 0)).unwrap();
        assert_eq!(files.read_bytes(), before_bytes, "making the plan reads nothing");
        let records = read.fetch().unwrap();
        assert_eq!(records.iter().next().unwrap().bytes[..8], from.to_le_bytes());
        let read_bytes = files.read_bytes() - before_bytes;
        assert!(read_bytes < 40_000, "{read_bytes} bytes from {from}");
    }
}

#[test]
fn a_start_reads_the_write_ahead_log_and_the_newest_rows_however_much_is_stored() {
    let mut read_bytes = Vec::new();
    for records in [130_000, 520_000] {
        let (files, engine) = large_journal(records);
        drop(engine);
        files.kill();
        let before_bytes = files.read_bytes();
        open(&files, options(8 << 20));
        read_bytes.push(files.read_bytes() - before_bytes);
    }
    let most_bytes = 2 * (8 << 20) + 100_000;
    assert!(read_bytes.iter().all(|bytes| *bytes < most_bytes), "{read_bytes:?}");
}
