//! How keys, messages and operations are called in what the judge says.

use crate::history::{Action, Error, History, KeyId, Offset, Outcome};

use super::log::Content;

/// Names things of a history.
#[derive(Clone, Copy)]
pub(super) struct Words<'h>(pub(super) &'h History);

impl Words<'_> {
    /// `key "7"`
    pub(super) fn key(self, key: KeyId) -> String {
        format!("key {:?}", self.0.keys[key as usize])
    }

    /// `process 12 on n0`
    pub(super) fn process(self, index: usize) -> String {
        let operation = &self.0.operations[index];
        format!("process {} on n{}", operation.process, operation.node)
    }

    /// `op 310, process 12 on n0`
    pub(super) fn by(self, index: usize) -> String {
        format!("op {index}, {}", self.process(index))
    }

    /// What an operation said of a message at an offset: `acknowledged (…)`, `returned by a poll (…)`.
    pub(super) fn shown(self, index: usize) -> String {
        let how = match self.0.operations[index].action {
            Action::Send { .. } => "acknowledged",
            _ => "returned by a poll",
        };
        format!("{how} ({})", self.by(index))
    }
}

/// `message 42`
pub(super) fn message(content: Content<'_>) -> String {
    const SHOWN_CHARS: usize = 100;
    match content {
        Content::Value(value) => format!("message {value}"),
        Content::Foreign(text) if text.chars().nth(SHOWN_CHARS).is_some() => {
            format!("message {}…", text.chars().take(SHOWN_CHARS).collect::<String>())
        }
        Content::Foreign(text) => format!("message {text}"),
    }
}

/// `offset 17`, or `none`
pub(super) fn committed(offset: Option<Offset>) -> String {
    offset.map_or_else(|| "none".to_owned(), |offset| format!("offset {offset}"))
}

/// How an operation ended: `error 11: not now`.
pub(super) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok => "ok".to_owned(),
        Outcome::Fail(Error { code, text }) | Outcome::Info(Error { code, text }) => {
            format!("error {code}: {text}")
        }
    }
}
