//! The shared journal: many nodes, one log, on a store that can create a value only if there is none.
//! A [`Member`] is one node's part in it, as a state machine: events in, effects out. It never does I/O,
//! and never touches a clock, randomness of its own or the store's own words: the time comes with every
//! event, a seed at the beginning, and all that is put, got and told is bytes (see [`mod@format`]).
//!
//! # How it works
//!
//! Entry *n* of the journal is created once, by put-if-absent, and a member puts at *n* only when it has
//! applied everything before *n*. It freezes the commands that wait into a **batch** under an identity of
//! its own, has one batch under way at a time, and puts it, again and again if need be, until the batch
//! is in an entry that it applies. An entry is a list of batches; one that stands in the journal twice
//! takes effect once. So a batch may be put by anybody, anywhere, any number of times: the identity
//! decides what is done, and no answer has to be believed.
//!
//! The rest makes it fast and is only a hint. Who has created an entry tells all others what it holds.
//! Who was told so a moment ago does not put a competing entry, but **forwards** its batch to the one who
//! will probably create the next; and puts it itself if nothing comes of that.
//!
//! Why this is safe is argued in `docs/shared-journal.md`.

mod answers;
mod applied;
mod fetch;
pub mod format;
mod forwarded;
mod own_batch;
mod pace;
mod peers;
mod planted;
mod proposal;
mod runs;
mod seam;
mod steps;
#[cfg(test)]
mod tests;

pub use pace::Pacing;
#[cfg(feature = "planted-bugs")]
pub use planted::Bug;
pub use seam::{Effect, GetAnswer, Outcome, Peer, Place, PutAnswer, Settings, Token};

use crate::journal::format::{MAX_KEY_BYTES, command_bytes};
use crate::{Command, Engine, MemoryJournal, Offset, Position, Refused};
use answers::StoreTimes;
use applied::Applied;
use fetch::{Fetch, Why};
use format::Message;
use forwarded::Pool;
use own_batch::Own;
use pace::Pace;
use peers::Peers;
use planted::Planted;
use proposal::Proposal;
use runs::Runs;

const MICROSECOND_NS: u64 = 1_000;
const MILLISECOND_NS: u64 = 1_000 * MICROSECOND_NS;
const SECOND_NS: u64 = 1_000 * MILLISECOND_NS;

/// The largest request that the journal takes, in bytes (8 MiB): it is one value in the store, and one
/// message to each peer.
pub const MAX_REQUEST_BYTES: usize = 8 << 20;

/// A member that has heard nothing for so long looks into the store when it is read from.
const STALE_NS: u64 = 200 * MILLISECOND_NS;

/// One node's part in a shared journal.
#[derive(Debug)]
pub struct Member {
    applied: Applied,
    own: Own,
    pool: Pool,
    /// Our entry for the next position. Invariant: everything before it is applied, nothing at it.
    proposal: Option<Proposal>,
    fetch: Fetch,
    runs: Runs,
    peers: Peers,
    pace: Pace,
    store: StoreTimes,
    /// When we last knew that we were up to date, or nearly so.
    fresh_at_ns: u64,
    effects: Vec<Effect>,
    outcomes: Vec<Outcome>,
    wake_at_ns: Option<u64>,
    failure: Option<String>,
    planted: Planted,
}

/// Events. Times are in nanoseconds, from any beginning, and never go back. After each, there may be
/// [`effects`](Self::effects) and [`outcomes`](Self::outcomes), and [`wake_at_ns`](Self::wake_at_ns) may
/// have changed.
impl Member {
    /// A member that starts with empty memory, and first reads what the store holds.
    pub fn new(settings: Settings, now_ns: u64) -> Self {
        let mut member = Self {
            applied: Applied::default(),
            own: Own::new(settings.instance),
            pool: Pool::default(),
            proposal: None,
            fetch: Fetch::new(),
            runs: Runs::default(),
            peers: Peers::new(now_ns, settings.peers),
            pace: Pace::new(settings.pacing),
            store: StoreTimes::new(settings.seed),
            fresh_at_ns: now_ns,
            effects: Vec::new(),
            outcomes: Vec::new(),
            wake_at_ns: None,
            failure: None,
            planted: Planted::default(),
        };
        member.fetch.fence(Why::Start, now_ns);
        member.go_on(now_ns);
        member
    }

    /// Breaks a rule from now on, so that it can be seen that somebody notices.
    #[cfg(feature = "planted-bugs")]
    pub fn plant(&mut self, bug: Bug) {
        self.planted.plant(bug);
    }

    /// Appends a message to the log of `key`. [`Outcome::Sent`] follows.
    ///
    /// # Errors
    /// [`Refused::TooLarge`]; nothing will be stored, and nothing follows.
    pub fn send(
        &mut self,
        now_ns: u64,
        token: Token,
        key: &str,
        message: &[u8],
    ) -> Result<(), Refused> {
        Refused::at_most("key", key.len(), MAX_KEY_BYTES)?;
        Refused::at_most("message", message.len(), MAX_REQUEST_BYTES)?;
        self.submit(now_ns, token, &[Command::Send { key, message }]);
        Ok(())
    }

