//! The simulated network between clients, nodes and services. Never looks into a body further than
//! its `type`, and never reads a clock.

mod counts;
mod delay;
mod line;
mod transit;

pub use delay::Distribution;
pub(crate) use line::is_integer;
pub use line::{body_kind, read_line, write_line};
pub use transit::{Network, NetworkSettings};

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::time::Nanos;

/// Who sends and gets messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// `n0`, `n1`, …
    Node(u32),
    /// `c0`, `c1`, … A client's number is never used again.
    Client(u32),
    /// A service, by name.
    Service(Service),
}

/// The services that nodes may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// `lin-kv`: a linearizable key-value store.
    LinKv,
    /// `seq-kv`: a sequentially consistent one.
    SeqKv,
    /// `lww-kv`: an eventually consistent one, last write wins.
    LwwKv,
    /// `lin-tso`: a linearizable timestamp oracle.
    LinTso,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(number) => write!(f, "n{number}"),
            Self::Client(number) => write!(f, "c{number}"),
            Self::Service(service) => f.write_str(service.name()),
        }
    }
}

impl Address {
    /// The address that a name stands for: exactly `n` or `c` and a number without leading zeros,
    /// or the name of a service.
    pub fn parse(name: &str) -> Option<Self> {
        match name.as_bytes().first()? {
            b'n' => number(&name[1..]).map(Self::Node),
            b'c' => number(&name[1..]).map(Self::Client),
            _ => Service::ALL.into_iter().find(|service| service.name() == name).map(Self::Service),
        }
    }
}

fn number(digits: &str) -> Option<u32> {
    let plain = digits == "0" || !digits.starts_with(['0', '+']);
    if plain { digits.parse().ok() } else { None }
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LinKv, Self::SeqKv, Self::LwwKv, Self::LinTso];

    /// The name that nodes send to.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinKv => "lin-kv",
            Self::SeqKv => "seq-kv",
            Self::LwwKv => "lww-kv",
            Self::LinTso => "lin-tso",
        }
    }
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The sender.
    pub src: Address,
    /// The addressee.
    pub dest: Address,
    /// The body: a JSON object, as text.
    pub body: Box<str>,
    /// How often the node had been started that asked this of a service, or is answered by one. An
    /// answer to what a node asked before it was killed does not reach it: its connection is gone.
    pub life: u32,
}

/// How many messages were sent, lost ones included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All.
    pub all: u64,
    /// From or to a client.
    pub clients: u64,
    /// Between nodes, and between nodes and services.
    pub servers: u64,
    /// By the `type` of their body: `send`, `send_ok`, `cas`, …
    pub by_kind: BTreeMap<String, u64>,
}

/// A message as the report draws it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// When it was sent.
    pub sent_ns: Nanos,
    /// When it arrives; none if it was lost, or not known yet.
    pub received_ns: Option<Nanos>,
    /// What was sent.
    pub envelope: Envelope,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_an_address_only_if_it_is_written_as_we_write_it() {
        for name in ["n0", "n10", "c4294967295", "lin-kv", "seq-kv", "lww-kv", "lin-tso"] {
            assert_eq!(
                Address::parse(name).map(|address| address.to_string()).as_deref(),
                Some(name)
            );
        }
        for name in ["", "n", "n01", "n00", "n+1", "n-1", "n1 ", "c4294967296", "N1", "kv", "né"] {
            assert_eq!(Address::parse(name), None, "{name}");
        }
    }
}
