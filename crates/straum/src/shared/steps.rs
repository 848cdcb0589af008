//! What a member makes of what has come: it applies, asks, puts and forwards whatever is due. Never
//! waits, and never does anything because of a hint that only a fact may cause: see the table.
//!
//! | what it does | because of |
//! |---|---|
//! | apply an entry at *n* | it is in the store (read, told, or created by us), and *n* is next |
//! | put an entry at *n* | everything before *n* is applied |
//! | answer a client | the batch with its command was applied |
//! | forward, wait, read again, keep a pause | a guess at what others do |

use std::sync::Arc;

use super::fences::Why;
use super::format::{self, AtPosition, Told};
use super::own_batch::Forwarded;
use super::pace::Role;
use super::proposal::Proposal;
use super::runs::RUN_ENTRIES;
use super::{
    Effect, MILLISECOND_NS, Member, MemberFailure, Peer, PutAnswer, SECOND_NS, StorePlace,
};
use crate::Position;

/// The least and the most that is waited for what became of a forwarded batch.
const LEAST_PATIENCE_NS: u64 = 50 * MILLISECOND_NS;
const MOST_PATIENCE_NS: u64 = 2 * SECOND_NS;
const PATIENCE_ROUND_TRIPS: u64 = 3;

/// A peer that did not put what was forwarded is not forwarded to for so many times the patience.
const DISTRUST_FACTOR: u64 = 4;

/// While somebody is silent, one entry in so many is followed by a pause in which others can put theirs,
/// of at most so many round trips.
const ENTRIES_PER_PAUSE: u64 = 2;
const PAUSE_ROUND_TRIPS: u64 = 3;

/// What a member does next with the commands it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing, until something comes.
    Rest,
    /// At this time, put an entry.
    Propose(u64),
    /// At this time, forward the batch.
    Forward(u64, Peer),
}

/// Answers and messages.
impl Member {
    pub(super) fn proposal_answered(&mut self, now_ns: u64, position: Position, answer: PutAnswer) {
        let Some(proposal) = self.proposal.as_mut().filter(|one| one.position == position) else {
            return; // About a position that is applied.
        };
        match answer {
            PutAnswer::Created => self.created(now_ns),
            PutAnswer::Taken => {
                proposal.taken(now_ns, &mut self.store);
                self.fetch.exists(position, now_ns);
            }
            PutAnswer::Unknown => proposal.failed(now_ns, &mut self.store),
        }
    }

    /// Our proposal is the entry at its position.
    fn created(&mut self, now_ns: u64) {
        let Some(proposal) = self.proposal.take() else { return };
        proposal.created(now_ns, &mut self.store);
        let Proposal { position, entry, .. } = proposal;
        self.fetch.learn(position, self.applied.next(), &entry, now_ns);
        self.apply_learnt(now_ns);
        let told = Told::Tell { position, entry: &entry }.to_bytes(&self.identity());
        let told: Arc<[u8]> = told.into();
        for peer in self.peers.all() {
            self.effects.push(Effect::Tell { peer, bytes: Arc::clone(&told) });
        }
        self.peers.we_created(now_ns);
        self.complete_run(now_ns, position);
        self.leave_room(now_ns);
    }

    /// Who cannot forward to us has to put its batches itself, and needs a gap between our entries: now and
    /// then if we only do not hear of somebody, always if somebody puts entries that we are not told of.
    fn leave_room(&mut self, now_ns: u64) {
        let random = &mut self.store.random;
        let now_and_then = random.below(ENTRIES_PER_PAUSE) == 0;
        if self.peers.is_untold() || (now_and_then && self.peers.anybody_silent(now_ns)) {
            let most_ns = PAUSE_ROUND_TRIPS * self.store.trip.mean_ns();
            self.pace.pause(random.below(most_ns));
        }
    }

    pub(super) fn told_entry(
        &mut self,
        now_ns: u64,
        peer: Peer,
        position: Position,
        entry: &[u8],
    ) -> Result<(), format::Garbage> {
        let (identity, _) = format::read_position(entry, position)?;
        if self.identity.is_none() && position > 0 {
            // Whether it is of our journal, the first entry will tell.
            self.fetch.exists(position, now_ns);
            return Ok(());
        }
        self.belongs(&identity)?;
        let next = self.applied.next();
        if position >= next {
            self.peers.created(peer, now_ns);
            self.fetch.learn(position, next, entry, now_ns);
        }
        if let Some(peer) = self.peers.worried(now_ns) {
            self.tell(now_ns, peer, Told::Alive);
        }
        Ok(())
    }

    fn tell(&mut self, now_ns: u64, peer: Peer, told: Told<'_>) {
        let bytes = told.to_bytes(&self.identity()).into();
        self.effects.push(Effect::Tell { peer, bytes });
        self.peers.sent(peer, now_ns);
    }

