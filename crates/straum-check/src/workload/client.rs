//! A client: its positions, what it waits for, and what an answer means for both. Never sends; it says
//! what to ask, and whoever runs it asks.

use std::collections::BTreeMap;

use crate::history::{Action, KeyId, Offset};
use crate::workload::reply::{Reply, Rpc};
use crate::workload::request;

/// One client, bound to a node until it crashes or gets no answer.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Its number: `c<number>` on the network, and the process in the history.
    pub number: u32,
    /// The node it talks to.
    pub node: usize,
    /// The next offset that it wants of each key it is assigned.
    positions: BTreeMap<KeyId, Offset>,
    next_msg_id: u64,
}

/// A request, ready to leave.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// The body's number.
    pub msg_id: u64,
    /// What the reply must be.
    pub kind: Rpc,
    /// The body, as JSON text.
    pub body: String,
    /// What goes into the history.
    pub action: Action,
}

impl Client {
    /// A client that has been assigned nothing.
    pub(crate) fn new(number: u32, node: usize) -> Self {
        Self { number, node, positions: BTreeMap::new(), next_msg_id: 1 }
    }

    /// The next offset it wants of a key; none if it is not assigned.
    pub(crate) fn position(&self, key: KeyId) -> Option<Offset> {
        self.positions.get(&key).copied()
    }

    /// Sends a value.
    pub(crate) fn send(&mut self, key: KeyId, value: u64) -> Request {
        let msg_id = self.msg_id();
        Request {
            msg_id,
            kind: Rpc::Send,
            body: request::send(msg_id, key, value),
            action: Action::Send { key, value, offset: None },
        }
    }

    /// Polls everything it is assigned.
    pub(crate) fn poll(&mut self) -> Request {
        let msg_id = self.msg_id();
        let from: Vec<(KeyId, Offset)> = self.positions.iter().map(|(&k, &o)| (k, o)).collect();
        Request {
            msg_id,
            kind: Rpc::Poll,
            body: request::poll(msg_id, &from),
            action: Action::Poll { from, messages: Vec::new() },
        }
    }

    /// Commits offsets.
    pub(crate) fn commit(&mut self, offsets: Vec<(KeyId, Offset)>) -> Request {
        let msg_id = self.msg_id();
        Request {
            msg_id,
            kind: Rpc::Commit,
            body: request::commit(msg_id, &offsets),
            action: Action::Commit { offsets },
        }
    }

    /// Asks where to start reading keys, which it will be assigned when the answer comes.
    pub(crate) fn assign(&mut self, keys: Vec<KeyId>) -> Request {
        let msg_id = self.msg_id();
        Request {
            msg_id,
            kind: Rpc::List,
            body: request::list(msg_id, &keys),
            action: Action::Assign {
                keys,
                from_beginning: false,
                committed: Vec::new(),
                positions: Vec::new(),
            },
        }
    }

    /// Assigns keys from their beginning; no node is asked.
    pub(crate) fn assign_from_beginning(&mut self, keys: Vec<KeyId>) -> Action {
        self.positions = keys.iter().map(|&key| (key, 0)).collect();
        let positions = keys.iter().map(|&key| (key, 0)).collect();
        Action::Assign { keys, from_beginning: true, committed: Vec::new(), positions }
    }

    /// Puts a good reply into the history's action, and goes on from what it says. Returns the offsets
    /// to commit, if it read anything.
    ///
    /// # Errors
    /// What is wrong, if the reply speaks of keys that were not asked for.
    pub(crate) fn take(&mut self, action: &mut Action, reply: Reply) -> Result<Read, String> {
        match (action, reply) {
            (Action::Send { offset, .. }, Reply::Send(got)) => *offset = Some(got),
            (Action::Poll { from, messages }, Reply::Poll(got)) => {
                asked_for(got.iter().map(|(key, _)| *key), from.iter().map(|(key, _)| *key))?;
                *messages = got;
                return Ok(self.advance(messages));
            }
            (Action::Assign { keys, committed, positions, .. }, Reply::List(got)) => {
                asked_for(got.iter().map(|(key, _)| *key), keys.iter().copied())?;
                *committed = got;
                self.resume(keys, committed);
                *positions = self.positions.iter().map(|(&k, &o)| (k, o)).collect();
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    /// Moves the positions past what was read.
    fn advance(&mut self, messages: &[(KeyId, Vec<(Offset, crate::history::Message)>)]) -> Read {
        let mut read = Vec::new();
        for (key, messages) in messages {
            let Some(last) = messages.iter().map(|(offset, _)| *offset).max() else { continue };
            read.push((*key, last));
            let position = self.positions.entry(*key).or_default();
            *position = (*position).max(last.saturating_add(1));
        }
        read
    }

    /// Goes on at its own position, else after the committed offset, else at the beginning.
    fn resume(&mut self, keys: &[KeyId], committed: &[(KeyId, Offset)]) {
        let committed: BTreeMap<KeyId, Offset> = committed.iter().copied().collect();
        let start = |key: &KeyId| {
            let own = self.positions.get(key).copied();
            let after = || committed.get(key).map(|offset| offset.saturating_add(1));
            own.or_else(after).unwrap_or(0)
        };
        self.positions = keys.iter().map(|key| (*key, start(key))).collect();
    }

    fn msg_id(&mut self) -> u64 {
        self.next_msg_id += 1;
        self.next_msg_id - 1
    }
}

/// The last offset that was read of each key.
pub(crate) type Read = Vec<(KeyId, Offset)>;

/// Keys in a reply must be among those in the request, and only once.
fn asked_for(
    answered: impl Iterator<Item = KeyId>,
    asked: impl Iterator<Item = KeyId>,
) -> Result<(), String> {
    let mut asked: std::collections::BTreeSet<KeyId> = asked.collect();
    for key in answered {
        if !asked.remove(&key) {
            return Err(format!("key \"{key}\" was not asked for, or is there twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Message;

    fn polled(client: &mut Client, messages: Vec<(KeyId, Vec<(Offset, Message)>)>) -> Read {
        let mut request = client.poll();
        client.take(&mut request.action, Reply::Poll(messages)).unwrap()
    }

    #[test]
    fn a_poll_moves_the_positions_past_what_it_read() {
        let mut client = Client::new(1, 0);
        client.assign_from_beginning(vec![7, 8]);
        let read =
            polled(&mut client, vec![(7, vec![(0, Message::Value(1)), (3, Message::Value(2))])]);
        assert_eq!(read, [(7, 3)]);
        assert_eq!((client.position(7), client.position(8)), (Some(4), Some(0)));
    }

    #[test]
    fn an_assign_goes_on_where_the_client_was_else_after_the_commit_else_at_0() {
        let mut client = Client::new(1, 0);
        client.assign_from_beginning(vec![1, 9]);
        polled(&mut client, vec![(1, vec![(5, Message::Value(0))])]);
        let mut request = client.assign(vec![1, 2, 3]);
        client.take(&mut request.action, Reply::List(vec![(1, 2), (2, 40)])).unwrap();
        let positions = [1, 2, 3, 9].map(|key| client.position(key));
        assert_eq!(positions, [Some(6), Some(41), Some(0), None]);
    }

    #[test]
    fn keys_that_were_not_asked_for_are_refused() {
        let mut client = Client::new(1, 0);
        client.assign_from_beginning(vec![1]);
        let mut request = client.poll();
        for messages in [vec![(2, vec![])], vec![(1, vec![]), (1, vec![])]] {
            assert!(client.take(&mut request.action, Reply::Poll(messages)).is_err());
        }
    }
}
