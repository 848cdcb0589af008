//! Nodes come up, go down and are halted. Never speaks for a client.

use crate::cluster::Cluster;
use crate::fault::Step;
use crate::history::{Crash, Fault};
use crate::network::{Address, Envelope};
use crate::run::stage::Stage;
use crate::time::{Nanos, SECOND};
use crate::workload::reply::{self, Reply, Rpc};
use crate::workload::request;

/// How long a node may take to answer its `init`.
const INIT_TIMEOUT: Nanos = 10 * SECOND;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node {
    pub(super) state: State,
    pub(super) paused: bool,
    /// When it last went on after it had been halted.
    pub(super) resumed_at: Nanos,
    /// Lines that it has written since its last start.
    pub(super) lines: u64,
    /// How often it has been started.
    pub(super) life: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Down,
    /// It was sent its `init`, and must answer until then.
    Starting(Nanos),
    Up,
}

impl<C: Cluster> Stage<'_, C> {
    pub(super) fn is_up(&self, node: usize) -> bool {
        self.nodes[node].state == State::Up
    }

    pub(super) fn all_up(&self) -> bool {
        self.nodes.iter().all(|node| node.state == State::Up)
    }

    /// Ends the run: a node failed us.
    pub(super) fn crash(&mut self, node: usize, text: String) {
        let node = u32::try_from(node).unwrap_or(u32::MAX);
        self.history.crash = Some(Crash { node, text });
    }

    /// Starts every node that is down.
    pub(super) fn start_all(&mut self, now: Nanos) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].state == State::Down {
                self.start(now, node);
            }
        }
    }

    fn start(&mut self, now: Nanos, node: usize) {
        if let Err(error) = self.cluster.start(node) {
            self.crash(node, format!("cannot be started: {error}"));
            return;
        }
        let life = self.nodes[node].life + 1;
        self.nodes[node] =
            Node { state: State::Starting(now + INIT_TIMEOUT), life, ..Node::default() };
        self.send(
            now,
            Envelope {
                src: Address::Client(0),
                dest: address(node),
                body: request::init(u64::from(life), node, self.nodes.len()).into(),
                life,
            },
        );
    }

    /// The reply to an `init`.
    pub(super) fn take_init_reply(&mut self, src: Address, body: &str) {
        let Address::Node(number) = src else { return };
        let node = number as usize;
        if reply::in_reply_to(body) != Some(u64::from(self.nodes[node].life)) {
            return;
        }
        match reply::read(Rpc::Init, body) {
            Ok(Reply::Init) => self.nodes[node].state = State::Up,
            Ok(Reply::Error(error)) => {
                let text = format!("refused its init: error {}: {}", error.code, error.text);
                self.crash(node, text);
            }
            Ok(_) => {}
            Err(text) => self.crash(node, format!("answered its init wrongly: {text}")),
        }
    }

    /// When a node that has been silent since its start is given up.
    pub(super) fn init_deadline(&self) -> Option<Nanos> {
        let deadlines = self.nodes.iter().filter_map(|node| match node.state {
            State::Starting(deadline) => Some(deadline),
            State::Down | State::Up => None,
        });
        deadlines.min()
    }

    pub(super) fn give_up_silent_nodes(&mut self, now: Nanos) {
        let silent = |node: &Node| matches!(node.state, State::Starting(at) if at <= now);
        if let Some(node) = self.nodes.iter().position(silent) {
            self.crash(node, format!("did not answer its init in {} s", INIT_TIMEOUT / SECOND));
        }
    }

    pub(super) fn apply_faults(&mut self, now: Nanos) {
        if !self.phase.has_faults() {
            return;
        }
        while let Some(step) = self.schedule.take_due(now.saturating_sub(self.began)) {
            self.apply(now, step);
        }
    }

    fn apply(&mut self, now: Nanos, step: Step) {
        let step = match step {
            Step::Kill(mut nodes) => {
                nodes.retain(|&node| self.nodes[node].state != State::Down);
                Step::Kill(nodes)
            }
            // One that is starting has a time limit, which it could not keep.
            Step::Pause(mut nodes) => {
                nodes.retain(|&node| self.is_up(node));
                Step::Pause(nodes)
            }
            other => other,
        };
        self.note(now, &step);
        match step {
            Step::Cut(groups) => self.network.partition(&groups),
            Step::Heal => self.network.heal(),
            Step::Kill(nodes) => nodes.into_iter().for_each(|node| self.kill(now, node)),
            Step::Restart => self.start_all(now),
            Step::Pause(nodes) => nodes.into_iter().for_each(|node| self.pause(node)),
            Step::Resume => self.resume_all(now),
            Step::Trouble(trouble) => self.trouble = Some(trouble),
            Step::Recover => self.recover_services(now),
        }
    }

    /// Ends every fault.
    pub(super) fn heal_all(&mut self, now: Nanos) {
        for step in [Step::Heal, Step::Resume, Step::Restart, Step::Recover] {
            self.apply(now, step);
        }
    }

    fn kill(&mut self, now: Nanos, node: usize) {
        self.cluster.kill(node);
        self.nodes[node].state = State::Down;
        self.nodes[node].paused = false;
        self.cut_off(now, node);
    }

    fn pause(&mut self, node: usize) {
        self.cluster.pause(node);
        self.nodes[node].paused = true;
    }

    fn resume_all(&mut self, now: Nanos) {
        for node in 0..self.nodes.len() {
            if std::mem::take(&mut self.nodes[node].paused) {
                self.nodes[node].resumed_at = now;
                self.cluster.resume(node);
            }
        }
    }

    /// Writes a fault's beginning or end into the history.
    fn note(&mut self, now: Nanos, step: &Step) {
        let kind = step.kind().name();
        if step.heals() {
            let open = |fault: &&mut Fault| fault.kind == kind && fault.until_ns.is_none();
            if let Some(fault) = self.history.faults.iter_mut().find(open) {
                fault.until_ns = Some(now);
            }
            return;
        }
        let detail = step.to_string();
        if !detail.is_empty() {
            let fault = Fault { kind: kind.into(), detail, from_ns: now, until_ns: None };
            self.history.faults.push(fault);
        }
    }
}

pub(super) fn address(node: usize) -> Address {
    Address::Node(u32::try_from(node).unwrap_or(u32::MAX))
}
