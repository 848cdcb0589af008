//! A node as a state machine: a line in, a line out. It never does I/O and never waits; who drives it
//! calls [`Node::sync`] before the replies leave. What it opens at its `init` is brought along.

use std::fmt;

use straum::{Engine, Journal, MemoryJournal, ReadError, Refused};

use crate::fields::Fields;
use crate::identity::Identity;
use crate::reader::Reader;
use crate::refusal::{Code, Refusal};
use crate::request::{Body, Kind, Message, Unanswerable};

/// A single node of Maelstrom's `kafka` workload.
pub struct Node<J = MemoryJournal> {
    open: Box<OpenEngine<J>>,
    reader: Reader,
    serving: Option<Serving<J>>,
    max_poll_bytes: u64,
    /// Whether it may turn out to be a member of a cluster, which keeps everything in the store.
    may_join: bool,
}

/// Makes the engine of the node with this id, or says why it cannot.
type OpenEngine<J> = dyn FnMut(&str) -> Result<Engine<J>, String>;

/// A node that has had its `init`.
struct Serving<J> {
    identity: Identity,
    /// Its name as a JSON string: the `src` of every reply.
    src: Vec<u8>,
    engine: Engine<J>,
}

/// Why a line was not handled. Nothing was appended.
#[derive(Debug)]
pub enum HandleError {
    /// It cannot be answered; nothing changed.
    Unanswerable(Unanswerable),
    /// It was an `init`, and the engine could not be opened, as said: the process must end.
    Open(String),
    /// It was an `init` that names several nodes: the same line is for a
    /// [`ClusterNode`](crate::ClusterNode).
    Cluster,
}

impl Node {
    /// A node that keeps its logs in memory, unless its `init` says that it is one of several.
    pub fn in_memory(max_poll_bytes: u64) -> Self {
        Self { may_join: true, ..Self::new(max_poll_bytes, |_| Ok(Engine::default())) }
    }
}

impl<J: Journal> Node<J> {
    /// A node that waits for its `init` and then gets its engine from `open`. A poll's reply holds
    /// messages for about `max_poll_bytes`, but at least one for each log that has one.
    pub fn new(
        max_poll_bytes: u64,
        open: impl FnMut(&str) -> Result<Engine<J>, String> + 'static,
    ) -> Self {
        Self {
            open: Box::new(open),
            reader: Reader::default(),
            serving: None,
            max_poll_bytes,
            may_join: false,
        }
    }

    /// Handles a line, given without its end, and appends the reply, a whole line, to `out`.
    ///
    /// The reply may leave after the next [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`HandleError`]; nothing was appended.
    pub fn handle(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), HandleError> {
        let mut fields = Fields::default();
        let message = Message::read(&mut self.reader, line, &mut fields)
            .map_err(HandleError::Unanswerable)?;
        match self.answer(&message, out) {
            Ok(()) => Ok(()),
            Err(Trouble::Open(reason)) => Err(HandleError::Open(reason)),
            Err(Trouble::Cluster) => Err(HandleError::Cluster),
            Err(Trouble::Refused(refusal)) => {
                let our_src = self.serving.as_ref().map(|serving| serving.src.as_slice());
                message.reply(our_src).error(out, &refusal);
                Ok(())
            }
        }
    }

    /// Makes every command handled so far as durable as the journal promises.
    ///
    /// # Errors
    /// What failed, in words. No reply since the last sync may leave, and the process must end.
    pub fn sync(&mut self) -> Result<(), String> {
        self.serving.as_mut().map_or(Ok(()), |serving| serving.engine.sync())
    }

