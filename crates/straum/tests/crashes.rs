//! Crashes, kills, errors and rot at every single step of a workload, on simulated files that lose, tear and reorder
//! whatever was not synced: what was acknowledged is there again, and nothing that was not asked. The engine in memory
//! says what is right.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::io::ErrorKind;

use common::{Disk, GROUPS, Owned, Shown, now, open, options, states, try_open, try_shown};
use straum::files::simulated::{Failure, ReadFailure, SimulatedFiles};
use straum::{Options, Refused, Retention};

/// Small, so that the workload fills many, which are sorted, rewritten and merged.
const SEGMENT_BYTES: u32 = 400;

/// Commands of every kind, and after some of them a sync: what a node does with what comes in.
fn workload() -> Vec<(Owned, bool)> {
    let command = |n: u32| {
        let log = ["a", "b", "c"][(n % 3) as usize].to_owned();
        let record = vec![n.to_le_bytes()[0]; (n * 7 % 40) as usize];
        match n % 12 {
            3 => Owned::Commit { log, offset: u64::from(n) },
            5 => Owned::Raise { log, offset: u64::from(n / 5) },
            7 => Owned::Set { name: format!("r{}", n % 2), value: record },
            9 => Owned::Produce { log, id: 7, first_sequence: n / 36 },
            11 if n % 24 == 11 => Owned::Cut { log: "a".into(), before: u64::from(n / 3) },
            11 if n % 48 == 35 => Owned::Drop { log: "b".into() },
            10 => Owned::Cut { log: "c".into(), before: u64::from(n / 4) },
            _ => Owned::Append { log, record, count: 1 + n % 2 },
        }
    };
    (0..110).map(|n| (command(n), n % 3 == 0 || n % 7 == 0)).collect()
}

fn commands() -> Vec<Owned> {
    workload().into_iter().map(|(command, _)| command).collect()
}

/// How far a run came: how many commands were taken, and how many of them were acknowledged.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    taken: usize,
    acknowledged: usize,
}

/// Runs the workload until it is over or something fails.
fn run(engine: &mut Disk) -> Run {
    let mut run = Run::default();
    for (command, sync) in workload() {
        // A command that fails may have been the reason for a sync of those before it.
        if engine.apply(&command.command()).is_err() {
            return run;
        }
        run.taken += 1;
        if sync {
            if engine.sync(now(1_000 + run.taken as u64)).is_err() {
                return run;
            }
            run.acknowledged = run.taken;
        }
    }
    run
}

fn small() -> Options {
    options(SEGMENT_BYTES)
}

/// After a crash there is everything that was acknowledged, and of the rest a first part.
fn is_right(run: Run, states: &[Shown], recovered: &Shown) -> bool {
    states[run.acknowledged..=run.taken].contains(recovered)
}

fn check(run: Run, states: &[Shown], engine: &Disk, told: &str) {
    let recovered = try_shown(engine, &GROUPS, u64::MAX).unwrap();
    assert!(is_right(run, states, &recovered), "{told}: after {run:?}: {recovered:?}");
}

fn steps_of_workload() -> u64 {
    let files = SimulatedFiles::new(0);
    let run = run(&mut open(&files, small()));
    assert_eq!(run.taken, workload().len());
    files.steps()
}

/// Runs the workload with a failure at a step, as far as it goes.
fn run_until(files: &SimulatedFiles, step: u64, failure: Failure) -> Run {
    files.fail_at(step, failure);
    try_open(files, small()).map(|(mut engine, _)| run(&mut engine)).unwrap_or_default()
}

#[test]
fn the_workload_sorts_rewrites_and_removes() {
    let files = SimulatedFiles::new(0);
    let mut engine = open(&files, small());
    run(&mut engine);
    for _ in 0..200 {
        engine.sync(now(5_000)).unwrap();
    }
    let names = straum::files::Files::names(&files).unwrap();
    let rewritten =
        names.iter().filter(|name| name.contains(".sorted") && !name.contains("-0000000000."));
    assert!(rewritten.count() > 0, "{names:?}");
    assert!(names.iter().filter(|name| name.ends_with(".sorted")).count() < 10, "{names:?}");
}

