//! What a line asks for, as borrowed Rust values. Never holds state, and never passes a message through
//! anything that could change it.
//!
//! Source of the format: Maelstrom's `doc/protocol.md` and `doc/workloads.md`, "Workload: Kafka".

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use straum::Offset;

use crate::json::fields::{Fields, Json, Name, Text};
use crate::json::plain::Plain;
use crate::refusal::{Code, Refusal};

/// How deep a message may be nested. A poll's reply puts it 5 levels deeper, and the sum stays below
/// 128, the depth at which common JSON parsers give up: what was sent can always be polled.
const MAX_NESTING: usize = 120;

/// How much of a wrong value is shown to the person who sent it, in bytes.
const VALUE_BYTES: usize = 60;

/// How much is told of why a line gets no answer, in bytes.
const REASON_BYTES: usize = 200;

/// A line that deserves an answer: who asked, under which number, and what.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The sender, as the JSON string it came as.
    pub(crate) src: Json<'a>,
    /// The addressee, as the JSON string it came as, if there is one.
    pub(crate) dest: Option<Json<'a>>,
    /// The sender's number for this request: a JSON integer that fits into 64 bits.
    pub(crate) msg_id: Json<'a>,
    pub(crate) body: Body<'a>,
}

/// Why a line gets no answer, and how it begins: one short line for a person.
#[derive(Debug)]
pub struct Unanswerable {
    reason: String,
    line_begins: String,
}

impl Unanswerable {
    pub(crate) fn new(reason: impl Into<String>, line: &[u8]) -> Self {
        let begin = &line[..line.len().min(VALUE_BYTES)];
        Self { reason: reason.into(), line_begins: String::from_utf8_lossy(begin).into() }
    }
}

impl fmt::Display for Unanswerable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What serde says of a value may hold all of it.
        let reason = excerpt(&self.reason, REASON_BYTES);
        write!(f, "{reason}; it begins {:?}", self.line_begins)
    }
}

impl std::error::Error for Unanswerable {}

/// The types of request that this node serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Init,
    Send,
    Poll,
    CommitOffsets,
    ListCommittedOffsets,
}

impl Kind {
    fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"send" => Self::Send,
            b"poll" => Self::Poll,
            b"commit_offsets" => Self::CommitOffsets,
            b"list_committed_offsets" => Self::ListCommittedOffsets,
            b"init" => Self::Init,
            _ => return None,
        })
    }
}

impl<'a> Request<'a> {
    /// What the fields of a line say, or why it gets no answer: it says neither who asks nor under which number.
    pub(crate) fn of(fields: &'a Fields<'a>) -> Result<Self, &'static str> {
        let is_string = |json: &Json<'_>| json.starts_with(b"\"");
        let src = fields.get(Name::Src).filter(is_string).ok_or("src is not a string")?;
        let dest = fields.get(Name::Dest).filter(is_string);
        if fields.get(Name::InReplyTo).is_some_and(|json| json != b"null") {
            return Err("it is a reply, and nothing was asked");
        }
        let msg_id = fields
            .get(Name::MsgId)
            .filter(|msg_id| is_short_number(msg_id) || integer(msg_id).is_some())
            .ok_or("msg_id is not an integer of 64 bits")?;
        Ok(Self { src, dest, msg_id, body: Body(fields) })
    }
}

fn is_short_number(json: Json<'_>) -> bool {
    json.len() < 18 && json.iter().all(u8::is_ascii_digit)
}

/// An integer of 64 bits.
fn integer(json: Json<'_>) -> Option<i64> {
    std::str::from_utf8(json).ok()?.parse().ok()
}

/// What a request says beside that. An error names the field and says what was expected.
#[derive(Debug)]
pub(crate) struct Body<'a>(&'a Fields<'a>);

impl<'a> Body<'a> {
    pub(crate) fn kind(&self) -> Result<Kind, Refusal> {
        if let Some(name) = self.0.twice {
            return Err(Refusal::malformed(format!("field {:?} stands twice", name.text())));
        }
        if let Some(kind) = self.0.get(Name::Type).and_then(unquoted).and_then(Kind::named) {
            return Ok(kind);
        }
        let name = self.text(Name::Type)?;
        Kind::named(name.as_bytes()).ok_or_else(|| {
            let text = format!(
                "type {:?} is not supported; this node serves init, send, poll, commit_offsets and \
                 list_committed_offsets",
                excerpt(&name, VALUE_BYTES)
            );
            Refusal::new(Code::NotSupported, text)
        })
    }

    /// `init`'s `node_id`.
    pub(crate) fn node_id(&self) -> Result<String, Refusal> {
        self.field(Name::NodeId, "a string")
    }

