//! Crashes at every single step of a small workload, on simulated files that lose, tear and reorder
//! whatever was not synced: what was acknowledged is there again, and nothing that was not asked.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io;

use straum::files::simulated::{Failure, SimulatedFiles};
use straum::journal::disk::{DiskJournal, Settings};
use straum::{Engine, Offset, Refused, Retention};

type Disk = Engine<DiskJournal<SimulatedFiles>>;

/// Small, so that the workload fills some of them.
const SEGMENT_BYTES: u32 = 512;

fn settings() -> Settings {
    Settings { segment_bytes: SEGMENT_BYTES, retention: Retention::default(), now_ms: || 0 }
}

const KEYS: [&str; 2] = ["a", "b"];

/// A request of a client.
#[derive(Clone, Copy, Debug)]
enum Request {
    Send(&'static str, u8),
    /// Both keys up to this offset: both commits happen, or none.
    CommitBoth(Offset),
}

/// Requests, and after some of them a sync: what a node does with what comes in.
fn workload() -> Vec<(Request, bool)> {
    let request = |n: u8| match n % 5 {
        4 => Request::CommitBoth(Offset::from(n / 5)),
        even if even % 2 == 0 => Request::Send("a", n),
        _ => Request::Send("b", n),
    };
    (0..60).map(|n| (request(n), n % 3 == 0 || n % 7 == 0)).collect()
}

/// Messages vary in length, so that entries end anywhere in a sector.
fn message(n: u8) -> Vec<u8> {
    vec![n; usize::from(n) % 40]
}

/// What a reader sees.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    logs: [Vec<Vec<u8>>; 2],
    committed: [Option<Offset>; 2],
}

impl State {
    fn of(engine: &Disk) -> Self {
        let mut state = Self::default();
        for (index, key) in KEYS.iter().enumerate() {
            for log in engine.poll(&[(key, 0)], u64::MAX).unwrap() {
                state.logs[index] = log.messages().map(|(_, message)| message.to_vec()).collect();
            }
            state.committed[index] = engine.committed(key);
        }
        state
    }

    fn apply(&mut self, request: Request) {
        match request {
            Request::Send(key, n) => self.logs[usize::from(key == "b")].push(message(n)),
            Request::CommitBoth(offset) => {
                for (log, committed) in self.logs.iter().zip(&mut self.committed) {
                    let last = (log.len() as Offset).checked_sub(1);
                    *committed = (*committed).max(last.map(|last| last.min(offset)));
                }
            }
        }
    }

    /// The state after each number of requests.
    fn after_each(requests: &[Request]) -> Vec<Self> {
        let mut states = vec![Self::default()];
        for &request in requests {
            let mut state = states.last().unwrap().clone();
            state.apply(request);
            states.push(state);
        }
        states
    }
}

fn open(files: &SimulatedFiles) -> Option<Disk> {
    Disk::open(files.clone(), settings()).ok().map(|(engine, _)| engine)
}

fn carry_out(engine: &mut Disk, request: Request) -> Result<(), Refused> {
    match request {
        Request::Send(key, n) => engine.send(key, &message(n)).map(|_| ()),
        Request::CommitBoth(offset) => engine.commit(&KEYS.map(|key| (key, offset))),
    }
}

/// What became of a run: the requests that were taken, and how many of them were acknowledged.
struct Run {
    taken: Vec<Request>,
    acknowledged: usize,
}

/// Runs the workload until it is over or something fails.
fn run(engine: &mut Disk) -> Run {
    let mut run = Run { taken: Vec::new(), acknowledged: 0 };
    for (request, sync) in workload() {
        // A request that fails may have been the reason for a sync of those before it.
        if carry_out(engine, request).is_err() {
            return run;
        }
        run.taken.push(request);
        if sync {
            if engine.sync().is_err() {
                return run;
            }
            run.acknowledged = run.taken.len();
        }
    }
    run
}

