//! Reading a line: what Maelstrom's JSON says, as borrowed Rust values. Never holds state, and never
//! passes a message through anything that could change it.
//!
//! Source of the format: Maelstrom's `doc/protocol.md` and `doc/workloads.md`, "Workload: Kafka".

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use straum::Offset;

use crate::refusal::{Code, Refusal};
use crate::scan::{Scan, unquoted};

/// How deep a message may be nested. A poll's reply puts it 5 levels deeper, and the sum stays below
/// 128, the depth at which common JSON parsers give up: what was sent can always be polled.
pub const MAX_NESTING: usize = 120;

/// How much of a wrong value is shown to the person who sent it, in bytes.
const VALUE_BYTES: usize = 60;

/// How much is told of why a line gets no answer, in bytes.
const REASON_BYTES: usize = 200;

/// A line that deserves an answer: who asked, under which number, and what.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// The sender, as the JSON string it came as.
    pub(crate) src: &'a str,
    /// The addressee, as the JSON it came as, if there is one.
    pub(crate) dest: Option<&'a str>,
    /// The sender's number for this request: a JSON integer that fits into 64 bits.
    pub(crate) msg_id: &'a str,
    pub(crate) body: Body<'a>,
}

/// Why a line gets no answer, and how it begins: one short line for a person.
#[derive(Debug)]
pub struct Unanswerable {
    reason: String,
    line_begins: String,
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

/// `{"src", "dest", "body"}`; other fields are tolerated, Maelstrom adds an `id`.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    src: Option<&'a RawValue>,
    #[serde(borrow)]
    dest: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<Body<'a>>,
}

/// The parts of a line that count: `src`, `dest` and `body`.
type Parts<'a> = (Option<&'a str>, Option<&'a str>, Option<Body<'a>>);

/// The fields of every type of request, each still as the text it came as: which of them count, and
/// what they must be, depends on the type.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Body<'a> {
    kind: Option<&'a str>,
    msg_id: Option<&'a str>,
    in_reply_to: Option<&'a str>,
    key: Option<&'a str>,
    msg: Option<&'a str>,
    offsets: Option<&'a str>,
    keys: Option<&'a str>,
    node_id: Option<&'a str>,
    node_ids: Option<&'a str>,
    /// The name of a field that came more than once, so that nobody can tell which is meant.
    twice: Option<Cow<'a, str>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Body<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Body<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object as body")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut body = Body::default();
                while let Some(Text(name)) = map.next_key()? {
                    let Some(field) = body.field(&name) else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let value: &RawValue = map.next_value()?;
                    if field.replace(value.get()).is_some() {
                        body.twice = Some(name);
                    }
                }
                Ok(body)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl<'a> Message<'a> {
    /// Reads a line, given without its end.
    ///
    /// # Errors
    /// [`Unanswerable`] if it is not JSON, or says neither who asks nor under which number.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, Unanswerable> {
        Self::read(line).map_err(|reason| {
            let begin = &line[..line.len().min(VALUE_BYTES)];
            Unanswerable { reason, line_begins: String::from_utf8_lossy(begin).into() }
        })
    }

    fn read(line: &'a [u8]) -> Result<Self, String> {
        let line = std::str::from_utf8(line).map_err(|error| error.to_string())?.trim_ascii_start();
        if !line.starts_with('{') {
            return Err("it is not a JSON object".into());
        }
        let (src, dest, body) = match scan_parts(line) {
            Some(parts) => parts,
            None => parse_parts(line).map_err(|error| error.to_string())?,
        };
        let is_string = |text: &&str| text.starts_with('"');
        let src = src.filter(is_string).ok_or("src is not a string")?;
        let body = body.ok_or("it has no body")?;
        if body.in_reply_to.is_some_and(|text| text != "null") {
            return Err("it is a reply, and nothing was asked".into());
        }
        let msg_id = body
            .msg_id
            .filter(|msg_id| msg_id.parse::<i64>().is_ok())
            .ok_or("msg_id is not an integer of 64 bits")?;
        Ok(Self { src, dest: dest.filter(is_string), msg_id, body })
    }
}

fn parse_parts(line: &str) -> serde_json::Result<Parts<'_>> {
    let Envelope { src, dest, body } = serde_json::from_str(line)?;
    Ok((src.map(RawValue::get), dest.map(RawValue::get), body))
}

