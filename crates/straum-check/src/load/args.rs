//! The command line and its help. Never acts on what it reads.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::program;

const AFTER_HELP: &str = "\
What is measured:
  The node runs as its own process and is spoken to through its stdin and stdout, one JSON
  object a line, as Maelstrom would. It must answer alone: there is no network and no service
  such as lin-kv. Beside it runs the floor: this program again (`straum-check floor`), which
  reads what is there, finds the line ends and writes 90 fixed bytes for each line, one write
  per read. No node that answers over pipes can do much less, so every figure is also given as
  a ratio to the floor taken in the same run. Runs alternate: floor, node, floor, node...

Figures (each the median of --runs runs; ratio = median of the node / median of the floor):
  rate_per_s         requests per second of wall time, from the first write to the last reply
  cpu_s_per_million  CPU seconds, user and system, the process used for a million requests;
                     its start and end are included, so use many requests
  peak_mb            its peak resident memory, in 10^6 bytes (VmHWM of /proc/PID/status)
  median_us, p99_us  ping only: one round trip, from the write to the end of the reply

Quiet numbers:
  Build with --release and leave the machine idle: nothing compiling, no browser. Let a run last
  a second or more (--requests 5000000; they take the loader 0.5 GB), take five runs or more and
  compare medians; repeat the whole command and trust only differences larger than what
  repeating shows. Quote cpu_s_per_million and its ratio first: rate_per_s depends most on the
  machine, and a fast node is held back by the pipe and the loader.
  Look at the floor before the ratio: when the system moves it from the loader's core to another,
  its CPU time in flood and mix can triple, for what it does is move bytes. If its runs differ so,
  keep everything on one core: `taskset -c 1 straum-check load ...` (then rate_per_s is shared with the
  loader). ping always pins the loader and the node to one core (on Linux): steadier, but a node
  that needs several threads pays for it.

Exit codes:
  0    measured
  254  bad arguments
  255  the node misbehaved: it died, went silent for 30 s or more, gave an error reply or a wrong
       number of replies; its last stderr lines are shown. Also: this machine did not let us measure

Examples:
  straum-check load --bin target/release/maelstrom-kafka
  straum-check load --bin target/release/maelstrom-kafka --mode flood --runs 5 --json
  straum-check load --bin /usr/bin/python3 --requests 100000 -- my_node.py";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Load {
    /// The node to measure.
    #[arg(long, value_name = "PATH", value_parser = program)]
    pub(crate) bin: PathBuf,
    /// What to send it.
    #[arg(long, value_enum, default_value_t = Mode::All)]
    pub(crate) mode: Mode,
    /// Requests in a run of flood or mix.
    #[arg(long, value_name = "N", default_value = "1000000")]
    pub(crate) requests: NonZeroU32,
    /// Keys the requests are spread over.
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) keys: NonZeroU32,
    /// Requests in a run of ping.
    #[arg(long, value_name = "N", default_value = "20000")]
    pub(crate) round_trips: NonZeroU32,
    /// Runs of node and floor each, in every mode.
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) runs: NonZeroU32,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Arguments for the node.
    #[arg(last = true)]
    pub(crate) node_args: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Only sends, written as fast as the pipe accepts them.
    Flood,
    /// 50% send, 40% poll of two keys at the tail, 5% `commit_offsets`, 5%
    /// `list_committed_offsets`, as fast as the pipe accepts them.
    Mix,
    /// One send at a time, the next after its reply, both processes on one core.
    Ping,
    /// All of these, one after the other.
    All,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Mix => "mix",
            Self::Ping => "ping",
            Self::All => "all",
        }
    }

    /// The modes to run for this choice.
    pub(crate) fn each(self) -> Vec<Self> {
        match self {
            Self::All => vec![Self::Flood, Self::Mix, Self::Ping],
            one => vec![one],
        }
    }
}