/// After a crash there is everything that was acknowledged, and of the rest a first part.
fn is_right(run: &Run, recovered: &State) -> bool {
    State::after_each(&run.taken)[run.acknowledged..].contains(recovered)
}

fn check(run: &Run, engine: &Disk, told: &str) {
    let recovered = State::of(engine);
    assert!(
        is_right(run, &recovered),
        "{told}: {recovered:?} is no state after {} to {} requests",
        run.acknowledged,
        run.taken.len()
    );
}

/// How many steps the whole workload takes.
fn steps_of_workload() -> u64 {
    let files = SimulatedFiles::new(0);
    run(&mut open(&files).unwrap());
    files.steps()
}

#[test]
fn a_crash_at_any_step_loses_nothing_that_was_acknowledged() {
    let steps = steps_of_workload();
    assert!(steps > 60, "{steps}");
    for step in 0..steps {
        for seed in 0..20 {
            let told = format!("crash at step {step}, seed {seed}");
            let files = SimulatedFiles::new(seed);
            files.fail_at(step, Failure::Crash);
            let result = open(&files).map(|mut engine| run(&mut engine));
            files.crash();
            let engine = open(&files).unwrap_or_else(|| unreachable!("{told}: refused"));
            let nothing = Run { taken: Vec::new(), acknowledged: 0 };
            check(&result.unwrap_or(nothing), &engine, &told);
        }
    }
}

/// What these tests find when nothing is synced: without that, they would show nothing.
#[test]
fn a_disk_that_does_not_sync_is_found_out() {
    let mut found = 0;
    for seed in 0..20 {
        let files = SimulatedFiles::new(seed);
        let mut engine = open(&files).unwrap();
        files.ignore_syncs();
        let run = run(&mut engine);
        files.crash();
        found +=
            usize::from(open(&files).is_none_or(|engine| !is_right(&run, &State::of(&engine))));
    }
    assert!(found > 15, "{found} of 20");
}

#[test]
fn a_crash_during_the_recovery_from_a_crash_is_harmless() {
    let steps = steps_of_workload();
    for step in (0..steps).step_by(3) {
        for during in 0..8 {
            let seed = step * 31 + during;
            let files = SimulatedFiles::new(seed);
            files.fail_at(step, Failure::Crash);
            let Some(mut engine) = open(&files) else { continue };
            let run = run(&mut engine);
            files.crash();
            // Several crashes in a row, each a step further into the recovery, or into the next one.
            for next in [during, during + 2, during + 5] {
                files.fail_at(files.steps() + next, Failure::Crash);
                if open(&files).is_none() {
                    files.crash();
                }
            }
            let recovered = (0..4).find_map(|_| {
                open(&files).or_else(|| {
                    files.crash();
                    None
                })
            });
            check(&run, &recovered.unwrap(), &format!("steps {step} and {during}, seed {seed}"));
        }
    }
}

/// A process is killed in the middle of anything, and the power goes off while the next one starts: what it
/// read may not have been on the disk.
#[test]
fn a_power_cut_during_the_start_after_a_kill_loses_nothing() {
    let steps = steps_of_workload();
    for step in 0..steps {
        for (during, seed) in (0..9).flat_map(|during| (0..8).map(move |seed| (during, seed))) {
            let files = SimulatedFiles::new(seed);
            files.fail_at(step, Failure::Crash);
            let Some(mut engine) = open(&files) else { continue };
            let run = run(&mut engine);
            files.kill();
            files.fail_at(files.steps() + during, Failure::Crash);
            _ = open(&files);
            files.crash();
            let engine = open(&files).or_else(|| {
                files.crash(); // The step that was to fail had not come yet.
                open(&files)
            });
            check(&run, &engine.unwrap(), &format!("steps {step} and {during}, seed {seed}"));
        }
    }
}

