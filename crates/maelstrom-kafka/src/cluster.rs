//! One of several nodes as a state machine: lines and the time in, lines out. Its journal is in `lin-kv`,
//! shared with the other nodes. It never does I/O, never waits and never asks for the time.

mod clients;
mod lin_kv;
mod server_line;

use std::fmt;

use straum::shared::{Effect, Member, MemberFailure, MemberSettings, Pacing, Peer};
use straum::{Identity as JournalIdentity, MAX_NAME_BYTES, Offset, Token};

use crate::identity::{Identity, to_json};
use crate::json::fields::{Fields, Name};
use crate::json::templates::Reader;
use crate::node::{
    append_command, commit_command, commit_refusal, committed, poll_refusal, send_refusal,
};
use crate::poll::{Wanted, poll};
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::request::{Body, Kind, Request, Unanswerable};
use clients::{Clients, Question, Waiting};
use lin_kv::LinKv;
use server_line::{Sender, ServerLine};

pub use clients::LATE_NS;

/// A node of Maelstrom's `kafka` workload that shares its logs with others.
pub struct ClusterNode {
    life: Life,
    max_poll_bytes: u64,
    reader: Reader,
    serving: Option<Serving>,
}

/// What tells one life of a node from all others, and when it began.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// A number that no other life of any node has.
    pub instance: u64,
    /// 16 bytes that no other life has: the journal's identity, if this node begins it.
    pub identity: [u8; 16],
    /// What time it was at 0 ns, in milliseconds since 1970.
    pub began_at_ms: u64,
    /// How long the node waits for more to come, under load.
    pub pacing: Pacing,
}

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
    /// Who wants to commit nothing, and is to be told so.
    nothing_to_commit: Vec<Token>,
    max_poll_bytes: u64,
}

