//! Calls to Maelstrom's `lin-kv` service (its `doc/services.md`). Never calls twice for one outcome: a
//! call without an answer may have happened, so nobody here asks again.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::message::{self, Body};

/// The service's address.
pub(crate) const ADDRESS: &str = "lin-kv";

const KEY_DOES_NOT_EXIST: i64 = 20;
const PRECONDITION_FAILED: i64 = 22;

/// Calls that wait for their answers.
pub(crate) struct LinKv {
    next_msg_id: i64,
    calls: BTreeMap<i64, Call>,
}

/// Whose call it is, and what was called.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) task: u64,
    /// Index among the task's jobs.
    pub(crate) job: usize,
    operation: Operation,
}

#[derive(Clone, Copy)]
enum Operation {
    Read,
    Cas,
}

/// What the service says.
pub(crate) enum Answer {
    /// The document is this; null if it does not exist.
    Document(Value),
    /// The document was replaced.
    Replaced,
    /// The document is no longer what it was: nothing happened.
    Conflict,
    /// Anything else.
    Unknown(String),
}

impl LinKv {
    /// Numbers its calls from the microsecond at which the node starts: an answer to a call of the same
    /// node before it was killed must not pass for an answer to one of these.
    pub(crate) fn new(now_ns: u64) -> Self {
        Self { next_msg_id: (now_ns / 1_000).cast_signed(), calls: BTreeMap::new() }
    }

    /// The body of a call that reads a document.
    pub(crate) fn read(&mut self, task: u64, job: usize, document: &str) -> Body {
        let msg_id = self.register(Call { task, job, operation: Operation::Read });
        message::body("read", [("msg_id", msg_id.into()), ("key", document.into())])
    }

    /// The body of a call that replaces a document if it is still `from`.
    pub(crate) fn cas(&mut self, call: Call, document: &str, from: Value, to: Value) -> Body {
        let msg_id = self.register(Call { operation: Operation::Cas, ..call });
        let create = from.is_null();
        let fields = [
            ("msg_id", msg_id.into()),
            ("key", document.into()),
            ("from", from),
            ("to", to),
            ("create_if_not_exists", create.into()),
        ];
        message::body("cas", fields)
    }

    fn register(&mut self, call: Call) -> i64 {
        let msg_id = self.next_msg_id;
        self.next_msg_id += 1;
        self.calls.insert(msg_id, call);
        msg_id
    }

    /// Matches an answer with its call; `None` if nobody waits for it (any more).
    pub(crate) fn answered(&mut self, in_reply_to: i64, mut body: Body) -> Option<(Call, Answer)> {
        let call = self.calls.remove(&in_reply_to)?;
        let kind = body.get("type").and_then(Value::as_str);
        let code = body.get("code").and_then(Value::as_i64);
        let answer = match (call.operation, kind, code) {
            (Operation::Read, Some("read_ok"), _) => {
                Answer::Document(body.remove("value").unwrap_or_default())
            }
            (Operation::Read, Some("error"), Some(KEY_DOES_NOT_EXIST)) => {
                Answer::Document(Value::Null)
            }
            (Operation::Cas, Some("cas_ok"), _) => Answer::Replaced,
            (Operation::Cas, Some("error"), Some(KEY_DOES_NOT_EXIST | PRECONDITION_FAILED)) => {
                Answer::Conflict
            }
            _ => Answer::Unknown(Value::Object(body).to_string()),
        };
        Some((call, answer))
    }

    /// Nobody waits for the answers to a task's calls any more.
    pub(crate) fn forget(&mut self, task: u64) {
        self.calls.retain(|_, call| call.task != task);
    }
}
