//! A node as a state machine: a line in, a line out. It never does I/O and never waits; who drives it
//! calls [`Node::sync`] before the replies leave. What it opens at its `init` is brought along.

use std::collections::VecDeque;
use std::fmt;

use straum::{Append, Command, Engine, Failed, How, Now, Offset, ReadError, Refused};

use crate::identity::Identity;
use crate::json::fields::Fields;
use crate::json::templates::Reader;
use crate::poll::{Wanted, poll};
use crate::refusal::{Code, Refusal};
use crate::reply::Reply;
use crate::request::{Body, Kind, Request, Unanswerable};

/// The group for which all offsets are committed: Maelstrom has only one.
pub(crate) const GROUP: &str = "";

/// A single node of Maelstrom's `kafka` workload.
pub struct Node {
    open: Box<OpenEngine>,
    reader: Reader,
    serving: Option<Serving>,
    max_poll_bytes: u64,
    /// Whether it may turn out to be a member of a cluster, which keeps everything in the store.
    may_join: bool,
}

/// Makes the engine of the node with this id, or says why it cannot.
type OpenEngine = dyn FnMut(&str) -> Result<Engine, String>;

/// A node that has had its `init`.
struct Serving {
    identity: Identity,
    /// Its name as a JSON string: the `src` of every reply.
    src: Vec<u8>,
    engine: Engine,
    /// Whether anything has changed since the last sync.
    is_unsynced: bool,
    /// When that was.
    now: Now,
    /// The polls that wait for the next sync, and may then see what came before them.
    polls: VecDeque<WaitingPoll>,
}

