//! Seats, on which one client sits after another, and the operations that they begin and end. Never
//! decides what is asked next.

use std::cmp::Ordering;

use crate::cluster::Cluster;
use crate::history::{ABANDONED, Action, Error, Offset, Operation, Outcome, Rule};
use crate::network::{Address, Envelope};
use crate::run::REQUEST_TIMEOUT;
use crate::run::nodes::address;
use crate::run::stage::Stage;
use crate::time::Nanos;
use crate::workload::client::{Client, Read, Request};
use crate::workload::reply::{self, DEFINITE_CODES, Reply, Rpc};

pub(super) struct Seat {
    pub(super) role: Role,
    pub(super) client: Client,
    pub(super) waiting: Option<Waiting>,
    /// Whether the client has been assigned anything.
    pub(super) assigned: bool,
    /// When it goes on with its script; a wakeup for any other time is out of date.
    pub(super) wakes_at: Option<Nanos>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Does what the generator says.
    Worker,
    /// Resumes from committed offsets, for a group.
    Consumer(u32),
}

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    operation: usize,
    msg_id: u64,
    kind: Rpc,
}

/// What has become of a client.
#[derive(Clone, Copy, Debug)]
pub(super) enum Standing {
    /// `c0`, which starts the nodes.
    Starter,
    /// It sits there.
    Seated(usize),
    /// It crashed, or gave up.
    Gone {
        /// When it last asked anything.
        asked_at: Nanos,
    },
}

/// When a seat that follows a script goes on; the earliest is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wakeup {
    pub(super) at: Nanos,
    pub(super) seat: usize,
}

impl Ord for Wakeup {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seat).cmp(&(self.at, self.seat))
    }
}

impl PartialOrd for Wakeup {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<C: Cluster> Stage<'_, C> {
    /// A seat for each worker, bound to the nodes in turn, and one for each group.
    pub(super) fn take_seats(&mut self, groups: usize) {
        let workers = (0..self.settings.concurrency).map(|_| Role::Worker);
        let consumers = (0..).map(Role::Consumer).take(groups);
        for (index, role) in workers.chain(consumers).enumerate() {
            let node = index % self.settings.node_count;
            let client = self.new_client(index, node);
            self.seats.push(Seat { role, client, waiting: None, assigned: false, wakes_at: None });
        }
    }

    fn new_client(&mut self, seat: usize, node: usize) -> Client {
        let number = u32::try_from(self.clients.len()).unwrap_or(u32::MAX);
        self.clients.push(Standing::Seated(seat));
        Client::new(number, node)
    }

    /// Throws the client of a seat away; a new one takes its place, at the same node if a worker, at
    /// any if a consumer.
    pub(super) fn replace_client(&mut self, now: Nanos, seat: usize) {
        let node = match self.seats[seat].role {
            Role::Worker => self.seats[seat].client.node,
            Role::Consumer(_) => self.rng.usize(..self.settings.node_count),
        };
        let number = self.seats[seat].client.number as usize;
        if let Some(standing) = self.clients.get_mut(number) {
            *standing = Standing::Gone { asked_at: now };
        }
        let client = self.new_client(seat, node);
        let place = &mut self.seats[seat];
        place.client = client;
        place.assigned = false;
        place.waiting = None;
    }

    /// Sends a request and writes it into the history.
    pub(super) fn ask(&mut self, now: Nanos, seat: usize, request: Request) {
        let operation = self.write_down(now, seat, request.action);
        let place = &mut self.seats[seat];
        place.waiting = Some(Waiting { operation, msg_id: request.msg_id, kind: request.kind });
        let (number, node) = (place.client.number, place.client.node);
        self.timeouts.push_back((now + REQUEST_TIMEOUT, number, request.msg_id));
        self.send(
            now,
            Envelope {
                src: Address::Client(number),
                dest: address(node),
                body: request.body.into(),
                life: self.nodes[node].life,
            },
        );
    }

    /// Adds an operation to the history: one that is over, unless somebody waits for its answer.
    pub(super) fn write_down(&mut self, now: Nanos, seat: usize, action: Action) -> usize {
        let Seat { role, client, .. } = &self.seats[seat];
        let group = match role {
            Role::Worker => None,
            Role::Consumer(group) => Some(*group),
        };
        self.history.operations.push(Operation {
            process: client.number,
            node: u32::try_from(client.node).unwrap_or(u32::MAX),
            group,
            last: self.phase.is_last(),
            invoked_ns: now,
            completed_ns: now,
            outcome: Outcome::Ok,
            action,
        });
        self.history.operations.len() - 1
    }