/// The process ends after a failed write or sync and is started again while the machine stays up. What
/// it then shows must survive a power cut, though the pages it was read from may never have been written.
///
/// Left out is a segment that could not be begun or replaced: when a folder cannot be synced, its file
/// system is broken in a way that no later sync of it mends.
#[test]
fn what_is_shown_after_a_failure_survives_a_power_cut() {
    for step in 0..steps_of_workload() {
        for seed in 0..20 {
            let told = format!("failure at step {step}, seed {seed}");
            let files = SimulatedFiles::new(seed);
            files.fail_at(step, Failure::Error(io::ErrorKind::Other));
            let Some(mut engine) = open(&files) else { continue };
            let run = run(&mut engine);
            let failure = engine.sync();
            drop(engine);
            let mut again = open(&files).unwrap_or_else(|| unreachable!("{told}: refused"));
            check(&run, &again, &told);
            let left_out = ["begin a segment", "replace a segment"];
            if failure.is_err_and(|failure| left_out.iter().any(|step| failure.contains(step))) {
                continue;
            }
            again.send("a", b"acknowledged later").unwrap();
            again.sync().unwrap();
            let shown = State::of(&again);
            drop(again);
            files.crash();
            assert_eq!(State::of(&open(&files).unwrap()), shown, "{told}");
        }
    }
}

/// Nothing is taken, synced or acknowledged after the first failure.
#[test]
fn after_a_failed_sync_the_journal_does_nothing_more() {
    for step in 0..steps_of_workload() {
        let files = SimulatedFiles::new(step);
        files.fail_at(step, Failure::Error(io::ErrorKind::Other));
        let Some(mut engine) = open(&files) else { continue };
        let run = run(&mut engine);
        if run.taken.len() == workload().len() {
            continue;
        }
        let steps = files.steps();
        assert!(matches!(engine.send("a", b"more"), Err(Refused::Failed(_))), "step {step}");
        assert!(engine.sync().is_err(), "step {step}");
        assert_eq!(files.steps(), steps, "step {step}: it touched the disk");
    }
}

/// The disk may be full for anything that begins a segment, not only for its room. Whatever comes of
/// it, what is acknowledged is there at the next start.
#[test]
fn a_disk_that_is_full_at_any_step_loses_nothing_that_was_acknowledged() {
    for step in 0..120 {
        let files = SimulatedFiles::new(step);
        files.fail_at(step, Failure::Error(io::ErrorKind::StorageFull));
        let Some(mut engine) = open(&files) else { continue };
        let mut acknowledged = 0;
        for n in 0..60 {
            // After a large message that is refused comes a small one for which there is room.
            let size_bytes = if n % 2 == 0 { 120 } else { 1 };
            let sent = engine.send("a", &vec![n; size_bytes]);
            if let (Ok(offset), Ok(())) = (sent, engine.sync()) {
                acknowledged = offset + 1;
            }
        }
        drop(engine);
        let recovered = State::of(&open(&files).unwrap()).logs[0].len() as Offset;
        assert!(recovered >= acknowledged, "step {step}: {recovered} of {acknowledged}");
    }
}

#[test]
fn a_full_disk_refuses_sends_until_there_is_room_and_can_be_read_all_the_time() {
    let files = SimulatedFiles::new(1);
    let mut engine = open(&files).unwrap();
    files.set_capacity(2 * u64::from(SEGMENT_BYTES));
    let mut stored = 0;
    while engine.send("a", &[7; 50]).is_ok() {
        stored += 1;
        engine.sync().unwrap();
    }
    assert!(stored > 10);
    let steps = files.steps();
    assert!(matches!(engine.send("a", &[7; 50]), Err(Refused::Full(_))));
    assert_eq!(files.steps(), steps, "room is looked for once a batch");
    engine.sync().unwrap();
    assert_eq!(State::of(&engine).logs[0].len(), stored);
    files.set_capacity(3 * u64::from(SEGMENT_BYTES));
    assert_eq!(engine.send("a", &[8; 50]).unwrap(), stored as Offset);
    engine.sync().unwrap();
    files.crash();
    assert_eq!(State::of(&open(&files).unwrap()).logs[0].len(), stored + 1);
}
