//! Nodes as plain objects on a virtual clock, which jumps to whatever happens next. Never waits.

use std::{io, mem};

use super::{Cluster, Event};
use crate::time::Nanos;

/// A node as a plain object.
pub trait Node {
    /// Takes a line, without its end, and appends the lines that it writes, without theirs.
    fn receive(&mut self, now: Nanos, line: &[u8], out: &mut Vec<Vec<u8>>);

    /// When the node wants [`on_timer`](Self::on_timer) to be called, if it does.
    fn next_timer(&self) -> Option<Nanos>;

    /// Its time has come.
    fn on_timer(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>);
}

/// Nodes as plain objects. Nothing that they do takes time; the same calls give the same events.
///
/// A timer must move or vanish when it fires: time stands still while one is due.
pub struct Simulated {
    now: Nanos,
    make: Box<dyn FnMut(usize) -> Box<dyn Node>>,
    places: Vec<Place>,
    /// What nodes did and [`wait`](Cluster::wait) has not returned yet.
    pending: Vec<Event>,
}

/// Where a node runs, or does not.
#[derive(Default)]
struct Place {
    node: Option<Box<dyn Node>>,
    paused: bool,
    /// What came while it was paused.
    queued: Vec<Vec<u8>>,
}

impl Simulated {
    /// `count` nodes, all down. `make` makes the node of an index anew whenever it is started.
    pub fn new(count: usize, make: impl FnMut(usize) -> Box<dyn Node> + 'static) -> Self {
        let places = (0..count).map(|_| Place::default()).collect();
        Self { now: 0, make: Box::new(make), places, pending: Vec::new() }
    }

    fn act(&mut self, node: usize, act: impl FnOnce(&mut dyn Node, Nanos, &mut Vec<Vec<u8>>)) {
        let mut out = Vec::new();
        if let Some(object) = &mut self.places[node].node {
            act(object.as_mut(), self.now, &mut out);
        }
        self.pending.extend(out.into_iter().map(|line| Event::Line { node, line }));
    }

    /// The timer that fires next, and whose it is.
    fn next_timer(&self) -> Option<(Nanos, usize)> {
        let timers = self.places.iter().enumerate().filter_map(|(node, place)| {
            let running = place.node.as_ref().filter(|_| !place.paused)?;
            Some((running.next_timer()?, node))
        });
        timers.min()
    }
}

impl Cluster for Simulated {
    fn now(&mut self) -> Nanos {
        self.now
    }

    fn start(&mut self, node: usize) -> io::Result<()> {
        self.places[node] = Place { node: Some((self.make)(node)), ..Place::default() };
        Ok(())
    }

    fn deliver(&mut self, node: usize, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if self.places[node].paused {
            self.places[node].queued.push(line.to_owned());
        } else {
            self.act(node, |object, now, out| object.receive(now, line, out));
        }
    }

    fn kill(&mut self, node: usize) {
        self.places[node] = Place::default();
        self.pending.retain(|event| !matches!(event, Event::Line { node: of, .. } if *of == node));
    }

    fn pause(&mut self, node: usize) {
        self.places[node].paused = self.places[node].node.is_some();
    }

    fn resume(&mut self, node: usize) {
        self.places[node].paused = false;
        for line in mem::take(&mut self.places[node].queued) {
            self.act(node, |object, now, out| object.receive(now, &line, out));
        }
    }

    fn wait(&mut self, deadline: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        let deadline = deadline.max(self.now);
        while self.pending.is_empty() {
            let Some((due, node)) = self.next_timer().filter(|(due, _)| *due <= deadline) else {
                self.now = deadline;
                break;
            };
            self.now = self.now.max(due);
            self.act(node, |object, now, out| object.on_timer(now, out));
        }
        events.append(&mut self.pending);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers a line with how many came so far, and says `tick` every 10 ns.
    struct Counter {
        lines: u32,
        tick: Nanos,
    }

    impl Node for Counter {
        fn receive(&mut self, now: Nanos, line: &[u8], out: &mut Vec<Vec<u8>>) {
            self.lines += 1;
            let line = String::from_utf8_lossy(line);
            out.push(format!("{line} is line {} at {now}", self.lines).into_bytes());
        }

        fn next_timer(&self) -> Option<Nanos> {
            Some(self.tick)
        }

        fn on_timer(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>) {
            self.tick = now + 10;
            out.push(format!("tick at {now}").into_bytes());
        }
    }

    fn cluster() -> Simulated {
        let mut cluster = Simulated::new(2, |_| Box::new(Counter { lines: 0, tick: 10 }));
        cluster.start(0).unwrap();
        cluster
    }

    /// What happens until the cluster has something to say or the deadline has come.
    fn heard(cluster: &mut Simulated, deadline: Nanos) -> Vec<String> {
        let mut events = Vec::new();
        cluster.wait(deadline, &mut events).unwrap();
        let text = |event| match event {
            Event::Line { node, line } => format!("n{node}: {}", String::from_utf8(line).unwrap()),
            Event::Exited { node, status } => format!("n{node}: {status}"),
        };
        events.into_iter().map(text).collect()
    }

    #[test]
    fn an_answer_takes_no_time_and_a_timer_makes_time_jump() {
        let mut cluster = cluster();
        cluster.deliver(0, b"a\n");
        assert_eq!(heard(&mut cluster, 100), ["n0: a is line 1 at 0"]);
        assert_eq!(heard(&mut cluster, 100), ["n0: tick at 10"]);
        assert!(heard(&mut cluster, 15).is_empty());
        assert_eq!(cluster.now(), 15);
        assert_eq!(heard(&mut cluster, 20), ["n0: tick at 20"]);
        assert!(heard(&mut cluster, 5).is_empty());
        assert_eq!(cluster.now(), 20);
    }

    #[test]
    fn a_paused_node_does_everything_later() {
        let mut cluster = cluster();
        cluster.deliver(0, b"a\n");
        cluster.pause(0);
        cluster.deliver(0, b"b\n");
        assert_eq!(heard(&mut cluster, 50), ["n0: a is line 1 at 0"]);
        assert!(heard(&mut cluster, 50).is_empty());
        cluster.resume(0);
        assert_eq!(heard(&mut cluster, 50), ["n0: b is line 2 at 50"]);
        assert_eq!(heard(&mut cluster, 50), ["n0: tick at 50"]);
    }

    #[test]
    fn a_killed_node_is_silent_and_starts_with_empty_memory() {
        let mut cluster = cluster();
        cluster.deliver(0, b"a\n");
        cluster.kill(0);
        cluster.deliver(0, b"b\n");
        cluster.pause(0);
        assert!(heard(&mut cluster, 5).is_empty());
        cluster.start(0).unwrap();
        cluster.deliver(0, b"c\n");
        assert_eq!(heard(&mut cluster, 5), ["n0: c is line 1 at 5"]);
    }

    #[test]
    fn what_a_node_that_is_down_gets_is_lost() {
        let mut cluster = cluster();
        cluster.deliver(1, b"a\n");
        assert!(heard(&mut cluster, 5).is_empty());
    }
}
