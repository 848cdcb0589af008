//! What a node writes to its stderr: kept for a person. Never judged.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use super::lines::Lines;

/// How many lines are kept in memory.
const TAIL_LINES: usize = 20;
/// What is written to a log at most, in bytes: a node that never stops complaining must not fill the disk.
const LOG_BYTES: usize = 64 * 1024 * 1024;
/// Longer lines are kept in pieces.
const LINE_BYTES: usize = 1000;

/// The stderr of one node, across its restarts.
#[derive(Debug)]
pub(super) struct Diagnostics {
    name: String,
    log: Option<File>,
    log_left_bytes: usize,
    lines: Lines,
    tail: VecDeque<String>,
    /// Whether it goes to our own stderr too.
    echoed: bool,
}

impl Diagnostics {
    /// With `<name>.log` in `log_dir`, if given, begun anew.
    pub(super) fn new(name: String, log_dir: Option<&Path>, echoed: bool) -> io::Result<Self> {
        let log = log_dir.map(|dir| File::create(dir.join(format!("{name}.log")))).transpose()?;
        Ok(Self {
            name,
            log,
            log_left_bytes: LOG_BYTES,
            lines: Lines::new(LINE_BYTES),
            tail: VecDeque::new(),
            echoed,
        })
    }

    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut lines = Vec::new();
        self.lines.cut(bytes, |line| lines.push(line));
        self.keep(lines);
        self.write_log(bytes)
    }

    fn write_log(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let written = &bytes[..bytes.len().min(self.log_left_bytes)];
        self.log_left_bytes -= written.len();
        log.write_all(written)?;
        if self.log_left_bytes == 0 {
            log.write_all(b"\nstraum-check: no more is kept\n")?;
            self.log = None;
        }
        Ok(())
    }

    /// The process behind it has ended; another may follow.
    pub(super) fn finish(&mut self) {
        let rest = self.lines.finish();
        self.keep(rest);
    }

    fn keep(&mut self, lines: impl IntoIterator<Item = Vec<u8>>) {
        for line in lines {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if self.echoed {
                // A run does not fail because nobody wants to read this.
                let _ = writeln!(io::stderr(), "{}: {line}", self.name);
            }
            if self.tail.len() == TAIL_LINES {
                self.tail.pop_front();
            }
            self.tail.push_back(line);
        }
    }

    pub(super) fn tail(&self) -> Vec<String> {
        self.tail.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let mut diagnostics = Diagnostics::new("n0".to_owned(), None, false).unwrap();
        for number in 0..100 {
            diagnostics.take(format!("line {number}\n").as_bytes()).unwrap();
        }
        diagnostics.take(b"half a line").unwrap();
        assert_eq!(diagnostics.tail().last().unwrap(), "line 99");
        diagnostics.finish();
        assert_eq!(diagnostics.tail().len(), TAIL_LINES);
        assert_eq!(diagnostics.tail().last().unwrap(), "half a line");
    }
}
