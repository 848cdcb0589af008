//! What is known of the other nodes: who creates entries, who is silent. All of it is hints, which make
//! things fast when they are right; nothing that must be true depends on them.

use super::answers::RoundTrip;
use super::{MILLISECOND_NS, Peer, SECOND_NS};

/// A peer that was not heard for so long, while so many entries were created, may be unable to forward.
const SILENCE_NS: u64 = 1_200 * MILLISECOND_NS;
const SILENT_ENTRIES: u32 = 6;

/// A peer that is told so many entries for so long, and has nothing to say, says that it lives.
const ALIVE_NS: u64 = SECOND_NS / 2;
const ALIVE_TELLS: u32 = 4;

#[derive(Debug)]
pub(super) struct Peers {
    known: Vec<Known>,
    /// Who created the newest entry that we were told of, and when we were.
    combiner: Option<(Peer, u64)>,
    /// Whether we had to find out by ourselves what the newest entries are that others created.
    untold: bool,
}

#[derive(Clone, Debug, Default)]
struct Known {
    heard_at_ns: u64,
    /// How many entries we have created since it was heard.
    created_since_heard: u32,
    sent_at_ns: u64,
    /// How many entries it has told us of since we sent it anything.
    tells_since_sent: u32,
    /// No batch is forwarded to it before this.
    distrusted_until_ns: u64,
}

impl Peers {
    pub(super) fn new(now_ns: u64, count: u32) -> Self {
        let known = Known { heard_at_ns: now_ns, sent_at_ns: now_ns, ..Known::default() };
        Self { known: vec![known; count as usize], combiner: None, untold: false }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Peer> + use<> {
        (0..u32::try_from(self.known.len()).unwrap_or(u32::MAX)).map(Peer)
    }

    fn of(&mut self, peer: Peer) -> Option<&mut Known> {
        self.known.get_mut(peer.0 as usize)
    }

    /// A message came. False if there is no such peer.
    pub(super) fn heard(&mut self, peer: Peer, now_ns: u64) -> bool {
        let Some(known) = self.of(peer) else { return false };
        known.heard_at_ns = now_ns;
        known.created_since_heard = 0;
        true
    }

    /// It told us of an entry that it has created and that is news.
    pub(super) fn created(&mut self, peer: Peer, now_ns: u64) {
        self.combiner = Some((peer, now_ns));
        self.untold = false;
        if let Some(known) = self.of(peer) {
            known.tells_since_sent += 1;
        }
    }

    /// We have created an entry, and tell everybody.
    pub(super) fn we_created(&mut self, now_ns: u64) {
        self.combiner = None;
        for known in &mut self.known {
            known.created_since_heard += 1;
            known.sent(now_ns);
        }
    }

    pub(super) fn sent(&mut self, peer: Peer, now_ns: u64) {
        if let Some(known) = self.of(peer) {
            known.sent(now_ns);
        }
    }

    pub(super) fn distrust(&mut self, peer: Peer, until_ns: u64) {
        if let Some(known) = self.of(peer) {
            known.distrusted_until_ns = until_ns;
        }
    }

    /// Whom to forward to: who created an entry so recently (within `fresh_ns`) that it will soon create
    /// another.
    pub(super) fn combiner(&self, now_ns: u64, fresh_ns: u64) -> Option<Peer> {
        let (peer, heard_at_ns) = self.combiner?;
        let known = self.known.get(peer.0 as usize)?;
        let fresh = now_ns < heard_at_ns + fresh_ns;
        (fresh && known.distrusted_until_ns <= now_ns).then_some(peer)
    }

    /// We have read what nobody told us of.
    pub(super) fn nobody_told(&mut self) {
        self.untold = true;
    }

    pub(super) fn is_untold(&self) -> bool {
        self.untold
    }

    /// How long to wait for an entry that exists before it is read: somebody may be about to tell us.
    pub(super) fn courtesy_ns(&self, trip: &RoundTrip) -> u64 {
        if self.untold { 0 } else { trip.mean_ns().clamp(2 * MILLISECOND_NS, SECOND_NS / 2) }
    }

    /// Whether somebody may want to forward to us and cannot.
    pub(super) fn anybody_silent(&self, now_ns: u64) -> bool {
        self.known.iter().any(|known| {
            known.created_since_heard >= SILENT_ENTRIES && now_ns >= known.heard_at_ns + SILENCE_NS
        })
    }

    /// Who should hear that we live.
    pub(super) fn worried(&self, now_ns: u64) -> Option<Peer> {
        let worried = |known: &Known| {
            known.tells_since_sent >= ALIVE_TELLS && now_ns >= known.sent_at_ns + ALIVE_NS
        };
        let index = self.known.iter().position(worried)?;
        u32::try_from(index).ok().map(Peer)
    }
}

impl Known {
    fn sent(&mut self, now_ns: u64) {
        self.sent_at_ns = now_ns;
        self.tells_since_sent = 0;
    }
}
