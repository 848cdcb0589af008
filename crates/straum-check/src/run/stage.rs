//! The loop of a run, and what it holds. Never decides what anybody does next: phases and seats do.
//!
//! Its fields are open to the other files of `run`, which are its methods by subject: five files write to what
//! one struct holds, so an invariant among the fields has to be looked for in all of them.

use std::collections::{BinaryHeap, VecDeque};
use std::io;

use fastrand::Rng;

use crate::cluster::{Cluster, Event};
use crate::fault::{Schedule, Trouble};
use crate::history::{History, KeyId, Offset};
use crate::network::{Envelope, Network};
use crate::run::nodes::Node;
use crate::run::phases::Phase;
use crate::run::seats::{Seat, Standing, Wakeup};
use crate::run::{Observer, Record, Settings, Snapshot};
use crate::service::Services;
use crate::time::{MILLISECOND, Nanos};
use crate::workload::generator::{self, Generator};

/// The most consumer groups that there are, however many nodes.
const MAX_GROUPS: usize = 3;

/// How often an observer is told.
const PROGRESS_INTERVAL: Nanos = 100 * MILLISECOND;

pub(super) struct Stage<'a, C> {
    pub(super) settings: &'a Settings,
    pub(super) cluster: &'a mut C,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) network: Network,
    pub(super) services: Services,
    /// What the services do instead of serving.
    pub(super) trouble: Option<Trouble>,
    /// What stalled services were asked.
    pub(super) stalled: Vec<Envelope>,
    pub(super) schedule: Schedule,
    pub(super) generator: Generator,
    pub(super) rng: Rng,
    pub(super) pacing: Rng,
    pub(super) nodes: Vec<Node>,
    pub(super) seats: Vec<Seat>,
    /// Workers that wait for something to do.
    pub(super) idle: Vec<usize>,
    /// By client number.
    pub(super) clients: Vec<Standing>,
    /// When seats that follow a script of their own go on.
    pub(super) wakeups: BinaryHeap<Wakeup>,
    /// In the order of the deadlines: deadline, client, the request's number.
    pub(super) timeouts: VecDeque<(Nanos, u32, u64)>,
    /// When a client last gave up waiting.
    pub(super) last_expired: Option<Nanos>,
    /// By key: the highest offset that is known to exist, and the highest that was polled.
    pub(super) frontier: Vec<Frontier>,
    pub(super) history: History,
    pub(super) phase: Phase,
    pub(super) began: Nanos,
    pub(super) ended: Nanos,
    pub(super) next_operation_at: Nanos,
    pub(super) next_line_id: u64,
    pub(super) progress: Snapshot,
    next_progress_at: Nanos,
    pub(super) scratch: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Frontier {
    pub(super) known: Offset,
    pub(super) polled: Offset,
}

impl Default for Frontier {
    fn default() -> Self {
        Self { known: -1, polled: -1 }
    }
}

impl<'a, C: Cluster> Stage<'a, C> {
    pub(super) fn new(
        settings: &'a Settings,
        cluster: &'a mut C,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let groups = settings.node_count.min(MAX_GROUPS);
        let mut seeds = Rng::with_seed(settings.seed);
        let workload = generator::Settings {
            key_count: settings.key_count,
            max_writes_per_key: settings.max_writes_per_key,
            groups: u32::try_from(groups).unwrap_or(u32::MAX),
            concurrency: settings.concurrency,
            rate: settings.rate,
        };
        let mut stage = Self {
            settings,
            cluster,
            observer,
            network: Network::new(settings.network, seeds.u64(..)),
            services: Services::new(seeds.u64(..)),
            trouble: None,
            stalled: Vec::new(),
            schedule: Schedule::new(
                &settings.faults,
                settings.fault_interval_ns,
                settings.node_count,
                seeds.u64(..),
            ),
            generator: Generator::new(workload, seeds.u64(..)),
            rng: Rng::with_seed(seeds.u64(..)),
            pacing: Rng::with_seed(seeds.u64(..)),
            nodes: vec![Node::default(); settings.node_count],
            seats: Vec::new(),
            idle: Vec::new(),
            clients: vec![Standing::Starter],
            wakeups: BinaryHeap::new(),
            timeouts: VecDeque::new(),
            last_expired: None,
            frontier: Vec::new(),
            history: History::default(),
            phase: Phase::Starting,
            began: 0,
            ended: 0,
            next_operation_at: 0,
            next_line_id: 0,
            progress: Snapshot { limit: settings.time_limit_ns, ..Snapshot::default() },
            next_progress_at: 0,
            scratch: Vec::new(),
        };
        stage.take_seats(groups);
        stage
    }

    pub(super) fn run(mut self) -> io::Result<Record> {
        let mut events = Vec::new();
        self.start_all(0);
        while self.phase != Phase::Done && self.history.crash.is_none() && !self.observer.stop() {
            let now = self.cluster.now();
            self.go_on(now);
            self.carry(now);
            self.cluster.wait(self.deadline(now), &mut events)?;
            let now = self.cluster.now();
            for event in events.drain(..) {
                self.take_event(now, event);
            }
            self.carry(now);
            self.tell(now);
        }
        Ok(self.record())
    }

    /// Does whatever is due.
    fn go_on(&mut self, now: Nanos) {
        self.expire(now);
        self.apply_faults(now);
        self.advance(now);
        self.wake_all(now);
        self.dispatch(now);
    }

    /// When something is due that no node has to cause.
    fn deadline(&self, now: Nanos) -> Nanos {
        [
            self.network.next_due(),
            self.wakeups.peek().map(|wakeup| wakeup.at),
            self.timeouts.front().map(|(deadline, ..)| *deadline),
            self.phase_deadline(now),
            self.dispatch_due(),
            Some(self.next_progress_at),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(now)
    }

    fn take_event(&mut self, now: Nanos, event: Event) {
        match event {
            Event::Line { node, line } => self.take_line(now, node, &line),
            Event::Exited { node, status } => {
                self.crash(node, format!("ended by itself ({status})"));
            }
        }
    }

    fn tell(&mut self, now: Nanos) {
        if now >= self.next_progress_at {
            self.next_progress_at = now + PROGRESS_INTERVAL;
            self.progress.elapsed_ns = now.saturating_sub(self.began);
            self.progress.phase = self.phase.name();
            let active = self.history.faults.iter().filter(|fault| fault.until_ns.is_none());
            self.progress.faults =
                active.map(|fault| format!("{} {}", fault.kind, fault.detail)).collect();
            self.observer.progress(&self.progress);
        }
    }

    pub(super) fn frontier(&mut self, key: KeyId) -> &mut Frontier {
        let index = key as usize;
        if self.frontier.len() <= index {
            self.frontier.resize(index + 1, Frontier::default());
        }
        &mut self.frontier[index]
    }

    fn record(mut self) -> Record {
        let now = self.cluster.now();
        self.end_open_operations(now);
        self.history.keys = (0..self.generator.key_count()).map(|key| key.to_string()).collect();
        Record {
            history: self.history,
            counts: self.network.counts().clone(),
            trace: self.network.trace().to_vec(),
            elapsed_ns: if self.ended > 0 { self.ended } else { now },
        }
    }
}
