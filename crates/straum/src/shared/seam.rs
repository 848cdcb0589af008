//! What passes between a member and whoever drives it: effects out, answers in, outcomes out. Bytes and
//! numbers, never the store's own words.

use std::fmt;
use std::sync::Arc;

use super::pace::Pacing;
use crate::Position;
use crate::identity::Identity;

/// Another member, by a number below [`MemberSettings::peers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer(pub u32);

/// Where a value is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StorePlace {
    /// The entry at a position.
    Entry(Position),
    /// A copy of 64 entries, of which the first is at 64 times this number.
    Run(u64),
}

/// What a member is told when it starts.
#[derive(Clone, Copy, Debug)]
pub struct MemberSettings {
    /// Names this life of this member: no other life of any member may have the same.
    pub instance: u64,
    /// The identity that the journal gets if there is none.
    pub identity: Identity,
    /// What time it was at 0 ns of the times that events come with, in milliseconds since 1970.
    pub began_at_ms: u64,
    /// How many other members there are.
    pub peers: u32,
    /// Where the jitter of retries comes from.
    pub seed: u64,
    /// How long it waits for more to come, under load.
    pub pacing: Pacing,
}

/// What the driver is to do. Any of it may fail, be late, or happen twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Create a value in the store if there is none, and answer with
    /// [`Member::put_answered`](super::Member::put_answered).
    Put {
        /// Where.
        place: StorePlace,
        /// The value.
        bytes: Arc<[u8]>,
    },
    /// Put a value in the place of whatever is there. No answer is wanted.
    Replace {
        /// Where.
        place: StorePlace,
        /// The value.
        bytes: Arc<[u8]>,
    },
    /// Read a value, and answer with [`Member::get_answered`](super::Member::get_answered).
    Get {
        /// Where.
        place: StorePlace,
    },
    /// Send a message to a peer, which gets it as [`Member::told`](super::Member::told).
    Tell {
        /// To whom.
        peer: Peer,
        /// The message.
        bytes: Arc<[u8]>,
    },
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutAnswer {
    /// There was no value, and now there is this one.
    Created,
    /// There was a value.
    Taken,
    /// The store could not say, or would not do it.
    Unknown,
}

/// What a get found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetAnswer<'a> {
    /// This value.
    Found(&'a [u8]),
    /// There is none.
    Absent,
    /// The store could not say.
    Unknown,
}

/// Why a member does nothing any more. What was acknowledged is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberFailure {
    /// The store holds what this program cannot read, as said.
    Unreadable(String),
    /// The entry that comes next was removed while this member was away.
    CutOff {
        /// Its position.
        position: Position,
        /// The position before which entries were removed.
        cut: Position,
    },
}

impl fmt::Display for MemberFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(what) => f.write_str(what),
            Self::CutOff { position, cut } => write!(
                f,
                "entry {position} of the journal was removed while this member was away, with all before {cut}"
            ),
        }
    }
}

impl std::error::Error for MemberFailure {}
