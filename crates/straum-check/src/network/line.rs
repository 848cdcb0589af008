//! Lines as nodes read and write them: one JSON envelope each. Never looks into a body further than
//! its `type`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Address, Envelope};
use crate::history::Rule;

/// Reads a line that a node wrote, without its end.
///
/// The envelope has exactly `src`, `dest` and `body`, and maybe an integer `id`; `src` is the node
/// itself, `body` an object. Whether `dest` exists is for the caller to find out.
///
/// # Errors
/// The rule that the line breaks, and how.
pub fn read_line(node: u32, line: &[u8]) -> Result<Envelope, (Rule, String)> {
    let parts: Parts = serde_json::from_slice(line).map_err(|error| refusal(line, &error))?;
    let src = Address::Node(node);
    if parts.src.address != Some(src) {
        let text = format!("src is {}, but {src} wrote the line", parts.src.shown(line, "src"));
        return Err((Rule::MalformedEnvelope, text));
    }
    let Some(dest) = parts.dest.address else {
        let text = format!("dest is {}, which is no address", parts.dest.shown(line, "dest"));
        return Err((Rule::UnknownDestination, text));
    };
    Ok(Envelope { src, dest, body: parts.body.into(), life: 0 })
}

/// Says why a line is no envelope. What is no JSON object at all breaks another rule than an object
/// with the wrong fields, wherever reading stopped.
fn refusal(line: &[u8], error: &serde_json::Error) -> (Rule, String) {
    let Ok(text) = str::from_utf8(line) else {
        return (Rule::NotJson, "the line is not UTF-8".to_owned());
    };
    if text.trim().is_empty() {
        return (Rule::NotJson, "the line is blank".to_owned());
    }
    if let Err(error) = serde_json::from_str::<&RawValue>(text) {
        return (Rule::NotJson, format!("the line is not JSON: {error}"));
    }
    if !text.trim_start().starts_with('{') {
        return (Rule::NotJson, "the line is JSON, but not an object".to_owned());
    }
    (Rule::MalformedEnvelope, error.to_string())
}

struct Parts<'a> {
    src: Name,
    dest: Name,
    /// A JSON object.
    body: &'a str,
}

impl<'de> Deserialize<'de> for Parts<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PartsVisitor)
    }
}

struct PartsVisitor;

impl<'de> Visitor<'de> for PartsVisitor {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with src, dest and body")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parts<'de>, A::Error> {
        let (mut src, mut dest, mut body, mut id) = (None, None, None, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Src => once(&mut src, map.next_value()?, "src")?,
                Field::Dest => once(&mut dest, map.next_value()?, "dest")?,
                Field::Body => once(&mut body, object(map.next_value()?)?, "body")?,
                Field::Id => once(&mut id, integer(map.next_value()?)?, "id")?,
            }
        }
        Ok(Parts {
            src: src.ok_or_else(|| de::Error::missing_field("src"))?,
            dest: dest.ok_or_else(|| de::Error::missing_field("dest"))?,
            body: body.ok_or_else(|| de::Error::missing_field("body"))?,
        })
    }
}

fn once<T, E: de::Error>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(name)),
    }
}

fn object<E: de::Error>(value: &RawValue) -> Result<&str, E> {
    let text = value.get();
    if text.starts_with('{') { Ok(text) } else { Err(E::custom("body is not an object")) }
}

fn integer<E: de::Error>(value: &RawValue) -> Result<(), E> {
    if is_integer(value.get()) { Ok(()) } else { Err(E::custom("id is not an integer")) }
}

/// Whether a JSON value is an integer, of any size.
pub(crate) fn is_integer(json: &str) -> bool {
    let digits = json.strip_prefix('-').unwrap_or(json);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

enum Field {
    Src,
    Dest,
    Body,
    Id,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(FieldVisitor)
    }
}

struct FieldVisitor;

impl Visitor<'_> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Field, E> {
        match name {
            "src" => Ok(Field::Src),
            "dest" => Ok(Field::Dest),
            "body" => Ok(Field::Body),
            "id" => Ok(Field::Id),
            _ => Err(E::custom(format_args!("an envelope has no field `{name}`"))),
        }
    }
}

/// A string where an address belongs.
struct Name {
    address: Option<Address>,
}

impl Name {
    /// For a person: the address, or what the line has in its place.
    fn shown(&self, line: &[u8], field: &str) -> String {
        let written = || {
            let line: serde_json::Value = serde_json::from_slice(line).ok()?;
            line.get(field).map(ToString::to_string)
        };
        self.address.map(|address| address.to_string()).or_else(written).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, which is a string")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Name, E> {
        Ok(Name { address: Address::parse(name) })
    }
}

/// Appends a line as a node gets it, its end included.
pub fn write_line(id: u64, envelope: &Envelope, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    write_integer(id, out);
    out.extend_from_slice(b",\"src\":\"");
    write_address(envelope.src, out);
    out.extend_from_slice(b"\",\"dest\":\"");
    write_address(envelope.dest, out);
    out.extend_from_slice(b"\",\"body\":");
    out.extend_from_slice(envelope.body.as_bytes());
    out.extend_from_slice(b"}\n");
}

fn write_address(address: Address, out: &mut Vec<u8>) {
    let (letter, number) = match address {
        Address::Node(number) => (b'n', number),
        Address::Client(number) => (b'c', number),
        Address::Service(service) => return out.extend_from_slice(service.name().as_bytes()),
    };
    out.push(letter);
    write_integer(number, out);
}

fn write_integer(integer: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
}

