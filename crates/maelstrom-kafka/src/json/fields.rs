//! The fields of a line, each still as the JSON it came as. Never says what a field must be: that depends
//! on the request.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::plain::Plain;

/// The text of a JSON value. It is UTF-8.
pub(crate) type Json<'a> = &'a [u8];

/// The fields that count; others are tolerated, Maelstrom adds an `id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Src,
    Dest,
    // Of the body:
    Type,
    MsgId,
    InReplyTo,
    Key,
    Msg,
    Offsets,
    Keys,
    NodeId,
    NodeIds,
}

/// How many names there are.
const NAMES: usize = Name::NodeIds as usize + 1;

/// What a line with a body says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields<'a> {
    values: [Option<Json<'a>>; NAMES],
    /// A field that came more than once, so that nobody can tell which is meant.
    pub(crate) twice: Option<Name>,
}

/// A value in a line, as [`scan`] finds it.
pub(crate) struct Scanned<'a> {
    /// None if it does not count.
    pub(crate) name: Option<Name>,
    pub(crate) value: Json<'a>,
    /// Where it begins.
    pub(crate) at: usize,
}

impl Name {
    const IN_BODY: [Self; 9] = [
        Self::Type,
        Self::MsgId,
        Self::InReplyTo,
        Self::Key,
        Self::Msg,
        Self::Offsets,
        Self::Keys,
        Self::NodeId,
        Self::NodeIds,
    ];

    /// A field of a body.
    fn in_body(text: &[u8]) -> Option<Self> {
        Self::IN_BODY.into_iter().find(|name| name.text().as_bytes() == text)
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Src => "src",
            Self::Dest => "dest",
            Self::Type => "type",
            Self::MsgId => "msg_id",
            Self::InReplyTo => "in_reply_to",
            Self::Key => "key",
            Self::Msg => "msg",
            Self::Offsets => "offsets",
            Self::Keys => "keys",
            Self::NodeId => "node_id",
            Self::NodeIds => "node_ids",
        }
    }
}

impl<'a> Fields<'a> {
    pub(crate) fn get(&self, name: Name) -> Option<Json<'a>> {
        self.values[name as usize]
    }

    /// Whether the field had no value yet, or does not count.
    pub(crate) fn set(&mut self, name: Option<Name>, value: Json<'a>) -> bool {
        name.is_none_or(|name| self.values[name as usize].replace(value).is_none())
    }
}

/// A JSON string, borrowed from the line unless it holds an escape.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// The values of a line that is written plainly, in order, and whole but for the body, which is taken apart.
/// Declines other lines, those without a body and those in which a field stands twice.
pub(crate) fn scan<'a>(line: Plain<'a>) -> Option<Vec<Scanned<'a>>> {
    let mut places: Vec<Scanned<'a>> = Vec::new();
    let mut has_body = false;
    let mut take = |name: Option<Name>, text: Plain<'a>| {
        let is_second = name.is_some() && places.iter().any(|place| place.name == name);
        let (value, rest) = text.value()?;
        places.push(Scanned { name, value, at: line.length() - text.length() });
        (!is_second).then_some(rest)
    };
    let rest = line.object(|name, text| match name {
        b"src" => take(Some(Name::Src), text),
        b"dest" => take(Some(Name::Dest), text),
        b"body" if has_body => None,
        b"body" => {
            has_body = true;
            text.object(|name, text| take(Name::in_body(name), text))
        }
        _ => take(None, text),
    })?;
    rest.end()?;
    has_body.then_some(places)
}

/// Reads any line.
///
/// # Errors
/// Why it cannot be read, in words.
pub(crate) fn parse(line: &[u8]) -> Result<Fields<'_>, String> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        src: Option<&'a RawValue>,
        #[serde(borrow)]
        dest: Option<&'a RawValue>,
        #[serde(borrow)]
        body: Option<Fields<'a>>,
    }
    let line = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    if !line.trim_ascii_start().starts_with('{') {
        return Err("it is not a JSON object".into());
    }
    let Envelope { src, dest, body } =
        serde_json::from_str(line).map_err(|error| error.to_string())?;
    let mut fields = body.ok_or("it has no body")?;
    for (name, value) in [(Name::Src, src), (Name::Dest, dest)] {
        fields.values[name as usize] = value.map(json);
    }
    Ok(fields)
}

fn json(value: &RawValue) -> Json<'_> {
    value.get().as_bytes()
}

/// A body.
impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Body;
        impl<'de> Visitor<'de> for Body {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object as body")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::default();
                while let Some(Text(name)) = map.next_key()? {
                    let name = Name::in_body(name.as_bytes());
                    if !fields.set(name, json(map.next_value()?)) {
                        fields.twice = name;
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Body)
    }
}
