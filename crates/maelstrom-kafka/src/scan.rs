//! Reading JSON the way nearly all of it comes: without a space, an escape or a fraction. Never guesses:
//! what it does not know to be good it declines, and the JSON parser decides.

/// How deep a value may be nested.
const MAX_DEPTH: u32 = 8;

/// A place in a JSON text. Every method is at a new place afterwards, or declines: then the place is lost.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Option<()> {
        (self.at == self.text.len()).then_some(())
    }

    /// An object: each name, without its quotes, and then whatever `member` reads as its value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.eat(b'{')?;
        if self.peek()? == b'}' {
            return self.eat(b'}');
        }
        loop {
            let name = self.string()?;
            self.eat(b':')?;
            member(self, unquoted(name))?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Any value, as its text.
    pub(crate) fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.skip(0)?;
        self.text.get(start..self.at)
    }

    fn skip(&mut self, depth: u32) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.integer().map(drop),
            b'{' if depth < MAX_DEPTH => self.object(|scan, _| scan.skip(depth + 1)),
            b'[' if depth < MAX_DEPTH => self.array(depth),
            _ => None,
        }
    }

    fn array(&mut self, depth: u32) -> Option<()> {
        self.eat(b'[')?;
        if self.peek()? == b']' {
            return self.eat(b']');
        }
        loop {
            self.skip(depth + 1)?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A string, as its text with the quotes.
    pub(crate) fn string(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.eat(b'"')?;
        let rest = self.text.as_bytes().get(self.at..)?;
        let length = plain_bytes(rest);
        self.at += length;
        self.eat(b'"')?;
        self.text.get(start..self.at)
    }

    /// An integer of any size, as its text.
    pub(crate) fn integer(&mut self) -> Option<&'a str> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let digits = rest.strip_prefix(b"-").unwrap_or(rest);
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 || (count > 1 && digits[0] == b'0') {
            return None;
        }
        let start = self.at;
        self.at += rest.len() - digits.len() + count;
        self.text.get(start..self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }
}

/// How many bytes there are before one that ends a string or means that it is not a plain one: eight at a
/// time, since most strings are no longer than that.
fn plain_bytes(bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some(eight) = bytes.get(count..).and_then(|rest| rest.first_chunk()) {
        let special = first_special(u64::from_le_bytes(*eight));
        if special < 8 {
            return count + special;
        }
        count += 8;
    }
    let special = |&byte: &u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    count + bytes[count..].iter().position(special).unwrap_or(bytes.len() - count)
}

/// The place of the first of eight bytes, the lowest being the first, that is a quote, a backslash or below
/// 0x20; 8 if there is none.
fn first_special(eight: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The highest bit of each byte that is zero; above the first such byte there may be others.
    let zeros = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
    let quotes = zeros(eight ^ (ONES * u64::from(b'"')));
    let backslashes = zeros(eight ^ (ONES * u64::from(b'\\')));
    let controls = zeros(eight & (ONES * 0xe0));
    ((quotes | backslashes | controls).trailing_zeros() / 8) as usize
}

/// A string as [`Scan::string`] reads it, without its quotes.
pub(crate) fn unquoted(string: &str) -> &str {
    string.get(1..string.len() - 1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn whole(text: &str) -> Option<&str> {
        let mut scan = Scan::new(text);
        let value = scan.value()?;
        scan.end()?;
        Some(value)
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
    fn the_first_special_byte_is_found_wherever_it_is_and_whatever_stands_around_it() {
        for special in [b'"', b'\\', 0, 1, 0x1f] {
            for around in [b'!', b' ', b'#', b'[', b']', 0x7f, 0x80, 0xff, b'a'] {
                for length in 0..20 {
                    let plain = vec![around; length];
                    assert_eq!(plain_bytes(&plain), length);
                    assert_eq!(
                        plain_bytes(&[&plain[..], &[special, around, special, 0]].concat()),
                        length
                    );
                }
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
