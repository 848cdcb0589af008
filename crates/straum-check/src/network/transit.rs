//! Messages on their way: latency, loss, duplication and partitions. Never reads a clock: whoever
//! sends and receives says what time it is.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashSet, VecDeque};

use fastrand::Rng;

use super::counts::between_servers;
use super::{Address, Counts, Distribution, Envelope, Traced};
use crate::time::Nanos;

/// How the network treats messages between nodes, and between nodes and services, both ways. What
/// clients send and get is never delayed, lost or duplicated.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NetworkSettings {
    /// The mean latency.
    pub latency: Nanos,
    /// How latencies spread around it.
    pub distribution: Distribution,
    /// The share of messages that are lost, 0 to 1.
    pub loss: f64,
    /// The share of messages that arrive twice, 0 to 1.
    pub duplication: f64,
    /// How many messages are traced, from the first on.
    pub trace_limit: usize,
}

/// The network. The same calls with the same seed give the same deliveries.
#[derive(Debug)]
pub struct Network {
    settings: NetworkSettings,
    rng: Rng,
    /// Without latency: in order as they were sent, so that most messages need no heap.
    prompt: VecDeque<InTransit>,
    /// With latency.
    delayed: BinaryHeap<Reverse<InTransit>>,
    /// The number of the next message.
    next: u64,
    /// Links between nodes, both directions of each.
    cut: HashSet<(u32, u32)>,
    counts: Counts,
    trace: Vec<Traced>,
}

/// A message on its way. Ordered by when it arrives, then by when it was sent.
#[derive(Debug)]
struct InTransit {
    due: Nanos,
    number: u64,
    traced: Option<usize>,
    envelope: Envelope,
}

impl InTransit {
    fn place(&self) -> (Nanos, u64) {
        (self.due, self.number)
    }
}

impl Ord for InTransit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for InTransit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for InTransit {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for InTransit {}

impl Network {
    /// A network with all links whole.
    pub fn new(settings: NetworkSettings, seed: u64) -> Self {
        Self {
            settings,
            rng: Rng::with_seed(seed),
            prompt: VecDeque::new(),
            delayed: BinaryHeap::new(),
            next: 0,
            cut: HashSet::new(),
            counts: Counts::default(),
            trace: Vec::new(),
        }
    }

    /// Takes a message in. Times never go back from one call to the next.
    pub fn send(&mut self, now: Nanos, envelope: Envelope) {
        self.counts.add(&envelope);
        let traced = self.note(now, &envelope);
        if !between_servers(&envelope) {
            return self.schedule(now, 0, traced, envelope);
        }
        if self.happens(self.settings.loss) {
            return;
        }
        if self.happens(self.settings.duplication) {
            let latency = self.draw_latency();
            self.schedule(now, latency, traced, envelope.clone());
        }
        let latency = self.draw_latency();
        self.schedule(now, latency, traced, envelope);
    }

    fn note(&mut self, now: Nanos, envelope: &Envelope) -> Option<usize> {
        let index = self.trace.len();
        if index >= self.settings.trace_limit {
            return None;
        }
        self.trace.push(Traced { sent_ns: now, received_ns: None, envelope: envelope.clone() });
        Some(index)
    }

    fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.f64() < share
    }

    fn draw_latency(&mut self) -> Nanos {
        self.settings.distribution.draw(self.settings.latency, &mut self.rng)
    }

    fn schedule(&mut self, now: Nanos, latency: Nanos, traced: Option<usize>, envelope: Envelope) {
        let due = now.saturating_add(latency);
        let message = InTransit { due, number: self.next, traced, envelope };
        self.next += 1;
        if latency > 0 {
            self.delayed.push(Reverse(message));
        } else {
            debug_assert!(self.prompt.back().is_none_or(|last| last.due <= due), "time went back");
            self.prompt.push_back(message);
        }
    }

    /// When the next message arrives, if any is on its way.
    pub fn next_due(&self) -> Option<Nanos> {
        let prompt = self.prompt.front().map(|message| message.due);
        let delayed = self.delayed.peek().map(|Reverse(message)| message.due);
        prompt.into_iter().chain(delayed).min()
    }

