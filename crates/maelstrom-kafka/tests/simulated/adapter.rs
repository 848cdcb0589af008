//! A node of a cluster as an object of the simulated world; and a store that lies to it, by which a test proves that a
//! rule matters.

use maelstrom_kafka::ClusterNode;
use straum_check::cluster::simulated::Node;
use straum_check::time::Nanos;

/// How the store breaks its promises. Each lie takes away what one rule of `docs/shared-journal.md` rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "not everybody who simulates nodes lies to them")]
pub(crate) enum Lie {
    /// It says that a value was created that was there already.
    TakenIsCreated,
    /// It overwrites a value that is there.
    Overwrites,
    /// It does not find, half of the time, what was created before.
    FindsNothing,
}

pub(crate) struct Adapter {
    node: ClusterNode,
    lie: Option<Lie>,
    /// How many answers came that could be lied about.
    answers: u64,
}

impl Adapter {
    pub(crate) fn new(node: ClusterNode, lie: Option<Lie>) -> Self {
        Self { node, lie, answers: 0 }
    }

    /// What the node hears of a line.
    fn heard(&mut self, line: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(line.to_vec()).unwrap();
        if !text.contains(r#""src":"lin-kv""#) {
            return line.to_vec();
        }
        let mut message: serde_json::Value = serde_json::from_str(&text).unwrap();
        let body = message["body"].as_object_mut().unwrap();
        match self.lie {
            Some(Lie::TakenIsCreated) if body.get("code") == Some(&22.into()) => {
                body.insert("type".into(), "cas_ok".into());
            }
            Some(Lie::Overwrites) if body["type"] == "write_ok" => {
                body.insert("type".into(), "cas_ok".into());
            }
            Some(Lie::FindsNothing) if body["type"] == "read_ok" => {
                self.answers += 1;
                if self.answers.is_multiple_of(2) {
                    body.insert("type".into(), "error".into());
                    body.insert("code".into(), 20.into());
                }
            }
            _ => {}
        }
        message.to_string().into_bytes()
    }

    /// What the world hears of a line.
    fn said(&self, line: &[u8]) -> Vec<u8> {
        let text = std::str::from_utf8(line).unwrap();
        if self.lie != Some(Lie::Overwrites) || !text.contains(r#""type":"cas""#) {
            return line.to_vec();
        }
        let mut message: serde_json::Value = serde_json::from_str(text).unwrap();
        let body = message["body"].as_object_mut().unwrap();
        body.insert("type".into(), "write".into());
        let value = body.remove("to").unwrap();
        body.insert("value".into(), value);
        message.to_string().into_bytes()
    }

    fn say(&self, bytes: &[u8], out: &mut Vec<Vec<u8>>) {
        assert!(self.lie.is_some() || self.node.failure().is_none());
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        out.extend(lines.map(|line| self.said(line.strip_suffix(b"\n").unwrap())));
    }
}

impl Node for Adapter {
    fn receive(&mut self, now: Nanos, line: &[u8], out: &mut Vec<Vec<u8>>) {
        let mut bytes = Vec::new();
        let line = self.heard(line);
        self.node.handle(now, &line, &mut bytes).ok();
        self.say(&bytes, out);
    }

    fn next_timer(&self) -> Option<Nanos> {
        self.node.wake_at_ns()
    }

    fn on_timer(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>) {
        let mut bytes = Vec::new();
        self.node.wake(now, &mut bytes);
        self.say(&bytes, out);
    }
}
