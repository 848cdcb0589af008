//! Tailing a log from another thread: one thread appends, another reads what is new as soon as it is durable.
//!
//!     cargo run -p straum --example tail

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::thread;
use std::time::Duration;

use straum::{Handle, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join("straum-tail");
    let (engine, _) = Options::default().create(true).open(&folder)?;
    let handle = Handle::new(engine)?;
    let begin = handle.bounds("news")?.map_or(0, |bounds| bounds.stable_end);

    let writer = handle.clone();
    let writing = thread::spawn(move || {
        (0..5).try_for_each(|n| {
            thread::sleep(Duration::from_millis(200));
            writer.append("news", format!("news number {n}").as_bytes()).map(|_| ())
        })
    });
    let mut next = begin;
    while next < begin + 5 {
        let Some(read) = handle.wait_and_read("news", next, 4096, Duration::from_secs(5))? else {
            println!("nothing for five seconds");
            break;
        };
        for record in &read.fetch()? {
            println!("{}: {}", record.offset, String::from_utf8_lossy(record.bytes));
            next = record.offset + 1;
        }
    }
    writing.join().map_err(|_| "the writer panicked")??;
    Ok(())
}
