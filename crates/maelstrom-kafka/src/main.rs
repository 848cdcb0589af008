//! The program `maelstrom-kafka`: options, diagnostics and exit codes around the loop. It never writes
//! anything but replies to stdout.

mod data;
mod late;
mod serve;
mod serve_cluster;
mod stop;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::TypedValueParser;
use log::LevelFilter;
use maelstrom_kafka::{LineBuffer, Node};
use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};
use straum::Retention;

use crate::serve::{End, Failure, Pipes, serve};
use crate::serve_cluster::serve_cluster;
use crate::stop::Stop;

/// A Kafka-style log that speaks Maelstrom's `kafka` workload.
///
/// Reads requests from stdin, one JSON object a line, and writes one reply a line to stdout.
/// Everything is kept in memory and is gone when the program ends, unless there is a --data-dir, or the
/// node is one of several: then everything is kept in lin-kv, and all nodes serve the same logs.
#[derive(Debug, Parser)]
#[command(version, after_long_help = MANUAL)]
struct Options {
    /// Keep what is acknowledged in this folder: a reply leaves only after it is on the disk.
    ///
    /// The node uses the folder DIR/<node id>, which is made if need be. Two nodes cannot use the same
    /// folder. Not for a cluster, which keeps everything in lin-kv.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Refuse to begin a new journal: the folder must hold one already.
    ///
    /// So the folder of a disk that is not mounted is not taken for an empty one. Without this, a folder that
    /// is empty or not there becomes a journal.
    #[arg(long, requires = "data_dir")]
    existing: bool,

    /// Size of a data file, about; retention removes one at a time. 64 KiB to 1 GiB.
    ///
    /// A request larger than this is refused. Messages of up to two such files are in memory. Each file
    /// also holds the name of every key and some 20 bytes; files get larger where that would be most of them.
    #[arg(
        long,
        value_name = "BYTES",
        requires = "data_dir",
        default_value_t = 64 * 1024 * 1024,
        value_parser = clap::value_parser!(u32).range(64 * 1024..=1024 * 1024 * 1024)
    )]
    segment_bytes: u32,

    /// Remove the oldest messages once all files together exceed this size.
    ///
    /// Whole segments are removed, the oldest first, but for the newest ones: up to four of them may be
    /// there whatever is given here. Polling a removed offset goes on at the first one that is left. Next
    /// offsets and committed ones stay for ever.
    #[arg(long, value_name = "BYTES", requires = "data_dir")]
    retention_bytes: Option<u64>,

    /// Remove messages older than this.
    ///
    /// Whole segments are removed, when the newest message in them is that old; a segment takes in
    /// messages for that time at most. So a message goes after once to twice the time, with the next
    /// request. The newest full segment stays.
    #[arg(long, value_name = "SECONDS", requires = "data_dir")]
    retention_seconds: Option<u64>,

    /// How many bytes of messages a poll's reply holds at most, shared fairly among its keys.
    ///
    /// Each message counts as its size plus 24 bytes. If there is any message, the reply holds at least one,
    /// however large, even if it then holds more.
    #[arg(long, value_name = "BYTES", default_value_t = 4 * 1024 * 1024)]
    max_poll_bytes: u64,

    /// How much to log to stderr.
    ///
    /// error: why the node had to end. warn: also lines that cannot be answered, and a torn end that was
    /// cut off. info: also start and end.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "warn",
        value_parser = clap::builder::PossibleValuesParser::new(["off", "error", "warn", "info"])
            .try_map(|level| level.parse::<LevelFilter>())
    )]
    log_level: LevelFilter,
}

/// How much may wait in the pipes to and from a node, in bytes: four times what Linux gives, so that the node
/// and its client less often wait for each other.
const PIPE_BYTES: usize = 256 * 1024;

/// The same for a node that syncs, in bytes: what waits meanwhile shares the next sync. As much as Linux
/// allows everybody.
const SYNCING_PIPE_BYTES: usize = 1024 * 1024;

const MANUAL: &str = r#"Requests: init, send, poll, commit_offsets, list_committed_offsets.

