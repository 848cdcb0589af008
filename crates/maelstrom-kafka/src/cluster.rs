//! One of several nodes as a state machine: lines and the time in, lines out. Its journal is in `lin-kv`,
//! shared with the other nodes. It never does I/O, never waits and never asks for the time.

mod clients;
mod lin_kv;
mod server_line;

use std::fmt;

use straum::shared::{Effect, Member, Outcome, Pacing, Peer, Settings};

use crate::fields::Fields;
use crate::identity::{Identity, to_json};
use crate::node::{commit_refusal, poll_refusal, send_refusal};
use crate::reader::Reader;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::request::{Body, Kind, Message, Unanswerable};
use clients::{Clients, Question, Waiting};
use lin_kv::LinKv;
use server_line::ServerLine;

pub use clients::LATE_NS;

/// A node of Maelstrom's `kafka` workload that shares its logs with others.
pub struct ClusterNode {
    make: Box<MakeMember>,
    instance: u64,
    max_poll_bytes: u64,
    reader: Reader,
    serving: Option<Serving>,
}

type MakeMember = dyn Fn(Settings, u64) -> Member;

/// A node that has had its `init`.
struct Serving {
    identity: Identity,
    /// Its name as a JSON string: the `src` of all it says.
    src: String,
    /// The other nodes, by their number as a peer.
    peers: Vec<String>,
    member: Member,
    lin_kv: LinKv,
    clients: Clients,
    max_poll_bytes: u64,
}

/// Times are in nanoseconds, from any beginning, and never go back. What is appended to `out` are whole
/// lines, which may leave at once.
impl ClusterNode {
    /// A node that waits for its `init`. No other life of any node may have the same `instance`. A poll's
    /// reply holds messages for about `max_poll_bytes`, but at least one for each log that has one.
    pub fn new(max_poll_bytes: u64, instance: u64) -> Self {
        Self::with_member(max_poll_bytes, instance, Member::new)
    }

    /// The same, with a member of the shared journal that the caller makes.
    pub fn with_member(
        max_poll_bytes: u64,
        instance: u64,
        make: impl Fn(Settings, u64) -> Member + 'static,
    ) -> Self {
        Self {
            make: Box::new(make),
            instance,
            max_poll_bytes,
            reader: Reader::default(),
            serving: None,
        }
    }

    /// Handles a line, given without its end.
    ///
    /// # Errors
    /// [`Unanswerable`]; nothing came of the line.
    pub fn handle(
        &mut self,
        now_ns: u64,
        line: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unanswerable> {
        if let Some(serving) = &mut self.serving
            && let Some(server_line) = ServerLine::read(line, &serving.peers)
        {
            serving.take(now_ns, server_line);
        } else {
            let mut fields = Fields::default();
            let message = Message::read(&mut self.reader, line, &mut fields)?;
            if let Err(refusal) = self.answer(now_ns, &message, out) {
                let our_src = self.serving.as_ref().map(|serving| serving.src.as_bytes());
                message.reply(our_src).error(out, &refusal);
            }
        }
        self.follow(now_ns, out);
        Ok(())
    }

    /// Time has passed.
    pub fn wake(&mut self, now_ns: u64, out: &mut Vec<u8>) {
        if let Some(serving) = &mut self.serving {
            serving.member.wake(now_ns);
        }
        self.follow(now_ns, out);
    }

    /// When [`wake`](Self::wake) is to be called, if nothing happens before.
    pub fn wake_at_ns(&self) -> Option<u64> {
        self.serving.as_ref()?.member.wake_at_ns()
    }

    /// Why the node can serve no longer, in words: `lin-kv` holds what it cannot read.
    pub fn failure(&self) -> Option<&str> {
        self.serving.as_ref()?.member.failure()
    }

    fn follow(&mut self, now_ns: u64, out: &mut Vec<u8>) {
        if let Some(serving) = &mut self.serving {
            serving.follow(now_ns, out);
        }
    }

    /// Carries a request out, or lets it wait; a refused one changes nothing.
    fn answer(
        &mut self,
        now_ns: u64,
        message: &Message<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match message.body.kind()? {
            Kind::Init => {
                let src = self.init(now_ns, &message.body)?;
                message.reply(Some(src.as_bytes())).init_ok(out);
                Ok(())
            }
            Kind::Send => self.serving()?.send(now_ns, message),
            Kind::Poll => self.serving()?.poll(now_ns, message, out),
            Kind::CommitOffsets => self.serving()?.commit(now_ns, message),
            Kind::ListCommittedOffsets => self.serving()?.list(now_ns, message),
        }
    }

    fn serving(&mut self) -> Result<&mut Serving, Refusal> {
        self.serving.as_mut().ok_or_else(Refusal::no_name_yet)
    }

    /// Takes on an identity, or finds that it is the same again; gives the node's name as JSON.
    fn init(&mut self, now_ns: u64, body: &Body<'_>) -> Result<&str, Refusal> {
        let identity = Identity::read(body)?;
        if let Some(serving) = &self.serving {
            serving.identity.same_as(&identity)?;
        }
        let start = || {
            let peers: Vec<String> = identity.node_ids.iter().cloned().collect();
            let peers: Vec<_> = peers.into_iter().filter(|id| *id != identity.node_id).collect();
            let count = u32::try_from(peers.len()).unwrap_or(u32::MAX);
            let instance = self.instance;
            let pacing = Pacing::default();
            let settings = Settings { instance, peers: count, seed: instance, pacing };
            Serving {
                src: identity.src(),
                identity,
                peers,
                member: (self.make)(settings, now_ns),
                lin_kv: LinKv::new(instance),
                clients: Clients::default(),
                max_poll_bytes: self.max_poll_bytes,
            }
        };
        Ok(&self.serving.get_or_insert_with(start).src)
    }
}

impl Serving {
    /// What another node or the store says.
    fn take(&mut self, now_ns: u64, line: ServerLine) {
        match line {
            ServerLine::Answer(answer) => self.lin_kv.answered(now_ns, &answer, &mut self.member),
            ServerLine::Peer { peer, bytes } => {
                if let Err(why) = self.member.told(now_ns, peer, &bytes) {
                    log::warn!("a message of {} was not understood: {why}", self.name_of(peer));
                }
            }
            ServerLine::Garbage(why) => log::warn!("a message between nodes was dropped: {why}"),
        }
    }