    /// A message to a client.
    pub(super) fn take_reply(&mut self, now: Nanos, client: u32, envelope: &Envelope) {
        let Some(Standing::Seated(seat)) = self.clients.get(client as usize).copied() else {
            return;
        };
        let Address::Node(node) = envelope.src else { return };
        let node = node as usize;
        let answers = reply::in_reply_to(&envelope.body);
        let Some(waiting) =
            self.seats[seat].waiting.filter(|waiting| answers == Some(waiting.msg_id))
        else {
            let text = match answers {
                Some(msg_id) => {
                    format!("{} does not wait for an answer to {msg_id}", envelope.dest)
                }
                None => "in_reply_to is missing or no integer".into(),
            };
            self.violation(now, node, Rule::UnexpectedReply, text, envelope.body.as_bytes());
            return;
        };
        self.seats[seat].waiting = None;
        let understood = reply::read(waiting.kind, &envelope.body)
            .and_then(|reply| self.understand(seat, waiting.operation, reply));
        match understood {
            Ok(Ok(read)) => {
                self.end(now, waiting.operation, Outcome::Ok);
                self.learn(waiting.operation);
                self.after(now, seat, waiting.kind, read);
            }
            Ok(Err(error)) if DEFINITE_CODES.contains(&error.code) => {
                self.end(now, waiting.operation, Outcome::Fail(error));
                self.after_refusal(now, seat);
            }
            Ok(Err(error)) => self.give_up(now, seat, waiting, error),
            Err(text) => {
                let error = Error { code: 0, text: format!("malformed reply: {text}") };
                self.violation(now, node, Rule::MalformedReply, text, envelope.body.as_bytes());
                self.give_up(now, seat, waiting, error);
            }
        }
    }

    /// What a reply means: what was read, or an error that it tells; or what is wrong with it.
    fn understand(
        &mut self,
        seat: usize,
        operation: usize,
        reply: Reply,
    ) -> Result<Result<Read, Error>, String> {
        if let Reply::Error(error) = reply {
            return Ok(Err(error));
        }
        let action = &mut self.history.operations[operation].action;
        self.seats[seat].client.take(action, reply).map(Ok)
    }

    /// Takes note of which offsets exist and which have been polled.
    fn learn(&mut self, operation: usize) {
        let mut seen: Vec<(crate::history::KeyId, Offset, bool)> = Vec::new();
        match &self.history.operations[operation].action {
            Action::Send { key, offset: Some(offset), .. } => seen.push((*key, *offset, false)),
            Action::Poll { messages, .. } => {
                for (key, messages) in messages {
                    let last = messages.iter().map(|(offset, _)| *offset).max();
                    seen.extend(last.map(|last| (*key, last, true)));
                }
            }
            _ => {}
        }
        for (key, offset, polled) in seen {
            let frontier = self.frontier(key);
            frontier.known = frontier.known.max(offset);
            if polled {
                frontier.polled = frontier.polled.max(offset);
            }
        }
    }

    fn give_up(&mut self, now: Nanos, seat: usize, waiting: Waiting, error: Error) {
        self.end(now, waiting.operation, Outcome::Info(error));
        self.replace_client(now, seat);
        self.after_replacement(now, seat);
    }

    /// Ends an operation and counts it.
    pub(super) fn end(&mut self, now: Nanos, operation: usize, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.progress.ok += 1,
            Outcome::Fail(_) => self.progress.fail += 1,
            Outcome::Info(_) => self.progress.info += 1,
        }
        let operation = &mut self.history.operations[operation];
        operation.completed_ns = now;
        operation.outcome = outcome;
    }

    /// Ends what a client waits for, with an outcome that nobody knows.
    pub(super) fn abandon(&mut self, now: Nanos, seat: usize, text: &str) {
        if let Some(waiting) = self.seats[seat].waiting.take() {
            let error = Error { code: ABANDONED, text: text.into() };
            self.end(now, waiting.operation, Outcome::Info(error));
        }
    }

    /// Gives up what has waited too long.
    pub(super) fn expire(&mut self, now: Nanos) {
        while let Some(&(deadline, client, msg_id)) = self.timeouts.front() {
            if deadline > now {
                return;
            }
            self.timeouts.pop_front();
            let Some(Standing::Seated(seat)) = self.clients.get(client as usize).copied() else {
                continue;
            };
            let Some(waiting) = self.seats[seat].waiting.filter(|waiting| waiting.msg_id == msg_id)
            else {
                continue;
            };
            self.last_expired = Some(deadline);
            let error = Error { code: 0, text: "no answer in 5 s".into() };
            self.give_up(now, seat, waiting, error);
            if let Some(Standing::Gone { asked_at }) = self.clients.get_mut(client as usize) {
                *asked_at = deadline - REQUEST_TIMEOUT;
            }
        }
    }

    /// The clients of a node that was killed: their connection is gone, and with it the answer.
    pub(super) fn cut_off(&mut self, now: Nanos, node: usize) {
        for seat in 0..self.seats.len() {
            if self.seats[seat].client.node == node {
                let idle = self.seats[seat].waiting.is_none();
                self.abandon(now, seat, "its node was killed");
                self.replace_client(now, seat);
                if !idle || self.seats[seat].role != Role::Worker {
                    self.after_replacement(now, seat);
                }
            }
        }
    }

    /// At the end of a run, what is still open will never be known.
    pub(super) fn end_open_operations(&mut self, now: Nanos) {
        for seat in 0..self.seats.len() {
            self.abandon(now, seat, "the run ended");
        }
    }
}
