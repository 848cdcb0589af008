//! Reads a node's replies: counts the lines and the errors among them. Never parses one.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail, ensure};
use memchr::memmem::Finder;

/// The type of an error reply. Without `"type":`, for the spaces some writers put after a colon;
/// no other reply to our requests can hold it.
const ERROR: &[u8] = b"\"error\"";
const READ_BYTES: usize = 256 * 1024;
/// The most of an error reply that is shown.
const SHOWN_BYTES: usize = 400;

pub(crate) struct Replies<R> {
    source: R,
    /// The last bytes of the read before, where an error may have begun, then this read.
    buffer: Vec<u8>,
    carried: usize,
    error: Finder<'static>,
    lines: u64,
    errors: u64,
    first_error: Option<String>,
    /// `lines`, for the watchdog.
    progress: Arc<AtomicU64>,
}

impl<R: Read> Replies<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; ERROR.len() + READ_BYTES],
            carried: 0,
            error: Finder::new(ERROR),
            lines: 0,
            errors: 0,
            first_error: None,
            progress: Arc::default(),
        }
    }

    pub(crate) fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.progress)
    }

    /// Reads the reply to `init`, before anything else is asked.
    pub(crate) fn read_init_ok(&mut self) -> Result<()> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let length = self.source.read(&mut self.buffer)?;
            ensure!(length > 0, "closed its stdout before it answered init");
            line.extend_from_slice(&self.buffer[..length]);
        }
        if memchr::memmem::find(&line, b"init_ok").is_none() {
            bail!("answered init with {}", shown(&line));
        }
        Ok(())
    }

    /// Reads on until `lines` replies were read; false if the stream ended before.
    pub(crate) fn read_until(&mut self, lines: u64) -> Result<bool> {
        while self.lines < lines && self.read()? {}
        Ok(self.lines >= lines)
    }

    /// Reads to the end of the stream, then checks that all was as it should be.
    pub(crate) fn finish(&mut self, expected: u64) -> Result<()> {
        while self.read()? {}
        if let Some(error) = &self.first_error {
            bail!("gave {} error replies, the first: {error}", self.errors);
        }
        ensure!(self.lines == expected, "gave {} replies to {expected} requests", self.lines);
        Ok(())
    }

    /// Reads once; false at the end of the stream.
    fn read(&mut self) -> Result<bool> {
        let length = self.source.read(&mut self.buffer[self.carried..])?;
        let end = self.carried + length;
        let read = &self.buffer[..end];
        self.lines += memchr::memchr_iter(b'\n', &read[self.carried..]).count() as u64;
        self.progress.store(self.lines, Ordering::Relaxed);
        for at in self.error.find_iter(read) {
            self.errors += 1;
            self.first_error.get_or_insert_with(|| shown(line_around(read, at)));
        }
        self.carried = usize::min(end, ERROR.len() - 1);
        self.buffer.copy_within(end - self.carried..end, 0);
        Ok(length > 0)
    }
}

fn line_around(read: &[u8], at: usize) -> &[u8] {
    let start = memchr::memrchr(b'\n', &read[..at]).map_or(0, |newline| newline + 1);
    let end = memchr::memchr(b'\n', &read[at..]).map_or(read.len(), |newline| at + newline);
    &read[start..end]
}

fn shown(line: &[u8]) -> String {
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

    #[test]
    fn an_error_is_counted_once_however_it_is_cut() {
        let stream = b"{\"type\":\"send_ok\"}\n{\"type\": \"error\",\"code\":10}\n{}\n";
        for step in 1..=stream.len() {
            let mut replies = Replies::new(Dribble(stream, step));
            let error = replies.finish(3).unwrap_err().to_string();
            assert!(error.starts_with("gave 1 error replies"), "{error}");
            assert_eq!(replies.lines, 3);
        }
    }

    #[test]
    fn an_error_is_shown_with_its_line() {
        let mut replies = Replies::new(&b"{}\n{\"type\":\"error\",\"code\":10}\n{}\n"[..]);
        let error = replies.finish(3).unwrap_err().to_string();
        assert!(error.ends_with("the first: {\"type\":\"error\",\"code\":10}"), "{error}");
    }

    #[test]
    fn too_few_and_too_many_replies_are_told() {
        for expected in [1, 3] {
            let error = Replies::new(&b"{}\n{}\n"[..]).finish(expected).unwrap_err().to_string();
            assert_eq!(error, format!("gave 2 replies to {expected} requests"));
        }
        Replies::new(&b"{}\n{}\n"[..]).finish(2).unwrap();
    }

    #[test]
    fn the_reply_to_init_is_checked() {
        Replies::new(Dribble(b"{\"type\":\"init_ok\"}\n", 3)).read_init_ok().unwrap();
        Replies::new(&b"hello\n"[..]).read_init_ok().unwrap_err();
        Replies::new(&b"{\"type\":\"init_ok\"}"[..]).read_init_ok().unwrap_err();
    }
}
