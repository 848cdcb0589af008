//! Our own commands: those that wait, and the one batch of them that is under way. Never sends anything.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::format::Batch;
use super::{Peer, Token};
use crate::Refused;
use crate::command::{Command, Outcome};
use crate::command_bytes::put_command;

/// A batch is frozen before it outgrows this, in bytes, unless its first request alone is larger.
const BATCH_BYTES: usize = 128 * 1024;

/// The requests that wait have at most so many bytes together, or there is only one (64 MiB).
const WAITING_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct Own {
    instance: u64,
    /// The number of the last batch that was frozen.
    last_number: u64,
    /// By the order in which they came.
    waiting: BTreeMap<u64, Request>,
    /// Where a token's requests wait. Invariant: exactly those of `waiting`.
    places: HashMap<Token, u64>,
    /// How many requests have come.
    came: u64,
    /// Invariant: the bytes of all that wait.
    waiting_bytes: usize,
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
    number: u64,
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
        Self {
            instance,
            last_number: 0,
            waiting: BTreeMap::new(),
            places: HashMap::new(),
            came: 0,
            waiting_bytes: 0,
            frozen: None,
        }
    }

    /// # Errors
    /// [`Refused::Full`] if too much waits already.
    pub(super) fn push(&mut self, token: Token, commands: &[Command<'_>]) -> Result<(), Refused> {
        let mut payload = Vec::new();
        for command in commands {
            put_command(command, &mut payload);
        }
        if !self.waiting.is_empty() && self.waiting_bytes + payload.len() > WAITING_BYTES {
            return Err(Refused::Full("too many requests wait for the store".into()));
        }
        self.waiting_bytes += payload.len();
        self.places.insert(token, self.came);
        self.waiting.insert(self.came, Request { token, payload, commands: commands.len() });
        self.came += 1;
        Ok(())
    }

    /// Drops a request that waits and is in no batch yet.
    pub(super) fn forget(&mut self, token: Token) {
        if let Some(place) = self.places.remove(&token)
            && let Some(request) = self.waiting.remove(&place)
        {
            self.waiting_bytes -= request.payload.len();
        }
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
        let Frozen { number, payload, .. } = self.frozen.as_ref()?;
        Some(Batch { instance: self.instance, number: *number, payload })
    }

    fn take_waiting(&mut self) -> Frozen {
        let mut payload = Vec::new();
        let mut tokens = Vec::new();
        while let Some(request) = self.waiting.first_entry()
            && (payload.is_empty() || payload.len() + request.get().payload.len() <= BATCH_BYTES)
        {
            let request = request.remove();
            self.places.remove(&request.token);
            self.waiting_bytes -= request.payload.len();
            payload.extend_from_slice(&request.payload);
            tokens.push((request.token, request.commands));
        }
        debug_assert!(!self.waiting.is_empty() || self.waiting_bytes == 0);
        self.last_number += 1;
        let number = self.last_number;
        let batch = Batch { instance: self.instance, number, payload: &payload };
        let bytes = batch.to_bytes().into();
        Frozen { number, bytes, payload, tokens, forwarded: None }
    }

    /// A batch has taken effect. If it is the one under way: what its requests came to.
    pub(super) fn applied(
        &mut self,
        batch: &Batch<'_>,
        results: &[Outcome],
        outcomes: &mut Vec<(Token, Outcome)>,
    ) {
        let ours =
            |frozen: &mut Frozen| (batch.instance, batch.number) == (self.instance, frozen.number);
        let Some(frozen) = self.frozen.take_if(ours) else { return };
        let mut results = results.iter();
        for (token, commands) in &frozen.tokens {
            outcomes.extend(results.by_ref().take(*commands).map(|outcome| (*token, *outcome)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Append;

    fn request(own: &mut Own, token: Token, bytes: usize) -> Result<(), Refused> {
        own.push(token, &[Command::Append(Append::record("k", &vec![0; bytes]))])
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_but_one_request_is_always_taken() {
        let mut own = Own::new(1);
        request(&mut own, 1, WAITING_BYTES + 1).unwrap();
        assert!(matches!(request(&mut own, 2, 1), Err(Refused::Full(_))));
        own.forget(1);
        request(&mut own, 3, 1).unwrap();
    }

    #[test]
    fn what_is_forgotten_is_in_no_batch() {
        let mut own = Own::new(1);
        for token in 0..10 {
            request(&mut own, token, 1).unwrap();
        }
        (0..10).filter(|token| token % 2 == 0).for_each(|token| own.forget(token));
        own.forget(77);
        own.freeze();
        let payload = own.under_way().unwrap().payload.to_vec();
        let batch = Batch { instance: 1, number: 1, payload: &payload };
        let mut outcomes = Vec::new();
        own.applied(&batch, &[Outcome::Done; 5], &mut outcomes);
        assert_eq!(outcomes.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 3, 5, 7, 9]);
    }
}