    pub(super) fn found_entry(&mut self, now_ns: u64, position: Position, entry: &[u8]) {
        let next = self.applied.next();
        self.fetch.found_entry(position, now_ns, &mut self.store);
        if position >= next {
            self.fetch.learn(position, next, entry, now_ns);
            if !self.fetch.reads_on() {
                // Nobody told us: there may be more.
                self.peers.nobody_told();
                self.fetch.fence(Why::CatchUp, now_ns);
            }
        }
    }

    pub(super) fn found_run(&mut self, now_ns: u64, run: u64, bytes: &[u8]) {
        self.fetch.found_run(run, now_ns, &mut self.store);
        match format::read_run(bytes, run) {
            // Its entries were removed, too: the first of them will tell.
            Ok(None) => self.fetch.absent_run(run),
            Ok(Some(entries)) if entries.len() as u64 != RUN_ENTRIES => {
                let what = format!("run {run} of the journal has {} entries", entries.len());
                self.failure = Some(MemberFailure::Unreadable(what));
            }
            Ok(Some(entries)) => {
                for (position, entry) in (run * RUN_ENTRIES..).zip(entries) {
                    self.fetch.learn(position, self.applied.next(), entry, now_ns);
                }
            }
            Err(why) => {
                let what = format!("run {run} of the journal: {why}");
                self.failure = Some(MemberFailure::Unreadable(what));
            }
        }
    }

    pub(super) fn found_nothing(&mut self, now_ns: u64, place: StorePlace, asked_at_ns: u64) {
        self.fetch.absent(place, asked_at_ns, now_ns, &mut self.store);
        let at_place = |one: &&mut Proposal| StorePlace::Entry(one.position) == place;
        if let Some(proposal) = self.proposal.as_mut().filter(at_place) {
            proposal.absent(now_ns, &mut self.store, &mut self.effects);
        }
    }
}

/// Whatever is due.
impl Member {
    pub(super) fn go_on(&mut self, now_ns: u64) {
        self.apply_learnt(now_ns);
        self.give_up_waiting(now_ns);
        self.read_what_is_missing(now_ns);
        self.runs.go_on(now_ns, &mut self.store, &mut self.effects);
        self.act(now_ns);
        self.wake_at_ns = self.next_wake_ns(now_ns);
        let next = self.applied.next();
        debug_assert!(self.proposal.as_ref().is_none_or(|proposal| proposal.position == next));
    }

    fn next_wake_ns(&self, now_ns: u64) -> Option<u64> {
        let step = match self.next_step(now_ns) {
            Step::Rest => None,
            Step::Propose(at_ns) | Step::Forward(at_ns, _) => Some(at_ns),
        };
        let proposal = self.proposal.as_ref().and_then(Proposal::wake_at_ns);
        let forwarded = self.own.forwarded().map(|forwarded| forwarded.until_ns);
        let fetch = self.fetch.wake_at_ns(self.peers.courtesy_ns(&self.store.trip));
        let all = [step, proposal, forwarded, fetch, self.runs.wake_at_ns()];
        all.into_iter().flatten().min().filter(|_| self.failure.is_none())
    }

    fn apply_learnt(&mut self, now_ns: u64) {
        while self.failure.is_none() {
            let position = self.applied.next();
            let Some(entry) = self.fetch.take(position) else { break };
            self.apply(now_ns, position, entry);
        }
        for why in self.fetch.fallen(self.applied.next()) {
            self.fresh_at_ns = now_ns;
            if let Why::Reader(token) = why {
                self.up_to_date.push(token);
            }
        }
    }

    fn apply(&mut self, now_ns: u64, position: Position, entry: Arc<[u8]>) {
        let commands = match self.carry_out(position, &entry) {
            Ok(commands) => commands,
            Err(failure) => return self.failure = Some(failure),
        };
        self.pool.drop_applied(&self.applied);
        self.proposal.take_if(|proposal| proposal.position <= position);
        self.pace.applied(now_ns, commands);
        self.fresh_at_ns = now_ns;
        let seen_missing = self.fetch.is_missing_run(position / RUN_ENTRIES);
        self.runs.applied(position, entry);
        if seen_missing {
            self.complete_run(now_ns, position);
        }
    }

    /// Applies what is at the next position, and says how many commands have taken effect.
    fn carry_out(&mut self, position: Position, entry: &[u8]) -> Result<u64, MemberFailure> {
        let broken = |why: &dyn std::fmt::Display| {
            MemberFailure::Unreadable(format!("entry {position} of the journal: {why}"))
        };
        let (identity, found) =
            format::read_position(entry, position).map_err(|why| broken(&why))?;
        self.belongs(&identity).map_err(|why| broken(&why))?;
        let (time_ms, batches) = match found {
            AtPosition::Entry { time_ms, batches } => (time_ms, batches),
            AtPosition::Tombstone { cut } => return Err(MemberFailure::CutOff { position, cut }),
        };
        let Self { own, outcomes, .. } = self;
        let mut commands = 0;
        let applied = self.applied.apply(time_ms, &batches, |batch, results| {
            commands += results.len() as u64;
            own.applied(batch, results, outcomes);
        });
        applied.map_err(|why| broken(&why))?;
        Ok(commands)
    }

