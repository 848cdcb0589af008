//! Clusters under everything that may happen to them, on a virtual clock: none may be accused. Thousands of
//! seeds by `STRAUM_SEEDS=1000`, one by `STRAUM_SEED=17`. Never runs a process.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod simulated;

use simulated::{hard_settings, must_not_be_accused, simulate, verdict};
use straum::shared::Bug;
use straum_check::judge::Validity;

/// The seeds to try: a few every day.
fn seeds(every_day: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match (number("STRAUM_SEED"), number("STRAUM_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, count) => (0..count.unwrap_or(every_day)).collect(),
    }
}

#[test]
fn a_cluster_is_never_accused_whatever_happens_to_it() {
    for seed in seeds(100) {
        must_not_be_accused(
            &hard_settings(seed),
            "a_cluster_is_never_accused_whatever_happens_to_it",
        );
    }
}

/// In how many of these seeds each bug in the sequencing has to be found; `docs/shared-journal.md` tells
/// how many it is.
const FOUND_AT_LEAST: &[(Bug, u64)] = &[
    (Bug::NewIdentityAfterUnknown, 1),
    (Bug::ApplyOutOfOrder, 1),
    (Bug::ApplyBatchTwice, 1),
    (Bug::TakeAnyEntryForOurs, 1),
];

#[test]
fn each_planted_bug_is_found() {
    let seeds = seeds(24);
    for (bug, at_least) in FOUND_AT_LEAST {
        let found = seeds.iter().filter(|seed| {
            let record = simulate(&hard_settings(**seed), Some(*bug));
            verdict(&record).validity == Validity::Invalid
        });
        let found = found.count() as u64;
        println!("{bug:?}: found in {found} of {} seeds", seeds.len());
        assert!(found >= *at_least, "{bug:?}: found in {found}");
    }
}
