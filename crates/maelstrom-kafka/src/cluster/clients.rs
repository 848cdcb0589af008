//! Clients that wait for an answer, and how long. Never answers.

use std::collections::BTreeMap;

use straum::{Offset, Token};

use crate::request::Request;

/// How long a client waits for its answer, in nanoseconds, less the time that the answer may be on its way.
/// A client of Maelstrom is gone after 5 s, and a node that writes to one that is gone is not heard any
/// more.
pub const LATE_NS: u64 = 4_500_000_000;

#[derive(Debug, Default)]
pub(super) struct Clients {
    last_token: Token,
    /// Invariant: who came later has the larger token and the later deadline.
    waiting: BTreeMap<Token, Waiting>,
}

/// A client that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The client, and its number for the request, as the JSON they came as.
    pub(super) dest: Vec<u8>,
    pub(super) msg_id: Vec<u8>,
    pub(super) question: Question,
    until_ns: u64,
}

/// What it wants to know.
#[derive(Debug)]
pub(super) enum Question {
    Send,
    Commit,
    Poll(Vec<(String, Offset)>),
    List(Vec<String>),
}

impl Waiting {
    pub(super) fn new(now_ns: u64, request: &Request<'_>, question: Question) -> Self {
        let Request { src, msg_id, .. } = request;
        let until_ns = now_ns.saturating_add(LATE_NS);
        Self { dest: (*src).into(), msg_id: (*msg_id).into(), question, until_ns }
    }
}

impl Clients {
    pub(super) fn next_token(&mut self) -> Token {
        self.last_token += 1;
        self.last_token
    }

    pub(super) fn wait(&mut self, token: Token, waiting: Waiting) {
        let last = self.waiting.last_key_value();
        debug_assert!(last.is_none_or(|(token_before, before)| {
            *token_before < token && before.until_ns <= waiting.until_ns
        }));
        self.waiting.insert(token, waiting);
    }

    pub(super) fn take(&mut self, token: Token) -> Option<Waiting> {
        self.waiting.remove(&token)
    }

    /// Forgets those for whom any answer would be too late.
    pub(super) fn give_up(&mut self, now_ns: u64) -> Vec<Token> {
        let mut late = Vec::new();
        while let Some(oldest) = self.waiting.first_entry()
            && oldest.get().until_ns <= now_ns
        {
            late.push(*oldest.key());
            oldest.remove();
        }
        late
    }
}
