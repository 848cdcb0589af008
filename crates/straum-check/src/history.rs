//! What happened in a run, as its clients saw it: the only thing the judge looks at. Never judges.
//!
//! In memory a history is compact (keys are numbers, messages are integers); on disk it is
//! `history.jsonl`, one JSON object a line, documented in `docs/history.md`.

pub mod file;

use serde::{Deserialize, Serialize};

use crate::time::Nanos;

/// A key, as an index into [`History::keys`].
pub type KeyId = u32;

/// Place of a message in its log, as a node says it: nodes may be wrong, so it may be negative.
pub type Offset = i64;

/// Everything a run recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The names of the keys.
    pub keys: Vec<String>,
    /// In the order of their invocation. An operation's number is its index here.
    pub operations: Vec<Operation>,
    /// In the order of their beginning.
    pub faults: Vec<Fault>,
    /// In the order in which they were seen.
    pub violations: Vec<Violation>,
    /// Whether the run came to its end: the final polls caught up or had their time.
    pub finished: bool,
    /// Why it did not, if a node ended by itself or could not be started.
    pub crash: Option<Crash>,
}

/// A node failed in a way that ended the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// Which.
    pub node: u32,
    /// What happened, in words that follow its name.
    pub text: String,
}

/// One request of a client, with its answer; or a client's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The client. One that crashed or got no answer is gone; its successor has another number.
    pub process: u32,
    /// The node it is bound to.
    pub node: u32,
    /// The consumer group it works for, if it resumes from committed offsets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// Whether it belongs to the final polls.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
    /// When the request left.
    pub invoked_ns: Nanos,
    /// When its outcome was known.
    pub completed_ns: Nanos,
    /// What is known of its effect.
    pub outcome: Outcome,
    /// What was asked, and what was answered.
    pub action: Action,
}

/// What is known of an operation's effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It did not happen and will not: an error whose code is definite.
    Fail(Error),
    /// Nobody knows: no answer in time, an indefinite error, or an answer that makes no sense.
    Info(Error),
}

impl Operation {
    /// Whether the client did not wait for the answer: it crashed, or lost its node or the run.
    pub fn is_abandoned(&self) -> bool {
        matches!(&self.outcome, Outcome::Info(error) if error.code == ABANDONED)
    }
}

/// The code of an operation whose client did not wait for the answer.
pub const ABANDONED: i64 = -1;

/// An error reply, or the reason why there is none worth the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// Maelstrom's code; 0 for a time-out, [`ABANDONED`] if nobody waited.
    pub code: i64,
    /// The reply's text, or what went wrong.
    pub text: String,
}

/// What was asked and answered. What is only known from a good answer is empty without one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `send`.
    Send {
        /// The log.
        key: KeyId,
        /// Unique within the run.
        value: u64,
        /// From the answer.
        offset: Option<Offset>,
    },
    /// `poll`.
    Poll {
        /// The client's positions: the next offset it wants of each key.
        from: Vec<(KeyId, Offset)>,
        /// From the answer.
        messages: Vec<(KeyId, Vec<(Offset, Message)>)>,
    },
    /// `commit_offsets`, of what the client's poll before it read.
    Commit {
        /// The last processed offset of each key.
        offsets: Vec<(KeyId, Offset)>,
    },
    /// A new set of keys to read, with a `list_committed_offsets` to learn where to start, unless the
    /// client starts from the beginning, which asks nobody.
    Assign {
        /// The keys that the client reads from now on.
        keys: Vec<KeyId>,
        /// Positions are 0, nobody was asked.
        from_beginning: bool,
        /// From the answer.
        committed: Vec<(KeyId, Offset)>,
        /// Where the client goes on: its own position, else the committed offset + 1, else 0.
        /// (Maelstrom's client goes on at the committed offset itself.)
        positions: Vec<(KeyId, Offset)>,
    },
    /// The client was thrown away on purpose. Its outcome is always `Ok`.
    Crash,
}

/// What a poll returned at an offset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// An integer, as clients send them.
    Value(u64),
    /// JSON that no client can have sent.
    Foreign(Box<str>),
}

/// Something that was made to go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// `partition`, `kill`, `pause` or `service`.
    pub kind: String,
    /// Whom it befell, in words: `n0 n1 | n2`, `n1`; or what the services were: `silent`.
    pub detail: String,
    /// When it began.
    pub from_ns: Nanos,
    /// When it was healed.
    pub until_ns: Option<Nanos>,
}

/// A line of a node that broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// When it came.
    pub at_ns: Nanos,
    /// The node that wrote it.
    pub node: u32,
    /// Which line of the node's stdout, from 1, counted since its last start.
    pub line_number: u64,
    /// The rule's name: see `docs/anomalies.md`.
    pub rule: Rule,
    /// What is wrong with it, for the person who debugs the node.
    pub text: String,
    /// The line, or its beginning.
    pub line: String,
}

/// The rules that a line of a node can break, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The line is not a JSON object: a log message on stdout, a blank line, half a line.
    NotJson,
    /// The object is no envelope: `src`, `dest` or `body` is missing or wrong, another field is there,
    /// or `src` is not the node itself.
    MalformedEnvelope,
    /// `dest` is no node, no service and no client that ever was.
    UnknownDestination,
    /// A reply to a client that has given up (5 s) and is gone.
    LateReply,
    /// A reply whose body does not have exactly the fields its type demands.
    MalformedReply,
    /// A reply to nothing that this client asked, or a second one.
    UnexpectedReply,
}

impl Rule {
    /// As in the history and in `docs/anomalies.md`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotJson => "not-json",
            Self::MalformedEnvelope => "malformed-envelope",
            Self::UnknownDestination => "unknown-destination",
            Self::LateReply => "late-reply",
            Self::MalformedReply => "malformed-reply",
            Self::UnexpectedReply => "unexpected-reply",
        }
    }
}