    fn name_of(&self, peer: Peer) -> &str {
        self.peers.get(peer.0 as usize).map_or("nobody", String::as_str)
    }

    fn send(&mut self, now_ns: u64, message: &Message<'_>) -> Result<(), Refusal> {
        let (key, msg) = (message.body.key()?, message.body.msg()?);
        let token = self.clients.next_token();
        self.member.send(now_ns, token, &key, msg).map_err(|why| send_refusal(&why))?;
        self.clients.wait(token, Waiting::new(now_ns, message, Question::Send));
        Ok(())
    }

    fn commit(&mut self, now_ns: u64, message: &Message<'_>) -> Result<(), Refusal> {
        let offsets = message.body.processed()?;
        let token = self.clients.next_token();
        self.member.commit(now_ns, token, &offsets).map_err(|why| commit_refusal(&why))?;
        self.clients.wait(token, Waiting::new(now_ns, message, Question::Commit));
        Ok(())
    }

    /// Polls read what is there. Only after a start, there may be less than there was before.
    fn poll(
        &mut self,
        now_ns: u64,
        message: &Message<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let wanted = message.body.wanted()?.into_iter();
        let wanted = wanted.map(|(key, offset)| (key.into(), offset)).collect();
        let waiting = Waiting::new(now_ns, message, Question::Poll(wanted));
        if self.member.is_ready() {
            self.reply(&waiting, None, out);
            self.member.was_read(now_ns);
        } else {
            self.wait_until_up_to_date(now_ns, waiting);
        }
        Ok(())
    }

    /// Who asks where to begin again must not be told an old answer.
    fn list(&mut self, now_ns: u64, message: &Message<'_>) -> Result<(), Refusal> {
        let keys = message.body.keys()?.into_iter().map(Into::into).collect();
        self.wait_until_up_to_date(now_ns, Waiting::new(now_ns, message, Question::List(keys)));
        Ok(())
    }

    fn wait_until_up_to_date(&mut self, now_ns: u64, waiting: Waiting) {
        let token = self.clients.next_token();
        self.clients.wait(token, waiting);
        self.member.catch_up(now_ns, token);
    }

    /// Does what the member wants done, and answers whom it has an outcome for, unless it is too late.
    fn follow(&mut self, now_ns: u64, out: &mut Vec<u8>) {
        for token in self.clients.give_up(now_ns) {
            self.member.forget(token);
        }
        for outcome in self.member.outcomes().collect::<Vec<_>>() {
            let (token, offset) = match outcome {
                Outcome::Sent { token, offset } => (token, Some(offset)),
                Outcome::Committed { token } | Outcome::UpToDate { token } => (token, None),
            };
            if let Some(waiting) = self.clients.take(token) {
                self.reply(&waiting, offset, out);
            }
        }
        for effect in self.member.effects() {
            match effect {
                Effect::Put { place, bytes } => self.lin_kv.put(&self.src, place, &bytes, out),
                Effect::Get { place } => self.lin_kv.get(now_ns, &self.src, place, out),
                Effect::Tell { peer, bytes } => {
                    if let Some(dest) = self.peers.get(peer.0 as usize) {
                        server_line::write_to_peer(&self.src, &to_json(dest), &bytes, out);
                    }
                }
            }
        }
    }

    fn reply(&self, waiting: &Waiting, offset: Option<u64>, out: &mut Vec<u8>) {
        let engine = self.member.engine();
        let reply =
            Reply { src: self.src.as_bytes(), dest: &waiting.dest, in_reply_to: &waiting.msg_id };
        match (&waiting.question, offset) {
            (Question::Send, Some(offset)) => reply.send_ok(out, offset),
            (Question::Send, None) => {}
            (Question::Commit, _) => reply.commit_offsets_ok(out),
            (Question::Poll(wanted), _) => match engine.poll(wanted, self.max_poll_bytes) {
                Ok(logs) => reply.poll_ok(out, &logs),
                Err(why) => reply.error(out, &poll_refusal(&why)),
            },
            (Question::List(keys), _) => {
                let committed =
                    keys.iter().filter_map(|key| Some((key.as_str(), engine.committed(key)?)));
                reply.list_committed_offsets_ok(out, committed);
            }
        }
    }
}

impl fmt::Debug for ClusterNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node_id = self.serving.as_ref().map(|serving| &serving.identity.node_id);
        f.debug_struct("ClusterNode").field("node_id", &node_id).finish_non_exhaustive()
    }
}
