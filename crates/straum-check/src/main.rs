//! The program `straum-check`. Never judges by itself; see the library for its parts. `load` uses none of them.

mod analyze;
mod args;
mod console;
mod load;
mod store;
mod tell;
mod test;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use straum_check::judge::Validity;

use crate::args::{Cli, Command};

/// Bad arguments. Source: Jepsen's `cli.clj`, as the codes below.
const BAD_ARGUMENTS: u8 = 254;

/// A node ended by itself or could not be started, or the program failed.
const CRASHED: u8 = 255;

/// How a command ended.
enum Ended {
    Judged(Validity),
    /// There was nothing to judge, and it was done.
    Done,
    /// A node failed; the person has been told.
    Crashed,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { BAD_ARGUMENTS } else { 0 });
        }
    };
    let ended = match cli.command {
        Command::Test(options) => test::run(&options),
        Command::Analyze(options) => analyze::run(&options),
        Command::Load(options) => load::run(&options).map(|()| Ended::Done),
        Command::Floor(options) => load::floor::run(&options).map(|()| Ended::Done),
    };
    ExitCode::from(match ended {
        Ok(Ended::Judged(Validity::Valid) | Ended::Done) => 0,
        Ok(Ended::Judged(Validity::Invalid)) => 1,
        Ok(Ended::Judged(Validity::Unknown)) => 2,
        Ok(Ended::Crashed) => CRASHED,
        Err(error) => {
            writeln!(std::io::stderr(), "straum-check: {error:#}").ok();
            CRASHED
        }
    })
}