/// The same, and in a third of the time, for a line that is written plainly.
fn scan_parts(line: &str) -> Option<Parts<'_>> {
    let (mut src, mut dest, mut body) = (None, None, None);
    let mut scan = Scan::new(line);
    scan.object(|scan, name| match name {
        "src" => once(&mut src, scan.value()?),
        "dest" => once(&mut dest, scan.value()?),
        "body" => once(&mut body, scan_body(scan)?),
        _ => scan.value().map(drop),
    })?;
    scan.end()?;
    Some((src, dest, body))
}

fn scan_body<'a>(scan: &mut Scan<'a>) -> Option<Body<'a>> {
    let mut body = Body::default();
    scan.object(|scan, name| {
        let value = scan.value()?;
        body.field(name).map_or(Some(()), |field| once(field, value))
    })?;
    Some(body)
}

/// Declines what stands twice.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// An error names the field and says what was expected.
impl<'a> Body<'a> {
    pub(crate) fn kind(&self) -> Result<Kind, Refusal> {
        if let Some(name) = &self.twice {
            return Err(Refusal::malformed(format!("field {name:?} stands twice")));
        }
        match text("type", self.kind)?.as_ref() {
            "send" => Ok(Kind::Send),
            "poll" => Ok(Kind::Poll),
            "commit_offsets" => Ok(Kind::CommitOffsets),
            "list_committed_offsets" => Ok(Kind::ListCommittedOffsets),
            "init" => Ok(Kind::Init),
            unknown => Err(Refusal::new(
                Code::NotSupported,
                format!(
                    "type {:?} is not supported; this node serves init, send, poll, commit_offsets \
                     and list_committed_offsets",
                    excerpt(unknown, VALUE_BYTES)
                ),
            )),
        }
    }

    fn field(&mut self, name: &str) -> Option<&mut Option<&'a str>> {
        Some(match name {
            "type" => &mut self.kind,
            "msg_id" => &mut self.msg_id,
            "in_reply_to" => &mut self.in_reply_to,
            "key" => &mut self.key,
            "msg" => &mut self.msg,
            "offsets" => &mut self.offsets,
            "keys" => &mut self.keys,
            "node_id" => &mut self.node_id,
            "node_ids" => &mut self.node_ids,
            _ => return None,
        })
    }

    /// `init`'s `node_id`.
    pub(crate) fn node_id(&self) -> Result<String, Refusal> {
        field("node_id", self.node_id, "a string")
    }

    /// `init`'s `node_ids`.
    pub(crate) fn node_ids(&self) -> Result<Vec<String>, Refusal> {
        field("node_ids", self.node_ids, "an array of strings")
    }

    /// `send`'s `key`.
    pub(crate) fn key(&self) -> Result<Cow<'a, str>, Refusal> {
        text("key", self.key)
    }

    /// `send`'s `msg`, byte for byte as it came.
    pub(crate) fn msg(&self) -> Result<&'a str, Refusal> {
        let msg = present("msg", self.msg, "any JSON value")?;
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
        let mut offsets = match self.offsets.and_then(scan_offsets) {
            Some(offsets) => offsets,
            None => field::<Offsets>("offsets", self.offsets, expected)?.0,
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
        let keys: Vec<Text> = field("keys", self.keys, "an array of strings")?;
        let mut keys: Vec<_> = keys.into_iter().map(|Text(key)| key).collect();
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }
}

/// A JSON string, borrowed from the line unless it holds an escape.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

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
fn scan_offsets(text: &str) -> Option<Vec<(Cow<'_, str>, i64)>> {
    let mut pairs = Vec::new();
    let mut scan = Scan::new(text);
    scan.object(|scan, key| {
        pairs.push((key.into(), scan.integer()?.parse().ok()?));
        Some(())
    })?;
    scan.end()?;
    Some(pairs)
}

/// A field that is a string.
fn text<'a>(name: &str, text: Option<&'a str>) -> Result<Cow<'a, str>, Refusal> {
    match text {
        Some(text) if text.starts_with('"') && !text.contains('\\') => Ok(unquoted(text).into()),
        _ => field(name, text, "a string").map(|Text(text)| text),
    }
}

fn field<'a, T: Deserialize<'a>>(
    name: &str,
    text: Option<&'a str>,
    expected: &str,
) -> Result<T, Refusal> {
    let text = present(name, text, expected)?;
    serde_json::from_str(text).map_err(|_| {
        let got = excerpt(text, VALUE_BYTES);
        Refusal::malformed(format!("field {name:?}: expected {expected}, got {got}"))
    })
}