    /// If this was the last entry of a run: writes the run.
    fn complete_run(&mut self, now_ns: u64, position: Position) {
        if (position + 1).is_multiple_of(RUN_ENTRIES)
            && let run = position / RUN_ENTRIES
            && let Some(bytes) = self.runs.complete(run, &self.identity())
        {
            self.runs.put(run, bytes, now_ns, &mut self.store, &mut self.effects);
        }
    }

    /// What did not come in time is taken to be lost.
    fn give_up_waiting(&mut self, now_ns: u64) {
        let unknown = self.proposal.as_mut().is_some_and(|one| one.becomes_unknown(now_ns));
        self.fetch.look |= unknown;
        if let Some(Forwarded { to, until_ns }) = self.own.forwarded()
            && until_ns <= now_ns
        {
            let distrust_ns = self.store.random.around(DISTRUST_FACTOR * self.patience_ns());
            self.peers.distrust(to, now_ns + distrust_ns);
            self.own.forward(None);
        }
    }

    fn read_what_is_missing(&mut self, now_ns: u64) {
        let next = self.applied.next();
        if self.fetch.behind_by(next) > RUN_ENTRIES {
            self.fetch.fence(Why::CatchUp, now_ns);
        }
        let courtesy_ns = self.peers.courtesy_ns(&self.store.trip);
        self.fetch.go_on(next, courtesy_ns, now_ns, &mut self.store, &mut self.effects);
    }

    /// How long a forwarded batch may take: the way there, the put that is under way there, the next one,
    /// and the way back.
    fn patience_ns(&self) -> u64 {
        let round_trips_ns = PATIENCE_ROUND_TRIPS * self.store.trip.mostly_ns();
        (round_trips_ns + 2 * self.pace.bound_ns()).clamp(LEAST_PATIENCE_NS, MOST_PATIENCE_NS)
    }

    fn act(&mut self, now_ns: u64) {
        match self.next_step(now_ns) {
            Step::Propose(at_ns) if at_ns <= now_ns => self.propose(now_ns),
            Step::Forward(at_ns, peer) if at_ns <= now_ns => self.forward(now_ns, peer),
            _ => {}
        }
    }

    fn next_step(&self, now_ns: u64) -> Step {
        let own = self.own.has_something() && self.own.forwarded().is_none();
        let idle = self.pool.is_empty() && !own;
        if self.failure.is_some() || self.proposal.is_some() || !self.is_ready() || idle {
            return Step::Rest;
        }
        let combiner =
            self.peers.combiner(now_ns, self.store.trip.mostly_ns() + 2 * self.pace.bound_ns());
        let at_ns = |role| self.pace.act_at_ns(role, self.store.trip.mean_ns());
        match combiner.filter(|_| self.pool.is_empty()) {
            Some(peer) => Step::Forward(at_ns(Role::Forwarder), peer),
            None if !self.may_propose() => Step::Rest,
            None if self.was_beaten() => Step::Propose(now_ns),
            None => Step::Propose(at_ns(Role::Combiner)),
        }
    }

    /// Whether our batch has waited while others put theirs, who cannot tell us: it does not wait for more.
    fn was_beaten(&self) -> bool {
        self.peers.is_untold() && self.own.under_way().is_some()
    }

    /// Whether the next position may be free, as far as we know.
    fn may_propose(&self) -> bool {
        !self.fetch.is_behind(self.applied.next()) && !self.fetch.stands(Why::CatchUp)
    }

    fn propose(&mut self, now_ns: u64) {
        let position = self.applied.next();
        let batches = self.pool.batches_of_entry(position, self.own.freeze());
        let time_ms = self.began_at_ms.saturating_add(now_ns / MILLISECOND_NS);
        let batches = batches.iter().map(|batch| &**batch);
        let entry = format::write_entry(&self.identity(), position, time_ms, batches);
        let Self { store, effects, .. } = self;
        self.proposal = Some(Proposal::new(position, entry, now_ns, store, effects));
        if self.was_beaten() {
            // If it is beaten again, what has won is known a round trip sooner.
            self.fetch.look = true;
            self.read_what_is_missing(now_ns);
        }
    }

    fn forward(&mut self, now_ns: u64, peer: Peer) {
        self.own.freeze();
        let until_ns = now_ns + self.patience_ns();
        self.own.forward(Some(Forwarded { to: peer, until_ns }));
        let identity = self.identity();
        let Some(batch) = self.own.under_way() else { return };
        let bytes = Told::Forward(batch).to_bytes(&identity).into();
        self.effects.push(Effect::Tell { peer, bytes });
        self.peers.sent(peer, now_ns);
    }
}
