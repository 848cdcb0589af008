//! What is removed, and what survives it: whole sealed segments go, the oldest first; the next offsets and
//! the committed ones stay. Never waits: the clock is a number.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::cell::Cell;

use straum::files::Files;
use straum::files::simulated::{Failure, SimulatedFiles};
use straum::journal::disk::{DiskJournal, Settings};
use straum::{Engine, Offset, Retention};

type Disk = Engine<DiskJournal<SimulatedFiles>>;

const SEGMENT_BYTES: u32 = 512;

thread_local! {
    static NOW_MS: Cell<u64> = const { Cell::new(0) };
}

fn open(files: &SimulatedFiles, retention: Retention) -> Disk {
    let now_ms = || NOW_MS.get();
    let settings = Settings { segment_bytes: SEGMENT_BYTES, retention, now_ms };
    Disk::open(files.clone(), settings).unwrap().0
}

fn at_most(bytes: u64) -> Retention {
    Retention { max_bytes: Some(bytes), max_age_ms: None }
}

fn younger_than(ms: u64) -> Retention {
    Retention { max_bytes: None, max_age_ms: Some(ms) }
}

fn message(offset: Offset) -> Vec<u8> {
    format!("message {offset}").into_bytes()
}

fn send(engine: &mut Disk, key: &str) -> Offset {
    let next = offsets(engine, key).last().map_or(0, |last| last + 1);
    let offset = engine.send(key, &message(next)).unwrap();
    engine.sync().unwrap();
    offset
}

/// The offsets that are left of a log, which are without a gap, each with its message.
fn offsets(engine: &Disk, key: &str) -> Vec<Offset> {
    let logs = engine.poll(&[(key, 0)], u64::MAX).unwrap();
    let messages: Vec<_> = logs.iter().flat_map(|log| log.messages()).collect();
    for (place, (offset, bytes)) in messages.iter().enumerate() {
        assert_eq!(*offset, messages[0].0 + place as u64);
        assert_eq!(*bytes, message(*offset));
    }
    messages.iter().map(|(offset, _)| *offset).collect()
}

fn size_bytes(files: &SimulatedFiles) -> u64 {
    let names = files.names().unwrap();
    let size = |name: &String| straum::files::File::size_bytes(&files.open(name).unwrap()).unwrap();
    names.iter().map(size).sum()
}

#[test]
fn by_default_nothing_is_removed() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, Retention::default());
    (0..200).for_each(|_| _ = send(&mut engine, "k"));
    assert_eq!(offsets(&engine, "k").len(), 200);
}

#[test]
fn the_oldest_messages_go_when_there_are_too_many_bytes_and_a_poll_goes_on_at_the_first_that_is_left()
 {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, at_most(4_000));
    (0..200).for_each(|_| _ = send(&mut engine, "k"));
    let left = offsets(&engine, "k");
    assert!(left[0] > 50 && left.len() > 50, "{} from {} on", left.len(), left[0]);
    assert_eq!(left.last(), Some(&199));
    assert!(size_bytes(&files) <= 4_000);
    let polled = engine.poll(&[("k", 5)], 0).unwrap();
    assert_eq!(polled[0].messages().next().unwrap().0, left[0]);
}

#[test]
fn next_and_committed_offsets_survive_the_removal_of_all_messages_and_a_restart() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, at_most(0));
    (0..3).for_each(|_| _ = send(&mut engine, "idle"));
    engine.commit(&[("idle", 1)]).unwrap();
    while !offsets(&engine, "idle").is_empty() {
        send(&mut engine, "busy");
    }
    for _ in 0..2 {
        assert_eq!(engine.committed("idle"), Some(1));
        assert!(engine.poll(&[("idle", 0)], u64::MAX).unwrap().is_empty());
        engine = open(&files, at_most(0));
    }
    assert_eq!(engine.send("idle", b"later").unwrap(), 3);
    let polled = engine.poll(&[("idle", 0)], u64::MAX).unwrap();
    assert_eq!(polled[0].messages().next(), Some((3, &b"later"[..])));
}

#[test]
fn a_segment_is_removed_when_it_is_too_old_even_if_it_was_never_full() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, younger_than(1_000));
    NOW_MS.set(10_000);
    send(&mut engine, "k");
    NOW_MS.set(11_000);
    send(&mut engine, "k");
    assert_eq!(offsets(&engine, "k"), [0, 1], "the first is not older than a second");
    NOW_MS.set(11_500);
    send(&mut engine, "k"); // The first is: it is sealed, with all that came by now.
    assert_eq!(offsets(&engine, "k"), [0, 1, 2]);
    NOW_MS.set(12_000);
    send(&mut engine, "k");
    NOW_MS.set(13_500);
    send(&mut engine, "k"); // Another is sealed, and what was sealed two seconds ago goes.
    assert_eq!(offsets(&engine, "k"), [3, 4]);
}

/// Without it, nothing would be known of the keys.
#[test]
fn the_newest_sealed_segment_stays_however_old_it_is() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, younger_than(1));
    NOW_MS.set(10_000);
    send(&mut engine, "k");
    NOW_MS.set(20_000);
    engine.sync().unwrap();
    NOW_MS.set(90_000);
    engine.sync().unwrap();
    assert_eq!(offsets(&engine, "k"), [0]);
    assert_eq!(files.names().unwrap().len(), 2);
}

#[test]
fn what_became_too_much_while_nobody_was_there_is_removed_at_the_next_request() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, Retention::default());
    (0..200).for_each(|_| _ = send(&mut engine, "k"));
    drop(engine);
    let mut engine = open(&files, at_most(2_000));
    engine.sync().unwrap();
    assert!(size_bytes(&files) <= 2_000);
    assert_eq!(offsets(&engine, "k").last(), Some(&199));
}

#[test]
fn a_crash_while_something_is_removed_never_leaves_a_gap_nor_takes_what_is_to_stay() {
    let run = |files: &SimulatedFiles| -> Offset {
        let mut engine = open(files, at_most(2_500));
        let mut acknowledged = 0;
        for n in 0..120 {
            let sent = engine.send("k", &message(n));
            if sent.is_err() || engine.sync().is_err() {
                break;
            }
            acknowledged = n + 1;
        }
        acknowledged
    };
    let all = SimulatedFiles::new(0);
    run(&all);
    for step in 4..all.steps() {
        for seed in 0..4 {
            let files = SimulatedFiles::new(seed);
            files.fail_at(step, Failure::Crash);
            let acknowledged = run(&files);
            files.crash();
            let engine = open(&files, at_most(2_500));
            let left = offsets(&engine, "k");
            let told = format!("step {step}, seed {seed}: {left:?} of {acknowledged}");
            let next = left.last().map_or(0, |last| last + 1);
            assert!(next >= acknowledged, "{told}");
            assert!(left.len() as u64 >= acknowledged.min(15), "{told}");
        }
    }
}
