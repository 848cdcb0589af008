//! The engine alone: what a send, a poll and a commit cost without a protocol around them. Never
//! touches a process or a pipe; for those there is `straum-check load`.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use straum::{Engine, Offset, Polled};

const MESSAGE: &[u8] = b"1234567890";

fn engine_with(messages: u64) -> Engine {
    let mut engine = Engine::default();
    for _ in 0..messages {
        send(&mut engine, "k0");
    }
    engine
}

fn send(engine: &mut Engine, key: &str) -> Offset {
    engine.send(key, black_box(MESSAGE)).unwrap_or_default()
}

fn sends(c: &mut Criterion) {
    let mut group = c.benchmark_group("send");
    group.throughput(Throughput::Elements(1));
    for keys in [10, 100_000] {
        let names: Vec<String> = (0..keys).map(|n| format!("k{n}")).collect();
        let mut engine = Engine::default();
        let mut next_key = names.iter().cycle();
        group.bench_function(BenchmarkId::new("keys", keys), |b| {
            b.iter(|| next_key.next().map(|key| send(&mut engine, key)));
        });
    }
    group.finish();
}

/// The last two messages of a log: the same cost, however long the log is.
fn tail_polls(c: &mut Criterion) {
    let mut group = c.benchmark_group("poll_tail");
    for messages in [1_000, 10_000_000] {
        let engine = engine_with(messages);
        let wanted = [("k0", messages - 2)];
        group.bench_function(BenchmarkId::new("messages", messages), |b| {
            b.iter(|| read(&engine, &wanted));
        });
    }
    group.finish();
}

/// A consumer far behind reads a million messages at once.
fn catch_up_polls(c: &mut Criterion) {
    const MESSAGES: u64 = 1_000_000;
    let engine = engine_with(MESSAGES);
    let mut group = c.benchmark_group("poll_catch_up");
    group.throughput(Throughput::Elements(MESSAGES));
    group.bench_function("messages", |b| b.iter(|| read(&engine, &[("k0", 0)])));
    group.finish();
}

fn read(engine: &Engine, wanted: &[(&str, Offset)]) -> u64 {
    let Ok(logs) = engine.poll(black_box(wanted), u64::MAX) else { return 0 };
    logs.iter()
        .flat_map(Polled::messages)
        .map(|(offset, message)| offset + u64::from(message[0]))
        .sum()
}

fn commits(c: &mut Criterion) {
    let mut engine = engine_with(1_000_000);
    let mut offset = 0;
    c.bench_function("commit", |b| {
        b.iter(|| {
            offset += 1;
            engine.commit(&[("k0", black_box(offset % 1_000_000))]).ok();
        });
    });
}

criterion_group!(benches, sends, tail_polls, catch_up_polls, commits);
criterion_main!(benches);
