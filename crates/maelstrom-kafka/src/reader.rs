//! Reading the fields of lines, one after the other. Remembers how lines were written and never what they
//! said: no line reads otherwise than it would alone.

use crate::fields::{self, Fields, Name};
use crate::scan::Plain;

/// How many ways to write a line are remembered: the first ones that were met. There is one for each type of
/// request, if all clients are one program.
const MAX_TEMPLATES: usize = 8;

/// Reads lines, the quicker the more of them are written alike.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The one that fitted last is the first.
    templates: Vec<Template>,
}

/// A line whose values were cut out.
///
/// What stands between the values of two lines is the same: then they have the same fields in the same order.
/// For if a value in JSON is replaced by another one, that is JSON again, and nothing else in it changes.
#[derive(Debug)]
struct Template {
    /// What stands before each value, and which field that is; none if it does not count.
    ///
    /// Invariant: no field stands twice.
    parts: Vec<(Box<[u8]>, Option<Name>)>,
    end: Box<[u8]>,
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
        let text = Plain::new(line);
        if text.is_some_and(|text| self.read_plain(text, fields)) {
            return Ok(());
        }
        *fields = self.learn(line).map_or_else(|| fields::parse(line), Ok)?;
        Ok(())
    }

    fn read_plain<'a>(&mut self, text: Plain<'a>, fields: &mut Fields<'a>) -> bool {
        for number in 0..self.templates.len() {
            if self.templates[number].read(text, fields).is_some() {
                self.templates.swap(0, number);
                return true;
            }
            *fields = Fields::default();
        }
        false
    }

    #[cold]
    fn learn<'a>(&mut self, line: &'a [u8]) -> Option<Fields<'a>> {
        let places = fields::scan(line)?;
        let mut fields = Fields::default();
        let mut parts = Vec::with_capacity(places.len());
        let mut rest = 0;
        for place in places {
            parts.push((line[rest..place.at].into(), place.name));
            rest = place.at + place.value.len();
            fields.set(place.name, place.value);
        }
        if self.templates.len() < MAX_TEMPLATES {
            self.templates.push(Template { parts, end: line[rest..].into() });
        }
        Some(fields)
    }
}

impl Template {
    fn read<'a>(&self, mut text: Plain<'a>, fields: &mut Fields<'a>) -> Option<()> {
        for (before, name) in &self.parts {
            let (value, rest) = text.strip_prefix(before)?.value()?;
            fields.set(*name, value);
            text = rest;
        }
        text.strip_prefix(&self.end)?.end()
    }
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
        assert_eq!(reader.templates.len(), LINES.len());
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
            scanned += usize::from(fields::scan(changed.as_bytes()).is_some());
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
        assert_eq!(reader.templates.len(), LINES.len());
    }

    #[test]
    fn only_so_many_templates_are_remembered() {
        let mut reader = Reader::default();
        for n in 0..100 {
            let line = format!(r#"{{"src":"c1","body":{{"x{n}":1,"msg_id":{n}}}}}"#);
            let fields = read(&mut reader, &line).unwrap();
            assert_eq!(fields.get(Name::MsgId), Some(n.to_string().as_bytes()));
        }
        assert_eq!(reader.templates.len(), MAX_TEMPLATES);
    }
}
