//! How many messages an operation takes against how long a send takes, over how long members wait for more:
//! simulated clusters, so that the same figures come out anywhere. Prints the table of `docs/trade-off.md` and
//! writes the plot `docs/trade-off.svg`. Never runs a process.
//!
//!     cargo run --release -p maelstrom-kafka --example trade_off > docs/trade-off.md

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for developers")]

#[path = "../tests/simulated/adapter.rs"]
mod adapter;

use std::fmt::Write;

use maelstrom_kafka::{ClusterNode, Life};
use straum::shared::Pacing;
use straum_check::cluster::simulated::Simulated;
use straum_check::measure::{OperationKind, measure};
use straum_check::network::NetworkSettings;
use straum_check::run::{Settings, run};
use straum_check::time::{MILLISECOND, Nanos, SECOND};

use adapter::Adapter;

const PLOT: &str = "docs/trade-off.svg";

/// About what a message takes over the pipes of `straum-check`.
const PIPE: Nanos = MILLISECOND / 10;

/// The base waits that are tried.
const BASES_MS: [u64; 9] = [0, 1, 2, 4, 6, 8, 12, 16, 24];

/// A workload: nodes, clients of each, operations a second, latency.
struct Load {
    nodes: usize,
    clients: usize,
    rate: f64,
    latency: Nanos,
}

const fn load(nodes: usize, clients: usize, rate: f64, latency: Nanos) -> Load {
    Load { nodes, clients, rate, latency }
}

const LOADS: [Load; 8] = [
    load(2, 2, 1000.0, PIPE),
    load(2, 25, 1000.0, PIPE),
    load(2, 25, 5000.0, PIPE),
    load(2, 2, 100.0, PIPE),
    load(2, 2, 5.0, PIPE),
    load(5, 4, 1000.0, PIPE),
    load(2, 25, 1000.0, 10 * MILLISECOND),
    load(5, 4, 1000.0, 50 * MILLISECOND),
];

impl Load {
    fn name(&self) -> String {
        let Self { nodes, clients, rate, .. } = self;
        #[expect(clippy::cast_precision_loss, reason = "a latency for a person")]
        let latency_ms = self.latency as f64 / MILLISECOND as f64;
        format!("{nodes} nodes, {clients}n, {rate}/s, {latency_ms} ms")
    }

    /// Server messages for each operation, and the median and 99th percentile of a send, in milliseconds.
    fn measure(&self, pacing: Pacing) -> (f64, f64, f64) {
        let settings = Settings {
            node_count: self.nodes,
            concurrency: self.clients * self.nodes,
            time_limit_ns: if self.rate < 50.0 { 200 * SECOND } else { 10 * SECOND },
            rate: self.rate,
            network: NetworkSettings { latency: self.latency, ..NetworkSettings::default() },
            faults: Vec::new(),
            fault_interval_ns: SECOND,
            key_count: 10,
            max_writes_per_key: 16,
            seed: 1,
        };
        let mut lives = 0_u64;
        let mut cluster = Simulated::new(self.nodes, move |_| {
            lives += 1;
            let (instance, identity) = (lives << 40, u128::from(lives).to_le_bytes());
            let life = Life { instance, identity, began_at_ms: 1_000_000, pacing };
            Box::new(Adapter::new(ClusterNode::new(4 << 20, life), None))
        });
        let record = run(&settings, &mut cluster, &mut ()).unwrap();
        let measures = measure(&record.history);
        #[expect(clippy::cast_precision_loss, reason = "figures need no more than 53 bits")]
        let share = record.counts.servers as f64 / measures.all_operations.sum() as f64;
        let sends = measures.latencies[&OperationKind::Send];
        (share, sends.p50_ms, sends.p99_ms)
    }
}

