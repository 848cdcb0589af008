//! Reading JSON the way nearly all of it comes: without a space, an escape or a fraction. Never guesses:
//! what it does not know to be good it declines, and the JSON parser decides.

/// How deep a value may be nested.
const MAX_DEPTH: u32 = 8;

/// JSON without a backslash and without control characters: every string ends at the next quote. Each
/// method reads from the beginning and returns, last, what follows; or it declines.
///
/// Passed by value, so that where it stands is in a register and never in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<'a>(&'a [u8]);

impl<'a> Plain<'a> {
    /// Declines a text that may hold an escape, or is not UTF-8.
    pub(crate) fn new(text: &'a [u8]) -> Option<Self> {
        let is_special = |byte: u8| byte < 0x20 || byte == b'\\';
        let is_plain_utf8 = || !any(text, is_special) && std::str::from_utf8(text).is_ok();
        let is_plain_ascii = !any(text, |byte| is_special(byte) || !byte.is_ascii());
        (is_plain_ascii || is_plain_utf8()).then_some(Self(text))
    }

    /// How many bytes follow.
    pub(crate) fn length(self) -> usize {
        self.0.len()
    }

    pub(crate) fn starts_with(self, prefix: &[u8]) -> bool {
        self.0.starts_with(prefix)
    }

    pub(crate) fn skip_bytes(self, count: usize) -> Option<Self> {
        self.0.get(count..).map(Self)
    }

    /// Nothing may follow.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    /// An object: each name, and then whatever `member` reads as its value.
    pub(crate) fn object(
        self,
        mut member: impl FnMut(&'a [u8], Self) -> Option<Self>,
    ) -> Option<Self> {
        let mut rest = self.eat(b'{')?;
        if let Some(rest) = rest.eat(b'}') {
            return Some(rest);
        }
        loop {
            let (name, value) = rest.string()?;
            match member(name, value.eat(b':')?)?.next()? {
                (b',', next) => rest = next,
                (b'}', rest) => return Some(rest),
                _ => return None,
            }
        }
    }

    /// Any value, as its text.
    pub(crate) fn value(self) -> Option<(&'a [u8], Self)> {
        let rest = self.skip_simple().or_else(|| self.skip_nested(0))?;
        Some((self.0.get(..self.0.len() - rest.0.len())?, rest))
    }

    fn skip_at(self, depth: u32) -> Option<Self> {
        self.skip_simple().or_else(|| self.skip_nested(depth))
    }

    fn skip_simple(self) -> Option<Self> {
        match self.0.first()? {
            b'"' => Some(self.string()?.1),
            b'-' | b'0'..=b'9' => Some(self.integer()?.1),
            _ => None,
        }
    }

    fn skip_nested(self, depth: u32) -> Option<Self> {
        match self.0.first()? {
            b'{' if depth < MAX_DEPTH => self.object(|_, value| value.skip_at(depth + 1)),
            b'[' if depth < MAX_DEPTH => self.skip_array(depth),
            _ => None,
        }
    }

    fn skip_array(self, depth: u32) -> Option<Self> {
        let mut rest = self.eat(b'[')?;
        if let Some(rest) = rest.eat(b']') {
            return Some(rest);
        }
        loop {
            match rest.skip_at(depth + 1)?.next()? {
                (b',', next) => rest = next,
                (b']', rest) => return Some(rest),
                _ => return None,
            }
        }
    }

    /// A string: what stands between its quotes.
    fn string(self) -> Option<(&'a [u8], Self)> {
        let Self(text) = self.eat(b'"')?;
        let (string, rest) = text.split_at_checked(find_quote(text)?)?;
        Some((string, Self(rest).eat(b'"')?))
    }

    /// An integer of any size, as its text.
    pub(crate) fn integer(self) -> Option<(&'a [u8], Self)> {
        let digits = self.0.strip_prefix(b"-").unwrap_or(self.0);
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (integer, rest) = self.0.split_at_checked(self.0.len() - digits.len() + count)?;
        // The JSON parser takes -0 for a fraction.
        if count == 0 || (integer.len() > 1 && digits[0] == b'0') {
            return None;
        }
        Some((integer, Self(rest)))
    }

    fn next(self) -> Option<(u8, Self)> {
        let (&byte, rest) = self.0.split_first()?;
        Some((byte, Self(rest)))
    }

    fn eat(self, byte: u8) -> Option<Self> {
        self.0.strip_prefix(&[byte]).map(Self)
    }
}

/// Looks at all of them, come what may, so that it becomes vector instructions.
fn any(bytes: &[u8], test: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(false, |found, &byte| found | test(byte))
}

/// Eight bytes at a time, since most strings are shorter than that.
fn find_quote(bytes: &[u8]) -> Option<usize> {
    let Some(eight) = bytes.first_chunk() else {
        return bytes.iter().position(|&byte| byte == b'"');
    };
    let quotes = zero_bytes(u64::from_le_bytes(*eight) ^ (ONES * u64::from(b'"')));
    if quotes != 0 {
        return Some((quotes.trailing_zeros() / 8) as usize);
    }
    Some(8 + memchr::memchr(b'"', &bytes[8..])?)
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// The highest bit of each byte that is zero; above the first such byte there may be others.
fn zero_bytes(bytes: u64) -> u64 {
    bytes.wrapping_sub(ONES) & !bytes & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn whole(text: &str) -> Option<&str> {
        let (value, rest) = Plain::new(text.as_bytes())?.value()?;
        rest.end()?;
        std::str::from_utf8(value).ok()
    }

    #[test]
    fn plain_values_are_taken_whole() {
        let long = format!("\"{}é\"", "x".repeat(100));
        for text in ["0", "-17", "\"\"", "\"é\"", "{}", "[]", r#"{"a":[1,{"b":"c"}],"d":2}"#, &long]
        {
            assert_eq!(whole(text), Some(text));
        }
    }

    #[test]
    fn what_is_not_plain_is_declined() {
        let long = format!("\"{}\u{1}\"", "x".repeat(100));
        let deep = format!("{}{}", "[".repeat(9), "]".repeat(9));
        let texts = [
            "",
            " 1",
            "1 ",
            "1.5",
            "1e3",
            "-",
            "01",
            "-01",
            "-0",
            "+1",
            "true",
            "null",
            "\"",
            "\"a",
            "\"\\n\"",
            "\"\t\"",
            "{",
            "[",
            "{1:2}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1,]",
            "[,1]",
            "[1 ]",
            "{\"a\": 1}",
            "1,2",
            &long,
            &deep,
        ];
        for text in texts {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn a_string_ends_at_its_quote_however_long_it_is() {
        for length in 0..50 {
            let string = format!("\"{}\"", "x".repeat(length));
            assert_eq!(whole(&string), Some(&*string));
            assert_eq!(whole(&string[..=length]), None);
            for special in ['\\', '\u{0}', '\u{1f}'] {
                assert_eq!(whole(&format!("\"{}{special}x\"", "x".repeat(length))), None);
            }
        }
    }

    /// Small texts made of what JSON is made of: whatever is taken is JSON.
    #[test]
    fn nothing_is_taken_that_the_parser_refuses() {
        const PARTS: [&str; 10] = ["{", "}", "[", "]", ",", ":", "\"a\"", "1", "-", "0"];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            texts =
                texts.iter().flat_map(|text| PARTS.map(|part| format!("{text}{part}"))).collect();
            for text in texts.iter().filter(|text| whole(text).is_some()) {
                assert!(serde_json::from_str::<&RawValue>(text).is_ok(), "{text}");
            }
        }
    }
}