/// Times are in nanoseconds, from any beginning, and never go back. What is appended to `out` are whole
/// lines, which may leave at once.
impl ClusterNode {
    /// A node that waits for its `init`. A poll's reply holds messages for about `max_poll_bytes`, but at least one
    /// if there is one.
    pub fn new(max_poll_bytes: u64, life: Life) -> Self {
        Self { life, max_poll_bytes, reader: Reader::default(), serving: None }
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
        let mut fields = Fields::default();
        let read = self.reader.read(line, &mut fields);
        read.map_err(|reason| Unanswerable::new(reason, line))?;
        let src = fields.get(Name::Src);
        if let Some(serving) = &mut self.serving
            && let Some(sender) = src.and_then(|src| Sender::named(src, &serving.peers))
        {
            serving.take(now_ns, ServerLine::read(sender, line));
        } else {
            let request = Request::of(&fields).map_err(|why| Unanswerable::new(why, line))?;
            if let Err(refusal) = self.answer(now_ns, &request, out) {
                let our_src = self.serving.as_ref().map(|serving| serving.src.as_bytes());
                Reply::to(&request, our_src).error(out, &refusal);
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

    /// Why the node can serve no longer, if it cannot.
    pub fn failure(&self) -> Option<&MemberFailure> {
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
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match request.body.kind()? {
            Kind::Init => {
                let src = self.init(now_ns, &request.body)?;
                Reply::to(request, Some(src.as_bytes())).init_ok(out);
                Ok(())
            }
            Kind::Send => self.serving()?.send(now_ns, request),
            Kind::Poll => self.serving()?.poll(now_ns, request, out),
            Kind::CommitOffsets => self.serving()?.commit(now_ns, request),
            Kind::ListCommittedOffsets => self.serving()?.list(now_ns, request),
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
            let Life { instance, identity: journal, began_at_ms, pacing } = self.life;
            let settings = MemberSettings {
                instance,
                identity: JournalIdentity::new(journal),
                began_at_ms,
                peers: count,
                seed: instance,
                pacing,
            };
            Serving {
                src: identity.src(),
                identity,
                peers,
                member: Member::new(settings, now_ns),
                lin_kv: LinKv::new(instance),
                clients: Clients::default(),
                nothing_to_commit: Vec::new(),
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

    fn send(&mut self, now_ns: u64, request: &Request<'_>) -> Result<(), Refusal> {
        let (key, msg) = (request.body.key()?, request.body.msg()?);
        let token = self.clients.next_token();
        let append = [append_command(&key, msg)];
        self.member.submit(now_ns, token, &append).map_err(|why| send_refusal(&why))?;
        self.clients.wait(token, Waiting::new(now_ns, request, Question::Send));
        Ok(())
    }

    fn commit(&mut self, now_ns: u64, request: &Request<'_>) -> Result<(), Refusal> {
        let offsets = request.body.processed()?;
        // No message can have a longer key: there is nothing to record.
        let possible = offsets.iter().filter(|(key, _)| key.len() <= MAX_NAME_BYTES);
        let commits: Vec<_> = possible.map(|(key, offset)| commit_command(key, *offset)).collect();
        let token = self.clients.next_token();
        self.member.submit(now_ns, token, &commits).map_err(|why| commit_refusal(&why))?;
        self.clients.wait(token, Waiting::new(now_ns, request, Question::Commit));
        if commits.is_empty() {
            self.nothing_to_commit.push(token);
        }
        Ok(())
    }

    /// Polls read what is there. Only after a start, there may be less than there was before.
    fn poll(
        &mut self,
        now_ns: u64,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let wanted = request.body.wanted()?.into_iter();
        let wanted = wanted.map(|(key, offset)| (key.into(), offset)).collect();
        let waiting = Waiting::new(now_ns, request, Question::Poll(wanted));
        if self.member.is_ready() {
            self.reply(&waiting, None, out);
            self.member.was_read(now_ns);
        } else {
            self.wait_until_up_to_date(now_ns, waiting);
        }
        Ok(())
    }

    /// Who asks where to begin again must not be told an old answer.
    fn list(&mut self, now_ns: u64, request: &Request<'_>) -> Result<(), Refusal> {
        let keys = request.body.keys()?.into_iter().map(Into::into).collect();
        self.wait_until_up_to_date(now_ns, Waiting::new(now_ns, request, Question::List(keys)));
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
        let outcomes = self.member.outcomes().map(|(token, outcome)| (token, outcome.offset()));
        let mut answered: Vec<_> = outcomes.collect();
        answered.extend(self.member.up_to_date().map(|token| (token, None)));
        answered.extend(self.nothing_to_commit.drain(..).map(|token| (token, None)));
        for (token, offset) in answered {
            // Of several outcomes of one request, the first one answers it: they come together.
            if let Some(waiting) = self.clients.take(token) {
                self.reply(&waiting, offset, out);
            }
        }
        for effect in self.member.effects() {
            match effect {
                Effect::Put { place, bytes } => self.lin_kv.put(&self.src, place, &bytes, out),
                Effect::Replace { place, bytes } => {
                    self.lin_kv.replace(&self.src, place, &bytes, out);
                }
                Effect::Get { place } => self.lin_kv.get(now_ns, &self.src, place, out),
                Effect::Tell { peer, bytes } => {
                    if let Some(dest) = self.peers.get(peer.0 as usize) {
                        server_line::write_to_peer(&self.src, &to_json(dest), &bytes, out);
                    }
                }
            }
        }
    }

    fn reply(&self, waiting: &Waiting, offset: Option<Offset>, out: &mut Vec<u8>) {
        let engine = self.member.engine();
        let reply =
            Reply { src: self.src.as_bytes(), dest: &waiting.dest, in_reply_to: &waiting.msg_id };
        match (&waiting.question, offset) {
            (Question::Send, Some(offset)) => reply.send_ok(out, offset),
            (Question::Send, None) => {}
            (Question::Commit, _) => reply.commit_offsets_ok(out),
            (Question::Poll(wanted), _) => {
                let wanted = wanted.iter().map(|(key, from)| Wanted::all_from(key, *from));
                match poll(engine, wanted, self.max_poll_bytes) {
                    Ok(logs) => reply.poll_ok(out, &logs),
                    Err(why) => reply.error(out, &poll_refusal(&why)),
                }
            }
            (Question::List(keys), _) => {
                let keys = keys.iter().map(String::as_str);
                reply.list_committed_offsets_ok(out, committed(engine, keys));
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
