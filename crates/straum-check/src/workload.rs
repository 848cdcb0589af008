//! Generating: what clients do, and what they make of the answers. Never sends or waits.
//!
//! - [`generator`]: which operation comes next, on which keys.
//! - [`client`]: one client, its positions, and the operation it waits for.
//! - [`request`]: bodies of requests.
//! - [`reply`]: strict reading of replies.

pub(crate) mod client;
pub(crate) mod generator;
pub(crate) mod reply;
pub(crate) mod request;
