//! The shared journal: many nodes, one log, on a store that can create a value only if there is none.
//! A [`Member`] is one node's part in it, as a state machine: events in, effects out. It never does I/O,
//! and never touches a clock, randomness of its own or the store's own words: the time comes with every
//! event, a seed at the beginning, and all that is put, got and told is bytes.
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
mod fences;
mod fetch;
mod format;
mod forwarded;
mod own_batch;
mod pace;
mod peers;
mod proposal;
mod runs;
mod seam;
mod steps;
#[cfg(test)]
mod tests;

pub use format::{Garbage, kind_of};
pub use pace::Pacing;
pub use seam::{Effect, GetAnswer, MemberFailure, MemberSettings, Peer, PutAnswer, StorePlace};

use std::ops::Range;

use crate::command::{Command, How, Outcome};
use crate::command_bytes::command_bytes;
use crate::engine::{Engine, Token, check};
use crate::identity::Identity;
use crate::{Position, Refused};
use answers::StoreTimes;
use applied::Applied;
use fences::Why;
use fetch::Fetch;
use format::Told;
use forwarded::Pool;
use own_batch::Own;
use pace::Pace;
use peers::Peers;
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
    /// The journal's, which its first entry tells.
    identity: Option<Identity>,
    /// What the journal's becomes if we create its first entry.
    own_identity: Identity,
    began_at_ms: u64,
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
    outcomes: Vec<(Token, Outcome)>,
    up_to_date: Vec<Token>,
    wake_at_ns: Option<u64>,
    failure: Option<MemberFailure>,
}

/// Events. Times are in nanoseconds, from any beginning, and never go back. After each, there may be
/// [`effects`](Self::effects) and [`outcomes`](Self::outcomes), and [`wake_at_ns`](Self::wake_at_ns) may
/// have changed.
impl Member {
    /// A member that starts with empty memory, and first reads what the store holds.
    pub fn new(settings: MemberSettings, now_ns: u64) -> Self {
        let mut member = Self {
            identity: None,
            own_identity: settings.identity,
            began_at_ms: settings.began_at_ms,
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
            up_to_date: Vec::new(),
            wake_at_ns: None,
            failure: None,
        };
        member.fetch.fence(Why::Start, now_ns);
        member.go_on(now_ns);
        member
    }