    /// The next message that has arrived by now: in order of time, then of sending. A message whose
    /// link is cut when it arrives is dropped, as in Maelstrom.
    pub fn receive(&mut self, now: Nanos) -> Option<Envelope> {
        while self.next_due().is_some_and(|due| due <= now) {
            let message = self.pop()?;
            if self.is_cut(&message.envelope) {
                continue;
            }
            if let Some(index) = message.traced {
                self.trace[index].received_ns.get_or_insert(message.due);
            }
            return Some(message.envelope);
        }
        None
    }

    fn pop(&mut self) -> Option<InTransit> {
        let prompt_first = match (self.prompt.front(), self.delayed.peek()) {
            (Some(prompt), Some(Reverse(delayed))) => prompt < delayed,
            (prompt, _) => prompt.is_some(),
        };
        if prompt_first {
            self.prompt.pop_front()
        } else {
            self.delayed.pop().map(|Reverse(message)| message)
        }
    }

    fn is_cut(&self, envelope: &Envelope) -> bool {
        match (envelope.src, envelope.dest) {
            (Address::Node(src), Address::Node(dest)) => {
                !self.cut.is_empty() && self.cut.contains(&(src, dest))
            }
            _ => false,
        }
    }

    /// Cuts the link between two nodes, both ways. A node always reaches itself.
    pub fn cut(&mut self, one: u32, other: u32) {
        if one != other {
            self.cut.extend([(one, other), (other, one)]);
        }
    }

    /// Cuts every link between nodes of different groups. Nodes in no group keep their links, and
    /// what was cut before stays cut.
    pub fn partition(&mut self, groups: &[Vec<u32>]) {
        for (index, group) in groups.iter().enumerate() {
            for &other in groups[index + 1..].iter().flatten() {
                for &one in group {
                    self.cut(one, other);
                }
            }
        }
    }

    /// Makes all links whole.
    pub fn heal(&mut self) {
        self.cut.clear();
    }

