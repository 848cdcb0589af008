//! A work queue: jobs are appended to a log, a worker does them in their order, and its committed offset says how far it
//! got. Run it again and again, and stop it at any moment with Ctrl-C: no job is lost, and none that was committed is
//! done again.
//!
//!     cargo run -p straum --example work_queue

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;

use straum::{Budget, Options, system};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join("straum-work-queue");
    let (mut engine, found) = Options::default().create(true).open(&folder)?;
    println!(
        "in {}, which {}",
        folder.display(),
        if found.created { "is new" } else { "was there" }
    );

    for job in ["wash", "peel", "cook"] {
        engine.append("jobs", job.as_bytes())?;
    }
    engine.sync(system::now())?;

    // The committed offset is the one to go on at.
    let mut next = engine.committed("worker", "jobs").map_or(0, |committed| committed.offset);
    while let Some(read) = engine.read("jobs", next, 4096, &mut Budget::new(4096, 0)) {
        for job in &read.fetch()? {
            println!("job {}: {}", job.offset, String::from_utf8_lossy(job.bytes));
            next = job.offset + 1;
        }
        engine.commit("worker", "jobs", next)?;
        engine.sync(system::now())?;
    }
    println!("{next} jobs are done");
    Ok(())
}
