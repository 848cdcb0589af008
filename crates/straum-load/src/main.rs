//! `straum-load`: measures a node that speaks Maelstrom's `kafka` workload, as a whole process
//! over pipes, beside a floor that does no work. Never looks inside the node or shares its code.

mod args;
mod drive;
mod floor;
mod node;
mod pin;
mod replies;
mod report;
mod requests;
mod stats;
mod watchdog;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match (cli.command, cli.measure) {
        (Some(Command::Floor), _) => floor::run(),
        (None, Some(measure)) => report::run(&measure),
        (None, None) => Err(anyhow::anyhow!("nothing to measure: give --bin PATH")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "straum-load: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}
