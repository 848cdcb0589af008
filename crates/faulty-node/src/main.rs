//! `faulty-node`: the node as a process, between stdin and stdout. Never knows what a line means.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use faulty_node::{Exit, FaultyNode, Options, Planted, Storage, bugs};

/// A plain, correct node for Maelstrom's kafka workload, with switches that each break one thing.
///
/// It proves that a judge finds what it should.
#[derive(Parser)]
#[command(version, after_help = bugs::help(), term_width = 0)] // a bug is one row, however long
struct Arguments {
    /// Where the state is kept
    #[arg(long, value_enum, default_value_t)]
    storage: Storage,
    /// What to break; may be given several times
    #[arg(long = "bug", value_name = "NAME[=N]")]
    bugs: Vec<Planted>,
}

/// Lines that may wait to be handled.
const WAITING_LINES: usize = 1024;

fn main() -> ExitCode {
    let Arguments { storage, bugs } = Arguments::parse();
    let (lines, incoming) = mpsc::sync_channel(WAITING_LINES);
    thread::spawn(move || read_lines(&lines));
    match run(FaultyNode::new(Options { storage, bugs }), &Clock::new(), &incoming) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(exit)) => end(exit.status, &exit.text),
        Err(error) => end(1, &format!("cannot write to stdout: {error}")),
    }
}

fn end(status: u8, text: &str) -> ExitCode {
    // If stderr is closed as well, the status has to do.
    let _ = writeln!(io::stderr(), "faulty-node: {text}");
    ExitCode::from(status)
}

/// Passes on the lines of stdin, without their ends, until it ends or nobody takes them.
fn read_lines(lines: &SyncSender<Vec<u8>>) {
    for line in io::stdin().lock().split(b'\n') {
        if !line.is_ok_and(|line| lines.send(line).is_ok()) {
            return;
        }
    }
}

/// Runs the node until its input ends or it wants to end.
fn run(
    mut node: FaultyNode,
    clock: &Clock,
    incoming: &Receiver<Vec<u8>>,
) -> io::Result<Option<Exit>> {
    let mut out = Vec::new();
    loop {
        match next_line(clock, node.next_timer(), incoming) {
            Ok(line) => node.receive(clock.now_ns(), &line, &mut out),
            Err(RecvTimeoutError::Timeout) => node.on_timer(clock.now_ns(), &mut out),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
        write_lines(&mut out)?;
        if let Some(exit) = node.exit() {
            return Ok(Some(exit.clone()));
        }
    }
}

fn next_line(
    clock: &Clock,
    timer_ns: Option<u64>,
    incoming: &Receiver<Vec<u8>>,
) -> Result<Vec<u8>, RecvTimeoutError> {
    match timer_ns {
        None => incoming.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(at_ns) => {
            let left = Duration::from_nanos(at_ns.saturating_sub(clock.now_ns()));
            if left.is_zero() {
                Err(RecvTimeoutError::Timeout)
            } else {
                incoming.recv_timeout(left)
            }
        }
    }
}

fn write_lines(out: &mut Vec<Vec<u8>>) -> io::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    let mut text = Vec::new();
    for line in out.drain(..) {
        text.extend(line);
        text.push(b'\n');
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(&text)?;
    stdout.flush()
}

/// Nanoseconds since 1970, by the wall clock at the start and steadily from there: they do not go back
/// when the node is restarted.
struct Clock {
    started: Instant,
    started_ns: u64,
}

impl Clock {
    fn new() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self { started: Instant::now(), started_ns: nanoseconds(since_1970.unwrap_or_default()) }
    }

    fn now_ns(&self) -> u64 {
        self.started_ns.saturating_add(nanoseconds(self.started.elapsed()))
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
