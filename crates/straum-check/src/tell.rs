//! What both `test` and `analyze` tell: the command line, and the verdict on stdout.

use std::io::{self, Write};

use anyhow::{Context, Result};
use straum_check::report;

/// The command line, ready to paste into a shell.
pub(crate) fn command() -> String {
    let arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    shell_words::join(arguments)
}

/// The verdict, in words or as JSON, on stdout. That nobody reads on does not change it.
pub(crate) fn show(run: &report::Run<'_>, json: bool) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let text = if json {
        std::fs::read_to_string(run.out.join("results.json"))? + "\n"
    } else {
        report::summary(run, report::wants_colour(&stdout))
    };
    match stdout.write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write the verdict to stdout"),
    }
}
