//! Lines between servers: messages of other nodes, and answers of `lin-kv`. Bytes travel as base64.

use std::borrow::Cow;
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;
use straum::shared::{Peer, kind_of};

use super::lin_kv;
use crate::json::fields::{Json, Text};

/// A line that no client wrote.
#[derive(Debug)]
pub(super) enum ServerLine {
    Answer(Answer),
    Peer {
        peer: Peer,
        bytes: Vec<u8>,
    },
    /// Nothing that can be understood, and why.
    Garbage(String),
}

/// An answer of the store.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) in_reply_to: u64,
    pub(super) kind: String,
    pub(super) code: Option<i64>,
    /// Empty, which no value of ours is, if it is not base64 in a string.
    pub(super) value: Vec<u8>,
}

/// Who wrote a line that no client wrote.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sender {
    LinKv,
    Peer(Peer),
}

impl Sender {
    /// The one that is called so, in JSON; none if neither `lin-kv` nor one of `peers` is.
    pub(super) fn named(src: Json<'_>, peers: &[String]) -> Option<Self> {
        let Text(name) = serde_json::from_slice(src).ok()?;
        if name == lin_kv::ADDRESS {
            return Some(Self::LinKv);
        }
        let number = peers.iter().position(|peer| *peer == name)?;
        Some(Self::Peer(Peer(u32::try_from(number).ok()?)))
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    body: Body<'a>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    in_reply_to: Option<u64>,
    code: Option<i64>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    bytes: Option<Cow<'a, str>>,
}

impl ServerLine {
    /// Reads a line of this sender.
    pub(super) fn read(sender: Sender, line: &[u8]) -> Self {
        match sender {
            Sender::LinKv => Self::understand(line, |body| {
                let in_reply_to = body.in_reply_to.ok_or("it answers nothing")?;
                let value =
                    body.value.and_then(|value| decode_json(value.get())).unwrap_or_default();
                let (kind, code) = (body.kind.into(), body.code);
                Ok(Self::Answer(Answer { in_reply_to, kind, code, value }))
            }),
            Sender::Peer(peer) => Self::understand(line, |body| {
                let text = body.bytes.ok_or("it holds no bytes")?;
                let bytes = decode(&text).ok_or("its bytes are not base64")?;
                Ok(Self::Peer { peer, bytes })
            }),
        }
    }

    fn understand(line: &[u8], read: impl FnOnce(Body<'_>) -> Result<Self, &'static str>) -> Self {
        match serde_json::from_slice(line) {
            Ok(Envelope { body }) => read(body).unwrap_or_else(|why| Self::Garbage(why.into())),
            Err(why) => Self::Garbage(why.to_string()),
        }
    }
}

/// Appends a line to a peer. `src` and `dest` are JSON already.
pub(super) fn write_to_peer(src: &str, dest: &str, bytes: &[u8], out: &mut Vec<u8>) {
    // The type is for whoever looks at the network.
    let (kind, text) = (kind_of(bytes).unwrap_or("other"), encode(bytes));
    // Nothing can fail here: a `Vec` takes every byte.
    writeln!(
        out,
        r#"{{"src":{src},"dest":{dest},"body":{{"type":"straum_{kind}","bytes":"{text}"}}}}"#
    )
    .ok();
}

/// Bytes as text that JSON need not escape.
pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

fn decode_json(json: &str) -> Option<Vec<u8>> {
    decode(&serde_json::from_str::<Cow<'_, str>>(json).ok()?)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}