    /// Carries a request out and appends its reply; a refused one changes and appends nothing.
    fn answer(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> Result<(), Trouble> {
        let body = &message.body;
        let kind = body.kind()?;
        if kind == Kind::Init {
            self.init(body)?;
        }
        let serving = self.serving.as_mut().ok_or_else(Refusal::no_name_yet)?;
        let Serving { src, engine, .. } = serving;
        let reply = message.reply(Some(src));
        match kind {
            Kind::Init => reply.init_ok(out),
            Kind::Send => {
                let (key, msg) = (body.key()?, body.msg()?);
                let offset = engine.send(&key, msg).map_err(|why| send_refusal(&why))?;
                reply.send_ok(out, offset);
            }
            Kind::Poll => {
                let wanted = body.wanted()?;
                let logs =
                    engine.poll(&wanted, self.max_poll_bytes).map_err(|why| poll_refusal(&why))?;
                reply.poll_ok(out, &logs);
            }
            Kind::CommitOffsets => {
                engine.commit(&body.processed()?).map_err(|why| commit_refusal(&why))?;
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
    fn init(&mut self, body: &Body<'_>) -> Result<(), Trouble> {
        let identity = Identity::read(body)?;
        if let Some(serving) = &self.serving {
            return Ok(serving.identity.same_as(&identity)?);
        }
        if identity.node_ids.len() > 1 {
            return Err(self.several_nodes(&identity));
        }
        let src = identity.src().into_bytes();
        let engine = (self.open)(&identity.node_id).map_err(Trouble::Open)?;
        self.serving = Some(Serving { identity, src, engine });
        Ok(())
    }

    fn several_nodes(&self, identity: &Identity) -> Trouble {
        if self.may_join {
            return Trouble::Cluster;
        }
        let text = format!(
            "node_ids names {} nodes, and a cluster keeps everything in lin-kv: start this node without \
             --data-dir",
            identity.node_ids.len()
        );
        Refusal::new(Code::NotSupported, text).into()
    }
}

impl<J> fmt::Debug for Node<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node_id = self.serving.as_ref().map(|serving| &serving.identity.node_id);
        f.debug_struct("Node").field("node_id", &node_id).finish_non_exhaustive()
    }
}

/// Why a request got no good answer.
enum Trouble {
    Refused(Refusal),
    Open(String),
    Cluster,
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A send that was refused was not stored, and the sender may know it. (After a failure no reply
/// leaves.)
pub(crate) fn send_refusal(why: &Refused) -> Refusal {
    let code = match why {
        Refused::TooLarge { .. } => Code::MalformedRequest,
        Refused::Full(_) => Code::TemporarilyUnavailable,
        Refused::Failed(_) => Code::Crash,
    };
    Refusal::new(code, why.to_string())
}

/// What cannot be read now may be read later, unless it is damaged; other logs can be read all the same.
pub(crate) fn poll_refusal(why: &ReadError) -> Refusal {
    let code = match why {
        ReadError::Io { .. } => Code::TemporarilyUnavailable,
        ReadError::Damaged { .. } => Code::Crash,
    };
    Refusal::new(code, why.to_string())
}

/// A commit must succeed or leave its outcome open: Maelstrom's checker takes a definite error for a
/// message that was skipped.
pub(crate) fn commit_refusal(why: &Refused) -> Refusal {
    Refusal::new(Code::Crash, why.to_string())
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
        let mut node = Node::in_memory(1_000);
        ask(&mut node, INIT);
        for msg in [r#""key":5,"msg":1"#, r#""key":"k""#] {
            let reply = ask_body(&mut node, &format!(r#"{{"type":"send","msg_id":1,{msg}}}"#));
            assert!(reply.contains(r#""code":12"#), "{reply}");
        }
        let reply = ask_body(&mut node, r#"{"type":"poll","msg_id":2,"offsets":{"k":0}}"#);
        assert!(reply.contains(r#""msgs":{}"#), "{reply}");
    }

    #[test]
    fn a_node_that_keeps_its_own_logs_says_so_to_a_cluster() {
        let mut node = Node::new(1_000, |_| Ok(Engine::default()));
        let cluster = INIT.replace(r#"["n0"]"#, r#"["n0","n1"]"#);
        assert!(ask(&mut node, &cluster).contains(r#""code":10"#));
        assert!(ask(&mut node, INIT).contains("init_ok"));
        assert!(ask(&mut node, &cluster).contains(r#""code":22"#));
        assert!(ask(&mut node, INIT).contains("init_ok"));
    }

    #[test]
    fn a_node_without_anything_of_its_own_becomes_one_of_several() {
        let mut node = Node::in_memory(1_000);
        let cluster = INIT.replace(r#"["n0"]"#, r#"["n0","n1"]"#);
        let mut out = Vec::new();
        let handled = node.handle(cluster.as_bytes(), &mut out);
        assert!(matches!(handled, Err(HandleError::Cluster)));
        assert!(out.is_empty());
    }

    #[test]
    fn a_poll_stays_within_its_bound_and_is_fair() {
        let mut node = Node::in_memory(1_000);
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
    fn an_id_that_needs_escapes_comes_back_escaped() {
        let mut node = Node::in_memory(1_000);
        let init = INIT.replace("\"n0\"", r#""n\"\u0030""#).replace("\"c0\"", r#""c\u0030\n""#);
        let reply = ask(&mut node, &init);
        assert!(reply.starts_with(r#"{"src":"n\"0","dest":"c\u0030\n","#), "{reply}");
    }
}
