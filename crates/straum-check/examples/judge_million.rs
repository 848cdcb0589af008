//! Judges a correct history of a million operations on a thousand keys and says how long it took and
//! how much memory. With `flood` as its argument, every tenth send is acknowledged at a wrong offset.
//! Never runs a node.

#![allow(clippy::print_stdout, reason = "it is a program for a person")]

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use straum_check::history::{Action, History, KeyId, Message, Offset, Operation, Outcome};
use straum_check::judge::{Demands, judge};

const OPERATIONS: usize = 1_000_000;
const KEYS: u32 = 1_000;
const CLIENTS: u32 = 100;
/// How many keys a client reads at a time.
const READ_AT_ONCE: u32 = 10;

fn main() {
    let flood = std::env::args().any(|argument| argument == "flood");
    let history = World::default().run(flood);
    let (sends, polls, messages) = counts(&history);
    println!(
        "{} operations: {sends} sends, {polls} polls that returned {messages} messages",
        history.operations.len()
    );
    println!("before judging: {}", peak_memory());
    let begun = Instant::now();
    let verdict = judge(&history, &Demands { availability: Some(0.99) });
    println!("judged in {:.2} s: {:?}", begun.elapsed().as_secs_f64(), verdict.validity);
    for finding in verdict.findings {
        println!("{:>9} {:22} {}", finding.count, finding.name, finding.examples[0].text);
    }
    println!("after judging: {}", peak_memory());
}

fn counts(history: &History) -> (usize, usize, usize) {
    let (mut sends, mut polls, mut returned) = (0, 0, 0);
    for operation in &history.operations {
        match &operation.action {
            Action::Send { .. } => sends += 1,
            Action::Poll { messages, .. } => {
                polls += 1;
                returned += messages.iter().map(|(_, messages)| messages.len()).sum::<usize>();
            }
            _ => {}
        }
    }
    (sends, polls, returned)
}

/// The process's peak memory, where the system tells it.
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.map_or_else(|| "VmHWM unknown".to_owned(), |line| line.replace('\t', ""))
}

#[derive(Default)]
struct World {
    logs: Vec<Vec<u64>>,
    committed: BTreeMap<KeyId, Offset>,
    clients: Vec<BTreeMap<KeyId, Offset>>,
    operations: Vec<Operation>,
    last: bool,
}

impl World {
    fn run(mut self, flood: bool) -> History {
        let mut random = fastrand::Rng::with_seed(7);
        self.logs.resize(KEYS as usize, Vec::new());
        self.clients.resize(CLIENTS as usize + 1, BTreeMap::new());
        while self.operations.len() < OPERATIONS {
            let client = random.u32(..CLIENTS);
            match random.u32(..20) {
                0..9 => self.send(client, random.u32(..KEYS), flood && random.u8(..10) == 0),
                9..18 => self.poll(client, 1),
                18 => self.commit(client),
                _ => {
                    let first = random.u32(..KEYS - READ_AT_ONCE);
                    let keys = (first..first + READ_AT_ONCE).collect();
                    self.assign(client, keys, random.bool());
                }
            }
        }
        self.last = true;
        self.assign(CLIENTS, (0..KEYS).collect(), true);
        for _ in 0..20 {
            self.poll(CLIENTS, 100);
        }
        self.assign(CLIENTS, (0..KEYS).collect(), false);
        let keys = (0..KEYS).map(|key| key.to_string()).collect();
        History { keys, operations: self.operations, finished: true, ..History::default() }
    }

    fn push(&mut self, process: u32, action: Action) {
        let invoked = self.operations.len() as u64 * 10;
        let (node, group, last, outcome) = (0, None, self.last, Outcome::Ok);
        let completed = invoked + 5;
        self.operations.push(Operation {
            process,
            node,
            group,
            last,
            invoked,
            completed,
            outcome,
            action,
        });
    }

    fn send(&mut self, client: u32, key: KeyId, wrong: bool) {
        let log = &mut self.logs[key as usize];
        let value = log.len() as u64;
        log.push(value);
        let offset = Some(offset(log.len() - 1) + Offset::from(wrong));
        self.push(client, Action::Send { key, value, offset });
    }

    fn poll(&mut self, client: u32, limit: usize) {
        let from: Vec<_> = self.clients[client as usize].clone().into_iter().collect();
        let mut messages = Vec::new();
        for (key, position) in &from {
            let log = (0..).zip(&self.logs[*key as usize]);
            let log = log.skip(usize::try_from(*position).unwrap_or_default()).take(limit);
            let mut there: Vec<_> = log.map(|(at, value)| (at, Message::Value(*value))).collect();
            there.shrink_to_fit();
            if let Some((last, _)) = there.last() {
                self.clients[client as usize].insert(*key, last + 1);
                messages.push((*key, there));
            }
        }
        messages.shrink_to_fit();
        self.push(client, Action::Poll { from, messages });
    }

    fn commit(&mut self, client: u32) {
        let read = self.clients[client as usize].iter().filter(|(_, position)| **position > 0);
        let offsets: Vec<_> = read.map(|(key, position)| (*key, position - 1)).collect();
        for (key, offset) in &offsets {
            let committed = self.committed.entry(*key).or_insert(*offset);
            *committed = (*committed).max(*offset);
        }
        self.push(client, Action::Commit { offsets });
    }

    fn assign(&mut self, client: u32, keys: Vec<KeyId>, from_beginning: bool) {
        let listed = keys.iter().filter_map(|key| Some((*key, *self.committed.get(key)?)));
        let committed: Vec<_> = listed.filter(|_| !from_beginning).collect();
        let mut positions: BTreeMap<_, _> = keys.iter().map(|key| (*key, 0)).collect();
        positions.extend(committed.iter().map(|(key, offset)| (*key, offset + 1)));
        self.clients[client as usize] = positions.clone();
        let positions = positions.into_iter().collect();
        self.push(client, Action::Assign { keys, from_beginning, committed, positions });
    }
}

fn offset(index: usize) -> Offset {
    Offset::try_from(index).unwrap_or(Offset::MAX)
}
