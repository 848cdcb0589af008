//! Messages go from one to another: lines of nodes into the network, and out of it to nodes, services
//! and clients. Never makes up a message.

use crate::cluster::Cluster;
use crate::fault::Trouble;
use crate::history::{Rule, Violation};
use crate::network::{Address, Envelope, Service, read_line, write_line};
use crate::run::REQUEST_TIMEOUT;
use crate::run::seats::Standing;
use crate::run::stage::Stage;
use crate::service::Services;
use crate::time::{MILLISECOND, Nanos};

/// How much of a line that breaks a rule is kept, in bytes.
const LINE_BYTES: usize = 300;

/// How much later than a client's time-out a reply may be, since it also takes time to carry.
const SLACK: Nanos = 100 * MILLISECOND;

/// How many violations are kept: a node that only writes nonsense must not fill the memory.
const MAX_VIOLATIONS: usize = 10_000;

impl<C: Cluster> Stage<'_, C> {
    pub(super) fn send(&mut self, now: Nanos, envelope: Envelope) {
        self.observer.sent(&envelope);
        self.network.send(now, envelope);
    }

    /// Delivers all messages that have arrived.
    pub(super) fn carry(&mut self, now: Nanos) {
        while let Some(envelope) = self.network.receive(now) {
            self.observer.received(&envelope);
            self.deliver(now, &envelope);
        }
    }

    fn deliver(&mut self, now: Nanos, envelope: &Envelope) {
        match envelope.dest {
            Address::Node(node) if self.is_from_another_life(node as usize, envelope) => {}
            Address::Node(node) => {
                self.scratch.clear();
                write_line(self.next_line_id, envelope, &mut self.scratch);
                self.next_line_id += 1;
                self.cluster.deliver(node as usize, &self.scratch);
            }
            Address::Client(0) => self.take_init_reply(envelope.src, &envelope.body),
            Address::Client(client) => self.take_reply(now, client, envelope),
            Address::Service(service) => self.ask_service(now, service, envelope),
        }
    }

    fn ask_service(&mut self, now: Nanos, service: Service, envelope: &Envelope) {
        let Envelope { src, dest, body, life } = envelope;
        let reply = match self.trouble {
            None => self.services.handle(service, *src, body),
            Some(Trouble::Silent) => None,
            Some(Trouble::Stalled) => {
                self.stalled.push(envelope.clone());
                None
            }
            Some(Trouble::Refusing) => Services::refuse(body, 11, "temporarily unavailable"),
            Some(Trouble::Unsure) => {
                self.services.handle(service, *src, body);
                Services::refuse(body, 13, "crashed")
            }
        };
        if let Some(body) = reply {
            self.send(now, Envelope { src: *dest, dest: *src, body: body.into(), life: *life });
        }
    }

    /// The services serve again, first what they have been asked meanwhile.
    pub(super) fn recover_services(&mut self, now: Nanos) {
        self.trouble = None;
        for envelope in std::mem::take(&mut self.stalled) {
            self.deliver(now, &envelope);
        }
    }

    fn is_from_another_life(&self, node: usize, envelope: &Envelope) -> bool {
        matches!(envelope.src, Address::Service(_)) && envelope.life != self.nodes[node].life
    }

    /// A line that a node wrote.
    pub(super) fn take_line(&mut self, now: Nanos, node: usize, line: &[u8]) {
        self.nodes[node].lines += 1;
        let number = u32::try_from(node).unwrap_or(u32::MAX);
        let read = read_line(number, line);
        match read.and_then(|envelope| self.known_destination(now, node, envelope)) {
            Ok(Some(envelope)) => {
                let envelope = Envelope { life: self.nodes[node].life, ..envelope };
                self.send(now, envelope);
            }
            Ok(None) => {}
            Err((rule, text)) => self.violation(now, node, rule, text, line),
        }
    }

    /// Lets a message through whose addressee there is. One to a client that was thrown away is
    /// dropped: the node cannot know, unless the client would have given up by now; nor can it know how
    /// long it was halted.
    fn known_destination(
        &self,
        now: Nanos,
        node: usize,
        envelope: Envelope,
    ) -> Result<Option<Envelope>, (Rule, String)> {
        let unknown = || Err((Rule::UnknownDestination, format!("there is no {}", envelope.dest)));
        match envelope.dest {
            Address::Node(node) if node as usize >= self.nodes.len() => unknown(),
            Address::Client(client) => match self.clients.get(client as usize) {
                None => unknown(),
                Some(Standing::Gone { asked_at })
                    if now
                        > asked_at.max(&self.nodes[node].resumed_at) + REQUEST_TIMEOUT + SLACK =>
                {
                    let waited_s = (now - asked_at) / crate::time::SECOND;
                    let text = format!(
                        "{} asked {waited_s} s ago, gave up after 5 s and is gone",
                        envelope.dest
                    );
                    Err((Rule::LateReply, text))
                }
                Some(Standing::Gone { .. }) => Ok(None),
                Some(Standing::Starter | Standing::Seated(_)) => Ok(Some(envelope)),
            },
            Address::Node(_) | Address::Service(_) => Ok(Some(envelope)),
        }
    }

    pub(super) fn violation(
        &mut self,
        now: Nanos,
        node: usize,
        rule: Rule,
        text: String,
        line: &[u8],
    ) {
        if self.history.violations.len() >= MAX_VIOLATIONS {
            return;
        }
        let shown = String::from_utf8_lossy(&line[..line.len().min(LINE_BYTES)]).into_owned();
        self.history.violations.push(Violation {
            at_ns: now,
            node: u32::try_from(node).unwrap_or(u32::MAX),
            line_number: self.nodes[node].lines,
            rule,
            text,
            line: shown,
        });
    }
}
