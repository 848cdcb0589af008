//! What is removed, and what survives it: whole sealed segments go, the oldest first; the next offsets and
//! the committed ones stay. Never waits: the clock is a number.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::cell::Cell;
use std::collections::BTreeSet;

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

/// A few requests that change nothing, with each of which a slice is sealed.
fn go_on(engine: &mut Disk) {
    (0..5).for_each(|_| engine.sync().unwrap());
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
    go_on(&mut engine);
    assert_eq!(offsets(&engine, "k"), [0, 1, 2]);
    NOW_MS.set(12_000);
    send(&mut engine, "k");
    NOW_MS.set(12_550);
    send(&mut engine, "k"); // Another is sealed, and what was sealed a second ago goes.
    go_on(&mut engine);
    assert_eq!(offsets(&engine, "k"), [3, 4]);
}

#[test]
fn what_is_old_goes_though_the_node_is_started_again_and_again() {
    let files = SimulatedFiles::new(0);
    NOW_MS.set(1_000_000);
    for _ in 0..12 {
        let mut engine = open(&files, younger_than(5_000));
        send(&mut engine, "k");
        go_on(&mut engine);
        NOW_MS.set(NOW_MS.get() + 2_000);
    }
    let left = offsets(&open(&files, younger_than(5_000)), "k");
    assert!(left[0] >= 3 && left.last() == Some(&11), "{left:?}");
}

#[test]
fn a_disk_without_room_for_a_segment_that_is_to_be_ended_ends_nothing_else() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, younger_than(1_000));
    NOW_MS.set(10_000);
    send(&mut engine, "k");
    files.set_capacity(0);
    NOW_MS.set(20_000);
    send(&mut engine, "k");
    assert_eq!(offsets(&engine, "k"), [0, 1]);
}

/// The oldest segments hold nothing of an idle log, or not all of it.
#[test]
fn a_poll_from_a_removed_offset_skips_nothing_that_is_left_of_an_idle_log() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, Retention::default());
    for _ in 0..2 {
        (0..3).for_each(|_| _ = send(&mut engine, "idle"));
        (0..40).for_each(|_| _ = send(&mut engine, "busy"));
    }
    let mut seen = BTreeSet::new();
    for max_bytes in (0..size_bytes(&files)).rev().step_by(50) {
        engine = open(&files, at_most(max_bytes));
        engine.sync().unwrap();
        let left = offsets(&engine, "idle");
        for from in 0..6 {
            let polled = engine.poll(&[("idle", from)], u64::MAX).unwrap();
            let got: Vec<_> = polled.iter().flat_map(|log| log.messages()).map(|m| m.0).collect();
            let expected: Vec<_> = left.iter().copied().filter(|offset| *offset >= from).collect();
            assert_eq!(got, expected, "from {from}, of {left:?}");
        }
        seen.insert(left);
    }
    assert!(seen.len() >= 3, "{seen:?}");
}

/// Each is gone for certain before the next one goes.
#[test]
fn a_crash_while_many_are_removed_at_once_leaves_no_gap() {
    let begin = |seed| {
        let files = SimulatedFiles::new(seed);
        let mut engine = open(&files, Retention::default());
        (0..150).for_each(|_| _ = send(&mut engine, "k"));
        drop(engine);
        (open(&files, at_most(0)), files)
    };
    let (mut engine, files) = begin(0);
    let before = files.steps();
    engine.sync().unwrap();
    let steps = files.steps() - before;
    assert!(steps > 10, "{steps}");
    for (step, seed) in (0..steps).flat_map(|step| (0..10).map(move |seed| (step, seed))) {
        let (mut engine, files) = begin(seed);
        files.fail_at(files.steps() + step, Failure::Crash);
        engine.sync().unwrap_err();
        files.crash();
        let left = offsets(&open(&files, Retention::default()), "k");
        assert_eq!(left.last(), Some(&149), "step {step}, seed {seed}");
    }
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
