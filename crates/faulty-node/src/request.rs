//! What clients may ask of the node, and the errors for what they may not.
//!
//! The requests are those of Maelstrom's `doc/workloads.md`, "Workload: Kafka"; the codes those of its
//! `doc/protocol.md`, "Errors".

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::message::{self, Body};

/// Code 10: the type of request is unknown.
pub(crate) const NOT_SUPPORTED: i64 = 10;
/// Code 11: it cannot be done now, and was not.
pub(crate) const TEMPORARILY_UNAVAILABLE: i64 = 11;
/// Code 12: a field is missing or wrong.
pub(crate) const MALFORMED_REQUEST: i64 = 12;
/// Code 13: nobody knows whether it happened.
pub(crate) const CRASH: i64 = 13;

/// The four requests of the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `send`
    Send,
    /// `poll`
    Poll,
    /// `commit_offsets`
    Commit,
    /// `list_committed_offsets`
    List,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Send, Self::Poll, Self::Commit, Self::List];

    /// The `type` of the request.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Poll => "poll",
            Self::Commit => "commit_offsets",
            Self::List => "list_committed_offsets",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let unknown = || format!("{name} is not a kind of request");
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A well-formed request.
pub(crate) enum Request {
    Init { node_id: String },
    Send { key: String, msg: Value },
    Poll { offsets: Vec<(String, i64)> },
    Commit { offsets: Vec<(String, i64)> },
    List { keys: Vec<String> },
}

impl Request {
    /// Reads the body of a request.
    pub(crate) fn parse(mut body: Body) -> Result<Self, Error> {
        let kind = take(&mut body, "type", "a string", string)?;
        Ok(match kind.as_str() {
            "init" => Self::Init { node_id: take(&mut body, "node_id", "a string", string)? },
            "send" => Self::Send {
                key: take(&mut body, "key", "a string", string)?,
                msg: take(&mut body, "msg", "a value", Some)?,
            },
            "poll" => Self::Poll { offsets: take_offsets(&mut body)? },
            "commit_offsets" => Self::Commit { offsets: take_offsets(&mut body)? },
            "list_committed_offsets" => {
                Self::List { keys: take(&mut body, "keys", "an array of strings", strings)? }
            }
            _ => return Err(Error::new(NOT_SUPPORTED, format!("there is no request {kind}"))),
        })
    }
}

/// An error reply.
#[derive(Debug)]
pub(crate) struct Error {
    code: i64,
    text: String,
}

impl Error {
    pub(crate) fn new(code: i64, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn into_body(self) -> Body {
        message::body("error", [("code", self.code.into()), ("text", self.text.into())])
    }
}

fn take<T>(
    body: &mut Body,
    field: &str,
    expected: &str,
    read: impl FnOnce(Value) -> Option<T>,
) -> Result<T, Error> {
    let malformed = || Error::new(MALFORMED_REQUEST, format!("{field}: expected {expected}"));
    body.remove(field).and_then(read).ok_or_else(malformed)
}

fn take_offsets(body: &mut Body) -> Result<Vec<(String, i64)>, Error> {
    take(body, "offsets", "an object of integers", |value| {
        let Value::Object(offsets) = value else { return None };
        offsets.into_iter().map(|(key, offset)| Some((key, offset.as_i64()?))).collect()
    })
}

fn string(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn strings(value: Value) -> Option<Vec<String>> {
    match value {
        Value::Array(values) => values.into_iter().map(string).collect(),
        _ => None,
    }
}