fn main() {
    println!("# Waiting for more: messages against latency\n");
    println!(
        "Server messages for each operation / median / 99th percentile of a send in ms, on a virtual clock, \
         where a\nmessage between servers takes the latency that is told. The base is what is waited after \
         an entry at least; the\nbound is two bases and 2 ms, and quiet is a base. Made by\n\n    cargo run \
         --release -p maelstrom-kafka --example trade_off > docs/trade-off.md\n"
    );
    println!("| load | {} | default |", BASES_MS.map(|base| format!("{base} ms")).join(" | "));
    println!("|---|{}---|", "---|".repeat(BASES_MS.len()));
    let mut curves = Vec::new();
    for load in &LOADS {
        let figures = BASES_MS.map(|base_ms| {
            let base_ns = base_ms * MILLISECOND;
            let bound_ns = if base_ms == 0 { 0 } else { 2 * base_ns + 2 * MILLISECOND };
            load.measure(Pacing { base_ns, bound_ns, quiet_ns: base_ns })
        });
        let default = load.measure(Pacing::default());
        let cell = |(messages, median, high): &(f64, f64, f64)| {
            format!("{messages:.2} / {median:.1} / {high:.0}")
        };
        let cells: Vec<_> = figures.iter().map(cell).collect();
        println!("| {} | {} | {} |", load.name(), cells.join(" | "), cell(&default));
        curves.push((load.name(), figures.to_vec(), default));
    }
    std::fs::write(PLOT, plot(&curves)).unwrap();
}

type Figures = (f64, f64, f64);

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 460.0;
const MARGIN: f64 = 60.0;
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f"];

/// Both axes are logarithmic: the median from 0.1 to 1,000 ms, messages from 0.05 to 10.
fn place((messages, median_ms, _): Figures) -> (f64, f64) {
    let x = (median_ms.max(0.1).log10() + 1.0) / 4.0;
    let y = (messages.max(0.05).log10() - 0.05_f64.log10()) / (10.0_f64.log10() - 0.05_f64.log10());
    (MARGIN + x * (WIDTH - 2.0 * MARGIN - 200.0), HEIGHT - MARGIN - y * (HEIGHT - 2.0 * MARGIN))
}

fn plot(curves: &[(String, Vec<Figures>, Figures)]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n"
    );
    axes(&mut svg);
    for (index, (name, figures, default)) in curves.iter().enumerate() {
        let colour = COLOURS[index];
        let points: Vec<_> = figures.iter().map(|one| place(*one)).collect();
        let line: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            line.join(" ")
        )
        .unwrap();
        for (x, y) in points {
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>")
                .unwrap();
        }
        let (x, y) = place(*default);
        writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"2\"/>"
        )
        .unwrap();
        let (x, y) = (WIDTH - 240.0, MARGIN + 20.0 * f64::from(u32::try_from(index).unwrap()));
        writeln!(svg, "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{name}</text>").unwrap();
    }
    svg + "</svg>\n"
}

fn axes(svg: &mut String) {
    for median_ms in [0.1, 1.0, 10.0, 100.0, 1000.0] {
        let (x, bottom) = place((0.05, median_ms, 0.0));
        let (_, top) = place((10.0, median_ms, 0.0));
        writeln!(
            svg,
            "<line x1=\"{x}\" y1=\"{bottom}\" x2=\"{x}\" y2=\"{top}\" stroke=\"#ddd\"/><text x=\"{x}\" \
             y=\"{}\" text-anchor=\"middle\">{median_ms}</text>",
            bottom + 16.0
        )
        .unwrap();
    }
    for messages in [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0] {
        let (left, y) = place((messages, 0.1, 0.0));
        let (right, _) = place((messages, 1000.0, 0.0));
        writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"{y}\" x2=\"{right}\" y2=\"{y}\" stroke=\"#ddd\"/><text x=\"{}\" \
             y=\"{}\" text-anchor=\"end\">{messages}</text>",
            left - 6.0,
            y + 4.0
        )
        .unwrap();
    }
    let title = "server messages for each operation, against the median of a send in ms; each curve: \
                 waiting 0 to 24 ms; circled: the default";
    writeln!(svg, "<text x=\"{MARGIN}\" y=\"24\">{title}</text>").unwrap();
}