#[test]
fn a_crash_at_any_step_loses_nothing_that_was_acknowledged() {
    let states = states(&commands());
    for step in 0..steps_of_workload() {
        let files = SimulatedFiles::new(step);
        let run = run_until(&files, step, Failure::Crash);
        files.crash();
        check(run, &states, &open(&files, small()), &format!("crash in step {step}"));
    }
}

#[test]
fn a_power_cut_after_a_kill_at_any_step_loses_nothing() {
    let states = states(&commands());
    for step in 0..steps_of_workload() {
        let files = SimulatedFiles::new(step);
        let run = run_until(&files, step, Failure::Crash);
        files.kill();
        // What was read may not be on the disk: it is written once more before anybody sees it.
        let engine = open(&files, small());
        let seen = try_shown(&engine, &GROUPS, u64::MAX).unwrap();
        assert!(is_right(run, &states, &seen), "kill in step {step}");
        files.crash();
        let again = try_shown(&open(&files, small()), &GROUPS, u64::MAX).unwrap();
        assert_eq!(again, seen, "power cut after a kill in step {step}");
    }
}

#[test]
fn a_crash_during_the_recovery_from_a_crash_is_harmless() {
    let states = states(&commands());
    for step in (0..steps_of_workload()).step_by(3) {
        for more in 0..12 {
            let files = SimulatedFiles::new(step);
            let run = run_until(&files, step, Failure::Crash);
            files.crash();
            files.fail_at(files.steps() + more, Failure::Crash);
            if try_open(&files, small()).is_ok() {
                break; // There are no more steps in which it could have crashed.
            }
            files.crash();
            check(
                run,
                &states,
                &open(&files, small()),
                &format!("crash in {step}, and {more} later"),
            );
        }
    }
}

#[test]
fn an_error_at_any_step_loses_nothing_that_was_acknowledged_and_a_failed_journal_does_nothing_more()
{
    let states = states(&commands());
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        for step in 0..steps_of_workload() {
            let files = SimulatedFiles::new(step);
            files.fail_at(step, Failure::Error(kind));
            let Ok((mut engine, _)) = try_open(&files, small()) else { continue };
            let run = run(&mut engine);
            if matches!(engine.apply(&commands()[0].command()), Err(Refused::Failed(_))) {
                let steps = files.steps();
                engine.sync(now(9_000)).unwrap_err();
                assert_eq!(files.steps(), steps, "{kind} in step {step}");
            }
            files.crash();
            check(run, &states, &open(&files, small()), &format!("{kind} in step {step}"));
        }
    }
}

#[test]
fn a_full_disk_refuses_until_there_is_room_and_can_be_read_all_the_time() {
    let files = SimulatedFiles::new(1);
    let mut engine = open(&files, small());
    files.set_capacity(3_000);
    let record = [7; 50];
    let mut stored = 0;
    let refused = loop {
        match engine.append("k", &record) {
            Ok(_) => stored += 1,
            Err(refused) => break refused,
        }
        engine.sync(now(2_000)).unwrap();
    };
    assert!(matches!(refused, Refused::Full(_)) && stored > 10, "{refused} {stored}");
    assert_eq!(common::read_from(&engine, "k", 0, 100).unwrap().len(), stored);
    engine.sync(now(3_000)).unwrap();
    files.set_capacity(u64::MAX);
    engine.append("k", &record).unwrap();
    engine.sync(now(4_000)).unwrap();
    assert_eq!(common::read_from(&engine, "k", 0, 100).unwrap().len(), stored + 1);
}

