//! JSON as services keep it: as text, compared by meaning. Never changes a value.

use std::sync::Arc;

/// A value as it came. A clone shares the text.
#[derive(Clone, Debug)]
pub(super) struct Value(Arc<str>);

/// A key: JSON in a form that only equal values share.
pub(super) type Key = Arc<str>;

/// How much of a value an error text shows.
const SHOWN_CHARS: usize = 100;

impl Value {
    pub(super) fn new(json: &str) -> Self {
        Self(json.into())
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether both are the same JSON value: the order of fields and the writing of strings do not
    /// matter; 1 and 1.0 differ, as in Maelstrom. Parses only what cannot be told apart by its text.
    pub(super) fn equals(&self, other: &Self) -> bool {
        if self.is_written_as(other) {
            return true;
        }
        kind(&self.0) == kind(&other.0)
            && parsed(&self.0).is_some_and(|value| parsed(&other.0) == Some(value))
    }

    pub(super) fn is_written_as(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// For a person: its beginning.
    pub(super) fn shown(&self) -> String {
        match self.0.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => format!("{}…", &self.0[..end]),
            None => self.0.to_string(),
        }
    }
}

/// Values of different kinds differ.
fn kind(json: &str) -> Option<u8> {
    let first = json.bytes().next()?;
    Some(if first.is_ascii_digit() { b'-' } else { first })
}

/// None if it is nested too deeply.
fn parsed(json: &str) -> Option<serde_json::Value> {
    serde_json::from_str(json).ok()
}

/// The key that a JSON value is; none if it is nested too deeply.
pub(super) fn key(json: &str) -> Option<Key> {
    if json.starts_with('"') && !json.contains('\\') {
        return Some(json.into());
    }
    let value = parsed(json)?;
    Some(value.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_equal_if_they_mean_the_same() {
        for (one, other, same) in [
            ("1", "1", true),
            ("[1,2]", "[1, 2]", true),
            (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, true),
            (r#""\u0061""#, r#""a""#, true),
            ("1.0", "0.1e1", true),
            ("1", "1.0", false),
            ("1", "\"1\"", false),
            ("[1,2]", "[2,1]", false),
            ("null", "false", false),
        ] {
            assert_eq!(Value::new(one).equals(&Value::new(other)), same, "{one} {other}");
        }
    }

    #[test]
    fn what_is_nested_too_deeply_to_compare_is_equal_to_its_own_text_only() {
        let nested = |space: &str| Value::new(&("[".repeat(500) + space + &"]".repeat(500)));
        assert!(nested("").equals(&nested("")));
        assert!(!nested("").equals(&nested(" ")));
        assert_eq!(key(nested("").text()), None);
    }

    #[test]
    fn a_long_value_is_shown_by_its_beginning() {
        let long = Value::new(&"é".repeat(1000));
        assert_eq!(long.shown().chars().count(), SHOWN_CHARS + 1);
        assert_eq!(Value::new("[1]").shown(), "[1]");
    }
}
