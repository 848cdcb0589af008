//! The command line and its help: Maelstrom's names, meanings and defaults where it has them. Never
//! acts on what it reads.
//!
//! Source of the names and defaults: Maelstrom's `src/maelstrom/core.clj` and Jepsen's `cli.clj`.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{self, PathBuf};
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use straum_check::fault;
use straum_check::network::Distribution;

use crate::load::args::Load;
use crate::load::floor::Floor;

/// Proves a Kafka-style log right or wrong: runs its nodes under faults and judges what clients saw. Also
/// measures a node.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = EXIT_CODES,
    args_override_self = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run nodes under a workload and faults, and judge the history.
    #[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
    Test(Box<Test>),
    /// Judge a stored history again.
    #[command(after_help = EXIT_CODES)]
    Analyze(Analyze),
    /// Measure a node over pipes, beside a floor that does no work.
    Load(Box<Load>),
    /// Be the floor that `load` compares with: answer every line of stdin with fixed bytes.
    Floor(Floor),
}

const EXIT_CODES: &str = "\
Exit codes:
  0    valid, or measured
  1    invalid: an anomaly was found
  2    unknown: too little was seen to say
  254  bad arguments
  255  a node ended by itself or could not be started, or straum-check failed";

const EXAMPLES: &str = "\
The node speaks Maelstrom's protocol: JSON lines on stdin and stdout. It runs
in the system's temporary folder. Services: lin-kv, seq-kv, lww-kv, lin-tso.

Examples:
  straum-check test -w kafka --bin ./my-node --node-count 1 \\
    --concurrency 2n --rate 1000 --time-limit 20
  straum-check test -w kafka --bin ./my-node --node-count 3 --latency 10 \\
    --latency-dist exponential --nemesis partition,kill,pause \\
    --nemesis-interval 2
  straum-check test --bin /usr/bin/python3 --node-count 1 \\
    -- /absolute/path/of/my_node.py

The same --seed gives the same schedule of operations and faults; what real
processes make of it still depends on their timing.";

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "a command line has switches")]
pub(crate) struct Test {
    /// The workload; there is one.
    #[arg(short, long, value_name = "NAME", default_value = "kafka", value_parser = ["kafka"])]
    pub(crate) workload: String,
    /// The program that runs a node.
    #[arg(long, value_name = "FILE", value_parser = program)]
    pub(crate) bin: PathBuf,
    /// How many nodes: n0, n1, …
    #[arg(long, value_name = "NUM", default_value = "5", value_parser = at_least_one)]
    pub(crate) node_count: usize,
    /// How many clients at a time; "2n" is two for each node.
    #[arg(short, long, value_name = "NUM", default_value = "1n")]
    pub(crate) concurrency: Concurrency,
    /// How long the workload lasts, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = positive)]
    pub(crate) time_limit: f64,
    /// Operations a second, of all clients together, on average.
    #[arg(long, value_name = "RATE", default_value = "5", value_parser = positive)]
    pub(crate) rate: f64,
    /// Mean latency between nodes, and between nodes and services, in milliseconds.
    #[arg(long, value_name = "MILLIS", default_value = "0", value_parser = not_negative)]
    pub(crate) latency: f64,
    /// How the latency is distributed: always the mean, 0 to twice the mean, or exponentially.
    #[arg(long, value_name = "TYPE", default_value = "constant")]
    pub(crate) latency_dist: LatencyDist,
    /// Faults, a list: partition (between nodes), kill (SIGKILL and a new start), pause (SIGSTOP), service
    /// (services are silent, stalled, refusing or unsure).
    #[arg(long, value_name = "FAULTS", value_delimiter = ',')]
    pub(crate) nemesis: Vec<fault::Kind>,
    /// How many seconds between one fault's beginning or end and the next, on average.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = positive)]
    pub(crate) nemesis_interval: f64,
    /// The share of operations that must succeed, of those whose client waited: "total" or 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = availability)]
    pub(crate) availability: Option<f64>,
    /// How many keys are written to at a time.
    #[arg(long, value_name = "INT", default_value = "10", value_parser = at_least_one)]
    pub(crate) key_count: usize,
    /// How many messages a key gets before another takes its place.
    #[arg(long, value_name = "INT", default_value = "16",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_writes_per_key: u64,
    /// Show what nodes write to stderr, as they write it.
    #[arg(long)]
    pub(crate) log_stderr: bool,
    /// Show every message as it is sent.
    #[arg(long)]
    pub(crate) log_net_send: bool,
    /// Show every message as it arrives.
    #[arg(long)]
    pub(crate) log_net_recv: bool,
    /// Seed of the schedule of operations and faults; random unless given.
    #[arg(long, value_name = "INT")]
    pub(crate) seed: Option<u64>,
    /// Where everything is stored; store/<time> unless given, and store/latest points to it.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the results as one JSON object instead of words.
    #[arg(long)]
    pub(crate) json: bool,
    /// Arguments for the node.
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) node_args: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Analyze {
    /// A history.jsonl of an earlier run.
    pub(crate) history: PathBuf,
    /// The share of operations that must succeed, of those whose client waited: "total" or 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = availability)]
    pub(crate) availability: Option<f64>,
    /// Where the report goes; the folder "analysis" beside the history unless given.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the results as one JSON object instead of words.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `4`, or `2n`: so many for each node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concurrency {
    Total(usize),
    PerNode(usize),
}