    /// `init`'s `node_ids`.
    pub(crate) fn node_ids(&self) -> Result<Vec<String>, Refusal> {
        self.field(Name::NodeIds, "an array of strings")
    }

    /// `send`'s `key`.
    pub(crate) fn key(&self) -> Result<Cow<'a, str>, Refusal> {
        self.text(Name::Key)
    }

    /// `send`'s `msg`, byte for byte as it came.
    pub(crate) fn msg(&self) -> Result<Json<'a>, Refusal> {
        let msg = self.present(Name::Msg, "any JSON value")?;
        if nests_deeper_than(MAX_NESTING, msg) {
            return Err(Refusal::malformed(format!(
                "field \"msg\" is nested deeper than {MAX_NESTING} levels"
            )));
        }
        Ok(msg)
    }

    /// `poll`'s and `commit_offsets`' `offsets`, in the order of the keys.
    fn offsets(&self) -> Result<Vec<(Cow<'a, str>, i64)>, Refusal> {
        let expected = "an object of integers of 64 bits, such as {\"k1\": 0}";
        let mut offsets = match self.0.get(Name::Offsets).and_then(scan_offsets) {
            Some(offsets) => offsets,
            None => self.field::<Offsets>(Name::Offsets, expected)?.0,
        };
        offsets.sort_unstable();
        match offsets.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(Refusal::malformed(format!(
                "field \"offsets\" names key {:?} twice",
                excerpt(&pair[0].0, VALUE_BYTES)
            ))),
            None => Ok(offsets),
        }
    }

    /// `poll`'s `offsets`: where to begin in each log. What is negative counts as 0.
    pub(crate) fn wanted(&self) -> Result<Vec<(Cow<'a, str>, Offset)>, Refusal> {
        let offsets = self.offsets()?.into_iter();
        Ok(offsets.map(|(key, offset)| (key, Offset::try_from(offset).unwrap_or(0))).collect())
    }

    /// `commit_offsets`' `offsets`: what has been processed of each log. A negative one says that nothing
    /// has been: there is nothing to record.
    pub(crate) fn processed(&self) -> Result<Vec<(Cow<'a, str>, Offset)>, Refusal> {
        let offsets = self.offsets()?.into_iter();
        Ok(offsets
            .filter_map(|(key, offset)| Some((key, Offset::try_from(offset).ok()?)))
            .collect())
    }

    /// `list_committed_offsets`' `keys`, each once, in order.
    pub(crate) fn keys(&self) -> Result<Vec<Cow<'a, str>>, Refusal> {
        let keys: Vec<Text> = self.field(Name::Keys, "an array of strings")?;
        let mut keys: Vec<_> = keys.into_iter().map(|Text(key)| key).collect();
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// A field that is a string.
    fn text(&self, name: Name) -> Result<Cow<'a, str>, Refusal> {
        match self.0.get(name).and_then(plain_string) {
            Some(plain) => Ok(plain.into()),
            None => self.field(name, "a string").map(|Text(text)| text),
        }
    }

    fn field<T: Deserialize<'a>>(&self, name: Name, expected: &str) -> Result<T, Refusal> {
        let json = self.present(name, expected)?;
        serde_json::from_slice(json).map_err(|_| {
            let got = String::from_utf8_lossy(json);
            let (name, got) = (name.text(), excerpt(&got, VALUE_BYTES));
            Refusal::malformed(format!("field {name:?}: expected {expected}, got {got}"))
        })
    }

    fn present(&self, name: Name, expected: &str) -> Result<Json<'a>, Refusal> {
        self.0.get(name).ok_or_else(|| {
            let name = name.text();
            Refusal::malformed(format!("field {name:?} is missing: expected {expected}"))
        })
    }
}

/// `{key: offset, …}`, as it came.
struct Offsets<'a>(Vec<(Cow<'a, str>, i64)>);

