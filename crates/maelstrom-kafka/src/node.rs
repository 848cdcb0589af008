//! A node as a state machine: a line in, a line out. It never does I/O and never waits; who drives it
//! calls [`Node::sync`] before the replies leave.

use std::collections::BTreeSet;

use straum::{Engine, Offset};

use crate::refusal::{Code, Refusal};
use crate::reply::Reply;
use crate::request::{Body, Kind, Message, Unanswerable};

/// A single node of Maelstrom's `kafka` workload.
#[derive(Debug)]
pub struct Node {
    engine: Engine,
    identity: Option<Identity>,
    max_poll_bytes: u64,
}

/// What `init` said.
#[derive(Debug)]
struct Identity {
    node_id: String,
    /// `node_id` as a JSON string: the `src` of every reply.
    src: String,
}

impl Node {
    /// A node with no logs that waits for its `init`. A poll's reply holds messages for about
    /// `max_poll_bytes`, but at least one for each log that has one.
    pub fn new(max_poll_bytes: u64) -> Self {
        Self { engine: Engine::default(), identity: None, max_poll_bytes }
    }

    /// Handles a line, given without its end, and appends the reply, a whole line, to `out`.
    ///
    /// The reply may leave after the next [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`Unanswerable`] if the line cannot be answered. Nothing changed, and nothing was appended.
    pub fn handle(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), Unanswerable> {
        let Message { src, dest, msg_id, body } = Message::parse(line)?;
        if let Err(refusal) = self.answer(&body, src, msg_id, out) {
            let our_id = self.identity.as_ref().map(|identity| identity.src.as_str());
            let our_src = our_id.or(dest).unwrap_or("\"\"");
            Reply { src: our_src, dest: src, in_reply_to: msg_id }.error(out, &refusal);
        }
        Ok(())
    }

    /// Makes every command handled so far as durable as the journal promises.
    pub fn sync(&mut self) {
        self.engine.sync();
    }

    /// Carries a request out and appends its reply; a refused one changes and appends nothing.
    fn answer(
        &mut self,
        body: &Body<'_>,
        dest: &str,
        in_reply_to: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let kind = body.kind()?;
        if kind == Kind::Init {
            self.init(body)?;
        }
        let Some(Identity { src, .. }) = &self.identity else {
            let text = "this node has no name yet: send it an init request first";
            return Err(Refusal::new(Code::TemporarilyUnavailable, text));
        };
        let reply = Reply { src, dest, in_reply_to };
        let engine = &mut self.engine;
        match kind {
            Kind::Init => reply.init_ok(out),
            Kind::Send => {
                let (key, msg) = (body.key()?, body.msg()?);
                let offset = engine
                    .send(&key, msg.as_bytes())
                    .map_err(|too_large| Refusal::malformed(too_large.to_string()))?;
                reply.send_ok(out, offset);
            }
            Kind::Poll => {
                let wanted: Vec<_> = body
                    .offsets()?
                    .into_iter()
                    .map(|(key, offset)| (key, Offset::try_from(offset).unwrap_or(0)))
                    .collect();
                reply.poll_ok(out, engine.poll(&wanted, self.max_poll_bytes));
            }
            Kind::CommitOffsets => {
                for (key, offset) in body.offsets()? {
                    // A negative offset says that nothing has been processed: there is nothing to record.
                    if let Ok(offset) = Offset::try_from(offset) {
                        engine.commit(&key, offset);
                    }
                }
                reply.commit_offsets_ok(out);
            }
            Kind::ListCommittedOffsets => {
                let keys = body.keys()?;
                let committed =
                    keys.iter().filter_map(|key| Some((key.as_ref(), engine.committed(key)?)));
                reply.list_committed_offsets_ok(out, committed);
            }
        }
        Ok(())
    }

