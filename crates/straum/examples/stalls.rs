//! How long an append waits at most while segments are sorted, what is written for each byte received, and how much
//! memory a key takes: 10-byte records to so many keys in turn, a thousand to a sync.
//!
//!     cargo run --release -p straum --example stalls -- DIR KEYS RECORDS

#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a program for developers")]

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use straum::{Options, system};

const TOGETHER: u64 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("give a folder, how many keys, and how many records");
    let (folder, keys, records) = (next()?, next()?.parse::<u64>()?, next()?.parse::<u64>()?);
    let (mut engine, _) = Options::default().create(true).open(&folder)?;
    let before_bytes = of_process("io", "wchar:")?;
    let (mut received_bytes, mut longest, mut syncs) = (0, Duration::ZERO, Vec::new());
    let began = Instant::now();
    for n in 0..records {
        let key = format!("k{}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % keys);
        let one = Instant::now();
        engine.append(&key, format!("{n:010}").as_bytes())?;
        longest = longest.max(one.elapsed());
        received_bytes += key.len() as u64 + 10;
        if n % TOGETHER == TOGETHER - 1 {
            let one = Instant::now();
            engine.sync(system::now())?;
            syncs.push(one.elapsed());
        }
    }
    let elapsed = began.elapsed();
    syncs.sort_unstable();
    let at = |share: usize| syncs.get(syncs.len() * share / 1_000).copied().unwrap_or_default();
    let written_bytes = of_process("io", "wchar:")? - before_bytes;
    println!("{keys} keys, {records} records in {elapsed:.1?}");
    println!("longest append   {longest:.2?}");
    println!(
        "a sync           {:.2?} median, {:.2?} p99, {:.2?} at most",
        at(500),
        at(990),
        at(999)
    );
    println!("longest sync     {:.2?}", syncs.last().copied().unwrap_or_default());
    println!(
        "bytes written    {:.2} for each byte received",
        written_bytes as f64 / received_bytes as f64
    );
    let peak_bytes = 1024 * of_process("status", "VmHWM:")?;
    println!(
        "peak memory      {} MB, {:.0} bytes a key",
        peak_bytes >> 20,
        peak_bytes as f64 / keys as f64
    );
    Ok(())
}

/// A number that the system has of this process.
fn of_process(file: &str, field: &str) -> Result<u64, Box<dyn Error>> {
    let text = fs::read_to_string(format!("/proc/self/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}
