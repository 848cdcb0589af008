//! What a log of many bytes costs a node with a data folder: memory, starts, polls at any age. Never asserts
//! anything; it measures the program that it is given.
//!
//! ```text
//! cargo build --release
//! cargo run --release -p straum-check --example scale -- target/release/maelstrom-kafka DIR 100000000 10 100
//! ```
//!
//! It stands here and not beside the node: building an example of `maelstrom-kafka` builds that with its
//! planted bugs, and so would the node that is measured.
//!
//! The numbers are how many messages, of how many bytes each, in how many keys. DIR is left as it is then;
//! a DIR that has a journal already is not written to, only started on and polled.

#![allow(clippy::print_stdout, reason = "a program for a terminal")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const INIT: &str = r#"{"src":"c0","dest":"n0","body":{"type":"init","node_id":"n0","node_ids":["n0"],"msg_id":1}}"#;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [bin, folder, messages, message_bytes, keys] = arguments.as_slice() else {
        return Err("usage: scale NODE DIR MESSAGES MESSAGE_BYTES KEYS".into());
    };
    let (bin, folder) = (PathBuf::from(bin), PathBuf::from(folder));
    let (messages, message_bytes, keys): (u64, usize, u64) =
        (messages.parse()?, message_bytes.parse()?, keys.parse()?);
    if !folder.join("n0").exists() {
        let mut node = Node::start(&bin, &folder, &[])?;
        node.ask(INIT)?;
        node.fill(messages, message_bytes, keys)?;
        node.stop()?;
        println!("after a clean stop:");
        measure(&bin, &folder, messages, keys)?;
        println!("after a kill:");
    }
    measure(&bin, &folder, messages, keys)
}

/// Starts a node, polls it here and there, reads everything, and kills it.
fn measure(bin: &Path, folder: &Path, messages: u64, keys: u64) -> Result<()> {
    let begun = Instant::now();
    let mut node = Node::start(bin, folder, &[])?;
    node.ask(INIT)?;
    node.ask(&poll(&[(0, messages / keys)]))?;
    println!("  a start, up to the first answer: {:.3} s", begun.elapsed().as_secs_f64());
    node.tell_memory()?;
    node.read_everything(messages, keys)?;
    node.send_beside_polls(messages / keys)?;
    println!(
        "  a write of 100 bytes and an fdatasync, no node: {}",
        spread(&mut bare_syncs(folder)?)
    );
    node.tell_memory()?;
    node.kill()?;
    let mut node = Node::start(bin, folder, &["--max-poll-bytes", "1000"])?;
    node.ask(INIT)?;
    node.poll_here_and_there(messages / keys, keys)?;
    node.kill()
}

/// What the disk itself needs: writes to a file whose room is reserved, one after the other.
fn bare_syncs(folder: &Path) -> Result<Vec<Duration>> {
    let path = folder.join("bare-syncs");
    let file = File::create(&path)?;
    file.write_all_at(&vec![0; 64 * 1024], 0)?;
    file.sync_all()?;
    let mut latencies = Vec::new();
    for n in 0..200 {
        let begun = Instant::now();
        file.write_all_at(&[1; 100], 100 * n)?;
        file.sync_data()?;
        latencies.push(begun.elapsed());
    }
    fs::remove_file(path)?;
    Ok(latencies)
}

