//! Random workloads on simulated files, longer than those that are tried at every step: requests of all kinds,
//! restarts with other sizes and retention, full disks, failed steps, killed processes and power cuts.
//! What is acknowledged is there, in order, at its offsets, and nothing else is. A seed decides everything.
//!
//! `STRAUM_SEEDS=20000 cargo test --release -p straum --test random_crashes` tries more of them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::ErrorKind;

use fastrand::Rng;
use straum::files::simulated::{Failure, SimulatedFiles};
use straum::journal::disk::{DiskJournal, OpenError, Settings};
use straum::{Engine, MESSAGE_OVERHEAD_BYTES, Offset, ReadError, Refused, Retention};

type Disk = Engine<DiskJournal<SimulatedFiles>>;

const KEYS: [&str; 5] = ["", "a", "b", "c", "idle"];

thread_local! {
    static NOW_MS: Cell<u64> = const { Cell::new(1_000_000) };
}

#[derive(Clone, Debug)]
enum Command {
    Send(&'static str, Vec<u8>),
    Commit(&'static str, Offset),
}

/// What there would be if nothing were ever removed.
#[derive(Clone, Debug, Default)]
struct Model(BTreeMap<&'static str, (Vec<Vec<u8>>, Option<Offset>)>);

impl Model {
    fn apply(&mut self, command: &Command) {
        match command {
            Command::Send(key, message) => self.0.entry(key).or_default().0.push(message.clone()),
            Command::Commit(key, offset) => {
                if let Some((log, committed)) = self.0.get_mut(key) {
                    *committed = (*committed).max(Some((*offset).min(log.len() as Offset - 1)));
                }
            }
        }
    }

    fn log(&self, key: &str) -> &[Vec<u8>] {
        self.0.get(key).map_or(&[], |(log, _)| log)
    }

    /// Whether the engine shows this, or an end of each log if something may have been removed.
    fn is_shown(&self, engine: &Disk, retains: bool) -> bool {
        KEYS.iter().all(|key| {
            let log = self.log(key);
            let Some(shown) = poll(engine, key, 0, u64::MAX) else { return true };
            let removed = log.len().checked_sub(shown.len());
            let committed = self.0.get(key).and_then(|(_, committed)| *committed);
            engine.committed(key) == committed
                && removed.is_some_and(|removed| {
                    let left = (removed as Offset..).zip(log[removed..].iter().cloned());
                    (retains || removed == 0) && left.eq(shown)
                })
        })
    }
}

type Messages = Vec<(Offset, Vec<u8>)>;

/// None if the power is off.
fn poll(engine: &Disk, key: &str, from: Offset, max_bytes: u64) -> Option<Messages> {
    let logs = match engine.poll(&[(key, from)], max_bytes) {
        Err(ReadError::Io { .. }) => return None,
        logs => logs.unwrap(),
    };
    let messages = logs.iter().flat_map(|log| log.messages());
    Some(messages.map(|(offset, message)| (offset, message.to_vec())).collect())
}

/// How the life of a process ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Orderly,
    Kill,
    PowerCut,
}

struct Story {
    rng: Rng,
    files: SimulatedFiles,
    /// What is applied, and what of it is not acknowledged.
    acknowledged: Model,
    open: Vec<Command>,
    retains: bool,
    /// A step was made to fail by an error: what a folder then loses need not be found by a later sync.
    had_error: bool,
}

impl Story {
    fn settings(&mut self) -> Settings {
        let rng = &mut self.rng;
        let max_bytes = (rng.u64(..3) == 0).then(|| rng.u64(..20_000));
        let max_age_ms = (rng.u64(..6) == 0).then(|| rng.u64(..5_000));
        let retention = Retention { max_bytes, max_age_ms };
        self.retains |= retention != Retention::default();
        let segment_bytes = *self.rng.choice(&[256, 512, 700, 2_048, 8_192]).unwrap();
        Settings { segment_bytes, retention, now_ms: || NOW_MS.get() }
    }

    /// Opens the journal, however often the power goes off meanwhile; no crash is a reason to refuse.
    fn start(&mut self, settings: Settings) -> Disk {
        loop {
            match Disk::open(self.files.clone(), settings) {
                Ok((engine, _)) => return engine,
                Err(OpenError::Io { .. }) => self.files.crash(),
                Err(refused) => unreachable!("refused: {refused}"),
            }
        }
    }

    /// Everything that was acknowledged is there, and of the rest a first part: which one, the next offsets
    /// tell if what is left of the logs does not.
    fn check_start(&mut self, engine: &mut Disk) {
        let mut model = self.acknowledged.clone();
        let mut possible =
            Vec::from_iter(model.is_shown(engine, self.retains).then(|| model.clone()));
        for command in self.open.drain(..) {
            model.apply(&command);
            possible.extend(model.is_shown(engine, self.retains).then(|| model.clone()));
        }
        assert!(!possible.is_empty(), "what is shown was never so");
        for key in KEYS {
            let Ok(offset) = engine.send(key, b"probe") else { break };
            possible.retain(|model| model.log(key).len() as Offset == offset);
            assert!(!possible.is_empty(), "{offset} is not the next offset of {key}");
            self.open.push(Command::Send(key, b"probe".to_vec()));
        }
        self.acknowledged = possible.pop().unwrap();
    }

    /// The life of a process: true if it ended by itself.
    fn live(&mut self, engine: &mut Disk) -> bool {
        let busy = *self.rng.choice(&KEYS).unwrap();
        for _ in 0..self.rng.u64(..150) {
            NOW_MS.set(NOW_MS.get() + self.rng.u64(..300));
            let key = if self.rng.u64(..5) == 0 { *self.rng.choice(&KEYS).unwrap() } else { busy };
            let healthy = match self.rng.u64(..16) {
                0..=8 => self.send(engine, key),
                9..=10 => self.commit(engine, key),
                11..=13 => self.sync(engine),
                14 => self.change_capacity(),
                _ => self.read(engine, key),
            };
            if !healthy {
                return true;
            }
        }
        false
    }

    fn current(&self) -> Model {
        let mut model = self.acknowledged.clone();
        self.open.iter().for_each(|command| model.apply(command));
        model
    }

    fn send(&mut self, engine: &mut Disk, key: &'static str) -> bool {
        let length = match self.rng.u64(..12) {
            0 => 0,
            1 => self.rng.u64(..3_000),
            _ => self.rng.u64(..60),
        };
        let byte = self.rng.u8(..);
        let message = vec![byte; usize::try_from(length).unwrap()];
        match engine.send(key, &message) {
            Ok(offset) => {
                assert_eq!(offset, self.current().log(key).len() as Offset);
                self.open.push(Command::Send(key, message));
                true
            }
            Err(refused) => !matches!(refused, Refused::Failed(_)),
        }
    }

    fn commit(&mut self, engine: &mut Disk, key: &'static str) -> bool {
        let offset = self.rng.u64(..100);
        match engine.commit(&[(key, offset)]) {
            Ok(()) => self.open.push(Command::Commit(key, offset)),
            Err(refused) => return !matches!(refused, Refused::Failed(_)),
        }
        true
    }

    fn sync(&mut self, engine: &mut Disk) -> bool {
        if engine.sync().is_err() {
            return false;
        }
        self.acknowledged = self.current();
        self.open.clear();
        true
    }

    fn change_capacity(&mut self) -> bool {
        let capacity_bytes = if self.rng.u64(..2) == 0 { u64::MAX } else { self.rng.u64(..30_000) };
        self.files.set_capacity(capacity_bytes);
        true
    }

    /// Any poll is a part of what a poll of everything returns.
    fn read(&mut self, engine: &Disk, key: &str) -> bool {
        let (from, max_bytes) =
            (self.rng.u64(..60), *self.rng.choice(&[0, 50, 1_000, u64::MAX]).unwrap());
        let all = poll(engine, key, 0, u64::MAX);
        let (Some(mut all), Some(got)) = (all, poll(engine, key, from, max_bytes)) else {
            return false;
        };
        all.retain(|(offset, _)| *offset >= from);
        assert!(all.starts_with(&got) && got.is_empty() == all.is_empty(), "{key} from {from}");
        let cost = |messages: &[(Offset, Vec<u8>)]| -> u64 {
            messages.iter().map(|(_, message)| message.len() as u64 + MESSAGE_OVERHEAD_BYTES).sum()
        };
        assert!(got.len() <= 1 || cost(&got) <= max_bytes);
        assert!(got.len() == all.len() || cost(&all[..=got.len()]) > max_bytes, "too few");
        true
    }

    fn tell(mut self) {
        for _ in 0..2 + self.rng.u64(..8) {
            self.files.set_capacity(u64::MAX);
            let settings = self.settings();
            let step = self.files.steps() + self.rng.u64(..200);
            match self.rng.u64(..4) {
                0 => self.files.fail_at(step, Failure::Crash),
                1 => {
                    self.had_error = true;
                    self.files.fail_at(step, Failure::Error(ErrorKind::StorageFull));
                }
                _ => {}
            }
            let mut engine = self.start(settings);
            self.check_start(&mut engine);
            let died = self.live(&mut engine);
            drop(engine);
            let end = *self.rng.choice(&[End::Orderly, End::Kill, End::PowerCut]).unwrap();
            match end {
                End::PowerCut => self.files.crash(),
                _ if died || self.had_error => self.files.crash(),
                End::Kill => self.files.kill(),
                End::Orderly => {}
            }
        }
    }
}

#[test]
fn whatever_happens_what_was_acknowledged_is_there() {
    let seeds =
        std::env::var("STRAUM_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(400);
    for seed in 0..seeds {
        println!("seed {seed}"); // shown when it fails
        let story = Story {
            rng: Rng::with_seed(seed),
            files: SimulatedFiles::new(seed),
            acknowledged: Model::default(),
            open: Vec::new(),
            retains: false,
            had_error: false,
        };
        story.tell();
    }
}
