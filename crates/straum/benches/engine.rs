//! The engine alone: what an append, a read and a commit cost without a protocol around them, and what many threads
//! lose by sharing one. Never touches a process or a pipe; for those there is `straum-check load`.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use straum::{Budget, Command, Engine, Handle, How, Now, Offset, Options, system};

const RECORD: &[u8] = b"1234567890";

/// How many threads share an engine, and how many appends each may have under way.
const THREADS: u64 = 8;
const UNDER_WAY: [u64; 2] = [1, 8];

fn engine_with(records: u64) -> Engine {
    let mut engine = Engine::in_memory();
    for _ in 0..records {
        append(&mut engine, "k0");
    }
    engine.sync(Now::default()).unwrap();
    engine
}

fn append(engine: &mut Engine, key: &str) -> Offset {
    engine.append(key, black_box(RECORD)).unwrap_or_default()
}

fn appends(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(1));
    for keys in [10, 100_000] {
        let names: Vec<String> = (0..keys).map(|n| format!("k{n}")).collect();
        let mut engine = Engine::in_memory();
        let mut next_key = names.iter().cycle();
        group.bench_function(BenchmarkId::new("keys", keys), |b| {
            b.iter(|| next_key.next().map(|key| append(&mut engine, key)));
        });
    }
    group.finish();
}

/// The last two records of a log: the same cost, however long the log is.
fn tail_reads(c: &mut Criterion) {
    let mut group = c.benchmark_group("read_tail");
    for records in [1_000, 10_000_000] {
        let engine = engine_with(records);
        group.bench_function(BenchmarkId::new("records", records), |b| {
            b.iter(|| read(&engine, records - 2));
        });
    }
    group.finish();
}

/// A consumer far behind reads a million records at once.
fn catch_up_reads(c: &mut Criterion) {
    const RECORDS: u64 = 1_000_000;
    let engine = engine_with(RECORDS);
    let mut group = c.benchmark_group("read_catch_up");
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("records", |b| b.iter(|| read(&engine, 0)));
    group.finish();
}

fn read(engine: &Engine, from: Offset) -> u64 {
    let mut budget = Budget::new(u64::MAX, 0);
    let Some(read) = engine.read("k0", black_box(from), u64::MAX, &mut budget) else { return 0 };
    let records = read.fetch().unwrap();
    records.iter().map(|record| record.offset + u64::from(record.bytes[0])).sum()
}

fn commits(c: &mut Criterion) {
    let mut engine = engine_with(1_000_000);
    let mut offset = 0;
    c.bench_function("commit", |b| {
        b.iter(|| {
            offset = (offset + 1) % 1_000_000;
            let (group, log, how) = ("g", "k0", How::Set);
            let commit =
                Command::Commit { group, log, offset: black_box(offset), metadata: b"", how };
            engine.apply(&commit).ok();
        });
    });
}

/// Durable appends to a real folder: by one thread that has the engine and syncs after as many as eight threads have
/// under way, and by those threads.
fn durable_appends(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let mut group = c.benchmark_group("durable_append");
    group.sample_size(20);
    for under_way in UNDER_WAY {
        group.throughput(Throughput::Elements(THREADS * under_way));
        let (mut engine, _) = Options::default().create(true).open(folder.path()).unwrap();
        group.bench_function(BenchmarkId::new("one thread", under_way), |b| {
            b.iter(|| {
                for _ in 0..THREADS * under_way {
                    append(&mut engine, "k0");
                }
                engine.sync(system::now()).unwrap();
            });
        });
        let handle = Handle::new(engine).unwrap();
        group.bench_function(BenchmarkId::new("eight threads", under_way), |b| {
            b.iter_custom(|rounds| {
                let began = Instant::now();
                let append = |handle: Handle| {
                    move || (0..rounds).for_each(|_| append_some(&handle, under_way))
                };
                let threads: Vec<_> =
                    (0..THREADS).map(|_| thread::spawn(append(handle.clone()))).collect();
                for thread in threads {
                    thread.join().unwrap();
                }
                began.elapsed()
            });
        });
    }
    group.finish();
}

fn append_some(handle: &Handle, count: u64) {
    let begin = |_| handle.begin(|engine| engine.append("k0", RECORD)).unwrap();
    let pending: Vec<_> = (0..count).map(begin).collect();
    for pending in pending {
        pending.wait().unwrap().unwrap();
    }
}

criterion_group!(benches, appends, tail_reads, catch_up_reads, commits, durable_appends);
criterion_main!(benches);
