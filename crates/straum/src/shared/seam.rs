//! What passes between a member and whoever drives it: effects out, answers in, outcomes out. Bytes and
//! numbers, never the store's own words.

use std::sync::Arc;

use super::pace::Pacing;
use crate::{Offset, Position};

/// Another member, by a number below [`Settings::peers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer(pub u32);

/// What the driver calls a request; never looked into.
pub type Token = u64;

/// Where a value is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The entry at a position.
    Entry(Position),
    /// A copy of 64 entries, of which the first is at 64 times this number.
    Run(u64),
}

/// What a member is told when it starts.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Names this life of this member: no other life of any member may have the same.
    pub instance: u64,
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
        place: Place,
        /// The value.
        bytes: Arc<[u8]>,
    },
    /// Read a value, and answer with [`Member::get_answered`](super::Member::get_answered).
    Get {
        /// Where.
        place: Place,
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

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is in its log, for good.
    Sent {
        /// Of the request.
        token: Token,
        /// Where the message is.
        offset: Offset,
    },
    /// The offsets are recorded, for good.
    Committed {
        /// Of the request.
        token: Token,
    },
    /// The engine has everything that was in the journal when this was asked for.
    UpToDate {
        /// Of the request.
        token: Token,
    },
}
