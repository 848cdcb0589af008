//! What changes the state of a node. Never carries anything that two nodes could read differently.

use crate::Offset;

/// One change, as the journal orders it and the logs apply it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Append `message` to the log of `key`, which begins to exist with its first message.
    Send {
        /// The log's name.
        key: &'a str,
        /// The message: bytes that the engine stores as they came and never looks into.
        message: &'a [u8],
    },
    /// Record that the messages of `key` up to and including `offset` have been processed.
    Commit {
        /// The log's name.
        key: &'a str,
        /// The last processed message.
        offset: Offset,
    },
}
