//! Reads a node's replies: counts them and the errors among them, or hands them over one by one. Never
//! knows what was asked.

use std::io::Read;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use memchr::memmem::Finder;

use crate::load::watchdog::Waits;

/// The type of an error reply. Without `"type":`, for the spaces some writers put after a colon;
/// no other reply to our requests can hold it.
const ERROR: &[u8] = b"\"error\"";
/// What the types of all other replies end in.
const OK: &[u8] = b"_ok\"";
const READ_BYTES: usize = 256 * 1024;
/// The most of a reply that is shown.
const SHOWN_BYTES: usize = 400;
/// A node that gives so many replies that nobody asked for is not read on.
const UNASKED: u64 = 1000;
/// A line that is longer will not end.
const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;

pub(crate) struct Replies<R> {
    /// None once nobody reads on.
    source: Option<R>,
    buffer: Vec<u8>,
    /// What is in the buffer: what is left of the reads before, and the last read.
    filled: usize,
    error: Finder<'static>,
    lines: u64,
    errors: u64,
    first_error: Option<String>,
    /// What there is to say of the first reply seen that is neither an error nor an answer.
    no_answer: Option<String>,
    waits: Waits,
    /// The longest reply that is read, in bytes.
    pub(crate) max_reply_bytes: usize,
}

impl<R: Read> Replies<R> {
    pub(crate) fn new(source: R, waits: Waits) -> Self {
        Self {
            source: Some(source),
            buffer: vec![0; READ_BYTES],
            filled: 0,
            error: Finder::new(ERROR),
            lines: 0,
            errors: 0,
            first_error: None,
            no_answer: None,
            waits,
            max_reply_bytes: MAX_REPLY_BYTES,
        }
    }

    pub(crate) fn source(&self) -> Result<&R> {
        self.source.as_ref().context("its stdout is closed")
    }

    /// How many replies there were, without the one to `init`.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Reads the reply to `init`, before anything else is asked.
    pub(crate) fn read_init_ok(&mut self) -> Result<()> {
        let line = self.read_reply().context("no reply to init")?;
        ensure!(
            memchr::memmem::find(line, b"init_ok").is_some(),
            "answered init with {}",
            shown(line)
        );
        self.lines = 0;
        Ok(())
    }

    /// Reads the one reply that is due, with its line end.
    pub(crate) fn read_reply(&mut self) -> Result<&[u8]> {
        let mut end = 0;
        loop {
            if end == self.buffer.len() {
                ensure!(end < self.max_reply_bytes, "gave a reply that does not end: {end} bytes");
                self.buffer.resize(2 * end, 0);
            }
            let length = self.read_at(end)?;
            ensure!(length > 0, self.ended());
            let read = &self.buffer[end..end + length];
            end += length;
            if let Some(newline) = memchr::memchr(b'\n', read) {
                ensure!(newline + 1 == length, "gave more replies than it was asked for");
                break;
            }
        }
        self.filled = 0;
        self.lines += 1;
        Ok(&self.buffer[..end])
    }

    /// Reads on until `lines` replies were read, and counts errors; false if the stream ended before.
    pub(crate) fn read_until(&mut self, lines: u64) -> Result<bool> {
        while self.lines < lines && self.count_some()?.is_some() {}
        Ok(self.lines >= lines)
    }

    /// Reads on until `lines` replies were read, and hands over each.
    pub(crate) fn each_until(
        &mut self,
        lines: u64,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut rest = Vec::new();
        self.filled = 0;
        while self.lines < lines {
            let length = self.read_at(0)?;
            ensure!(length > 0, self.ended());
            rest.extend_from_slice(&self.buffer[..length]);
            let whole = memchr::memrchr(b'\n', &rest).map_or(0, |newline| newline + 1);
            for line in rest[..whole].split_inclusive(|&byte| byte == b'\n') {
                take(line)?;
                self.lines += 1;
            }
            rest.drain(..whole);
            ensure!(rest.len() < MAX_REPLY_BYTES, "gave a reply that does not end");
        }
        ensure!(rest.is_empty() && self.lines == lines, "gave more replies than it was asked for");
        Ok(())
    }

