//! The floor: the least a process can do to answer lines over pipes. Never parses a request.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;

use anyhow::Result;

/// The arguments that make this program the floor.
pub(crate) const ARGS: &[&str] = &["floor"];

/// Answers every request alike, `init` included: as long as a usual `send_ok`, and named
/// `init_ok` so that the loader treats the floor like any other node.
const REPLY: &[u8; 90] =
    b"{\"src\":\"n0\",\"dest\":\"c1\",\"body\":{\"type\":\"init_ok\",\"in_reply_to\":1,\"pad\":\"--------------\"}}\n";

/// What a pipe holds by default on Linux, so one read takes all there is.
const READ_BYTES: usize = 64 * 1024;

pub(crate) fn run() -> Result<()> {
    // Plain files: std's own stdin and stdout would put their buffers in between.
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    Ok(answer(stdin, stdout)?)
}

fn answer(mut requests: impl Read, mut replies: impl Write) -> io::Result<()> {
    let mut read = vec![0; READ_BYTES];
    let mut written = Vec::with_capacity(READ_BYTES);
    loop {
        let length = requests.read(&mut read)?;
        if length == 0 {
            return Ok(());
        }
        written.clear();
        for _ in memchr::memchr_iter(b'\n', &read[..length]) {
            written.extend_from_slice(REPLY);
        }
        replies.write_all(&written)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_gets_one_whole_reply() {
        let mut replies = Vec::new();
        answer(&b"{}\n{\"a\":1}\n\nunfinished"[..], &mut replies).unwrap();
        assert_eq!(replies, REPLY.repeat(3));
    }

    #[test]
    fn the_reply_is_one_line_of_json() {
        assert_eq!(memchr::memchr(b'\n', REPLY), Some(REPLY.len() - 1));
        let reply: serde_json::Value = serde_json::from_slice(REPLY).unwrap();
        assert_eq!(reply["body"]["type"], "init_ok");
    }
}
