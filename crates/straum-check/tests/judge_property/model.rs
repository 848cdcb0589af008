//! A correct log as a map of vectors, and clients that use it: what they see is a correct history,
//! unless the log is told to forget a message.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use straum_check::history::{Action, Error, History, KeyId, Message, Offset, Operation, Outcome};

/// Keys 0 and 1 are read by clients without a group, the others by group 0.
pub(crate) const KEYS: [KeyId; 4] = [0, 1, 2, 3];
pub(crate) const GROUP: u32 = 0;
const CLIENTS: usize = 6;
/// The time between two steps; operations begin before and end after their step.
const STEP_NS: u64 = 10;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Answered,
    AnswerLost,
    RequestLost,
    Refused,
}

#[derive(Clone, Debug)]
pub(crate) enum Request {
    Send { key: KeyId, gap: Offset },
    Poll { limit: usize },
    Commit,
    Assign { first: bool, second: bool, from_beginning: bool },
    Crash,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    client: usize,
    fate: Fate,
    before_ns: u64,
    after_ns: u64,
    request: Request,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        7 => Just(Fate::Answered),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::RequestLost),
        1 => Just(Fate::Refused),
    ];
    let gap = prop_oneof![3 => Just(0), 1 => 1..4_i64];
    let request = prop_oneof![
        8 => (0..4_u32, gap).prop_map(|(key, gap)| Request::Send { key, gap }),
        6 => (1..5_usize).prop_map(|limit| Request::Poll { limit }),
        3 => Just(Request::Commit),
        2 => any::<(bool, bool)>().prop_map(|(first, second)| Request::Assign {
            first,
            second,
            from_beginning: false
        }),
        1 => Just(Request::Assign { first: true, second: true, from_beginning: true }),
        1 => Just(Request::Crash),
    ];
    (0..CLIENTS, fate, 0..25_u64, 0..25_u64, request).prop_map(
        |(client, fate, before_ns, after_ns, request)| Step {
            client,
            fate,
            before_ns,
            after_ns,
            request,
        },
    )
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 0..150)
}

/// At a step, a log forgets one of its messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forget {
    pub(crate) at: usize,
    pub(crate) key: KeyId,
    pub(crate) which: usize,
}

/// What clients see when they do what the steps say. Ends with everything read.
pub(crate) fn run(steps: &[Step], forget: Option<Forget>) -> History {
    let mut world = World::new();
    for key in KEYS {
        world.step(&plain(0, Request::Send { key, gap: 0 }));
    }
    for (index, step) in steps.iter().enumerate() {
        if let Some(Forget { key, which, .. }) = forget.filter(|forget| forget.at == index) {
            let log = &mut world.logs[key as usize];
            log.remove(which % log.len());
        }
        world.step(step);
    }
    world.finish()
}

fn plain(client: usize, request: Request) -> Step {
    Step { client, fate: Fate::Answered, before_ns: 0, after_ns: 5, request }
}

#[derive(Clone, Default)]
struct Client {
    process: u32,
    node: u32,
    group: Option<u32>,
    free_at: u64,
    positions: BTreeMap<KeyId, Offset>,
    read: BTreeMap<KeyId, Offset>,
}