    /// Takes on an identity; the same one again is welcome, another is refused.
    fn init(&mut self, body: &Body<'_>) -> Result<(), Refusal> {
        let node_id = body.node_id()?;
        let node_ids: BTreeSet<String> = body.node_ids()?.into_iter().collect();
        if !node_ids.contains(&node_id) {
            let text = "field \"node_ids\" does not name the node_id";
            return Err(Refusal::malformed(text));
        }
        if let Some(identity) = &self.identity {
            if identity.node_id == node_id && node_ids.len() == 1 {
                return Ok(());
            }
            let text = "this node has another identity already";
            return Err(Refusal::new(Code::PreconditionFailed, text));
        }
        if node_ids.len() > 1 {
            let count = node_ids.len();
            let text = format!("this node works alone, and node_ids names {count} nodes");
            return Err(Refusal::new(Code::NotSupported, text));
        }
        let src = serde_json::Value::from(node_id.as_str()).to_string();
        self.identity = Some(Identity { node_id, src });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: &str = r#"{"src":"c0","dest":"n0","body":{"type":"init","node_id":"n0","node_ids":["n0"],"msg_id":1}}"#;

    fn ask(node: &mut Node, line: &str) -> String {
        let mut out = Vec::new();
        node.handle(line.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn ask_body(node: &mut Node, body: &str) -> String {
        ask(node, &format!(r#"{{"src":"c1","dest":"n0","body":{body}}}"#))
    }

    #[test]
    fn a_refused_request_changes_nothing() {
        let mut node = Node::new(1_000);
        ask(&mut node, INIT);
        for msg in [r#""key":5,"msg":1"#, r#""key":"k""#] {
            let reply = ask_body(&mut node, &format!(r#"{{"type":"send","msg_id":1,{msg}}}"#));
            assert!(reply.contains(r#""code":12"#), "{reply}");
        }
        let reply = ask_body(&mut node, r#"{"type":"poll","msg_id":2,"offsets":{"k":0}}"#);
        assert!(reply.contains(r#""msgs":{}"#), "{reply}");
    }

    #[test]
    fn a_node_that_is_alone_says_so_to_a_cluster() {
        let mut node = Node::new(1_000);
        let cluster = INIT.replace(r#"["n0"]"#, r#"["n0","n1"]"#);
        assert!(ask(&mut node, &cluster).contains(r#""code":10"#));
        assert!(ask(&mut node, INIT).contains("init_ok"));
        assert!(ask(&mut node, &cluster).contains(r#""code":22"#));
        assert!(ask(&mut node, INIT).contains("init_ok"));
    }

    #[test]
    fn a_poll_stays_within_its_bound_and_is_fair() {
        let mut node = Node::new(1_000);
        ask(&mut node, INIT);
        for n in 0..100 {
            for key in ["a", "b"] {
                let msg = "x".repeat(n);
                ask_body(
                    &mut node,
                    &format!(r#"{{"type":"send","key":"{key}","msg":"{msg}","msg_id":1}}"#),
                );
            }
        }
        let reply =
            ask_body(&mut node, r#"{"type":"poll","msg_id":2,"offsets":{"a":0,"b":98,"c":0}}"#);
        assert!(reply.len() < 1_100, "{}", reply.len());
        assert!(reply.contains(r#""b":[[98,"#) && reply.contains("],[99,"), "{reply}");
        assert!(reply.contains(r#""a":[[0,""],[1,"x"],[2,"xx"]"#), "{reply}");
    }

    #[test]
    fn the_commands_of_a_request_wait_together_for_the_sync() {
        let mut node = Node::new(1_000);
        ask(&mut node, INIT);
        for key in ["a", "b"] {
            ask_body(&mut node, &format!(r#"{{"type":"send","key":"{key}","msg":0,"msg_id":1}}"#));
        }
        node.sync();
        ask_body(&mut node, r#"{"type":"commit_offsets","offsets":{"a":0,"b":0},"msg_id":2}"#);
        assert_eq!(node.engine.journal().open_commands(), 2);
        node.sync();
        assert_eq!(node.engine.journal().next_position(), 2);
    }

    #[test]
    fn an_id_that_needs_escapes_comes_back_escaped() {
        let mut node = Node::new(1_000);
        let init = INIT.replace("\"n0\"", r#""n\"\u0030""#).replace("\"c0\"", r#""c\u0030\n""#);
        let reply = ask(&mut node, &init);
        assert!(reply.starts_with(r#"{"src":"n\"0","dest":"c\u0030\n","#), "{reply}");
    }
}
