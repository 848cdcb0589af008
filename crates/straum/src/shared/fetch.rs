//! Entries that exist and are not here: which are missing, and which are read from the store, one by one
//! or by runs. Never applies one.
//!
//! There are three reasons to read an entry. It is known to exist, and nobody told us of it in time. Or a
//! **fence** stands: whoever waits for it wants to see everything that was in the journal when it asked.
//! Or our own proposal needs to know what is at its position.
//!
//! The journal has no gaps. So once a read that began after a fence was set finds position *p* absent,
//! all that had been there is before *p*, and the fence falls when everything before *p* is applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answers::{Asked, StoreTimes};
use super::runs::RUN_ENTRIES;
use super::{Effect, Place, Token};
use crate::Position;

/// How many entries are asked for at once, at most.
const MOST_ENTRIES: u64 = 64;

/// How many runs are asked for at once, at most.
const MOST_RUNS: u64 = 16;

/// How many entries are kept that came before those before them. The rest is read when its time comes.
const MOST_KEPT: usize = 2048;

#[derive(Debug)]
pub(super) struct Fetch {
    /// Entries that wait for those before them.
    learnt: BTreeMap<Position, Arc<[u8]>>,
    /// All entries before this position exist, as far as we know, and since when we do.
    known_end: Position,
    known_since_ns: u64,
    /// Since when the next entry is known to exist and is not here.
    behind_since_ns: Option<u64>,
    asked: BTreeMap<Place, Asked>,
    fences: Vec<Fence>,
    /// How many entries and runs are asked for at once: more as long as they are found.
    entries_at_once: u64,
    runs_at_once: u64,
    /// The first run that was not found.
    missing_run: Option<u64>,
    /// Our proposal wants to know what is at the next position.
    pub(super) look: bool,
}

#[derive(Debug)]
struct Fence {
    why: Why,
    since_ns: u64,
    /// A position that was found absent since then, the lowest.
    bound: Option<Position>,
}

/// Who waits for a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The node has just started.
    Start,
    /// The node has fallen behind.
    CatchUp,
    /// It has heard nothing for a while, and somebody reads from it.
    Refresh,
    /// This reader wants to see everything.
    Reader(Token),
}

impl Fetch {
    pub(super) fn new() -> Self {
        Self {
            learnt: BTreeMap::new(),
            known_end: 0,
            known_since_ns: 0,
            behind_since_ns: None,
            asked: BTreeMap::new(),
            fences: Vec::new(),
            entries_at_once: 1,
            runs_at_once: 1,
            missing_run: None,
            look: false,
        }
    }

    /// Sets a fence. A node waits for one of its own kind only once.
    pub(super) fn fence(&mut self, why: Why, now_ns: u64) {
        let again = !matches!(why, Why::Reader(_)) && self.stands(why);
        if !again {
            self.fences.push(Fence { why, since_ns: now_ns, bound: None });
        }
    }

    /// Nobody waits for this fence any more.
    pub(super) fn forget(&mut self, token: Token) {
        self.fences.retain(|fence| fence.why != Why::Reader(token));
    }

    pub(super) fn stands(&self, why: Why) -> bool {
        self.fences.iter().any(|fence| fence.why == why)
    }

    /// Whether a fence makes us read on until nothing is found.
    pub(super) fn reads_on(&self) -> bool {
        !self.fences.is_empty()
    }

    /// Takes down the fences that nothing is missing for any more.
    pub(super) fn fallen(&mut self, next: Position) -> Vec<Why> {
        let falls = |fence: &mut Fence| fence.bound.is_some_and(|bound| bound <= next);
        let fallen: Vec<_> = self.fences.extract_if(.., falls).map(|fence| fence.why).collect();
        if self.fences.is_empty() {
            self.entries_at_once = 1;
            self.runs_at_once = 1;
            self.missing_run = None;
        }
        fallen
    }

    /// The entry at this position exists.
    pub(super) fn exists(&mut self, position: Position, now_ns: u64) {
        if self.known_end <= position {
            self.known_end = position.saturating_add(1);
            self.known_since_ns = now_ns;
        }
    }

    /// A read that began after we had heard of later entries has found this position absent: who told us of
    /// them was wrong.
    fn does_not_exist(&mut self, position: Position, asked_at_ns: u64) {
        if self.known_end > position && self.known_since_ns <= asked_at_ns {
            self.known_end = position;
            self.learnt.split_off(&position);
        }
    }

    /// An entry has come.
    pub(super) fn learn(&mut self, position: Position, next: Position, entry: &[u8], now_ns: u64) {
        self.exists(position, now_ns);
        if position == next || (position > next && self.learnt.len() < MOST_KEPT) {
            self.learnt.entry(position).or_insert_with(|| entry.into());
        }
    }

    pub(super) fn take(&mut self, position: Position) -> Option<Arc<[u8]>> {
        let taken = self.learnt.remove(&position)?;
        self.behind_since_ns = None;
        Some(taken)
    }

    /// Breaks a rule: any entry that has come.
    pub(super) fn take_any(&mut self) -> Option<Arc<[u8]>> {
        self.learnt.pop_first().map(|(_, entry)| entry)
    }

    pub(super) fn is_behind(&self, next: Position) -> bool {
        self.known_end > next
    }

    /// How many entries are known to exist and are not applied.
    pub(super) fn behind_by(&self, next: Position) -> u64 {
        self.known_end.saturating_sub(next)
    }

    /// An answer came, whatever it was: the question is no longer open. None if it was not.
    fn close(&mut self, place: Place, now_ns: u64, store: &mut StoreTimes) -> Option<Asked> {
        let asked = self.asked.remove(&place)?;
        store.answered(&asked, now_ns);
        Some(asked)
    }

