//! The messages of an operation: as the trace has them, else as the history tells them. Never makes
//! up what neither knows, such as an answer that nobody got.

use serde_json::{Map, Value, json};

use crate::history::{Action, History, KeyId, Message, Offset, Operation, Outcome};
use crate::measure::asks_a_node;
use crate::network::{Address, Envelope, Traced, body_kind};
use crate::report::Run;
use crate::time::Nanos;

/// The request of an operation, and its answer if it got one; none of an operation that asks nobody.
pub(super) struct Exchange {
    pub(super) messages: Vec<Traced>,
    /// Whether any of them is told by the history, for want of a trace that reaches so far.
    pub(super) retold: bool,
}

/// The messages of an operation.
pub(super) fn exchange(run: &Run<'_>, operation: &Operation) -> Exchange {
    if !asks_a_node(operation) {
        return Exchange { messages: Vec::new(), retold: false };
    }
    let mut messages = traced(run, operation);
    let end = run.trace.last().map(|message| message.sent_ns);
    let lacks_request = messages.is_empty() && end.is_none_or(|end| end <= operation.invoked_ns);
    let lacks_reply = messages.len() < 2 && end.is_none_or(|end| end < operation.completed_ns);
    if lacks_request {
        messages.push(request(run.history, operation));
    }
    let reply = if lacks_reply { reply(run.history, operation) } else { None };
    let retold = lacks_request || reply.is_some();
    messages.extend(reply);
    Exchange { messages, retold }
}

/// The request, by who sent what when; and the answer to it, by what it says it answers.
fn traced(run: &Run<'_>, operation: &Operation) -> Vec<Traced> {
    let (client, node) = ends(operation);
    let sent_before = |at: Nanos| run.trace.partition_point(|message| message.sent_ns < at);
    let (from, to) =
        (sent_before(operation.invoked_ns), sent_before(operation.completed_ns.saturating_add(1)));
    let meanwhile = run.trace.get(from..to).unwrap_or_default();
    let request = meanwhile
        .iter()
        .take_while(|message| message.sent_ns == operation.invoked_ns)
        .find(|Traced { envelope, .. }| {
            (envelope.src, envelope.dest) == (client, node)
                && body_kind(&envelope.body) == Some(kind(&operation.action))
        });
    let Some(request) = request else { return Vec::new() };
    let msg_id = field(&request.envelope.body, "msg_id");
    let reply = meanwhile.iter().find(|Traced { envelope, .. }| {
        (envelope.src, envelope.dest) == (node, client)
            && msg_id.is_some()
            && field(&envelope.body, "in_reply_to") == msg_id
    });
    std::iter::once(request).chain(reply).cloned().collect()
}

fn field(body: &str, name: &str) -> Option<Value> {
    serde_json::from_str::<Map<String, Value>>(body).ok()?.remove(name)
}

fn ends(operation: &Operation) -> (Address, Address) {
    (Address::Client(operation.process), Address::Node(operation.node))
}

/// The `type` of a request.
fn kind(action: &Action) -> &'static str {
    match action {
        Action::Send { .. } => "send",
        Action::Poll { .. } => "poll",
        Action::Commit { .. } => "commit_offsets",
        Action::Assign { .. } | Action::Crash => "list_committed_offsets",
    }
}

fn request(history: &History, operation: &Operation) -> Traced {
    let (src, dest) = ends(operation);
    let kind = kind(&operation.action);
    let body = match &operation.action {
        Action::Send { key, value, .. } => {
            json!({"type": kind, "key": name(history, *key), "msg": value})
        }
        Action::Poll { from: offsets, .. } | Action::Commit { offsets } => {
            json!({"type": kind, "offsets": by_name(history, offsets)})
        }
        Action::Assign { keys, .. } => {
            let keys: Vec<&str> = keys.iter().map(|key| name(history, *key)).collect();
            json!({"type": kind, "keys": keys})
        }
        Action::Crash => json!({"type": kind}),
    };
    message(operation.invoked_ns, src, dest, &body)
}

/// The answer; none if nobody knows of one.
fn reply(history: &History, operation: &Operation) -> Option<Traced> {
    let (client, node) = ends(operation);
    let body = match &operation.outcome {
        Outcome::Ok => good_reply(history, &operation.action),
        Outcome::Info(error) if error.code == 0 => return None,
        Outcome::Fail(error) | Outcome::Info(error) => {
            json!({"type": "error", "code": error.code, "text": error.text})
        }
    };
    Some(message(operation.completed_ns, node, client, &body))
}

fn good_reply(history: &History, action: &Action) -> Value {
    let kind = format!("{}_ok", kind(action));
    match action {
        Action::Send { offset, .. } => json!({"type": kind, "offset": offset}),
        Action::Poll { messages, .. } => {
            let by_key = messages.iter().map(|(key, got)| {
                let got: Vec<Value> =
                    got.iter().map(|(offset, message)| json!([offset, value(message)])).collect();
                (name(history, *key).to_owned(), Value::from(got))
            });
            json!({"type": kind, "msgs": by_key.collect::<Map<_, _>>()})
        }
        Action::Assign { committed, .. } => {
            json!({"type": kind, "offsets": by_name(history, committed)})
        }
        Action::Commit { .. } | Action::Crash => json!({"type": kind}),
    }
}

fn value(message: &Message) -> Value {
    match message {
        Message::Value(value) => json!(value),
        Message::Foreign(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
    }
}

fn by_name(history: &History, offsets: &[(KeyId, Offset)]) -> Map<String, Value> {
    offsets.iter().map(|(key, offset)| (name(history, *key).to_owned(), json!(offset))).collect()
}

fn name(history: &History, key: KeyId) -> &str {
    history.keys.get(key as usize).map_or("?", String::as_str)
}

/// Messages between clients and nodes take no time.
fn message(at: Nanos, src: Address, dest: Address, body: &Value) -> Traced {
    let body = body.to_string().into();
    Traced { sent_ns: at, received_ns: Some(at), envelope: Envelope { src, dest, body, life: 0 } }
}
