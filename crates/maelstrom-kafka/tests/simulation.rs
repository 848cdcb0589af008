//! Clusters under everything that may happen to them, on a virtual clock: none may be accused. Thousands of
//! seeds by `STRAUM_SEEDS=1000`, one by `STRAUM_SEED=17`. Never runs a process.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod simulated;

use simulated::{Lie, hard_settings, must_not_be_accused, settings, simulate, verdict};
use straum_check::fault;
use straum_check::history::{Operation, Outcome};
use straum_check::judge::Validity;
use straum_check::measure::{OperationKind, measure};
use straum_check::network::Distribution;
use straum_check::time::{MILLISECOND, SECOND};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seeds to try: a few every day.
fn seeds(every_day: u64) -> Vec<u64> {
    match (number("STRAUM_SEED"), number("STRAUM_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, count) => (0..count.unwrap_or(every_day)).collect(),
    }
}

#[test]
fn a_cluster_is_never_accused_whatever_happens_to_it() {
    for seed in seeds(200) {
        must_not_be_accused(
            &hard_settings(seed),
            "a_cluster_is_never_accused_whatever_happens_to_it",
        );
    }
}

/// In how many of the first 24 seeds each lie of the store has to be found; `docs/shared-journal.md` tells how many it
/// is.
const FOUND_AT_LEAST: &[(Lie, u64)] =
    &[(Lie::TakenIsCreated, 12), (Lie::Overwrites, 12), (Lie::FindsNothing, 2)];

/// Never in fewer seeds than the table is for, however few are asked for.
#[test]
fn a_store_that_breaks_its_promises_is_found_out() {
    let seeds = 0..number("STRAUM_SEEDS").unwrap_or(0).max(24);
    for (lie, at_least) in FOUND_AT_LEAST {
        let found = seeds.clone().filter(|seed| {
            let record = simulate(&hard_settings(*seed), Some(*lie));
            verdict(&record).validity == Validity::Invalid
        });
        let found = found.count() as u64;
        println!("{lie:?}: found in {found} of {} seeds", seeds.end);
        assert!(found >= *at_least, "{lie:?}: found in {found}");
    }
}

/// Five nodes compete over long ways, without any fault: a send takes two round trips, seldom more than six,
/// and over ways that are now short and now long, none starves.
#[test]
fn over_long_ways_a_send_takes_few_round_trips() {
    for (distribution, most_p99_ms) in
        [(Distribution::Constant, 1_400.0), (Distribution::Exponential, 3_000.0)]
    {
        let mut settings = settings(1);
        settings.node_count = 5;
        settings.concurrency = 20;
        settings.rate = 1_000.0;
        settings.network.latency = 100 * MILLISECOND;
        settings.network.distribution = distribution;
        settings.time_limit_ns = 30 * SECOND;
        let record = must_not_be_accused(&settings, "over_long_ways_a_send_takes_few_round_trips");
        let sends = measure(&record.history).latencies[&OperationKind::Send];
        let few = sends.p50_ms < 500.0 && sends.p99_ms < most_p99_ms && sends.max_ms < 4_500.0;
        assert!(few, "{distribution:?}: {sends:?}");
    }
}

/// Links between nodes are cut again and again, and those who cannot forward have to compete: on every node,
/// requests are answered all the same. (One in thousands has such bad luck that it takes five seconds.)
#[test]
fn partitions_cost_nothing_but_latency() {
    let (mut unanswered, mut all) = (0, 0);
    for seed in seeds(20) {
        let mut settings = settings(seed);
        settings.node_count = 5;
        settings.concurrency = 20;
        settings.network.latency = [1, 20, 50][(seed % 3) as usize] * MILLISECOND;
        settings.network.distribution = Distribution::Exponential;
        settings.time_limit_ns = 15 * SECOND;
        settings.fault_interval_ns = 3 * SECOND;
        settings.faults = vec![fault::Kind::Partition];
        let record = must_not_be_accused(&settings, "partitions_cost_nothing_but_latency");
        let timed_out = |operation: &&Operation| matches!(&operation.outcome, Outcome::Info(error) if error.code == 0);
        unanswered += record.history.operations.iter().filter(timed_out).count();
        all += record.history.operations.len();
    }
    assert!(1_000 * unanswered <= all, "{unanswered} of {all} requests were not answered in 5 s");
}
