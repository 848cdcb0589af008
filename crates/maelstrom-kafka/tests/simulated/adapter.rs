//! A node of a cluster as an object of the simulated world.

use maelstrom_kafka::ClusterNode;
use straum_check::cluster::simulated::Node;
use straum_check::time::Nanos;

pub(crate) struct Adapter(pub(crate) ClusterNode);

impl Node for Adapter {
    fn receive(&mut self, now: Nanos, line: &[u8], out: &mut Vec<Vec<u8>>) {
        let mut bytes = Vec::new();
        self.0.handle(now, line, &mut bytes).ok();
        self.say(&bytes, out);
    }

    fn next_timer(&self) -> Option<Nanos> {
        self.0.wake_at_ns()
    }

    fn on_timer(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>) {
        let mut bytes = Vec::new();
        self.0.wake(now, &mut bytes);
        self.say(&bytes, out);
    }
}

impl Adapter {
    fn say(&self, bytes: &[u8], out: &mut Vec<Vec<u8>>) {
        assert_eq!(self.0.failure(), None);
        out.extend(
            bytes
                .split_inclusive(|byte| *byte == b'\n')
                .map(|line| line.strip_suffix(b"\n").unwrap().to_vec()),
        );
    }
}