struct World {
    /// By key: offset and value, in order.
    logs: [Vec<(Offset, u64)>; KEYS.len()],
    next_offsets: [Offset; KEYS.len()],
    committed: BTreeMap<KeyId, Offset>,
    clients: Vec<Client>,
    processes: u32,
    sent: u64,
    now: u64,
    last: bool,
    operations: Vec<Operation>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            logs: Default::default(),
            next_offsets: Default::default(),
            committed: BTreeMap::new(),
            clients: vec![Client::default(); CLIENTS],
            processes: 0,
            sent: 0,
            now: 1_000,
            last: false,
            operations: Vec::new(),
        };
        (0..CLIENTS).for_each(|client| world.replace(client));
        world
    }

    /// A new client in the place of one that is gone.
    fn replace(&mut self, client: usize) {
        let group = (client % 2 == 1).then_some(GROUP);
        let (process, free_at) = (self.processes, self.clients[client].free_at);
        let node = process % 3;
        self.clients[client] = Client { process, node, group, free_at, ..Client::default() };
        self.processes += 1;
    }

    fn step(&mut self, step: &Step) {
        self.now += STEP_NS;
        let client = &mut self.clients[step.client];
        if client.free_at > self.now {
            return;
        }
        let invoked_ns = client.free_at.max(self.now - step.before_ns);
        let completed_ns = self.now + step.after_ns;
        client.free_at = completed_ns + 1;
        let (process, node, group) = (client.process, client.node, client.group);
        let (outcome, action) = match &step.request {
            Request::Send { key, gap } => self.send(step.fate, *key, *gap),
            Request::Poll { limit } => self.poll(step.client, step.fate, *limit),
            Request::Commit => self.commit(step.client, step.fate),
            Request::Assign { first, second, from_beginning } => {
                self.assign(step.client, step.fate, [*first, *second], *from_beginning)
            }
            Request::Crash => (Outcome::Ok, Action::Crash),
        };
        if matches!(outcome, Outcome::Info(_)) || action == Action::Crash {
            self.replace(step.client);
        }
        let last = self.last;
        let operation =
            Operation { process, node, group, last, invoked_ns, completed_ns, outcome, action };
        self.operations.push(operation);
    }

    fn send(&mut self, fate: Fate, key: KeyId, gap: Offset) -> (Outcome, Action) {
        let value = self.sent;
        self.sent += 1;
        let mut stored = None;
        if happens(fate) {
            let next = &mut self.next_offsets[key as usize];
            let offset = *next + gap;
            *next = offset + 1;
            self.logs[key as usize].push((offset, value));
            stored = Some(offset);
        }
        let offset = stored.filter(|_| fate == Fate::Answered);
        (outcome(fate), Action::Send { key, value, offset })
    }

    fn poll(&mut self, client: usize, fate: Fate, limit: usize) -> (Outcome, Action) {
        let client = &mut self.clients[client];
        let from: Vec<_> = client.positions.clone().into_iter().collect();
        let mut messages = Vec::new();
        for &(key, position) in from.iter().filter(|_| fate == Fate::Answered) {
            let there = self.logs[key as usize].iter().filter(|(offset, _)| *offset >= position);
            let there = there.take(limit).map(|(offset, value)| (*offset, Message::Value(*value)));
            let there: Vec<_> = there.collect();
            if let Some((offset, _)) = there.last() {
                client.positions.insert(key, offset + 1);
                client.read.insert(key, *offset);
                messages.push((key, there));
            }
        }
        (outcome(fate), Action::Poll { from, messages })
    }

    fn commit(&mut self, client: usize, fate: Fate) -> (Outcome, Action) {
        let offsets: Vec<_> = self.clients[client].read.clone().into_iter().collect();
        for (key, offset) in offsets.iter().filter(|_| happens(fate)) {
            let committed = self.committed.entry(*key).or_insert(*offset);
            *committed = (*committed).max(*offset);
        }
        (outcome(fate), Action::Commit { offsets })
    }

    fn assign(
        &mut self,
        client: usize,
        fate: Fate,
        wanted: [bool; 2],
        from_beginning: bool,
    ) -> (Outcome, Action) {
        let client = &mut self.clients[client];
        let fate = if from_beginning { Fate::Answered } else { fate };
        let mine = if client.group.is_some() { [2, 3] } else { [0, 1] };
        let mine = mine.into_iter().zip(wanted).filter(|(_, wanted)| *wanted);
        let mut keys: Vec<_> = mine.map(|(key, _)| key).collect();
        if self.last && client.group.is_none() {
            keys = KEYS.to_vec();
        }
        // A group that began anew would be correct, too, but it is not what its clients do.
        let from_beginning = from_beginning && client.group.is_none();
        if fate != Fate::Answered {
            let (committed, positions) = (Vec::new(), Vec::new());
            return (outcome(fate), Action::Assign { keys, from_beginning, committed, positions });
        }
        let listed = |key: &KeyId| Some((*key, *self.committed.get(key)?));
        let committed: Vec<_> =
            keys.iter().filter_map(listed).filter(|_| !from_beginning).collect();
        let positions = keys.iter().map(|key| {
            let own = client.positions.get(key).filter(|_| !from_beginning).copied();
            let resumed = committed.iter().find(|(of, _)| of == key).map(|(_, offset)| offset + 1);
            (*key, own.or(resumed).unwrap_or(0))
        });
        let positions: Vec<_> = positions.collect();
        client.positions = positions.iter().copied().collect();
        client.read.retain(|key, _| keys.contains(key));
        (Outcome::Ok, Action::Assign { keys, from_beginning, committed, positions })
    }

    /// Fresh clients, one of the group and one without, read everything; then the latter asks what is
    /// committed.
    fn finish(mut self) -> History {
        self.now += 1_000;
        self.last = true;
        // The group first: what the other commits is not the group's work.
        for client in [1, 0] {
            self.replace(client);
            let from_beginning = client == 0;
            self.step(&plain(
                client,
                Request::Assign { first: true, second: true, from_beginning },
            ));
            for _ in 0..3 {
                self.step(&plain(client, Request::Poll { limit: 100 }));
                self.step(&plain(client, Request::Commit));
            }
        }
        let ask = Request::Assign { first: true, second: true, from_beginning: false };
        self.step(&plain(0, ask));
        self.operations.sort_by_key(|operation| operation.invoked_ns);
        let keys = KEYS.iter().map(ToString::to_string).collect();
        History { keys, operations: self.operations, finished: true, ..History::default() }
    }
}

fn happens(fate: Fate) -> bool {
    matches!(fate, Fate::Answered | Fate::AnswerLost)
}

fn outcome(fate: Fate) -> Outcome {
    let text = String::new();
    match fate {
        Fate::Answered => Outcome::Ok,
        Fate::AnswerLost | Fate::RequestLost => Outcome::Info(Error { code: 0, text }),
        Fate::Refused => Outcome::Fail(Error { code: 11, text }),
    }
}