/// A poll that is answered later.
struct WaitingPoll {
    /// The client, and its number for the request, as the JSON they came as.
    dest: Vec<u8>,
    msg_id: Vec<u8>,
    /// The keys, from where on they are wanted, and where their logs ended when the request came.
    wanted: Vec<(String, Offset, Offset)>,
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
        Self { may_join: true, ..Self::new(max_poll_bytes, |_| Ok(Engine::in_memory())) }
    }

    /// A node that waits for its `init` and then gets its engine from `open`. A poll's reply holds
    /// messages for about `max_poll_bytes`, but at least one if there is one.
    pub fn new(
        max_poll_bytes: u64,
        open: impl FnMut(&str) -> Result<Engine, String> + 'static,
    ) -> Self {
        Self {
            open: Box::new(open),
            reader: Reader::default(),
            serving: None,
            max_poll_bytes,
            may_join: false,
        }
    }

    /// Handles a line, given without its end, and appends the reply, a whole line, to `out`. The reply of a poll may
    /// come later, from [`answer_poll`](Self::answer_poll).
    ///
    /// The reply may leave after the next [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`HandleError`]; nothing was appended.
    pub fn handle(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), HandleError> {
        let mut fields = Fields::default();
        let read = self.reader.read(line, &mut fields);
        let request = read.and_then(|()| Ok(Request::of(&fields)?));
        let request =
            request.map_err(|reason| HandleError::Unanswerable(Unanswerable::new(reason, line)))?;
        match self.answer(&request, out) {
            Ok(()) => Ok(()),
            Err(Trouble::Open(reason)) => Err(HandleError::Open(reason)),
            Err(Trouble::Cluster) => Err(HandleError::Cluster),
            Err(Trouble::Refused(refusal)) => {
                let our_src = self.serving.as_ref().map(|serving| serving.src.as_slice());
                Reply::to(&request, our_src).error(out, &refusal);
                Ok(())
            }
        }
    }

    /// Whether the node has had its `init`.
    pub fn is_serving(&self) -> bool {
        self.serving.is_some()
    }

    /// Makes every command handled so far as durable as the engine promises.
    ///
    /// # Errors
    /// [`Failed`]. No reply since the last sync may leave, and the process must end.
    pub fn sync(&mut self, now: Now) -> Result<(), Failed> {
        let Some(serving) = &mut self.serving else { return Ok(()) };
        serving.engine.sync(now)?;
        serving.is_unsynced = false;
        serving.now = now;
        for remark in serving.engine.remarks() {
            log::warn!("{remark}");
        }
        Ok(())
    }

    /// Appends the reply of a poll that has waited for the last [`sync`](Self::sync). False if there is none.
    pub fn answer_poll(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(serving) = &mut self.serving else { return false };
        let Some(WaitingPoll { dest, msg_id, wanted }) = serving.polls.pop_front() else {
            return false;
        };
        let reply = Reply { src: &serving.src, dest: &dest, in_reply_to: &msg_id };
        let wanted = wanted.iter().map(|(key, from, end)| Wanted { key, from: *from, end: *end });
        match poll(&serving.engine, wanted, self.max_poll_bytes) {
            Ok(logs) => reply.poll_ok(out, &logs),
            Err(why) => reply.error(out, &poll_refusal(&why)),
        }
        true
    }

    /// Carries a request out and appends its reply; a refused one changes and appends nothing.
    fn answer(&mut self, request: &Request<'_>, out: &mut Vec<u8>) -> Result<(), Trouble> {
        let body = &request.body;
        let kind = body.kind()?;
        if kind == Kind::Init {
            self.init(body)?;
        }
        let max_poll_bytes = self.max_poll_bytes;
        let serving = self.serving.as_mut().ok_or_else(Refusal::no_name_yet)?;
        match kind {
            Kind::Poll => return serving.poll(request, max_poll_bytes, out),
            Kind::CommitOffsets => serving.commit(body)?,
            _ => {}
        }
        let Serving { src, engine, .. } = serving;
        let reply = Reply::to(request, Some(src));
        match kind {
            Kind::Init => reply.init_ok(out),
            Kind::Send => {
                let (key, msg) = (body.key()?, body.msg()?);
                let offset = engine.append(&key, msg).map_err(|why| send_refusal(&why))?;
                serving.is_unsynced = true;
                reply.send_ok(out, offset);
            }
            Kind::CommitOffsets => reply.commit_offsets_ok(out),
            Kind::ListCommittedOffsets => {
                let keys = body.keys()?;
                reply.list_committed_offsets_ok(
                    out,
                    committed(engine, keys.iter().map(AsRef::as_ref)),
                );
            }
            Kind::Poll => {}
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
        let (is_unsynced, now, polls) = (false, Now::default(), VecDeque::new());
        self.serving = Some(Serving { identity, src, engine, is_unsynced, now, polls });
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

impl Serving {
    /// Answers a poll. If there may be anything that it could not see yet, it is made durable first; on a disk,
    /// together with what comes after it.
    fn poll(
        &mut self,
        request: &Request<'_>,
        max_poll_bytes: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        let wanted = request.body.wanted()?;
        if self.is_unsynced && self.engine.is_on_disk() {
            let end = |key: &str| self.engine.bounds(key).map_or(0, |bounds| bounds.next_offset);
            let wanted = wanted.into_iter().map(|(key, from)| {
                let end = end(&key);
                (key.into_owned(), from, end)
            });
            let wanted = wanted.collect();
            let (dest, msg_id) = (request.src.into(), request.msg_id.into());
            self.polls.push_back(WaitingPoll { dest, msg_id, wanted });
            return Ok(());
        }
        if self.is_unsynced {
            self.engine.sync(self.now).map_err(|failed| Trouble::Open(failed.to_string()))?;
            self.is_unsynced = false;
        }
        let wanted = wanted.iter().map(|(key, from)| Wanted::all_from(key, *from));
        let logs = poll(&self.engine, wanted, max_poll_bytes).map_err(|why| poll_refusal(&why))?;
        Reply::to(request, Some(&self.src)).poll_ok(out, &logs);
        Ok(())
    }

    fn commit(&mut self, body: &Body<'_>) -> Result<(), Refusal> {
        let offsets = body.processed()?;
        let existing = offsets.iter().filter(|(key, _)| self.engine.bounds(key).is_some());
        let commits: Vec<_> = existing.map(|(key, offset)| commit_command(key, *offset)).collect();
        self.engine.apply_all(&commits, |_| {}).map_err(|why| commit_refusal(&why))?;
        self.is_unsynced = true;
        Ok(())
    }
}

impl fmt::Debug for Node {
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

/// What a `send` asks for.
pub(crate) fn append_command<'a>(key: &'a str, msg: &'a [u8]) -> Command<'a> {
    Command::Append(Append::record(key, msg))
}

/// What a `commit_offsets` asks for, of one key.
pub(crate) fn commit_command(key: &str, offset: Offset) -> Command<'_> {
    Command::Commit { group: GROUP, log: key, offset, metadata: b"", how: How::Raise }
}

/// The keys that have a committed offset, each with it.
pub(crate) fn committed<'k>(
    engine: &Engine,
    keys: impl Iterator<Item = &'k str>,
) -> impl Iterator<Item = (&'k str, Offset)> {
    keys.filter_map(|key| Some((key, engine.committed(GROUP, key)?.offset)))
}

/// A send that was refused was not stored, and the sender may know it. (After a failure no reply
/// leaves.)
pub(crate) fn send_refusal(why: &Refused) -> Refusal {
    let code = match why {
        Refused::Full(_) => Code::TemporarilyUnavailable,
        Refused::Failed(_) => Code::Crash,
        _ => Code::MalformedRequest,
    };
    Refusal::new(code, why.to_string())
}

/// What cannot be read now may be read later, unless it is damaged; other logs can be read all the same.
pub(crate) fn poll_refusal(why: &ReadError) -> Refusal {
    let code = match why {
        ReadError::Damaged { .. } => Code::Crash,
        _ => Code::TemporarilyUnavailable,
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
        node.sync(Now::default()).unwrap();
        while node.answer_poll(&mut out) {}
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
        let mut node = Node::new(1_000, |_| Ok(Engine::in_memory()));
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

    /// Everything comes at once, and the poll sees what came before it.
    #[test]
    fn a_poll_waits_for_the_sync_of_what_came_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let options = straum::Options::default().create(true);
        let mut node = Node::new(1_000, move |_| Ok(options.open(&path).unwrap().0));
        ask(&mut node, INIT);
        let mut out = Vec::new();
        let send =
            r#"{"src":"c1","dest":"n0","body":{"type":"send","key":"k","msg":7,"msg_id":1}}"#;
        let poll =
            r#"{"src":"c1","dest":"n0","body":{"type":"poll","offsets":{"k":0},"msg_id":2}}"#;
        node.handle(send.as_bytes(), &mut out).unwrap();
        let sent_bytes = out.len();
        node.handle(poll.as_bytes(), &mut out).unwrap();
        assert_eq!(out.len(), sent_bytes);
        node.handle(send.replace('7', "8").as_bytes(), &mut Vec::new()).unwrap();
        node.sync(Now::default()).unwrap();
        assert!(node.answer_poll(&mut out) && !node.answer_poll(&mut out));
        let polled = String::from_utf8(out[sent_bytes..].to_vec()).unwrap();
        assert!(polled.contains(r#""in_reply_to":2,"msgs":{"k":[[0,7]]}"#), "{polled}");
    }

    #[test]
    fn an_id_that_needs_escapes_comes_back_escaped() {
        let mut node = Node::in_memory(1_000);
        let init = INIT.replace("\"n0\"", r#""n\"\u0030""#).replace("\"c0\"", r#""c\u0030\n""#);
        let reply = ask(&mut node, &init);
        assert!(reply.starts_with(r#"{"src":"n\"0","dest":"c\u0030\n","#), "{reply}");
    }
}
