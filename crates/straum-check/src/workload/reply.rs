//! Reading replies, as strictly as Maelstrom: a body has exactly the fields of its type, `in_reply_to`,
//! and at most a `msg_id`. Never guesses what a node may have meant.
//!
//! Source: the schemas in Maelstrom's `src/maelstrom/workload/kafka.clj` and `client.clj`.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::history::{Error, KeyId, Message, Offset};

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Rpc {
    /// `init`.
    Init,
    /// `send`.
    Send,
    /// `poll`.
    Poll,
    /// `commit_offsets`.
    Commit,
    /// `list_committed_offsets`.
    List,
}

/// A good reply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// `init_ok`.
    Init,
    /// `send_ok`.
    Send(Offset),
    /// `poll_ok`.
    Poll(Vec<(KeyId, Vec<(Offset, Message)>)>),
    /// `commit_offsets_ok`.
    Commit,
    /// `list_committed_offsets_ok`.
    List(Vec<(KeyId, Offset)>),
    /// `error`.
    Error(Error),
}

/// The codes that say that an operation did not happen and will not. All others leave it open.
///
/// Source: Maelstrom's `resources/errors.edn`.
pub(crate) const DEFINITE_CODES: [i64; 9] = [1, 10, 11, 12, 14, 20, 21, 22, 30];

/// The request that a body says it answers; none if it is no reply.
pub(crate) fn in_reply_to(body: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Head {
        in_reply_to: u64,
    }
    serde_json::from_str::<Head>(body).ok().map(|head| head.in_reply_to)
}

/// Reads the body of a reply to a request of this kind.
///
/// # Errors
/// What is wrong with it, for the person who debugs the node.
pub(crate) fn read(kind: Rpc, body: &str) -> Result<Reply, String> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, rename = "type")]
        kind: std::borrow::Cow<'a, str>,
    }
    let head: Head = parse(body)?;
    if head.kind == "error" {
        let error: ErrorBody = parse(body)?;
        return Ok(Reply::Error(Error { code: error.code, text: error.text.unwrap_or_default() }));
    }
    let expected = kind.ok_type();
    if head.kind != expected {
        return Err(format!("type is {:?}, expected {expected:?} or \"error\"", head.kind));
    }
    match kind {
        Rpc::Init => parse::<Empty>(body).map(|_| Reply::Init),
        Rpc::Send => parse::<SendOk>(body).map(|ok| Reply::Send(ok.offset)),
        Rpc::Poll => parse::<PollOk>(body).map(|ok| Reply::Poll(ok.msgs.0)),
        Rpc::Commit => parse::<Empty>(body).map(|_| Reply::Commit),
        Rpc::List => parse::<ListOk>(body).map(|ok| Reply::List(ok.offsets.0)),
    }
}

impl Rpc {
    fn ok_type(self) -> &'static str {
        match self {
            Self::Init => "init_ok",
            Self::Send => "send_ok",
            Self::Poll => "poll_ok",
            Self::Commit => "commit_offsets_ok",
            Self::List => "list_committed_offsets_ok",
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, String> {
    serde_json::from_str(body).map_err(|error| error.to_string())
}

/// Errors may carry more fields than these.
#[derive(Deserialize)]
struct ErrorBody {
    code: i64,
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are there to be allowed, and to be of their type")]
struct Empty {
    r#type: String,
    in_reply_to: i64,
    msg_id: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "as for Empty")]
struct SendOk {
    r#type: String,
    in_reply_to: i64,
    msg_id: Option<i64>,
    offset: Offset,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "as for Empty")]
struct PollOk {
    r#type: String,
    in_reply_to: i64,
    msg_id: Option<i64>,
    msgs: ByKey<Vec<(Offset, Message)>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "as for Empty")]
struct ListOk {
    r#type: String,
    in_reply_to: i64,
    msg_id: Option<i64>,
    offsets: ByKey<Offset>,
}

/// An object whose fields are keys. Ours are numbers; any other was never asked for.
struct ByKey<T>(Vec<(KeyId, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByKey<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = ByKey<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a field for each key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry::<KeyId, T>()? {
                    pairs.push(pair);
                }
                Ok(ByKey(pairs))
            }
        }
        deserializer.deserialize_map(Pairs(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_replies_are_read() {
        let poll = r#"{"type":"poll_ok","in_reply_to":1,"msg_id":9,"msgs":{"7":[[0,3],[2,"x"]]}}"#;
        let messages = vec![(0, Message::Value(3)), (2, Message::Foreign("\"x\"".into()))];
        assert_eq!(read(Rpc::Poll, poll), Ok(Reply::Poll(vec![(7, messages)])));
        let send = r#"{"type":"send_ok","in_reply_to":1,"offset":12}"#;
        assert_eq!(read(Rpc::Send, send), Ok(Reply::Send(12)));
        let list = r#"{"type":"list_committed_offsets_ok","in_reply_to":1,"offsets":{"4":2}}"#;
        assert_eq!(read(Rpc::List, list), Ok(Reply::List(vec![(4, 2)])));
        let commit = r#"{"in_reply_to":1,"type":"commit_offsets_ok"}"#;
        assert_eq!(read(Rpc::Commit, commit), Ok(Reply::Commit));
    }

    #[test]
    fn errors_may_carry_more() {
        let error = r#"{"type":"error","in_reply_to":1,"code":11,"text":"not now","hint":[1]}"#;
        let expected = Error { code: 11, text: "not now".into() };
        assert_eq!(read(Rpc::Send, error), Ok(Reply::Error(expected)));
    }

    #[test]
    fn what_is_too_much_too_little_or_of_another_type_is_told() {
        for (kind, body, says) in [
            (Rpc::Send, r#"{"type":"send_ok","in_reply_to":1,"offset":1,"key":"k"}"#, "`key`"),
            (Rpc::Send, r#"{"type":"send_ok","in_reply_to":1}"#, "missing field `offset`"),
            (Rpc::Send, r#"{"type":"send_ok","in_reply_to":1,"offset":"1"}"#, "string \"1\""),
            (Rpc::Send, r#"{"type":"send_ok","in_reply_to":1,"offset":1.0}"#, "floating point"),
            (Rpc::Send, r#"{"type":"poll_ok","in_reply_to":1,"msgs":{}}"#, "expected \"send_ok\""),
            (Rpc::Poll, r#"{"type":"poll_ok","in_reply_to":1,"msgs":{"1":[[0]]}}"#, "length 1"),
            (Rpc::Poll, r#"{"type":"poll_ok","in_reply_to":1,"msgs":{"k":[]}}"#, "invalid"),
            (Rpc::Poll, r#"{"type":"poll_ok","in_reply_to":1,"msgs":[]}"#, "an object"),
            (Rpc::Commit, r#"{"in_reply_to":1}"#, "missing field `type`"),
            (Rpc::List, r#"{"type":"error","in_reply_to":1,"code":"x"}"#, "invalid type"),
        ] {
            let error = read(kind, body).unwrap_err();
            assert!(error.contains(says), "{body}: {error}");
        }
    }
}
