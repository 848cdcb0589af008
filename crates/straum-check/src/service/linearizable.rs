//! `lin-kv`: every access sees all that came before it. Never forgets a value.

use std::collections::HashMap;

use super::json::{Key, Value};
use super::request::{Access, Reply};

#[derive(Debug, Default)]
pub(super) struct Linearizable {
    values: HashMap<Key, Value>,
}

impl Linearizable {
    pub(super) fn apply(&mut self, key: Key, access: &Access) -> Reply {
        let (reply, written) = access.decide(self.values.get(&key));
        if let Some(value) = written {
            self.values.insert(key, value);
        }
        reply
    }
}
