//! Reading the fields of lines, one after the other. Remembers how lines were written and never what they
//! said: no line reads otherwise than it would alone.
//!
//! If what stands between the values of two lines is the same, then they have the same fields in the same
//! order: a value in JSON that is replaced by another one leaves JSON in which nothing else has changed. So
//! what stands between the values is parsed once for each way to write a line, and compared from then on.

use super::fields::{self, Fields, Name, Scanned};
use super::plain::Plain;

/// How many ways to write a line are remembered. There is one for each type of request, if all clients are
/// one program.
const MAX_TEMPLATES: usize = 8;

/// After so many lines that are written in none of them, they are forgotten.
const MAX_MISSES: usize = 1000;

/// How much may stand between the values of a line that is remembered, in bytes.
const MAX_TEMPLATE_BYTES: usize = 1024;

/// Reads lines.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// How lines begin.
    begin: Vec<Branch>,
    templates: usize,
    /// How many lines could not be remembered.
    misses: usize,
}

/// What may stand at a place in a line, up to the next value.
#[derive(Debug)]
struct Branch {
    text: Box<[u8]>,
    /// None if the line ends here.
    value: Option<Value>,
}

#[derive(Debug)]
struct Value {
    /// None if it does not count.
    ///
    /// Invariant: no other value before or after it on a line has the same name.
    name: Option<Name>,
    /// What may follow it.
    next: Vec<Branch>,
}

impl Reader {
    /// Reads a line, given without its end, into fields that have no value yet.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    pub(crate) fn read<'a>(
        &mut self,
        line: &'a [u8],
        fields: &mut Fields<'a>,
    ) -> Result<(), String> {
        let Some(text) = Plain::new(line) else {
            *fields = fields::parse(line)?;
            return Ok(());
        };
        if self.follow(text, fields).is_none() {
            *fields = self.learn(line, text).map_or_else(|| fields::parse(line), Ok)?;
        }
        Ok(())
    }

    /// Reads a line that is written as one before.
    fn follow<'a>(&self, mut text: Plain<'a>, fields: &mut Fields<'a>) -> Option<()> {
        let mut branches = &self.begin;
        loop {
            let fits = |branch: &&Branch| text.starts_with(&branch.text);
            let branch = branches.iter().find(fits)?;
            let rest = text.skip_bytes(branch.text.len())?;
            let Some(Value { name, next }) = &branch.value else { return rest.end() };
            let (value, rest) = rest.value()?;
            fields.set(*name, value);
            (text, branches) = (rest, next);
        }
    }

    /// Reads a line that is written otherwise, and remembers how; declines one that
    /// the scanner declines.
    #[cold]
    fn learn<'a>(&mut self, line: &'a [u8], text: Plain<'a>) -> Option<Fields<'a>> {
        let places = fields::scan(text)?;
        let mut fields = Fields::default();
        for place in &places {
            fields.set(place.name, place.value);
        }
        let value_bytes: usize = places.iter().map(|place| place.value.len()).sum();
        if line.len() - value_bytes <= MAX_TEMPLATE_BYTES {
            self.remember(line, places);
        }
        Some(fields)
    }

    fn remember(&mut self, line: &[u8], places: Vec<Scanned<'_>>) {
        if self.templates == MAX_TEMPLATES && self.misses < MAX_MISSES {
            self.misses += 1;
            return;
        }
        if self.templates == MAX_TEMPLATES {
            *self = Self::default();
        }
        self.templates += 1;
        let mut branches = &mut self.begin;
        let mut rest = 0;
        for Scanned { name, value, at } in places {
            let branch = branch(branches, &line[rest..at]);
            branches = &mut branch.value.get_or_insert(Value { name, next: Vec::new() }).next;
            rest = at + value.len();
        }
        branch(branches, &line[rest..]);
    }
}

