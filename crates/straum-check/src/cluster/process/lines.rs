//! Cuts a stream of bytes into lines. Never looks into one.

/// The beginning of a line whose end has not come yet.
#[derive(Debug)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// A longer line is cut, and its pieces count as lines.
    limit_bytes: usize,
}

impl Lines {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { partial: Vec::new(), limit_bytes }
    }

    /// Takes what was read and gives each line that is complete now, without its end.
    pub(super) fn cut(&mut self, mut bytes: &[u8], mut give: impl FnMut(Vec<u8>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.extend(&bytes[..end], &mut give);
            give(std::mem::take(&mut self.partial));
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes, &mut give);
    }

    fn extend(&mut self, mut bytes: &[u8], give: &mut impl FnMut(Vec<u8>)) {
        while self.partial.len() + bytes.len() > self.limit_bytes {
            let (piece, rest) = bytes.split_at(self.limit_bytes - self.partial.len());
            self.partial.extend_from_slice(piece);
            give(std::mem::take(&mut self.partial));
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
    }

    /// At the end of the stream: what stands after the last end of a line, if anything.
    pub(super) fn finish(&mut self) -> Option<Vec<u8>> {
        if self.partial.is_empty() { None } else { Some(std::mem::take(&mut self.partial)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(limit_bytes: usize, chunks: &[&str]) -> Vec<String> {
        let mut lines = Lines::new(limit_bytes);
        let mut cut = Vec::new();
        for chunk in chunks {
            lines.cut(chunk.as_bytes(), |line| cut.push(line));
        }
        cut.extend(lines.finish());
        cut.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        let lines = ["one", "", "two", "rest"];
        assert_eq!(cut(10, &["one\n\ntwo\nrest"]), lines);
        assert_eq!(cut(10, &["o", "ne", "\n", "\nt", "wo\nre", "st"]), lines);
        assert!(cut(10, &[]).is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_comes_in_pieces() {
        assert_eq!(cut(4, &["abcd\n"]), ["abcd"]);
        assert_eq!(cut(4, &["abcdefghij\nk\n"]), ["abcd", "efgh", "ij", "k"]);
        assert_eq!(cut(4, &["abc", "def", "\n"]), ["abcd", "ef"]);
    }
}
