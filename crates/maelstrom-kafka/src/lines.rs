//! Cutting a stream of bytes into lines. Never looks into a line, never waits, and never holds more
//! than one line that is too long to be handled: not even that one whole.

use std::io::{self, Read};

/// The longest line that is handled, in bytes without its end (16 MiB).
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// How much is read at once, in bytes: as much as a pipe may hold. What is not needed is never touched.
const READ_BYTES: usize = 1024 * 1024;

/// A buffer that long lines have made larger than this is given back when it is empty.
const KEEP_BYTES: usize = 1024 * 1024;

/// What came in and has not been handled yet.
#[derive(Debug)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// Invariant: `start <= scanned <= end <= bytes.len()`. The unhandled bytes are `start..end`;
    /// `start..scanned` holds no line end.
    start: usize,
    scanned: usize,
    end: usize,
    /// How many bytes of the current line were dropped because it is too long.
    dropped: u64,
}

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It was longer than [`MAX_LINE_BYTES`] and is gone.
    TooLong {
        /// How long it was, in bytes.
        size_bytes: u64,
    },
}

impl Default for LineBuffer {
    fn default() -> Self {
        Self { bytes: vec![0; READ_BYTES], start: 0, scanned: 0, end: 0, dropped: 0 }
    }
}

impl LineBuffer {
    /// Reads once from `input` and returns how many bytes came; 0 is the end of input. To be called
    /// when [`next_line`](Self::next_line) has nothing left.
    ///
    /// # Errors
    /// Those of `input`, after which nothing has changed.
    pub fn fill(&mut self, input: &mut impl Read) -> io::Result<usize> {
        self.make_room();
        let count = input.read(&mut self.bytes[self.end..])?;
        self.end += count;
        self.check();
        Ok(count)
    }

    /// The next line of which all has come.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        let Some(length) = memchr::memchr(b'\n', &self.bytes[self.scanned..self.end]) else {
            self.scanned = self.end;
            if self.end - self.start > MAX_LINE_BYTES {
                self.drop_unhandled();
            }
            self.check();
            return None;
        };
        let line_end = self.scanned + length;
        let line = self.start..line_end;
        self.start = line_end + 1;
        self.scanned = self.start;
        self.check();
        Some(self.line(line))
    }

    /// The line that the end of input cut off, if there is one.
    pub fn last_line(&mut self) -> Option<Line<'_>> {
        let rest = self.start..self.end;
        self.start = self.end;
        self.scanned = self.end;
        self.check();
        (self.dropped > 0 || !rest.is_empty()).then(|| self.line(rest))
    }

    /// The invariant of the places.
    fn check(&self) {
        debug_assert!(self.start <= self.scanned && self.scanned <= self.end);
        debug_assert!(self.end <= self.bytes.len());
    }

    fn line(&mut self, range: std::ops::Range<usize>) -> Line<'_> {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 || range.len() > MAX_LINE_BYTES {
            return Line::TooLong { size_bytes: dropped + range.len() as u64 };
        }
        Line::Whole(&self.bytes[range])
    }

    fn drop_unhandled(&mut self) {
        self.dropped += (self.end - self.start) as u64;
        self.start = self.end;
    }

    fn make_room(&mut self) {
        debug_assert_eq!(self.scanned, self.end, "there are lines left");
        if self.dropped > 0 {
            self.drop_unhandled();
        }
        if self.start == self.end && self.bytes.len() > KEEP_BYTES {
            *self = Self { dropped: self.dropped, ..Self::default() };
            return;
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.scanned -= self.start;
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() - self.end < READ_BYTES / 2 {
            self.bytes.resize(2 * self.bytes.len(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything the buffer makes of `input` when it comes in pieces of at most `piece` bytes.
    fn lines(input: &[u8], piece: usize) -> Vec<Result<Vec<u8>, u64>> {
        let mut buffer = LineBuffer::default();
        let mut lines = Vec::new();
        let mut push = |line: Line<'_>| match line {
            Line::Whole(line) => lines.push(Ok(line.to_vec())),
            Line::TooLong { size_bytes } => lines.push(Err(size_bytes)),
        };
        for mut piece in input.chunks(piece) {
            while !piece.is_empty() {
                buffer.fill(&mut piece).unwrap();
                while let Some(line) = buffer.next_line() {
                    push(line);
                }
            }
        }
        if let Some(line) = buffer.last_line() {
            push(line);
        }
        assert!(buffer.last_line().is_none());
        lines
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        let input = b"one\n\ntwo\r\nthree";
        let expected = [&b"one"[..], b"", b"two\r", b"three"].map(|line| Ok(line.to_vec()));
        for piece in 1..=input.len() {
            assert_eq!(lines(input, piece), expected);
        }
    }

    #[test]
    fn a_line_of_the_greatest_length_is_whole_and_one_byte_more_is_too_long() {
        let mut input = vec![b'x'; MAX_LINE_BYTES];
        input.push(b'\n');
        let whole = input.len();
        input.extend(vec![b'y'; MAX_LINE_BYTES + 1]);
        input.extend(b"\nnext");
        for piece in [50_000, whole, input.len()] {
            let lines = lines(&input, piece);
            assert_eq!(lines.len(), 3);
            assert_eq!(lines[0].as_ref().unwrap().len(), MAX_LINE_BYTES);
            assert_eq!(lines[1], Err(MAX_LINE_BYTES as u64 + 1));
            assert_eq!(lines[2], Ok(b"next".to_vec()));
        }
    }

    #[test]
    fn an_endless_line_is_not_held_and_its_memory_is_given_back() {
        let mut buffer = LineBuffer::default();
        let mut endless = io::repeat(b'x').take(10 * MAX_LINE_BYTES as u64);
        while buffer.fill(&mut endless).unwrap() > 0 {
            assert_eq!(buffer.next_line(), None);
            assert!(buffer.bytes.len() <= 2 * MAX_LINE_BYTES);
        }
        assert!(buffer.bytes.len() <= KEEP_BYTES);
        let size_bytes = 10 * MAX_LINE_BYTES as u64;
        assert_eq!(buffer.last_line(), Some(Line::TooLong { size_bytes }));
    }

    #[test]
    fn a_long_line_that_ends_with_the_input_is_reported() {
        let input = vec![b'x'; MAX_LINE_BYTES + 1];
        assert_eq!(lines(&input, input.len()), [Err(input.len() as u64)]);
    }
}