/// A read that fails is an error, and one that is rotten is noticed: a start, or a read of records, is right or is
/// refused.
#[test]
fn any_read_may_fail_or_rot_and_nothing_wrong_is_shown() {
    let (states, files) = (states(&commands()), SimulatedFiles::new(1));
    run(&mut open(&files, small()));
    files.kill();
    let before = files.reads();
    let engine = open(&files, small());
    let right = try_shown(&engine, &GROUPS, 500).unwrap();
    assert!(states.contains(&right));
    drop(engine);
    let reads = files.reads() - before;
    assert!(reads > 50, "{reads}");
    let mut refused = 0;
    for read in 0..reads {
        for failure in [ReadFailure::Error(ErrorKind::Other), ReadFailure::Rot] {
            files.kill();
            files.fail_read_at(files.reads() + read, failure);
            let Ok((engine, _)) = try_open(&files, small()) else {
                refused += 1;
                continue;
            };
            match try_shown(&engine, &GROUPS, 500) {
                Ok(shown) => assert_eq!(shown, right, "{failure:?} of read {read}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > reads, "{refused} of {}", 2 * reads);
    files.kill();
    assert_eq!(try_shown(&open(&files, small()), &GROUPS, 500).unwrap(), right);
}

/// The copy is read back before its source goes: a disk that does not keep what it was given is found out in time.
#[test]
fn a_disk_that_does_not_sync_is_found_out_before_a_source_is_removed() {
    let files = SimulatedFiles::new(1);
    let mut engine = open(&files, small());
    let half = workload().len() / 2;
    let mut failed = false;
    for (n, (command, _)) in workload().into_iter().enumerate() {
        if n == half {
            files.ignore_syncs();
        }
        failed |= engine.apply(&command.command()).is_err() || engine.sync(now(2_000)).is_err();
    }
    assert!(failed);
}

/// Removal by size and by age, with many logs, under a crash at every step: each log keeps its end, and what is
/// left of it is what it was.
#[test]
fn a_crash_while_the_oldest_is_removed_never_leaves_a_gap_nor_takes_what_is_to_stay() {
    let by_size = Retention { max_bytes: Some(2_500), max_age_ms: None };
    let by_age = Retention { max_bytes: None, max_age_ms: Some(40) };
    for retention in [by_size, by_age] {
        let options = || options(SEGMENT_BYTES).retention(retention);
        let work = |engine: &mut Disk| -> usize {
            for n in 0..200_u64 {
                let log = format!("log {}", n * n % 17);
                if engine.append(&log, &n.to_le_bytes()).is_err() {
                    return usize::try_from(n).unwrap();
                }
                if engine.sync(now(1_000 + 3 * n)).is_err() {
                    return usize::try_from(n).unwrap();
                }
            }
            200
        };
        let whole = SimulatedFiles::new(0);
        assert_eq!(work(&mut open(&whole, options())), 200);
        for step in (0..whole.steps()).step_by(2) {
            let files = SimulatedFiles::new(step);
            files.fail_at(step, Failure::Crash);
            let acknowledged =
                try_open(&files, options()).map_or(0, |(mut engine, _)| work(&mut engine));
            files.crash();
            let engine = open(&files, options());
            let shown = try_shown(&engine, &GROUPS, 200).unwrap();
            let mut logs = std::collections::BTreeMap::<String, Vec<Vec<u8>>>::new();
            for n in 0..=acknowledged.min(199) as u64 {
                logs.entry(format!("log {}", n * n % 17))
                    .or_default()
                    .push(n.to_le_bytes().to_vec());
            }
            for (key, all) in &logs {
                let Some((start, end, records)) = shown.logs.get(key) else {
                    assert!(all.len() == 1, "step {step}: {key} is gone");
                    continue;
                };
                let lost = all.len() as u64 - end;
                assert!(lost <= 1, "step {step}: {key} lost {lost}");
                let left: Vec<_> = records.iter().map(|record| record.2.clone()).collect();
                let first = records.first().map_or(*end, |record| record.0);
                assert_eq!(
                    left,
                    all[usize::try_from(first).unwrap()..usize::try_from(*end).unwrap()]
                );
                assert_eq!(*start, first, "step {step}: {key} says where it begins");
            }
        }
    }
}

/// Whoever may not remove or rename some files is told so, and has lost nothing.
#[test]
fn a_store_that_refuses_some_places_loses_nothing() {
    let states = states(&commands());
    for suffix in [".wal", ".sorted", ".new", "-0000000001.sorted"] {
        let files = SimulatedFiles::new(3);
        let Ok((mut engine, _)) = try_open(&files, small()) else {
            panic!("nothing is refused yet")
        };
        let mut run = Run::default();
        for (n, (command, _)) in workload().into_iter().enumerate() {
            if n == 30 {
                files.refuse(suffix, ErrorKind::PermissionDenied);
            }
            if engine.apply(&command.command()).is_err() {
                break;
            }
            run.taken += 1;
            if engine.sync(now(2_000)).is_err() {
                break;
            }
            run.acknowledged = run.taken;
        }
        files.crash();
        files.refuse_nothing();
        check(run, &states, &open(&files, small()), suffix);
    }
}
