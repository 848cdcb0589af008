//! Our own commands: those that wait, and the one batch of them that is under way. Never sends anything.

use std::collections::VecDeque;
use std::sync::Arc;

use super::format::Batch;
use super::{Outcome, Peer, Token};
use crate::journal::format::write_command;
use crate::{Command, Offset};

/// A batch is frozen before it outgrows this, in bytes, unless its first request alone is larger.
const BATCH_BYTES: usize = 128 * 1024;

#[derive(Debug)]
pub(super) struct Own {
    instance: u64,
    /// The number of the last batch that was frozen.
    last_seq: u64,
    waiting: VecDeque<Request>,
    frozen: Option<Frozen>,
}

/// The commands of one request, which are always in one batch.
#[derive(Debug)]
struct Request {
    token: Token,
    payload: Vec<u8>,
    commands: usize,
}

/// The batch that is under way. Its commands never change: others may have it already.
#[derive(Debug)]
struct Frozen {
    seq: u64,
    bytes: Arc<[u8]>,
    payload: Vec<u8>,
    /// Who waits for how many of its commands, in order.
    tokens: Vec<(Token, usize)>,
    forwarded: Option<Forwarded>,
}

/// Where a batch was forwarded to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forwarded {
    pub(super) to: Peer,
    /// Until when it may take.
    pub(super) until_ns: u64,
}

impl Own {
    pub(super) fn new(instance: u64) -> Self {
        Self { instance, last_seq: 0, waiting: VecDeque::new(), frozen: None }
    }

    pub(super) fn push(&mut self, token: Token, commands: &[Command<'_>]) {
        let mut payload = Vec::new();
        for command in commands {
            write_command(*command, &mut payload);
        }
        self.waiting.push_back(Request { token, payload, commands: commands.len() });
    }

    /// Drops a request that waits and is in no batch yet.
    pub(super) fn forget(&mut self, token: Token) {
        self.waiting.retain(|request| request.token != token);
    }

    /// Whether a batch is under way, or could be.
    pub(super) fn has_something(&self) -> bool {
        self.frozen.is_some() || !self.waiting.is_empty()
    }

    pub(super) fn forwarded(&self) -> Option<Forwarded> {
        self.frozen.as_ref()?.forwarded
    }

    pub(super) fn forward(&mut self, forwarded: Option<Forwarded>) {
        if let Some(frozen) = &mut self.frozen {
            frozen.forwarded = forwarded;
        }
    }

    /// The batch under way, which is frozen now if there was none and anything waits.
    pub(super) fn freeze(&mut self) -> Option<Arc<[u8]>> {
        if self.frozen.is_none() && !self.waiting.is_empty() {
            self.frozen = Some(self.take_waiting());
        }
        Some(Arc::clone(&self.frozen.as_ref()?.bytes))
    }

    /// The batch under way.
    pub(super) fn under_way(&self) -> Option<Batch<'_>> {
        let Frozen { seq, payload, .. } = self.frozen.as_ref()?;
        Some(Batch { instance: self.instance, seq: *seq, payload })
    }

    fn take_waiting(&mut self) -> Frozen {
        let mut payload = Vec::new();
        let mut tokens = Vec::new();
        while let Some(request) = self.waiting.front()
            && (payload.is_empty() || payload.len() + request.payload.len() <= BATCH_BYTES)
        {
            payload.extend_from_slice(&request.payload);
            tokens.push((request.token, request.commands));
            self.waiting.pop_front();
        }
        self.last_seq += 1;
        let seq = self.last_seq;
        let bytes = self.to_bytes(seq, &payload);
        Frozen { seq, bytes, payload, tokens, forwarded: None }
    }

    fn to_bytes(&self, seq: u64, payload: &[u8]) -> Arc<[u8]> {
        Batch { instance: self.instance, seq, payload }.to_bytes().into()
    }

    /// A batch has taken effect. If it is the one under way: what its requests came to.
    pub(super) fn applied(
        &mut self,
        batch: &Batch<'_>,
        results: &[Option<Offset>],
        outcomes: &mut Vec<Outcome>,
    ) {
        let ours = |frozen: &mut Frozen| batch.instance == self.instance && batch.seq == frozen.seq;
        if let Some(frozen) = self.frozen.take_if(ours) {
            frozen.answer(results, outcomes);
        }
    }

    /// Breaks a rule: the batch under way gets a new number.
    pub(super) fn renumber(&mut self) {
        if let Some(mut frozen) = self.frozen.take() {
            self.last_seq += 1;
            frozen.seq = self.last_seq;
            frozen.bytes = self.to_bytes(frozen.seq, &frozen.payload);
            self.frozen = Some(frozen);
        }
    }
}

impl Frozen {
    fn answer(&self, results: &[Option<Offset>], outcomes: &mut Vec<Outcome>) {
        let mut results = results.iter();
        for (token, commands) in &self.tokens {
            let offset = results.by_ref().take(*commands).last().copied().flatten();
            outcomes.push(match offset {
                Some(offset) => Outcome::Sent { token: *token, offset },
                None => Outcome::Committed { token: *token },
            });
        }
    }
}