    /// Reads to the end of the stream, then checks that all was as it should be.
    pub(crate) fn finish(&mut self, expected: u64) -> Result<()> {
        while self.count_some()?.is_some() {
            ensure!(
                self.lines < expected + UNASKED,
                "gave {} replies to {expected} requests, and goes on",
                self.lines
            );
        }
        self.check(expected)
    }

    /// Fails if there were errors, or what was seen to be no answer, or more or fewer replies than expected
    /// so far.
    pub(crate) fn check(&self, expected: u64) -> Result<()> {
        if let Some(error) = &self.first_error {
            bail!("gave {} error replies, the first: {error}", self.errors);
        }
        if let Some(why) = &self.no_answer {
            bail!("{why}");
        }
        ensure!(self.lines == expected, "gave {} replies to {expected} requests", self.lines);
        Ok(())
    }

    /// What there is to say when the stream has ended too early.
    pub(crate) fn ended(&self) -> String {
        format!("gave {} replies and closed its stdout", self.lines)
    }

    /// Reads no more: the node learns of it, should it still write.
    pub(crate) fn close(&mut self) {
        self.source = None;
    }

    /// Reads once: how many replies ended in it; None at the end of the stream.
    pub(crate) fn count_some(&mut self) -> Result<Option<u64>> {
        // An error may have begun in the read before.
        let carried = usize::min(self.filled, ERROR.len() - 1);
        self.buffer.copy_within(self.filled - carried..self.filled, 0);
        let length = self.read_at(carried)?;
        self.filled = carried + length;
        let read = &self.buffer[..self.filled];
        let ended = memchr::memchr_iter(b'\n', &read[carried..]).count() as u64;
        self.lines += ended;
        for at in self.error.find_iter(read) {
            self.errors += 1;
            self.first_error.get_or_insert_with(|| shown(line_around(read, at)));
        }
        // One reply of each read: looking for this in all would slow down the fastest nodes.
        if self.no_answer.is_none() {
            self.no_answer = last_line(read).and_then(no_answer);
        }
        Ok((length > 0).then_some(ended))
    }

    fn read_at(&mut self, start: usize) -> Result<usize> {
        let Some(source) = &mut self.source else { return Ok(0) };
        Ok(self.waits.during(|| source.read(&mut self.buffer[start..]))?)
    }
}

/// Fails if a reply is no answer.
pub(crate) fn check_ok(reply: &[u8]) -> Result<()> {
    if memchr::memmem::find(reply, ERROR).is_some() {
        bail!("gave an error reply: {}", shown(reply));
    }
    no_answer(reply).map_or(Ok(()), |why| Err(anyhow!(why)))
}

/// What there is to say of a reply that is neither an error nor an answer.
fn no_answer(reply: &[u8]) -> Option<String> {
    let has = |text| memchr::memmem::find(reply, text).is_some();
    let said = || format!("gave a reply that answers nothing: {:?}", shown(reply));
    (!has(OK) && !has(ERROR)).then(said)
}

/// The last line of which both ends are in here.
fn last_line(read: &[u8]) -> Option<&[u8]> {
    let end = memchr::memrchr(b'\n', read)?;
    let start = memchr::memrchr(b'\n', &read[..end])?;
    read.get(start + 1..end)
}

fn line_around(read: &[u8], at: usize) -> &[u8] {
    let start = memchr::memrchr(b'\n', &read[..at]).map_or(0, |newline| newline + 1);
    let end = memchr::memchr(b'\n', &read[at..]).map_or(read.len(), |newline| at + newline);
    &read[start..end]
}