    pub(super) fn found_entry(&mut self, at: Position, now_ns: u64, store: &mut StoreTimes) {
        if self.close(Place::Entry(at), now_ns, store).is_some() {
            self.entries_at_once = (2 * self.entries_at_once).min(MOST_ENTRIES);
        }
    }

    pub(super) fn found_run(&mut self, run: u64, now_ns: u64, store: &mut StoreTimes) {
        if self.close(Place::Run(run), now_ns, store).is_some() {
            self.runs_at_once = (2 * self.runs_at_once).min(MOST_RUNS);
        }
    }

    pub(super) fn absent(
        &mut self,
        place: Place,
        asked_at_ns: u64,
        now_ns: u64,
        store: &mut StoreTimes,
    ) {
        if self.close(place, now_ns, store).is_none() {
            return;
        }
        match place {
            Place::Run(run) => {
                self.missing_run = Some(self.missing_run.map_or(run, |other| other.min(run)));
            }
            Place::Entry(position) => {
                self.does_not_exist(position, asked_at_ns);
                for fence in self.fences.iter_mut().filter(|f| f.since_ns <= asked_at_ns) {
                    fence.bound = Some(fence.bound.map_or(position, |other| other.min(position)));
                }
            }
        }
    }

    pub(super) fn failed(&mut self, place: Place, now_ns: u64, store: &mut StoreTimes) {
        if let Some(asked) = self.asked.get_mut(&place) {
            store.failed(asked, now_ns);
        }
    }

    /// Whether this run was asked for and is not in the store.
    pub(super) fn is_missing_run(&self, run: u64) -> bool {
        self.missing_run == Some(run)
    }

    /// Asks for what is missing, and again for what was not answered.
    pub(super) fn go_on(
        &mut self,
        next: Position,
        courtesy_ns: u64,
        now_ns: u64,
        store: &mut StoreTimes,
        effects: &mut Vec<Effect>,
    ) {
        self.drop_useless(next);
        for (place, asked) in &mut self.asked {
            if asked.until_ns <= now_ns {
                store.ask_again(asked, now_ns);
                effects.push(Effect::Get { place: *place });
            }
        }
        self.notice_gap(next, now_ns);
        let gap = self.read_gap_at_ns(courtesy_ns).is_some_and(|at_ns| at_ns <= now_ns);
        for place in self.wanted(next, gap) {
            self.asked.insert(place, store.ask(now_ns));
            effects.push(Effect::Get { place });
        }
    }

    fn drop_useless(&mut self, next: Position) {
        self.learnt = self.learnt.split_off(&next);
        self.asked.retain(|place, _| match place {
            Place::Entry(position) => *position >= next,
            Place::Run(run) => (run + 1) * RUN_ENTRIES > next,
        });
        self.missing_run = self.missing_run.filter(|run| (run + 1) * RUN_ENTRIES > next);
    }

    fn notice_gap(&mut self, next: Position, now_ns: u64) {
        let gap = self.is_behind(next) && !self.learnt.contains_key(&next);
        self.behind_since_ns = gap.then(|| self.behind_since_ns.unwrap_or(now_ns));
    }

    fn read_gap_at_ns(&self, courtesy_ns: u64) -> Option<u64> {
        self.behind_since_ns.map(|since_ns| since_ns + courtesy_ns)
    }

    /// What is to be asked for now.
    fn wanted(&mut self, next: Position, gap: bool) -> Vec<Place> {
        let mut wanted = self.wanted_runs(next);
        let gap_end = if gap { self.known_end.min(next + MOST_ENTRIES) } else { next };
        let look_end = next + u64::from(std::mem::take(&mut self.look));
        let end = gap_end.max(look_end).max(self.fence_end(next));
        let in_run = |position: &Position| {
            if *position < look_end {
                return false; // Our proposal waits for it, and asks once.
            }
            let run = Place::Run(position / RUN_ENTRIES);
            wanted.contains(&run) || self.asked.contains_key(&run)
        };
        let entries = (next..end)
            .filter(|position| !self.learnt.contains_key(position) && !in_run(position))
            .map(Place::Entry)
            .filter(|place| !self.asked.contains_key(place));
        let entries: Vec<_> = entries.collect();
        wanted.extend(entries);
        wanted
    }

    /// How far the fences make us read.
    fn fence_end(&self, next: Position) -> Position {
        let ends = self.fences.iter().map(|fence| fence.bound.unwrap_or(Position::MAX));
        ends.max().map_or(next, |end| end.min(next + self.entries_at_once))
    }

    fn wanted_runs(&self, next: Position) -> Vec<Place> {
        let far = self.stands(Why::Start)
            || (!self.fences.is_empty()
                && (self.entries_at_once == MOST_ENTRIES || self.behind_by(next) > RUN_ENTRIES));
        if !far {
            return Vec::new();
        }
        let first = next / RUN_ENTRIES;
        let end = self.missing_run.unwrap_or(u64::MAX).min(first + self.runs_at_once);
        let known = |run: u64| {
            let positions = (run * RUN_ENTRIES).max(next)..(run + 1) * RUN_ENTRIES;
            self.learnt.range(positions.clone()).count() as u64 == positions.end - positions.start
        };
        (first..end)
            .filter(|run| !known(*run))
            .map(Place::Run)
            .filter(|place| !self.asked.contains_key(place))
            .collect()
    }

    /// When to go on, if nothing happens.
    pub(super) fn wake_at_ns(&self, courtesy_ns: u64) -> Option<u64> {
        let again = self.asked.values().map(|asked| asked.until_ns);
        let gap = self.read_gap_at_ns(courtesy_ns).filter(|_| self.asked.is_empty());
        again.chain(gap).min()
    }
}
