//! The command line of `load` and its help. Never acts on what it reads.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::program;

const AFTER_HELP: &str = "\
What is measured:
  The node runs as its own process and is spoken to through its stdin and
  stdout, one JSON object a line, as Maelstrom would. It must answer alone:
  there is no network and no service such as lin-kv. In turn with it runs the
  floor (`straum-check floor`): it reads what is there, finds the line ends and
  writes 90 fixed bytes for each line, one write per read (in catch-up, as many
  bytes as the node's replies had in the mean). Every figure is also given as a
  ratio to the floor's in the same run. Pipes are as the system makes them
  (64 KiB) unless a program enlarges its own, as the floor does (256 KiB).
  Messages that a former run has left in the node's logs only show in peak_mb.

Modes:
  flood     sends, as fast as the pipe takes them
  mix       50% send, 40% poll of two keys at the tail, 5% commit_offsets, 5%
            list_committed_offsets, as fast as the pipe takes them; then
            --round-trips of them, one at a time
  window    sends, never more than --window unanswered
  ping      one send at a time, the next after its reply
  tail      as ping, but polls of one or two keys that return the last message
            or two, when --stored messages are there: shows whether anything
            grows with the length or number of logs
  catch-up  one consumer reads all of --stored messages, one poll at a time,
            each from where the reply before it ended. Each message must come
            once, in order, as it was sent
  While requests come as fast as the pipe takes them, the loader keeps one core
  and the node gets all others. Otherwise both are on one core, or they would
  show how long the system takes to wake a process on another core, which is
  much and never the same; a node that needs several threads pays for it.

Figures (each the median of --runs runs; ratio = median of the node / median of
the floor):
  rate_per_s         requests per second of wall time, from the first write to
                     the last reply
  cpu_s_per_million  CPU seconds, user and system, that the process used for a
                     million requests in that time; other processes that it
                     starts do not count, so let a script `exec`
  peak_mb            its peak resident memory since its start, in 10^6 bytes
                     (VmHWM)
  p50_us ... max_us  microseconds from the write of a request to the end of its
                     reply. In window, from when the window had room, and the
                     k-th reply is that to the k-th request. Of few requests,
                     as of catch-up's polls, the last percentiles are the same
  reply_gb_per_s     10^9 bytes of replies per second between the write of a
                     poll and the end of its reply; checking a reply, which
                     takes the loader longer, is not timed
  cpu_s_per_gb       CPU seconds for 10^9 bytes of replies
  mean_reply_mb      the length of a reply, in 10^6 bytes
  In tail and catch-up, storing the messages is not measured (only peak_mb shows
  it). tail stores without holding them; catch-up holds 16 bytes for each
  message and one reply.

Quiet numbers:
  Build with --release and leave the machine idle: nothing compiling, no
  browser. Let a run last a second or more (--requests 5000000; they take the
  loader 0.5 GB), take five runs or more; repeat the whole command and trust
  only differences larger than what repeating shows. Quote CPU seconds and their
  ratio first: rates depend most on the machine, and a fast node is held back by
  the pipe and the loader. Look at the floor before the ratio: what it does is
  move bytes, so if its runs differ by more than a tenth, so did the machine.

Exit codes:
  0    measured
  254  bad arguments
  255  the node misbehaved: it died, gave no byte for 30 to 60 s, an error, a
       wrong number of replies or a wrong one (what polls return is looked at in
       tail and catch-up; else, whether a reply is an answer at all); its last
       stderr lines are shown. Or this machine did not let us measure

Examples:
  straum-check load --bin target/release/maelstrom-kafka
  straum-check load --bin target/release/maelstrom-kafka --mode flood,mix \\
    --runs 5 --json
  straum-check load --bin ./my-node --mode tail --stored 100000000 \\
    --keys 100000 --runs 1
  straum-check load --bin target/release/maelstrom-kafka \\
    --beside target/release/maelstrom-kafka --mode flood,catch-up \\
    -- --data-dir /absolute/DIR
  straum-check load --bin /usr/bin/python3 --requests 100000 --stored 10000 \\
    -- my_node.py";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Load {
    /// The node to measure.
    #[arg(long, value_name = "PATH", value_parser = program)]
    pub(crate) bin: PathBuf,
    /// Another node, run without arguments, to compare with: it gets a column and a ratio.
    #[arg(long, value_name = "PATH", value_parser = program)]
    pub(crate) beside: Option<PathBuf>,
    /// What to do with it: one or several modes, as below.
    #[arg(
        long,
        value_enum,
        value_name = "MODES",
        value_delimiter = ',',
        default_value = "flood,mix,window,ping,tail,catch-up"
    )]
    pub(crate) mode: Vec<Mode>,
    /// Requests in a run of flood, mix or window.
    #[arg(long, value_name = "N", default_value = "1000000")]
    pub(crate) requests: NonZeroU32,
    /// Requests in a run of ping or tail, and those of mix that are timed one by one.
    #[arg(long, value_name = "N", default_value = "20000")]
    pub(crate) round_trips: NonZeroU32,
    /// How many requests of window may be unanswered.
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) window: NonZeroU32,
    /// Messages stored before tail and catch-up [default: 1000000 for tail, 200000 for catch-up].
    #[arg(long, value_name = "N")]
    pub(crate) stored: Option<NonZeroU32>,
    /// Keys the messages are spread over.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) keys: u32,
    /// Send strings of so many bytes [default: 1000 for catch-up, small integers otherwise].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub(crate) message_bytes: Option<u32>,
    /// Runs of the node and of the floor, in every mode.
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) runs: NonZeroU32,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Arguments for the node.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) node_args: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Flood,
    Mix,
    Window,
    Ping,
    Tail,
    CatchUp,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Mix => "mix",
            Self::Window => "window",
            Self::Ping => "ping",
            Self::Tail => "tail",
            Self::CatchUp => "catch-up",
        }
    }
}
