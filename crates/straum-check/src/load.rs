//! `straum-check load`: measures a node that speaks Maelstrom's `kafka` workload, as a whole process
//! over pipes, beside a floor that does no work. Never looks inside the node, or uses what judges it.

pub(crate) mod args;
mod catch_up;
mod figures;
mod flood;
pub(crate) mod floor;
mod logs;
mod machine;
mod node;
mod pin;
mod ping;
mod progress;
mod replies;
mod report;
mod requests;
mod signals;
mod tail;
mod usage;
mod watchdog;
mod window;

use std::env;

use anyhow::{Context as _, Result};

use args::{Load, Mode};
use catch_up::Transfer;
use figures::Figure;
use node::{Program, Who};
use progress::Progress;
use report::Runs;

/// Measures in every mode that was asked for, and tells the figures.
pub(crate) fn run(asked: &Load) -> Result<()> {
    let programs = programs(asked)?;
    signals::kill_with_us()?;
    let mut progress = Progress::on_stderr();
    let mut rows = Vec::new();
    for &mode in &asked.mode {
        rows.extend(run_mode(asked, mode, &programs, &mut progress)?.rows(mode));
    }
    report::tell(asked, &rows)
}

fn programs(asked: &Load) -> Result<Vec<Program>> {
    let node = Program { who: Who::Node, bin: asked.bin.clone(), args: asked.node_args.clone() };
    let beside = asked.beside.clone();
    let beside = beside.map(|bin| Program { who: Who::Beside, bin, args: Vec::new() });
    let this = env::current_exe().context("cannot find this program to start the floor")?;
    let floor = Program { who: Who::Floor, bin: this, args: floor::args(0) };
    Ok([node].into_iter().chain(beside).chain([floor]).collect())
}

/// Alternates the node and the floor, so that what disturbs the machine disturbs both.
fn run_mode(
    asked: &Load,
    mode: Mode,
    programs: &[Program],
    progress: &mut Progress,
) -> Result<Runs> {
    let mut runs = Runs::default();
    let mut of_node = Transfer::default();
    for number in 1..=asked.runs.get() {
        for program in programs {
            progress.begin(format!(
                "{} {number}/{} {:6}",
                mode.name(),
                asked.runs,
                program.who.name()
            ));
            let figures = measure(asked, mode, program, &mut of_node, progress)?;
            progress.done(&figures);
            runs.of(program.who).push(figures);
        }
    }
    Ok(runs)
}

fn measure(
    asked: &Load,
    mode: Mode,
    program: &Program,
    of_node: &mut Transfer,
    progress: &mut Progress,
) -> Result<Vec<Figure>> {
    match mode {
        Mode::Flood => flood::flood(asked, program),
        Mode::Mix => flood::mix(asked, program, progress),
        Mode::Window => window::window(asked, program),
        Mode::Ping => ping::ping(asked, program),
        Mode::Tail => tail::tail(asked, program, progress),
        Mode::CatchUp => match program.who {
            Who::Floor => catch_up::floor(program, of_node),
            Who::Beside => Ok(catch_up::node(asked, program, progress)?.0),
            Who::Node => {
                let (figures, transfer) = catch_up::node(asked, program, progress)?;
                *of_node = transfer;
                Ok(figures)
            }
        },
    }
}
