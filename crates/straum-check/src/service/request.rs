//! Requests to services and their replies, in the shapes of Maelstrom's `doc/services.md` and
//! `doc/protocol.md`; and what a request makes of a single value. Never keeps a value.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json::{self, Key, Value};
use crate::network::{Service, is_integer};

#[derive(Debug)]
pub(super) enum Request {
    Access { key: Key, access: Access },
    Timestamp,
}

/// What to do with the value of a key.
#[derive(Debug)]
pub(super) enum Access {
    Read,
    Write(Value),
    Exchange { from: Value, to: Value, create: bool },
}

#[derive(Debug)]
pub(super) enum Reply {
    Read(Value),
    Written,
    Exchanged,
    Timestamp(u64),
    Error(Refusal),
}

/// A definite error.
#[derive(Debug)]
pub(super) struct Refusal {
    code: u32,
    text: String,
}

/// The fields of all requests. Other fields are tolerated.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "present", rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    key: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    from: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    to: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    create_if_not_exists: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct MsgId<'a> {
    #[serde(borrow, default)]
    msg_id: Option<&'a RawValue>,
}

/// A field that is `null` is there, unlike one that is missing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The `msg_id` of a body, if it is an integer, and what the body asks for.
pub(super) fn read(body: &str) -> (Option<&str>, Result<Request, Refusal>) {
    let msg_id = serde_json::from_str(body).ok().and_then(|MsgId { msg_id }| msg_id);
    let request = match serde_json::from_str(body) {
        Ok(fields) => to_request(&fields),
        Err(error) => Err(Refusal::malformed(&error.to_string())),
    };
    (msg_id.map(RawValue::get).filter(|id| is_integer(id)), request)
}

fn to_request(fields: &Fields) -> Result<Request, Refusal> {
    let kind = required(fields.kind, "type")?;
    let access = match kind.get() {
        "\"ts\"" => return Ok(Request::Timestamp),
        "\"read\"" => Access::Read,
        "\"write\"" => Access::Write(value(fields.value, "value")?),
        "\"cas\"" => Access::Exchange {
            from: value(fields.from, "from")?,
            to: value(fields.to, "to")?,
            create: flag(fields.create_if_not_exists)?,
        },
        kind if kind.starts_with('"') => return Err(Refusal::unknown(kind)),
        _ => return Err(Refusal::malformed("type is not a string")),
    };
    let key = required(fields.key, "key")?;
    let key = json::key(key.get()).ok_or_else(|| Refusal::malformed("key is nested too deeply"))?;
    Ok(Request::Access { key, access })
}

fn required<'a>(field: Option<&'a RawValue>, name: &str) -> Result<&'a RawValue, Refusal> {
    field.ok_or_else(|| Refusal::malformed(&format!("missing field `{name}`")))
}

fn value(field: Option<&RawValue>, name: &str) -> Result<Value, Refusal> {
    required(field, name).map(|json| Value::new(json.get()))
}

fn flag(field: Option<&RawValue>) -> Result<bool, Refusal> {
    match field.map(RawValue::get) {
        None | Some("false" | "null") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Refusal::malformed("create_if_not_exists is not a boolean")),
    }
}

impl Access {
    /// What comes of it where the key has the value `current`: the reply, and the value that the key
    /// has from now on if it gets one.
    pub(super) fn decide(&self, current: Option<&Value>) -> (Reply, Option<Value>) {
        match (self, current) {
            (Self::Write(value), _) => (Reply::Written, Some(value.clone())),
            (Self::Exchange { to, create: true, .. }, None) => (Reply::Exchanged, Some(to.clone())),
            (_, None) => (Reply::Error(Refusal::missing_key()), None),
            (Self::Read, Some(current)) => (Reply::Read(current.clone()), None),
            (Self::Exchange { from, to, .. }, Some(current)) if current.equals(from) => {
                (Reply::Exchanged, Some(to.clone()))
            }
            (Self::Exchange { from, .. }, Some(current)) => {
                (Reply::Error(Refusal::mismatch(current, from)), None)
            }
        }
    }
}

impl Reply {
    /// The body, as JSON.
    pub(super) fn to_body(&self, msg_id: &str) -> String {
        let answer = match self {
            Self::Read(value) => format!("\"read_ok\",\"value\":{}", value.text()),
            Self::Written => "\"write_ok\"".to_owned(),
            Self::Exchanged => "\"cas_ok\"".to_owned(),
            Self::Timestamp(timestamp) => format!("\"ts_ok\",\"ts\":{timestamp}"),
            Self::Error(Refusal { code, text }) => {
                let text = serde_json::Value::from(text.as_str());
                format!("\"error\",\"code\":{code},\"text\":{text}")
            }
        };
        format!("{{\"type\":{answer},\"in_reply_to\":{msg_id}}}")
    }
}

impl Refusal {
    pub(super) fn new(code: u32, text: &str) -> Self {
        Self { code, text: text.to_owned() }
    }

    fn unknown(kind: &str) -> Self {
        Self { code: 10, text: format!("no service knows the type {}", Value::new(kind).shown()) }
    }

    pub(super) fn not_supported(service: Service) -> Self {
        Self { code: 10, text: format!("{} has no such request", service.name()) }
    }

    fn malformed(text: &str) -> Self {
        Self { code: 12, text: text.to_owned() }
    }

    fn missing_key() -> Self {
        Self { code: 20, text: "key does not exist".to_owned() }
    }

    fn mismatch(current: &Value, from: &Value) -> Self {
        let text = format!("current value {} is not {}", current.shown(), from.shown());
        Self { code: 22, text }
    }
}