    /// How many messages were sent so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The first messages.
    pub fn trace(&self) -> &[Traced] {
        &self.trace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Service;
    use crate::time::MILLISECOND;

    const N0: Address = Address::Node(0);
    const N1: Address = Address::Node(1);
    const C0: Address = Address::Client(0);
    const KV: Address = Address::Service(Service::LinKv);

    fn message(src: Address, dest: Address, number: u64) -> Envelope {
        Envelope {
            src,
            dest,
            body: format!("{{\"type\":\"test\",\"n\":{number}}}").into(),
            life: 0,
        }
    }

    fn slow(distribution: Distribution) -> NetworkSettings {
        NetworkSettings { latency: 10 * MILLISECOND, distribution, ..NetworkSettings::default() }
    }

    /// Everything that arrives, with its time.
    fn drain(network: &mut Network) -> Vec<(Nanos, Envelope)> {
        let mut arrived = Vec::new();
        while let Some(due) = network.next_due() {
            while let Some(envelope) = network.receive(due) {
                arrived.push((due, envelope));
            }
        }
        arrived
    }

    #[test]
    fn without_latency_messages_arrive_at_once_in_the_order_of_sending() {
        let mut network = Network::new(NetworkSettings::default(), 1);
        let sent: Vec<_> = (0..100).map(|n| message(N0, [N1, C0, KV][n % 3], n as u64)).collect();
        for envelope in &sent {
            network.send(5, envelope.clone());
        }
        let arrived: Vec<_> = std::iter::from_fn(|| network.receive(5)).collect();
        assert_eq!(arrived, sent);
        assert_eq!(network.next_due(), None);
    }

    #[test]
    fn only_clients_are_spared_the_latency() {
        let mut network = Network::new(slow(Distribution::Constant), 1);
        for (src, dest) in [(N0, N1), (N0, KV), (KV, N0), (C0, N0), (N0, C0)] {
            network.send(1, message(src, dest, 0));
        }
        let arrived = drain(&mut network);
        let soon: Vec<_> = arrived.iter().map(|(due, _)| *due == 1).collect();
        assert_eq!(soon, [true, true, false, false, false]);
        assert!(arrived[..2].iter().all(|(_, envelope)| !between_servers(envelope)));
        assert!(arrived[2..].iter().all(|(due, _)| *due == 1 + 10 * MILLISECOND));
    }

    #[test]
    fn what_arrives_at_the_same_time_comes_in_the_order_of_sending() {
        let mut network = Network::new(slow(Distribution::Constant), 1);
        network.send(0, message(N0, N1, 0));
        network.send(MILLISECOND, message(C0, N1, 1));
        network.send(10 * MILLISECOND, message(C0, N1, 2));
        let bodies = [1, 0, 2].map(|n| message(N0, N1, n).body);
        let arrived = drain(&mut network).into_iter().map(|(_, envelope)| envelope.body);
        assert_eq!(arrived.collect::<Vec<_>>(), bodies);
    }

    #[test]
    fn a_message_is_not_there_before_its_time() {
        let mut network = Network::new(slow(Distribution::Constant), 1);
        network.send(0, message(N0, N1, 0));
        assert_eq!(network.receive(10 * MILLISECOND - 1), None);
        assert!(network.receive(10 * MILLISECOND).is_some());
    }

    #[test]
    fn the_same_seed_gives_the_same_deliveries_and_another_seed_others() {
        let run = |seed| {
            let settings =
                NetworkSettings { loss: 0.2, duplication: 0.2, ..slow(Distribution::Exponential) };
            let mut network = Network::new(settings, seed);
            (0..200).for_each(|n| network.send(n, message(N0, N1, n)));
            drain(&mut network)
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        assert!(run(7).is_sorted_by_key(|(due, _)| *due));
    }

    #[test]
    fn loss_and_duplication_spare_clients_and_are_counted_as_sent() {
        let settings =
            |loss, duplication| NetworkSettings { loss, duplication, ..NetworkSettings::default() };
        for (loss, duplication, arriving) in [(1.0, 0.0, 1), (0.0, 1.0, 5)] {
            let mut network = Network::new(settings(loss, duplication), 1);
            for (src, dest) in [(N0, N1), (KV, N0), (N0, C0)] {
                network.send(0, message(src, dest, 0));
            }
            assert_eq!(drain(&mut network).len(), arriving);
            assert_eq!(network.counts().all, 3);
        }
    }

    #[test]
    fn a_message_is_dropped_if_its_link_is_cut_when_it_arrives() {
        let mut network = Network::new(slow(Distribution::Constant), 1);
        network.send(0, message(N0, N1, 0));
        network.partition(&[vec![0], vec![1]]);
        assert_eq!(network.receive(10 * MILLISECOND), None);

        network.send(10 * MILLISECOND, message(N1, N0, 1));
        network.heal();
        assert!(network.receive(20 * MILLISECOND).is_some());
    }

    #[test]
    fn a_partition_leaves_services_clients_and_friends_within_reach() {
        let mut network = Network::new(NetworkSettings::default(), 1);
        network.partition(&[vec![0, 2], vec![1]]);
        for (src, dest, arrives) in [
            (N0, N1, false),
            (N1, N0, false),
            (N0, Address::Node(2), true),
            (N0, Address::Node(9), true),
            (N0, N0, true),
            (N0, KV, true),
            (C0, N1, true),
        ] {
            network.send(0, message(src, dest, 0));
            assert_eq!(network.receive(0).is_some(), arrives, "{src} to {dest}");
        }
    }

    #[test]
    fn the_trace_holds_the_first_messages_and_when_they_arrived() {
        let settings = NetworkSettings { trace_limit: 2, ..slow(Distribution::Constant) };
        let mut network = Network::new(settings, 1);
        network.cut(0, 1);
        network.send(1, message(N0, KV, 0));
        network.send(2, message(N0, N1, 1));
        network.send(3, message(N0, KV, 2));
        drain(&mut network);
        let times: Vec<_> = network.trace().iter().map(|j| (j.sent_ns, j.received_ns)).collect();
        assert_eq!(times, [(1, Some(1 + 10 * MILLISECOND)), (2, None)]);
    }
}
