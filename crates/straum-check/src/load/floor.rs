//! The floor: the least a process can do to answer lines over pipes. Never parses a request.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;

use anyhow::Result;
use clap::Args;

/// The length of a usual `send_ok`.
const REPLY_BYTES: u32 = 90;
const MAX_REPLY_BYTES: u32 = 32 * 1024 * 1024;

/// Answers every request alike, `init` included: named `init_ok` so that the loader treats the floor like
/// any other node.
const REPLY_BEGINS: &[u8] =
    b"{\"src\":\"n0\",\"dest\":\"c1\",\"body\":{\"type\":\"init_ok\",\"in_reply_to\":1,\"pad\":\"";
const REPLY_ENDS: &[u8] = b"\"}}\n";

/// As much as a pipe holds by default on Linux.
const READ_BYTES: usize = 64 * 1024;

/// As much as a node that knows of it makes of its pipes: a floor with less room would be slower than one for no
/// reason but that.
const PIPE_BYTES: usize = 256 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Floor {
    /// The length of an answer, with its line end.
    #[arg(long, value_name = "N", default_value_t = REPLY_BYTES,
        value_parser = clap::value_parser!(u32).range(i64::from(REPLY_BYTES)..=i64::from(MAX_REPLY_BYTES)))]
    reply_bytes: u32,
}

/// The arguments that make this program a floor whose replies are so long, as far as they may be.
pub(crate) fn args(reply_bytes: u64) -> Vec<OsString> {
    let reply_bytes = reply_bytes.clamp(REPLY_BYTES.into(), MAX_REPLY_BYTES.into());
    vec!["floor".into(), "--reply-bytes".into(), reply_bytes.to_string().into()]
}

pub(crate) fn run(options: &Floor) -> Result<()> {
    // Plain files: std's own stdin and stdout would put their buffers in between.
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    for pipe in [&stdin, &stdout] {
        // That something is no pipe, or may not be larger, is no harm.
        rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES).ok();
    }
    Ok(answer(&reply(options.reply_bytes as usize), stdin, stdout)?)
}

fn reply(size_bytes: usize) -> Vec<u8> {
    let mut reply = REPLY_BEGINS.to_vec();
    reply.resize(size_bytes - REPLY_ENDS.len(), b'-');
    reply.extend_from_slice(REPLY_ENDS);
    reply
}

fn answer(reply: &[u8], mut requests: impl Read, mut replies: impl Write) -> io::Result<()> {
    let mut read = vec![0; READ_BYTES];
    let mut written = Vec::with_capacity(READ_BYTES);
    loop {
        let length = requests.read(&mut read)?;
        if length == 0 {
            return Ok(());
        }
        let lines = memchr::memchr_iter(b'\n', &read[..length]);
        if reply.len() >= READ_BYTES {
            // More than a pipe holds: to gather them would save no write.
            lines.into_iter().try_for_each(|_| replies.write_all(reply))?;
            continue;
        }
        written.clear();
        lines.for_each(|_| written.extend_from_slice(reply));
        replies.write_all(&written)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_gets_one_whole_reply() {
        for size_bytes in [REPLY_BYTES as usize, READ_BYTES] {
            let (reply, mut replies) = (reply(size_bytes), Vec::new());
            answer(&reply, &b"{}\n{\"a\":1}\n\nunfinished"[..], &mut replies).unwrap();
            assert_eq!(replies, reply.repeat(3));
        }
    }

    #[test]
    fn the_reply_is_one_line_of_json_as_long_as_asked() {
        for size_bytes in [REPLY_BYTES as usize, 100_000] {
            let reply = reply(size_bytes);
            assert_eq!(memchr::memchr(b'\n', &reply), Some(size_bytes - 1));
            let parsed: serde_json::Value = serde_json::from_slice(&reply).unwrap();
            assert_eq!(parsed["body"]["type"], "init_ok");
        }
    }
}
