//! Members, a store and what is on its way between them, on a clock that jumps. Loses what a story says.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Offset;
use crate::command::{Append, Command, Outcome};
use crate::engine::Token;
use crate::identity::Identity;
use crate::read::Budget;
use crate::shared::format::Told;
use crate::shared::{
    Effect, GetAnswer, MILLISECOND_NS, Member, MemberSettings, Pacing, Peer, PutAnswer, StorePlace,
};

/// How long anything is on its way.
pub(super) const HOP_NS: u64 = MILLISECOND_NS;

/// Something on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flight {
    Put { from: usize, place: StorePlace, bytes: Arc<[u8]> },
    Replace { place: StorePlace, bytes: Arc<[u8]> },
    Get { from: usize, place: StorePlace, asked_at_ns: u64 },
    PutAnswer { to: usize, place: StorePlace, answer: PutAnswer },
    GetAnswer { to: usize, place: StorePlace, asked_at_ns: u64, found: Option<Arc<[u8]>> },
    Told { from: usize, to: usize, bytes: Arc<[u8]> },
}

impl Flight {
    pub(super) fn is_tell(&self) -> bool {
        matches!(self.told(), Some(Told::Tell { .. }))
    }

    pub(super) fn is_forward(&self) -> bool {
        matches!(self.told(), Some(Told::Forward(_)))
    }

    pub(super) fn is_alive(&self) -> bool {
        self.told() == Some(Told::Alive)
    }

    pub(super) fn is_put(&self) -> bool {
        matches!(self, Self::Put { .. })
    }

    pub(super) fn is_get(&self) -> bool {
        matches!(self, Self::Get { .. })
    }

    fn told(&self) -> Option<Told<'_>> {
        let Self::Told { bytes, .. } = self else { return None };
        Some(Told::read(bytes).unwrap().1)
    }
}

pub(super) struct World {
    pub(super) now_ns: u64,
    pub(super) store: BTreeMap<StorePlace, Arc<[u8]>>,
    pub(super) members: Vec<Member>,
    /// What became of requests, and when.
    pub(super) outcomes: Vec<(u64, usize, Token, Outcome)>,
    /// Who was told that it is up to date: the member and the token.
    pub(super) up_to_date: Vec<(usize, Token)>,
    /// All that was sent, lost or not.
    pub(super) sent: Vec<Flight>,
    /// Whether something that is sent gets lost.
    pub(super) lose: Box<dyn FnMut(&Flight) -> bool>,
    on_the_way: BTreeMap<(u64, usize), Flight>,
    lives: u64,
}

impl World {
    /// So many members that have started and are ready.
    pub(super) fn new(members: usize) -> Self {
        let mut world = Self {
            now_ns: 0,
            store: BTreeMap::new(),
            members: Vec::new(),
            outcomes: Vec::new(),
            up_to_date: Vec::new(),
            sent: Vec::new(),
            lose: Box::new(|_| false),
            on_the_way: BTreeMap::new(),
            lives: 0,
        };
        for _ in 0..members {
            let member = world.start(members);
            world.members.push(member);
        }
        world.pass_ms(100);
        world.sent.clear();
        world
    }

    /// A member that has just started.
    pub(super) fn start(&mut self, members: usize) -> Member {
        self.lives += 1;
        let peers = u32::try_from(members - 1).unwrap();
        let pacing = Pacing::default();
        let identity = Identity::new([u8::try_from(self.lives).unwrap(); 16]);
        let settings = MemberSettings {
            instance: self.lives,
            identity,
            began_at_ms: 1_000,
            peers,
            seed: self.lives,
            pacing,
        };
        Member::new(settings, self.now_ns)
    }

    pub(super) fn send(&mut self, member: usize, token: Token, message: &str) {
        let now_ns = self.now_ns;
        let command = Command::Append(Append::record("k", message.as_bytes()));
        self.members[member].submit(now_ns, token, &[command]).unwrap();
        self.collect();
    }

    pub(super) fn pass_ms(&mut self, span_ms: u64) {
        self.pass_until(self.now_ns + span_ms * MILLISECOND_NS);
    }

    fn pass_until(&mut self, end_ns: u64) {
        self.collect();
        loop {
            let arrives = self.on_the_way.first_key_value().map(|((at_ns, _), _)| *at_ns);
            let wakes = self.members.iter().filter_map(Member::wake_at_ns).min();
            let Some(next_ns) = arrives.into_iter().chain(wakes).min().filter(|ns| *ns <= end_ns)
            else {
                break;
            };
            self.now_ns = self.now_ns.max(next_ns);
            if arrives.is_some_and(|at_ns| at_ns <= self.now_ns) {
                let (_, flight) = self.on_the_way.pop_first().unwrap();
                self.arrive(flight);
            }
            for member in &mut self.members {
                if member.wake_at_ns().is_some_and(|at_ns| at_ns <= self.now_ns) {
                    member.wake(self.now_ns);
                    let again = member.wake_at_ns().is_some_and(|at_ns| at_ns <= self.now_ns);
                    assert!(!again, "a member that was woken wants to be woken at once");
                }
            }
            self.collect();
        }
        self.now_ns = end_ns;
    }