Try it:
maelstrom-kafka <<END
{"src":"c1","dest":"n0","body":{"type":"init","node_id":"n0","node_ids":["n0"],"msg_id":1}}
{"src":"c1","dest":"n0","body":{"type":"send","key":"k1","msg":"hello","msg_id":2}}
{"src":"c1","dest":"n0","body":{"type":"poll","offsets":{"k1":0},"msg_id":3}}
END

Under Maelstrom:
  ./maelstrom test -w kafka --bin target/release/maelstrom-kafka \
    --node-count 1 --concurrency 2n --time-limit 20 --rate 1000

  With --node-count 2 or more, a cluster on lin-kv.

Exit codes:
  0  the input ended and what could be answered was, or SIGTERM/SIGINT came and
     the current batch was finished (a signal a second or more after the first
     does not wait for that)
  1  stdin could not be read or stdout could not be written
  2  unknown option or bad value
  3  the data folder cannot be used: it is in use, damaged, or of another
     version; nothing was lost
  4  the data could not be written or synced: what was acknowledged is safe,
     start again to recover
  5  in a cluster: lin-kv holds an entry that this program cannot read, and no
     start will: see stderr

On the disk:
  DIR/<node id> holds segments, of which a full one is rewritten, sorted by key,
  and kept for polls. A start reads the end of it only. docs/format.md draws
  every byte."#;

fn main() -> ExitCode {
    let options = Options::parse();
    env_logger::Builder::new()
        .filter_level(options.log_level)
        .format(|out, record| {
            let level = record.level().as_str().to_ascii_lowercase();
            writeln!(out, "maelstrom-kafka: {level}: {}", record.args())
        })
        .init();
    let Err(failure) = run(&options) else { return ExitCode::SUCCESS };
    let (code, reason) = match failure {
        Failure::Pipe(reason) => (1, reason),
        Failure::Open(reason) => (3, reason),
        Failure::Journal(reason) => (4, reason),
        Failure::Unreadable(reason) => (5, reason),
    };
    log::error!("{reason}");
    ExitCode::from(code)
}

/// That something is no pipe, or may not be larger, is no harm; one that is larger already stays so.
fn enlarge(pipes: &Pipes, size_bytes: usize) {
    for pipe in [&pipes.input, &pipes.output] {
        if fcntl_getpipe_size(pipe).is_ok_and(|its_bytes| its_bytes < size_bytes) {
            fcntl_setpipe_size(pipe, size_bytes).ok();
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let system = |error: io::Error| Failure::Pipe(error.to_string());
    // Files, since the standard streams would put a buffer of their own in between.
    let input = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(system)?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned().map_err(system)?);
    let stop = Stop::on_signals().map_err(system)?;
    let mut pipes = Pipes { input, output, lines: LineBuffer::default() };
    let served = match options.data_dir.clone() {
        None => {
            log::info!("version {}, in memory", env!("CARGO_PKG_VERSION"));
            enlarge(&pipes, PIPE_BYTES);
            serve(&mut Node::in_memory(options.max_poll_bytes), &mut pipes, &stop)
        }
        Some(data_dir) => {
            log::info!("version {}, in {}", env!("CARGO_PKG_VERSION"), data_dir.display());
            enlarge(&pipes, SYNCING_PIPE_BYTES);
            let retention = Retention {
                max_bytes: options.retention_bytes,
                max_age_ms: options.retention_seconds.map(|seconds| seconds.saturating_mul(1_000)),
            };
            let journal = straum::Options::default()
                .create(!options.existing)
                .segment_bytes(options.segment_bytes)
                .retention(retention);
            let open = move |node_id: &str| data::open_engine(&data_dir, node_id, &journal);
            serve(&mut Node::new(options.max_poll_bytes, open), &mut pipes, &stop)
        }
    };
    match served {
        Ok(()) => {}
        Err(End::Failure(failure)) => return Err(failure),
        Err(End::Cluster(init)) => {
            serve_cluster(options.max_poll_bytes, &init, &mut pipes, &stop)?;
        }
    }
    stop.farewell();
    Ok(())
}