    /// Records committed offsets, as [`Engine::commit`] does. [`Outcome::Committed`] follows.
    ///
    /// # Errors
    /// [`Refused::TooLarge`]; nothing will be recorded, and nothing follows.
    pub fn commit<K: AsRef<str>>(
        &mut self,
        now_ns: u64,
        token: Token,
        offsets: &[(K, Offset)],
    ) -> Result<(), Refused> {
        // A key that no message can have, or an offset that is committed already, changes nothing.
        let engine = self.applied.engine();
        let changes = |key: &str, offset| {
            key.len() <= MAX_KEY_BYTES && engine.committed(key).is_none_or(|old| old < offset)
        };
        let commands: Vec<_> = offsets
            .iter()
            .map(|(key, offset)| (key.as_ref(), *offset))
            .filter(|(key, offset)| changes(key, *offset))
            .map(|(key, offset)| Command::Commit { key, offset })
            .collect();
        let size_bytes = commands.iter().map(|command| command_bytes(*command)).sum();
        Refused::at_most("request", size_bytes, MAX_REQUEST_BYTES)?;
        if commands.is_empty() {
            self.outcomes.push(Outcome::Committed { token });
        } else {
            self.submit(now_ns, token, &commands);
        }
        Ok(())
    }

    fn submit(&mut self, now_ns: u64, token: Token, commands: &[Command<'_>]) {
        self.own.push(token, commands);
        self.pace.came(now_ns);
        self.go_on(now_ns);
    }

    /// Nobody waits for this request any more. If it is in no batch yet, it is dropped.
    pub fn forget(&mut self, token: Token) {
        self.own.forget(token);
        self.fetch.forget(token);
    }

    /// Catches up with all that is in the journal now. [`Outcome::UpToDate`] follows.
    pub fn catch_up(&mut self, now_ns: u64, token: Token) {
        self.fetch.fence(Why::Reader(token), now_ns);
        self.go_on(now_ns);
    }

    /// Somebody reads from the engine. If nothing was heard for a while, the store is looked into, for
    /// the sake of who reads next.
    pub fn was_read(&mut self, now_ns: u64) {
        if now_ns >= self.fresh_at_ns + STALE_NS {
            self.fetch.fence(Why::Refresh, now_ns);
            self.go_on(now_ns);
        }
    }

    /// The answer to [`Effect::Put`].
    pub fn put_answered(&mut self, now_ns: u64, place: Place, answer: PutAnswer) {
        match place {
            Place::Run(run) => self.runs.answered(run, answer, now_ns, &mut self.store),
            Place::Entry(position) => self.proposal_answered(now_ns, position, answer),
        }
        self.go_on(now_ns);
    }

    /// The answer to [`Effect::Get`].
    ///
    /// `asked_at_ns` is when the question that this answers was asked: an older one says nothing of now.
    pub fn get_answered(
        &mut self,
        now_ns: u64,
        place: Place,
        asked_at_ns: u64,
        answer: GetAnswer<'_>,
    ) {
        match (place, answer) {
            (Place::Entry(position), GetAnswer::Found(entry)) => {
                self.found_entry(now_ns, position, entry);
            }
            (Place::Run(run), GetAnswer::Found(bytes)) => self.found_run(now_ns, run, bytes),
            (place, GetAnswer::Absent) => self.found_nothing(now_ns, place, asked_at_ns),
            (place, GetAnswer::Unknown) => self.fetch.failed(place, now_ns, &mut self.store),
        }
        self.go_on(now_ns);
    }

    /// A message of a peer.
    ///
    /// # Errors
    /// [`format::Garbage`]; nothing came of it.
    pub fn told(&mut self, now_ns: u64, peer: Peer, bytes: &[u8]) -> Result<(), format::Garbage> {
        let message = Message::read(bytes)?;
        if !self.peers.heard(peer, now_ns) {
            return Ok(());
        }
        match message {
            Message::Tell { position, entry } => self.told_entry(now_ns, peer, position, entry)?,
            Message::Forward(batch) => {
                self.pool.add(&batch, &self.applied, &self.planted);
            }
            Message::Alive => {}
        }
        self.go_on(now_ns);
        Ok(())
    }

    /// Time has passed.
    pub fn wake(&mut self, now_ns: u64) {
        self.go_on(now_ns);
    }
}

/// What follows from the events.
impl Member {
    /// What is to be done, in order.
    pub fn effects(&mut self) -> impl Iterator<Item = Effect> + use<'_> {
        self.effects.drain(..)
    }

    /// What became of requests, in order.
    pub fn outcomes(&mut self) -> impl Iterator<Item = Outcome> + use<'_> {
        self.outcomes.drain(..)
    }

    /// When [`wake`](Self::wake) is to be called, if nothing happens before.
    pub fn wake_at_ns(&self) -> Option<u64> {
        self.wake_at_ns
    }

    /// Everything that was applied so far: a prefix of the journal.
    pub fn engine(&self) -> &Engine<MemoryJournal> {
        self.applied.engine()
    }

    /// How many entries were applied.
    pub fn position(&self) -> Position {
        self.applied.next()
    }

    /// Whether everything has been read that was in the store at the start. Before that, the engine may
    /// be older than what this node has shown in an earlier life.
    pub fn is_ready(&self) -> bool {
        !self.fetch.stands(Why::Start)
    }

    /// Why this member does nothing any more, in words: the store holds what it cannot read.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}