/// The branch that begins with a text.
fn branch<'b>(branches: &'b mut Vec<Branch>, text: &[u8]) -> &'b mut Branch {
    let known = branches.iter().position(|branch| *branch.text == *text);
    let number = known.unwrap_or_else(|| {
        branches.push(Branch { text: text.into(), value: None });
        branches.len() - 1
    });
    &mut branches[number]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 4] = [
        r#"{"id":7,"src":"c1","dest":"n0","body":{"type":"send","key":"k1","msg":[1,"a"],"msg_id":4}}"#,
        r#"{"src":"c1","body":{"msg_id":-10,"offsets":{"k1":0,"é":12},"x":{"y":[]},"type":"poll"}}"#,
        r#"{"src":"c1","body":{"msg_id":-10,"offsets":{},"x":"offsets","y":17}}"#,
        r#"{"body":{},"src":""}"#,
    ];

    fn read<'a>(reader: &mut Reader, line: &'a str) -> Result<Fields<'a>, String> {
        let mut fields = Fields::default();
        reader.read(line.as_bytes(), &mut fields).map(|()| fields)
    }

    fn reader_of_lines() -> Reader {
        let mut reader = Reader::default();
        for line in LINES {
            read(&mut reader, line).unwrap();
        }
        assert_eq!(reader.templates, LINES.len());
        reader
    }

    /// What a line is when one of its bytes is taken away, doubled or made another.
    fn changed(line: &str) -> Vec<String> {
        const OTHERS: [&str; 18] = [
            "", "\"", "\\", "{", "}", "[", "]", ":", ",", "-", ".", "0", "e", " ", "\n", "\"b",
            "\"\"", "{}",
        ];
        let at_each = |at| OTHERS.map(|other| (at, other));
        let splice = |(at, other): (usize, &str)| {
            let mut changed = line.as_bytes().to_vec();
            changed.splice(at..=at, other.bytes());
            String::from_utf8(changed).ok()
        };
        (0..line.len()).flat_map(at_each).filter_map(splice).collect()
    }

    /// What the scanner takes is what the parser reads, and so is what is read by the templates.
    #[test]
    fn a_line_reads_as_the_parser_reads_it_whatever_came_before() {
        let mut reader = reader_of_lines();
        let mut scanned = 0;
        for changed in LINES.iter().flat_map(|line| changed(line)) {
            let parsed = fields::parse(changed.as_bytes());
            assert_eq!(read(&mut Reader::default(), &changed), parsed, "{changed}");
            assert_eq!(read(&mut reader_of_lines(), &changed), parsed, "{changed}");
            assert_eq!(read(&mut reader, &changed), parsed, "{changed}");
            let places = Plain::new(changed.as_bytes()).and_then(fields::scan);
            scanned += usize::from(places.is_some());
        }
        assert!(scanned > 500, "{scanned}");
    }

    #[test]
    fn lines_that_are_written_alike_have_one_template() {
        let mut reader = reader_of_lines();
        let other = LINES[0].replace("[1,\"a\"]", "{\"a\":{\"b\":-5}}").replace("c1", "client 2");
        let fields = read(&mut reader, &other).unwrap();
        assert_eq!(fields.get(Name::Msg), Some(&b"{\"a\":{\"b\":-5}}"[..]));
        assert_eq!(fields.get(Name::Src), Some(&b"\"client 2\""[..]));
        assert_eq!(reader.templates, LINES.len());
    }

    #[test]
    fn only_so_much_is_remembered_and_not_for_ever() {
        let mut reader = Reader::default();
        for n in 0..MAX_TEMPLATES + MAX_MISSES {
            let line = format!(r#"{{"src":"c1","body":{{"x{n}":1,"msg_id":{n}}}}}"#);
            let fields = read(&mut reader, &line).unwrap();
            assert_eq!(fields.get(Name::MsgId), Some(n.to_string().as_bytes()));
            assert_eq!(reader.templates, MAX_TEMPLATES.min(n + 1));
        }
        read(&mut reader, LINES[0]).unwrap();
        assert_eq!(reader.templates, 1);
    }

    #[test]
    fn what_is_remembered_is_short() {
        let mut reader = Reader::default();
        let long = "x".repeat(MAX_TEMPLATE_BYTES);
        read(&mut reader, &format!(r#"{{"src":"c1","body":{{"{long}":1,"msg_id":1}}}}"#)).unwrap();
        assert_eq!(reader.templates, 0);
        read(&mut reader, &format!(r#"{{"src":"c1","body":{{"msg":"{long}"}}}}"#)).unwrap();
        assert_eq!(reader.templates, 1);
    }
}
