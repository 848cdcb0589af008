//! Messages as lines of JSON: `{"src", "dest", "body"}`. Never knows what a body means.

use serde_json::{Map, Value, json};

/// A JSON object: the body of a message.
pub(crate) type Body = Map<String, Value>;

/// A message that came in.
pub(crate) struct Message {
    pub(crate) src: String,
    pub(crate) dest: String,
    pub(crate) body: Body,
}

impl Message {
    /// Reads a line; `None` if it is not a message, so that nobody can be told.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let Ok(Value::Object(mut envelope)) = serde_json::from_slice(line) else { return None };
        let Some(Value::String(src)) = envelope.remove("src") else { return None };
        let Some(Value::String(dest)) = envelope.remove("dest") else { return None };
        let Some(Value::Object(body)) = envelope.remove("body") else { return None };
        Some(Self { src, dest, body })
    }

    /// An integer of the body: `msg_id`, `in_reply_to`.
    pub(crate) fn number(&self, field: &str) -> Option<i64> {
        self.body.get(field).and_then(Value::as_i64)
    }
}

/// A line that goes out, without its end.
pub(crate) fn line(src: &str, dest: &str, body: &Body) -> Vec<u8> {
    json!({"src": src, "dest": dest, "body": body}).to_string().into_bytes()
}

/// A body with its type and fields.
pub(crate) fn body<const N: usize>(kind: &str, fields: [(&str, Value); N]) -> Body {
    let kind = ("type", Value::from(kind));
    std::iter::once(kind).chain(fields).map(|(name, value)| (name.to_owned(), value)).collect()
}