    fn collect(&mut self) {
        for from in 0..self.members.len() {
            let outcomes: Vec<_> = self.members[from].outcomes().collect();
            let now_ns = self.now_ns;
            self.outcomes
                .extend(outcomes.into_iter().map(|(token, one)| (now_ns, from, token, one)));
            self.up_to_date.extend(self.members[from].up_to_date().map(|token| (from, token)));
            for effect in self.members[from].effects().collect::<Vec<_>>() {
                self.fly(match effect {
                    Effect::Put { place, bytes } => Flight::Put { from, place, bytes },
                    Effect::Replace { place, bytes } => Flight::Replace { place, bytes },
                    Effect::Get { place } => Flight::Get { from, place, asked_at_ns: self.now_ns },
                    Effect::Tell { peer, bytes } => {
                        Flight::Told { from, to: index_of(peer, from), bytes }
                    }
                });
            }
        }
    }

    /// Something arrives that was on its way for long.
    pub(super) fn deliver(&mut self, flight: Flight) {
        self.arrive(flight);
    }

    fn fly(&mut self, flight: Flight) {
        self.sent.push(flight.clone());
        if !(self.lose)(&flight) {
            self.on_the_way.insert((self.now_ns + HOP_NS, self.sent.len()), flight);
        }
    }

    fn arrive(&mut self, flight: Flight) {
        let now_ns = self.now_ns;
        match flight {
            Flight::Put { from, place, bytes } => {
                let taken = self.store.contains_key(&place);
                let answer = if taken { PutAnswer::Taken } else { PutAnswer::Created };
                self.store.entry(place).or_insert(bytes);
                self.fly(Flight::PutAnswer { to: from, place, answer });
            }
            Flight::Replace { place, bytes } => _ = self.store.insert(place, bytes),
            Flight::Get { from, place, asked_at_ns } => {
                let found = self.store.get(&place).cloned();
                self.fly(Flight::GetAnswer { to: from, place, asked_at_ns, found });
            }
            Flight::PutAnswer { to, place, answer } => {
                self.members[to].put_answered(now_ns, place, answer);
            }
            Flight::GetAnswer { to, place, asked_at_ns, found } => {
                let answer = found.as_deref().map_or(GetAnswer::Absent, GetAnswer::Found);
                self.members[to].get_answered(now_ns, place, asked_at_ns, answer);
            }
            Flight::Told { from, to, bytes } => {
                self.members[to].told(now_ns, peer_of(from, to), &bytes).unwrap();
            }
        }
        self.collect();
    }

    /// How many of what was sent are such.
    pub(super) fn count(&self, such: impl Fn(&Flight) -> bool) -> usize {
        self.sent.iter().filter(|flight| such(flight)).count()
    }

    /// The log that all stories write to, as a member sees it.
    pub(super) fn log(&self, member: usize) -> Vec<String> {
        let mut budget = Budget::new(u64::MAX, 0);
        let read = self.members[member].engine().read("k", 0, u64::MAX, &mut budget);
        let records = read.map(|read| read.fetch().unwrap()).unwrap_or_default();
        records.iter().map(|record| String::from_utf8(record.bytes.to_vec()).unwrap()).collect()
    }

    /// What became of a request: the offset, and how long after `since_ns`.
    pub(super) fn sent_after(&self, token: Token, since_ns: u64) -> Option<(Offset, u64)> {
        let of_token = self.outcomes.iter().find(|(_, _, of, _)| *of == token);
        of_token.and_then(|(at_ns, _, _, outcome)| Some((outcome.offset()?, at_ns - since_ns)))
    }

    /// Fills the store with entries that somebody else has put, and the runs of them.
    pub(super) fn fill(&mut self, entries: u64) {
        use crate::shared::format::{Batch, write_entry, write_run};
        let identity = Identity::new([77; 16]);
        let mut run: Vec<Arc<[u8]>> = Vec::new();
        for position in 0..entries {
            let mut payload = Vec::new();
            let message = position.to_string();
            let command = Command::Append(Append::record("k", message.as_bytes()));
            crate::command_bytes::put_command(&command, &mut payload);
            let batch = Batch { instance: 77, number: position + 1, payload: &payload }.to_bytes();
            let entry: Arc<[u8]> = write_entry(&identity, position, 5, [&*batch]).into();
            self.store.insert(StorePlace::Entry(position), Arc::clone(&entry));
            run.push(entry);
            if run.len() == 64 {
                let entries = std::mem::take(&mut run);
                let entries = entries.iter().map(|one| &**one);
                let bytes = write_run(&identity, position / 64, entries);
                self.store.insert(StorePlace::Run(position / 64), bytes.into());
            }
        }
    }
}

/// A member's number for another, and back.
pub(super) fn peer_of(from: usize, to: usize) -> Peer {
    Peer(u32::try_from(if from < to { from } else { from - 1 }).unwrap())
}

fn index_of(peer: Peer, from: usize) -> usize {
    let index = peer.0 as usize;
    if index < from { index } else { index + 1 }
}