    /// Carries commands out, all of them or none, in one batch. Their [`outcomes`](Self::outcomes) follow under this
    /// token when they are in the store: one for each command, in order.
    ///
    /// # Errors
    /// [`Refused`]; nothing will be carried out, and no outcome follows.
    pub fn submit(
        &mut self,
        now_ns: u64,
        token: Token,
        commands: &[Command<'_>],
    ) -> Result<(), Refused> {
        commands.iter().try_for_each(check)?;
        if commands.iter().all(|command| self.is_done_already(command)) {
            self.outcomes.extend(commands.iter().map(|_| (token, Outcome::Done)));
            return Ok(());
        }
        let size_bytes = commands.iter().map(command_bytes).sum();
        Refused::at_most("request", size_bytes, MAX_REQUEST_BYTES)?;
        self.own.push(token, commands)?;
        self.pace.came(now_ns);
        self.go_on(now_ns);
        Ok(())
    }

    /// Whether a command changes nothing, whatever is in the journal that we do not know of.
    fn is_done_already(&self, command: &Command<'_>) -> bool {
        let Command::Commit { group, log, offset, how: How::Raise, .. } = *command else {
            return false;
        };
        self.engine().committed(group, log).is_some_and(|committed| committed.offset >= offset)
    }

    /// Nobody waits for this request any more. If it is in no batch yet, it is dropped.
    pub fn forget(&mut self, token: Token) {
        self.own.forget(token);
        self.fetch.forget(token);
    }

    /// Catches up with all that is in the journal now. [`up_to_date`](Self::up_to_date) follows.
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
    pub fn put_answered(&mut self, now_ns: u64, place: StorePlace, answer: PutAnswer) {
        match place {
            StorePlace::Run(run) => self.runs.answered(run, answer, now_ns, &mut self.store),
            StorePlace::Entry(position) => self.proposal_answered(now_ns, position, answer),
        }
        self.go_on(now_ns);
    }

    /// The answer to [`Effect::Get`].
    ///
    /// `asked_at_ns` is when the question that this answers was asked: an older one says nothing of now.
    pub fn get_answered(
        &mut self,
        now_ns: u64,
        place: StorePlace,
        asked_at_ns: u64,
        answer: GetAnswer<'_>,
    ) {
        match (place, answer) {
            (StorePlace::Entry(position), GetAnswer::Found(entry)) => {
                self.found_entry(now_ns, position, entry);
            }
            (StorePlace::Run(run), GetAnswer::Found(bytes)) => self.found_run(now_ns, run, bytes),
            (place, GetAnswer::Absent) => self.found_nothing(now_ns, place, asked_at_ns),
            (place, GetAnswer::Unknown) => self.fetch.failed(place, now_ns, &mut self.store),
        }
        self.go_on(now_ns);
    }

    /// A message of a peer.
    ///
    /// # Errors
    /// [`Garbage`]; nothing came of it.
    pub fn told(&mut self, now_ns: u64, peer: Peer, bytes: &[u8]) -> Result<(), Garbage> {
        let (identity, told) = Told::read(bytes)?;
        if self.identity.is_some() {
            self.belongs(&identity)?;
        }
        if !self.peers.heard(peer, now_ns) {
            return Ok(());
        }
        match told {
            Told::Tell { position, entry } => self.told_entry(now_ns, peer, position, entry)?,
            Told::Forward(batch) if self.identity.is_some() => self.pool.add(&batch, &self.applied),
            Told::Forward(_) | Told::Alive => {}
        }
        self.go_on(now_ns);
        Ok(())
    }

    /// Removes the entries at these positions, as far as they are applied here. In the place of each stands a
    /// tombstone from then on: a position that was taken stays taken, or a member that was halted could create its
    /// entry again. Who still needs one of them comes to [`MemberFailure::CutOff`], and so does every member that
    /// starts: the positions must be before a snapshot that it starts from, which is the caller's.
    pub fn cut(&mut self, positions: Range<Position>) {
        let identity = self.identity();
        let end = positions.end.min(self.applied.next());
        let tombstone = |place| format::write_tombstone(&identity, place, end).into();
        for position in positions.start..end {
            let place = StorePlace::Entry(position);
            self.effects.push(Effect::Replace { place, bytes: tombstone(position) });
            if (position + 1).is_multiple_of(runs::RUN_ENTRIES) {
                let run = position / runs::RUN_ENTRIES;
                let (place, bytes) = (StorePlace::Run(run), tombstone(run));
                self.effects.push(Effect::Replace { place, bytes });
            }
        }
    }

    /// The journal's identity, or what it becomes if we begin it.
    fn identity(&self) -> Identity {
        self.identity.unwrap_or(self.own_identity)
    }

    /// Something comes from a journal: it must be ours, which it may be that we learn by it.
    fn belongs(&mut self, identity: &Identity) -> Result<(), Garbage> {
        if self.identity.get_or_insert(*identity) == identity {
            Ok(())
        } else {
            Err(Garbage::OtherJournal)
        }
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

    /// What came of commands that were submitted and are in the store, in order.
    pub fn outcomes(&mut self) -> impl Iterator<Item = (Token, Outcome)> + use<'_> {
        self.outcomes.drain(..)
    }

    /// For whom the engine has everything that was in the journal when it asked to [`catch_up`](Self::catch_up).
    pub fn up_to_date(&mut self) -> impl Iterator<Item = Token> + use<'_> {
        self.up_to_date.drain(..)
    }

    /// When [`wake`](Self::wake) is to be called, if nothing happens before.
    pub fn wake_at_ns(&self) -> Option<u64> {
        self.wake_at_ns
    }

    /// Everything that was applied so far: a prefix of the journal.
    pub fn engine(&self) -> &Engine {
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

    /// Why this member does nothing any more, if it does not.
    pub fn failure(&self) -> Option<&MemberFailure> {
        self.failure.as_ref()
    }
}