/// The `type` of a body, as it is written there, escapes included; none if it has no such string.
pub fn body_kind(body: &str) -> Option<&str> {
    if let Some(rest) = body.strip_prefix("{\"type\":\"") {
        let end = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
        if rest.as_bytes()[end] == b'"' {
            return Some(&rest[..end]);
        }
    }
    let kind = serde_json::from_str::<Kind>(body).ok()?.0?;
    kind.strip_prefix('"')?.strip_suffix('"')
}

/// The first `type` of an object, as JSON.
struct Kind<'a>(Option<&'a str>);

impl<'de> Deserialize<'de> for Kind<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a body")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind<'de>, A::Error> {
        let mut kind = None;
        while let Some(IsType(is_type)) = map.next_key()? {
            if is_type && kind.is_none() {
                kind = Some(map.next_value::<&RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Kind(kind))
    }
}

/// Whether a field's name is `type`.
struct IsType(bool);

impl<'de> Deserialize<'de> for IsType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(IsTypeVisitor)
    }
}

struct IsTypeVisitor;

impl Visitor<'_> for IsTypeVisitor {
    type Value = IsType;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<IsType, E> {
        Ok(IsType(name == "type"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Service;

    fn refused(line: &[u8]) -> (Rule, String) {
        read_line(0, line).unwrap_err()
    }

    #[test]
    fn an_envelope_is_read_with_its_body_as_it_came() {
        let line =
            br#" {"dest":"lin-kv", "id":7, "body": {"type" : "read","key":[1, 2]} ,"src":"n0"} "#;
        let envelope = read_line(0, line).unwrap();
        assert_eq!(envelope.src, Address::Node(0));
        assert_eq!(envelope.dest, Address::Service(Service::LinKv));
        assert_eq!(&*envelope.body, r#"{"type" : "read","key":[1, 2]}"#);
    }

    #[test]
    fn what_is_no_json_object_is_told_from_a_wrong_envelope() {
        for (line, about) in [
            (&b""[..], "blank"),
            (b" \t\r", "blank"),
            (b"starting up", "not JSON"),
            (br#"{"src":"n0","dest":"c1","body":{}"#, "not JSON"),
            (br#"{"src":"n0","dest":"c1","body":{}} {}"#, "not JSON"),
            (br#"{"colour":1,"#, "not JSON"),
            (b"{\"src\":\"n0\",\"dest\":\"c1\",\"body\":{\"a\":\"\xff\"}}", "UTF-8"),
            (br#"["n0","c1",{}]"#, "not an object"),
            (b"5", "not an object"),
        ] {
            let (rule, text) = refused(line);
            assert_eq!(rule, Rule::NotJson, "{text}");
            assert!(text.contains(about), "{text}");
        }
    }

    #[test]
    fn a_wrong_envelope_is_refused_with_the_field_that_is_wrong() {
        for (line, about) in [
            (&br#"{"dest":"c1","body":{}}"#[..], "src"),
            (br#"{"src":"n0","body":{}}"#, "dest"),
            (br#"{"src":"n0","dest":"c1"}"#, "body"),
            (br#"{"src":"n1","dest":"c1","body":{}}"#, "n1"),
            (br#"{"src":"me","dest":"c1","body":{}}"#, "\"me\""),
            (br#"{"src":0,"dest":"c1","body":{}}"#, "address"),
            (br#"{"src":"n0","dest":null,"body":{}}"#, "address"),
            (br#"{"src":"n0","dest":"c1","body":[]}"#, "body"),
            (br#"{"src":"n0","dest":"c1","body":"{}"}"#, "body"),
            (br#"{"src":"n0","dest":"c1","body":{},"id":1.0}"#, "id"),
            (br#"{"src":"n0","dest":"c1","body":{},"id":null}"#, "id"),
            (br#"{"src":"n0","dest":"c1","body":{},"colour":1}"#, "colour"),
            (br#"{"src":"n0","src":"n0","dest":"c1","body":{}}"#, "src"),
            (br#"{"src":"n0","dest":"c1","body":{},"body":{}}"#, "body"),
        ] {
            let (rule, text) = refused(line);
            assert_eq!(rule, Rule::MalformedEnvelope, "{text}");
            assert!(text.contains(about), "{text}");
        }
    }

    #[test]
    fn a_destination_that_is_no_address_has_a_rule_of_its_own() {
        let (rule, text) = refused(br#"{"src":"n0","dest":"n01","body":{}}"#);
        assert_eq!(rule, Rule::UnknownDestination);
        assert!(text.contains("\"n01\""), "{text}");
    }

    #[test]
    fn a_line_is_written_as_maelstrom_writes_it() {
        let mut out = Vec::new();
        let body = r#"{"type":"poll"}"#.into();
        let envelope = Envelope { src: Address::Client(12), dest: Address::Node(0), body, life: 0 };
        write_line(3, &envelope, &mut out);
        let line = "{\"id\":3,\"src\":\"c12\",\"dest\":\"n0\",\"body\":{\"type\":\"poll\"}}\n";
        assert_eq!(String::from_utf8(out).unwrap(), line);
    }

    #[test]
    fn the_kind_of_a_body_is_found_wherever_it_stands() {
        for body in [
            r#"{"type":"send"}"#,
            r#"{ "msg_id" : 1, "type" : "send" }"#,
            r#"{"inner":{"type":"poll"},"text":"type","type":"send"}"#,
            r#"{"type":"send","type":"poll"}"#,
        ] {
            assert_eq!(body_kind(body), Some("send"), "{body}");
        }
        assert_eq!(body_kind(r#"{"type":"a\"b"}"#), Some(r#"a\"b"#));
        for body in ["{}", r#"{"type":1}"#, r#"["send"]"#, r#"{"type":"send"#, "", "\"send\""] {
            assert_eq!(body_kind(body), None, "{body}");
        }
    }
}