fn present<'a>(name: &str, text: Option<&'a str>, expected: &str) -> Result<&'a str, Refusal> {
    text.ok_or_else(|| {
        Refusal::malformed(format!("field {name:?} is missing: expected {expected}"))
    })
}

/// The beginning of a text that may be long.
fn excerpt(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(max_bytes)]).into()
}

/// Whether arrays and objects stand more than `limit` levels deep in `json`, which must be valid.
fn nests_deeper_than(limit: usize, json: &str) -> bool {
    if json.len() <= limit || json.starts_with('"') {
        return false;
    }
    let mut depth = 0;
    let mut in_string = false;
    let mut bytes = json.bytes();
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

    fn body(line: &str) -> Body<'_> {
        Message::parse(line.as_bytes()).unwrap().body
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
            assert_eq!(body(&line).msg().unwrap(), msg);
        }
    }

    #[test]
    fn the_same_key_written_differently_is_the_same_key() {
        let line = r#"{"src":"c1","body":{"type":"send","key":"\u006b1","msg":0,"msg_id":1}}"#;
        assert_eq!(body(line).key().unwrap(), "k1");
        let line = r#"{"src":"c1","body":{"offsets":{"k1":3,"\u006b1":4},"msg_id":1}}"#;
        assert!(body(line).offsets().unwrap_err().text.contains("\"k1\" twice"));
    }

    #[test]
    fn a_body_with_a_field_twice_is_answered_as_malformed() {
        let line = br#"{"src":"c1","body":{"type":"send","key":"a","key":"b","msg":0,"msg_id":1}}"#;
        let message = Message::parse(line).unwrap();
        assert_eq!((message.src, message.msg_id), ("\"c1\"", "1"));
        assert_eq!(message.body.kind().unwrap_err().text, "field \"key\" stands twice");
    }

    #[test]
    fn an_array_is_not_taken_for_an_object() {
        for line in [r#"["c1","n0",{"msg_id":1}]"#, r#"{"src":"c1","body":["poll",1]}"#] {
            assert!(Message::parse(line.as_bytes()).is_err());
        }
    }

    /// Each byte of good lines taken away, or made another: whatever is scanned is what the parser reads.
    #[test]
    fn the_scanner_and_the_parser_never_differ() {
        let lines = [
            r#"{"id":7,"src":"c1","dest":"n0","body":{"type":"send","key":"k1","msg":[1,"a"],"msg_id":4}}"#,
            r#"{"src":"c1","body":{"msg_id":-10,"offsets":{"k1":0,"é":12},"x":{"y":[]},"type":"poll"}}"#,
        ];
        let mut scanned = 0;
        for line in lines {
            assert!(scan_parts(line).is_some());
            for at in 0..line.len() {
                for other in [
                    "", "\"", "\\", "{", "}", "[", "]", ":", ",", "-", ".", "0", "e", " ", "\n",
                    "\"b",
                ] {
                    let mut changed = line.as_bytes().to_vec();
                    changed.splice(at..=at, other.bytes());
                    let Ok(changed) = String::from_utf8(changed) else { continue };
                    let Some(parts) = scan_parts(&changed) else { continue };
                    scanned += 1;
                    assert_eq!(parts, parse_parts(&changed).unwrap(), "{changed}");
                    let Some(Body { offsets: Some(offsets), .. }) = parts.2 else { continue };
                    let Some(pairs) = scan_offsets(offsets) else { continue };
                    assert_eq!(
                        pairs,
                        serde_json::from_str::<Offsets>(offsets).unwrap().0,
                        "{changed}"
                    );
                }
            }
        }
        assert!(scanned > 500, "{scanned}");
    }

    #[test]
    fn brackets_in_strings_are_not_nesting() {
        let brackets = "[".repeat(500);
        assert!(!nests_deeper_than(2, &format!(r#"["{brackets}","\"{brackets}"]"#)));
        assert!(!nests_deeper_than(2, "[[],[],[],{}]"));
        assert!(nests_deeper_than(2, r#"["]",[{"a":1}]]"#));
        assert!(nests_deeper_than(2, r#"["\\",[{}]]"#));
    }

    #[test]
    fn an_excerpt_never_cuts_a_character() {
        assert_eq!(excerpt("aaaéé", 4), "aaa…");
        assert_eq!(excerpt("aaaé", 5), "aaaé");
    }
}