struct Node {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Node {
    fn start(bin: &Path, folder: &Path, options: &[&str]) -> Result<Self> {
        let mut command = Command::new(bin);
        command.arg("--data-dir").arg(folder).args(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdin = child.stdin.take().ok_or("no stdin")?;
        let stdout = BufReader::with_capacity(1 << 20, child.stdout.take().ok_or("no stdout")?);
        Ok(Self { child, stdin, stdout })
    }

    fn stop(mut self) -> Result<()> {
        drop(self.stdin);
        self.child.wait()?;
        Ok(())
    }

    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn ask(&mut self, line: &str) -> Result<String> {
        writeln!(self.stdin, "{line}")?;
        let mut reply = String::new();
        self.stdout.read_line(&mut reply)?;
        if reply.contains(r#""type":"error""#) || reply.is_empty() {
            return Err(format!("{line}: {reply}").into());
        }
        Ok(reply)
    }

    /// Sends all messages as fast as the node takes them.
    fn fill(&mut self, messages: u64, message_bytes: usize, keys: u64) -> Result<()> {
        let text = "x".repeat(message_bytes.saturating_sub(2));
        let mut stdin = BufWriter::with_capacity(1 << 20, &mut self.stdin);
        let stdout = &mut self.stdout;
        let begun = Instant::now();
        thread::scope(|scope| -> Result<()> {
            let reader = scope.spawn(|| {
                let mut reply = Vec::new();
                for _ in 0..messages {
                    reply.clear();
                    stdout.read_until(b'\n', &mut reply).ok();
                }
                reply
            });
            for n in 0..messages {
                let key = n % keys;
                writeln!(
                    stdin,
                    r#"{{"src":"c1","dest":"n0","body":{{"type":"send","key":"k{key}","msg":"{text}","msg_id":{n}}}}}"#
                )?;
            }
            stdin.flush()?;
            drop(stdin);
            let last = reader.join().map_err(|_| "the reader failed")?;
            if !last.windows(9).any(|part| part == b"\"send_ok\"") {
                return Err(String::from_utf8_lossy(&last).into());
            }
            Ok(())
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{messages} messages of {message_bytes} bytes in {keys} keys: written in {seconds:.1} s, \
             {:.0} a second",
            messages as f64 / seconds
        );
        self.tell_memory()
    }

    fn tell_memory(&self) -> Result<()> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field =
            |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?").trim();
        println!("  resident: {}, at most {}", field("VmRSS:"), field("VmHWM:"));
        Ok(())
    }

    /// A few messages at a time from many places of some logs.
    fn poll_here_and_there(&mut self, length: u64, keys: u64) -> Result<()> {
        for (place, first) in [("first", 0), ("middle", length / 2), ("last", length - length / 10)]
        {
            let mut latencies = Vec::new();
            for n in 0..200 {
                let line = poll(&[(n % 7 % keys, first + n * (length / 10 / 200).max(1))]);
                let begun = Instant::now();
                self.ask(&line)?;
                latencies.push(begun.elapsed());
            }
            println!("  a poll of 1000 bytes from the {place} tenth: {}", spread(&mut latencies));
        }
        Ok(())
    }

    /// All messages of all keys, up to 10 keys a poll.
    fn read_everything(&mut self, messages: u64, keys: u64) -> Result<()> {
        let (begun, mut reply_bytes) = (Instant::now(), 0);
        for first_key in (0..keys.min(20)).step_by(10) {
            let names: Vec<u64> = (first_key..(first_key + 10).min(keys)).collect();
            let mut next = vec![0; names.len()];
            loop {
                let wanted: Vec<_> = names.iter().copied().zip(next.iter().copied()).collect();
                let reply = self.ask(&poll(&wanted))?;
                reply_bytes += reply.len();
                let mut more = false;
                for (name, next) in names.iter().zip(&mut next) {
                    if let Some(offset) = last_offset(&reply, *name) {
                        (*next, more) = (offset + 1, true);
                    }
                }
                if !more {
                    break;
                }
            }
            if next.iter().any(|next| *next < messages / keys) {
                return Err(format!("messages are missing: {next:?}").into());
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "  all messages of {} keys: {} MB of replies in {seconds:.1} s, {:.0} MB a second",
            keys.min(20),
            reply_bytes / 1_000_000,
            reply_bytes as f64 / 1e6 / seconds
        );
        Ok(())
    }

    /// Sends alone, and each right behind a poll from far back.
    fn send_beside_polls(&mut self, length: u64) -> Result<()> {
        let send =
            r#"{"src":"c1","dest":"n0","body":{"type":"send","key":"tail","msg":1,"msg_id":1}}"#;
        for (told, beside) in [("alone", false), ("behind a poll of the oldest messages", true)] {
            let mut latencies = Vec::new();
            for n in 0..200 {
                let begun = Instant::now();
                if beside {
                    let wanted: Vec<_> = (0..10).map(|key| (key, n * (length / 1_000))).collect();
                    writeln!(self.stdin, "{}", poll(&wanted))?;
                    self.ask(send)?;
                    let mut reply = String::new();
                    self.stdout.read_line(&mut reply)?;
                } else {
                    self.ask(send)?;
                }
                latencies.push(begun.elapsed());
            }
            println!("  a send {told}: {}", spread(&mut latencies));
        }
        Ok(())
    }
}

fn poll(wanted: &[(u64, u64)]) -> String {
    let offsets: Vec<String> =
        wanted.iter().map(|(key, offset)| format!(r#""k{key}":{offset}"#)).collect();
    let offsets = offsets.join(",");
    format!(
        r#"{{"src":"c1","dest":"n0","body":{{"type":"poll","offsets":{{{offsets}}},"msg_id":1}}}}"#
    )
}

/// The last offset that a reply holds of a key: our messages hold neither brackets nor commas.
fn last_offset(reply: &str, key: u64) -> Option<u64> {
    let (_, messages) = reply.split_once(&format!("\"k{key}\":["))?;
    let (messages, _) = messages.split_once("]]")?;
    messages.rsplit_once('[')?.1.split_once(',')?.0.parse().ok()
}

fn spread(latencies: &mut [Duration]) -> String {
    latencies.sort_unstable();
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100].as_secs_f64() * 1e3;
    format!("median {:.3} ms, 99th percentile {:.3} ms", at(50), at(99))
}