impl Concurrency {
    pub(crate) fn of(self, node_count: usize) -> usize {
        match self {
            Self::Total(clients) => clients,
            Self::PerNode(clients) => clients.saturating_mul(node_count),
        }
    }
}

impl FromStr for Concurrency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, per_node) = match text.strip_suffix('n') {
            Some(number) => (number, true),
            None => (text, false),
        };
        match number.parse() {
            Ok(clients @ 1..=10_000) if per_node => Ok(Self::PerNode(clients)),
            Ok(clients @ 1..=10_000) => Ok(Self::Total(clients)),
            _ => Err("expected a number from 1 to 10000, or one for each node, such as 2n".into()),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LatencyDist {
    Constant,
    Uniform,
    Exponential,
}

impl From<LatencyDist> for Distribution {
    fn from(dist: LatencyDist) -> Self {
        match dist {
            LatencyDist::Constant => Self::Constant,
            LatencyDist::Uniform => Self::Uniform,
            LatencyDist::Exponential => Self::Exponential,
        }
    }
}

pub(crate) fn program(text: &str) -> Result<PathBuf, String> {
    let file = path::absolute(text).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err("it is not an executable file; run a script by its interpreter: --bin /usr/bin/python3 \
                    … -- /absolute/node.py"
            .into());
    }
    Ok(file)
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1_000) => Ok(number),
        _ => Err("expected a number from 1 to 1000".into()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, |number| number > 0.0, "expected a number above 0")
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |number| number >= 0.0, "expected a number, 0 or above")
}

fn availability(text: &str) -> Result<f64, String> {
    if text == "total" {
        return Ok(1.0);
    }
    number(text, |share| (0.0..=1.0).contains(&share), "expected \"total\" or a number from 0 to 1")
}

fn number(text: &str, good: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && good(*number))
        .ok_or_else(|| expected.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrency_may_be_given_for_each_node() {
        assert_eq!("4".parse::<Concurrency>().unwrap().of(3), 4);
        assert_eq!("2n".parse::<Concurrency>().unwrap().of(3), 6);
        for wrong in ["", "n", "0", "0n", "2m", "-1", "99999999999999999999n"] {
            assert!(wrong.parse::<Concurrency>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for wrong in ["0", "-1", "NaN", "inf", "many"] {
            assert!(positive(wrong).is_err(), "{wrong}");
        }
        assert_eq!(availability("total"), Ok(1.0));
        assert!(availability("1.1").is_err());
    }
}
