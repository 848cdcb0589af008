//! Runs the modes asked for and tells the figures. Never measures anything itself.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::{env, fs, thread};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::load::args::{Load, Mode};
use crate::load::drive::{self, Figure};
use crate::load::floor;
use crate::load::node::Program;
use crate::load::requests::Requests;
use crate::load::stats::median;

/// One figure of one mode: the medians.
struct Row {
    mode: &'static str,
    figure: &'static str,
    node: f64,
    floor: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.node / self.floor
    }
}

pub(crate) fn run(asked: &Load) -> Result<()> {
    let machine = Machine::this();
    let mut rows = Vec::new();
    for mode in asked.mode.each() {
        rows.extend(run_mode(asked, mode)?);
    }
    let text = if asked.json {
        format!("{}\n", to_json(asked, &machine, &rows))
    } else {
        format!("{}\n\n{}", machine.line(), to_table(&rows))
    };
    io::stdout().lock().write_all(text.as_bytes()).context("cannot write the report")
}

/// Alternates the floor and the node, so that what disturbs the machine disturbs both.
fn run_mode(asked: &Load, mode: Mode) -> Result<Vec<Row>> {
    let node = Program { bin: asked.bin.clone(), args: asked.node_args.clone() };
    let floor = Program {
        bin: env::current_exe().context("cannot find this program to start the floor")?,
        args: floor::ARGS.iter().map(Into::into).collect(),
    };
    let requests = match mode {
        Mode::Mix => Requests::mix(asked.requests, asked.keys)?,
        Mode::Ping => Requests::sends(asked.round_trips, asked.keys)?,
        Mode::Flood | Mode::All => Requests::sends(asked.requests, asked.keys)?,
    };
    let drive = if mode == Mode::Ping { drive::ping } else { drive::flood };
    let (mut node_runs, mut floor_runs) = (Vec::new(), Vec::new());
    for number in 1..=asked.runs.get() {
        let run = format!("{} {number}/{}", mode.name(), asked.runs);
        floor_runs.push(told(&run, "floor", drive(&floor, &requests)?));
        node_runs.push(told(&run, "node", drive(&node, &requests)?));
    }
    rows(mode.name(), &node_runs, &floor_runs).context("no runs")
}

/// Shows the progress.
fn told(run: &str, who: &str, figures: Vec<Figure>) -> Vec<Figure> {
    let told: Vec<_> =
        figures.iter().map(|(name, value)| format!("{name} {}", short(*value))).collect();
    writeln!(io::stderr(), "{run} {who:5}  {}", told.join("  ")).ok();
    figures
}

fn rows(
    mode: &'static str,
    node_runs: &[Vec<Figure>],
    floor_runs: &[Vec<Figure>],
) -> Option<Vec<Row>> {
    let figures = node_runs.first()?.iter().enumerate();
    let across =
        |runs: &[Vec<Figure>], index: usize| median(runs.iter().map(|run| run[index].1).collect());
    figures
        .map(|(index, &(figure, _))| {
            let (node, floor) = (across(node_runs, index)?, across(floor_runs, index)?);
            Some(Row { mode, figure, node, floor })
        })
        .collect()
}

fn to_table(rows: &[Row]) -> String {
    let mut table =
        format!("{:5}  {:17}  {:>10}  {:>10}  {:>7}\n", "mode", "figure", "node", "floor", "ratio");
    for row in rows {
        let Row { mode, figure, .. } = row;
        let (node, floor, ratio) = (short(row.node), short(row.floor), row.ratio());
        // Writing to a string does not fail.
        writeln!(table, "{mode:5}  {figure:17}  {node:>10}  {floor:>10}  {ratio:>7.2}").ok();
    }
    table
}

fn to_json(asked: &Load, machine: &Machine, rows: &[Row]) -> Value {
    let mut modes = Map::new();
    for row in rows {
        let figures = json!({"node": row.node, "floor": row.floor, "ratio": row.ratio()});
        modes.entry(row.mode).or_insert_with(|| json!({}))[row.figure] = figures;
    }
    json!({
        "machine": {"cores": machine.cores, "cpu": machine.cpu, "kernel": machine.kernel},
        "requests": asked.requests,
        "keys": asked.keys,
        "round_trips": asked.round_trips,
        "runs": asked.runs,
        "modes": modes,
    })
}

/// About four digits.
fn short(value: f64) -> String {
    match value {
        1000.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// What the figures were taken on.
struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
}

impl Machine {
    fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let unknown = || "unknown".to_owned();
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        Self {
            cores: thread::available_parallelism().map_or(0, usize::from),
            cpu: cpu_model(&read("/proc/cpuinfo")).unwrap_or_else(unknown),
            kernel: Some(kernel).filter(|name| !name.is_empty()).unwrap_or_else(unknown),
        }
    }

    fn line(&self) -> String {
        format!("{} cores, {}, Linux {}", self.cores, self.cpu, self.kernel)
    }
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(model.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Vec<Row> {
        let node = [3.0, 1.0, 2.0].map(|value| vec![("rate_per_s", value * 1e6), ("b", value)]);
        let floor = [4.0, 9.0, 4.0].map(|value| vec![("rate_per_s", value * 1e6), ("b", value)]);
        rows("flood", &node, &floor).unwrap()
    }

    #[test]
    fn a_ratio_is_of_the_medians() {
        let rows = example();
        assert_eq!((rows[1].node, rows[1].floor, rows[1].ratio()), (2.0, 4.0, 0.5));
    }

    #[test]
    fn the_table_has_a_line_for_each_figure() {
        let table = to_table(&example());
        let lines: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["mode", "figure", "node", "floor", "ratio"]);
        assert_eq!(lines[1], ["flood", "rate_per_s", "2000000", "4000000", "0.50"]);
        assert_eq!(lines[2], ["flood", "b", "2.000", "4.000", "0.50"]);
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn the_cpu_is_named() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2GHz\n\nmodel name\t: Other\n";
        assert_eq!(cpu_model(cpuinfo).unwrap(), "Some CPU @ 2GHz");
        assert_eq!(cpu_model(""), None);
    }
}