/// The beginning of a line, for people.
pub(crate) fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..usize::min(line.len(), SHOWN_BYTES)]).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes a few at a time.
    struct Dribble(&'static [u8], usize);

    impl Read for Dribble {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.1;
            self.0.take(length as u64).read(buffer).inspect(|&read| self.0 = &self.0[read..])
        }
    }

    fn replies<R: Read>(source: R) -> Replies<R> {
        Replies::new(source, Waits::default())
    }

    #[test]
    fn an_error_is_counted_once_however_it_is_cut() {
        let stream = b"{\"type\":\"send_ok\"}\n{\"type\": \"error\",\"code\":10}\n{}\n";
        for step in 1..=stream.len() {
            let mut replies = replies(Dribble(stream, step));
            let error = replies.finish(3).unwrap_err().to_string();
            assert!(error.starts_with("gave 1 error replies"), "{error}");
            assert_eq!(replies.lines, 3);
        }
    }

    #[test]
    fn an_error_is_shown_with_its_line() {
        let mut replies = replies(&b"{}\n{\"type\":\"error\",\"code\":10}\n{}\n"[..]);
        let error = replies.finish(3).unwrap_err().to_string();
        assert!(error.ends_with("the first: {\"type\":\"error\",\"code\":10}"), "{error}");
    }

    #[test]
    fn too_few_and_too_many_replies_are_told() {
        let two = "{\"type\":\"send_ok\"}\n".repeat(2);
        for expected in [1, 3] {
            let error = replies(two.as_bytes()).finish(expected).unwrap_err().to_string();
            assert_eq!(error, format!("gave 2 replies to {expected} requests"));
        }
        replies(two.as_bytes()).finish(2).unwrap();
    }

    #[test]
    fn a_reply_that_is_no_answer_is_told() {
        let error = replies(&b"{}\n{}\n"[..]).finish(2).unwrap_err().to_string();
        assert_eq!(error, "gave a reply that answers nothing: \"{}\"");
        check_ok(b"{\"type\":\"poll_ok\"}\n").unwrap();
        check_ok(b"{\"type\":\"error\"}\n").unwrap_err();
        check_ok(b"\n").unwrap_err();
    }

    #[test]
    fn a_node_that_never_stops_is_not_read_on() {
        let error = replies(std::io::repeat(b'\n')).finish(7).unwrap_err().to_string();
        assert!(error.contains("to 7 requests, and goes on"), "{error}");
    }

    #[test]
    fn a_reply_that_does_not_end_is_not_read_on() {
        let error = replies(std::io::repeat(b' ')).read_reply().unwrap_err().to_string();
        assert!(error.contains("does not end"), "{error}");
    }

    #[test]
    fn the_reply_to_init_is_checked() {
        replies(Dribble(b"{\"type\":\"init_ok\"}\n", 3)).read_init_ok().unwrap();
        replies(&b"hello\n"[..]).read_init_ok().unwrap_err();
        replies(&b"{\"type\":\"init_ok\"}"[..]).read_init_ok().unwrap_err();
    }

    #[test]
    fn a_reply_is_whole_however_it_is_cut_and_however_long() {
        for step in [1, 7, 100_000] {
            let mut replies = replies(Dribble(b"{\"first\":1}\n", step));
            assert_eq!(replies.read_reply().unwrap(), b"{\"first\":1}\n");
        }
        let long = "-".repeat(3 * READ_BYTES) + "\n";
        assert_eq!(replies(long.as_bytes()).read_reply().unwrap(), long.as_bytes());
    }

    #[test]
    fn each_reply_is_handed_over_however_it_is_cut() {
        for step in 1..=9 {
            let mut seen = Vec::new();
            let mut replies = replies(Dribble(b"{1}\n{2}\n{3}\n", step));
            let take = |line: &[u8]| {
                seen.push(shown(line));
                Ok(())
            };
            replies.each_until(3, take).unwrap();
            assert_eq!(seen, ["{1}", "{2}", "{3}"]);
        }
        replies(&b"{1}\n{2}\n"[..]).each_until(1, |_| Ok(())).unwrap_err();
        replies(&b"{1}\n"[..]).each_until(2, |_| Ok(())).unwrap_err();
    }
}
