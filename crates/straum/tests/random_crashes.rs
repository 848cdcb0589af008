//! Random workloads on simulated files, longer than those that are tried at every step: requests of all kinds,
//! restarts with other sizes and retention, full disks, failed steps, killed processes and power cuts.
//! What is acknowledged is there, in order, at its offsets, and nothing else is. A seed decides everything.
//!
//! `STRAUM_SEEDS=20000 cargo test --release -p straum --test random_crashes` tries more of them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::ErrorKind;

use straum::files::simulated::{Failure, SimulatedFiles};
use straum::journal::disk::{DiskJournal, OpenError, Settings};
use straum::{Engine, MESSAGE_OVERHEAD_BYTES, Offset, ReadError, Refused, Retention};

type Disk = Engine<DiskJournal<SimulatedFiles>>;

const KEYS: [&str; 5] = ["", "a", "b", "c", "idle"];

thread_local! {
    static NOW_MS: Cell<u64> = const { Cell::new(1_000_000) };
}

/// Where chance comes from: splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
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
    random: Random,
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
        let random = &mut self.random;
        let max_bytes = random.one_in(3).then(|| random.below(20_000));
        let max_age_ms = random.one_in(6).then(|| random.below(5_000));
        let retention = Retention { max_bytes, max_age_ms };
        self.retains |= retention != Retention::default();
        let segment_bytes = self.random.pick(&[256, 512, 700, 2_048, 8_192]);
        Settings { segment_bytes, retention, now_ms: || NOW_MS.get() }
    }

    /// Opens the journal, however often the power goes off meanwhile; no crash is a reason to refuse.
    fn start(&mut self, settings: Settings) -> Disk {
        loop {
            match Disk::open(self.files.clone(), settings) {
                Ok((engine, _)) => return engine,
                Err(OpenError::Io(_)) => self.files.crash(),
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
        let busy = self.random.pick(&KEYS);
        for _ in 0..self.random.below(150) {
            NOW_MS.set(NOW_MS.get() + self.random.below(300));
            let key = if self.random.one_in(5) { self.random.pick(&KEYS) } else { busy };
            let healthy = match self.random.below(16) {
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
        let length = match self.random.below(12) {
            0 => 0,
            1 => self.random.below(3_000),
            _ => self.random.below(60),
        };
        let byte = u8::try_from(self.random.below(256)).unwrap();
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
        let offset = self.random.below(100);
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
        let capacity_bytes =
            if self.random.one_in(2) { u64::MAX } else { self.random.below(30_000) };
        self.files.set_capacity(capacity_bytes);
        true
    }

    /// Any poll is a part of what a poll of everything returns.
    fn read(&mut self, engine: &Disk, key: &str) -> bool {
        let (from, max_bytes) =
            (self.random.below(60), self.random.pick(&[0, 50, 1_000, u64::MAX]));
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
        for _ in 0..2 + self.random.below(8) {
            self.files.set_capacity(u64::MAX);
            let settings = self.settings();
            let step = self.files.steps() + self.random.below(200);
            match self.random.below(4) {
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
            let end = self.random.pick(&[End::Orderly, End::Kill, End::PowerCut]);
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
            random: Random(seed),
            files: SimulatedFiles::new(seed),
            acknowledged: Model::default(),
            open: Vec::new(),
            retains: false,
            had_error: false,
        };
        story.tell();
    }
}