impl<'de: 'a, 'a> Deserialize<'de> for Offsets<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Offsets<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of integers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Text(key), offset)) = map.next_entry()? {
                    pairs.push((key, offset));
                }
                Ok(Offsets(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// As [`Offsets`], written plainly.
fn scan_offsets(json: Json<'_>) -> Option<Vec<(Cow<'_, str>, i64)>> {
    let mut pairs = Vec::new();
    let rest = Plain::new(json)?.object(|key, rest| {
        let (offset, rest) = rest.integer()?;
        pairs.push((std::str::from_utf8(key).ok()?.into(), integer(offset)?));
        Some(rest)
    })?;
    rest.end()?;
    Some(pairs)
}

/// What stands between the quotes of a JSON string; none if it holds an escape, or is something else.
fn plain_string(json: Json<'_>) -> Option<&str> {
    let inner = unquoted(json)?;
    if inner.iter().all(|&byte| byte != b'\\') { std::str::from_utf8(inner).ok() } else { None }
}

fn unquoted(json: Json<'_>) -> Option<&[u8]> {
    json.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// The beginning of a text that may be long.
fn excerpt(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(max_bytes)]).into()
}

/// Whether arrays and objects stand more than `limit` levels deep in `json`, which must be valid.
fn nests_deeper_than(limit: usize, json: Json<'_>) -> bool {
    if json.len() <= limit || json.starts_with(b"\"") {
        return false;
    }
    let mut depth = 0;
    let mut in_string = false;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' => _ = bytes.next(),
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::templates::Reader;

    fn read<'a>(line: &'a str, fields: &'a mut Fields<'a>) -> Result<Request<'a>, String> {
        Reader::default().read(line.as_bytes(), fields)?;
        Ok(Request::of(fields)?)
    }

    #[test]
    fn a_message_is_kept_byte_for_byte() {
        for msg in [
            "1e400",
            "1.10",
            "9007199254740993",
            "null",
            "-0",
            r#""\ud800 \u0041""#,
            r#"{"b" : [ 1,2 ] , "a":{}}"#,
        ] {
            let line = format!(
                r#"{{"src":"c1","body":{{"type":"send","key":"k","msg": {msg} ,"msg_id":1}}}}"#
            );
            assert_eq!(
                read(&line, &mut Fields::default()).unwrap().body.msg().unwrap(),
                msg.as_bytes()
            );
        }
    }

    #[test]
    fn the_same_key_written_differently_is_the_same_key() {
        let line = r#"{"src":"c1","body":{"type":"send","key":"\u006b1","msg":0,"msg_id":1}}"#;
        assert_eq!(read(line, &mut Fields::default()).unwrap().body.key().unwrap(), "k1");
        let line = r#"{"src":"c1","body":{"offsets":{"k1":3,"\u006b1":4},"msg_id":1}}"#;
        assert!(
            read(line, &mut Fields::default())
                .unwrap()
                .body
                .offsets()
                .unwrap_err()
                .text
                .contains("\"k1\" twice")
        );
    }

    #[test]
    fn a_body_with_a_field_twice_is_answered_as_malformed() {
        let line = r#"{"src":"c1","body":{"type":"send","key":"a","key":"b","msg":0,"msg_id":1}}"#;
        let mut fields = Fields::default();
        let message = read(line, &mut fields).unwrap();
        assert_eq!((message.src, message.msg_id), (&b"\"c1\""[..], &b"1"[..]));
        assert_eq!(message.body.kind().unwrap_err().text, "field \"key\" stands twice");
    }

    #[test]
    fn an_array_is_not_taken_for_an_object() {
        for line in [r#"["c1","n0",{"msg_id":1}]"#, r#"{"src":"c1","body":["poll",1]}"#] {
            assert!(read(line, &mut Fields::default()).is_err());
        }
    }

    /// Each byte of good offsets made another: whatever is scanned is what the parser reads.
    #[test]
    fn offsets_are_scanned_as_they_are_parsed() {
        let offsets = r#"{"k1":0,"é":12,"":-3}"#;
        let mut scanned = 0;
        for at in 0..=offsets.len() {
            for other in ["", "\"", "\\", "{", "}", ":", ",", "-", ".", "0", "e", " ", "\n", "1e"] {
                let mut changed = offsets.as_bytes().to_vec();
                changed.splice(at..offsets.len().min(at + 1), other.bytes());
                let Some(pairs) = scan_offsets(&changed) else { continue };
                scanned += 1;
                assert_eq!(pairs, serde_json::from_slice::<Offsets>(&changed).unwrap().0);
            }
        }
        assert!(scanned > 30, "{scanned}");
    }

    #[test]
    fn brackets_in_strings_are_not_nesting() {
        let brackets = "[".repeat(500);
        assert!(!nests_deeper_than(2, format!(r#"["{brackets}","\"{brackets}"]"#).as_bytes()));
        assert!(!nests_deeper_than(2, b"[[],[],[],{}]"));
        assert!(nests_deeper_than(2, br#"["]",[{"a":1}]]"#));
        assert!(nests_deeper_than(2, br#"["\\",[{}]]"#));
    }

    #[test]
    fn an_excerpt_never_cuts_a_character() {
        assert_eq!(excerpt("aaaéé", 4), "aaa…");
        assert_eq!(excerpt("aaaé", 5), "aaaé");
    }
}
