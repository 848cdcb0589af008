//! Each planted bug is found, by its right name, in a few simulated seconds; and the same node without
//! it is not accused of anything. Never runs a process.

mod common;

use common::{names, settings, simulate, verdict};
use faulty_node::{Bug, Storage};
use straum_check::fault;
use straum_check::history::{Operation, Outcome};
use straum_check::judge::Validity;
use straum_check::run::Settings;
use straum_check::time::{MILLISECOND, SECOND};

/// What each bug is found as. The first name is what it is; the others may follow from it.
const BUGS: &[(&str, &[&str])] = &[
    ("drop-send", &["lost-write"]),
    ("reuse-offset-keep-old", &["inconsistent-offsets"]),
    ("reuse-offset-keep-new", &["inconsistent-offsets"]),
    ("skip-in-poll=2", &["int-poll-skip"]),
    ("poll-from-beginning", &["nonmonotonic-poll"]),
    ("reorder-in-poll=2", &["int-nonmonotonic-poll"]),
    ("fail-stored-send", &["G1a"]),
    ("invent-message", &["invented"]),
    ("duplicate-message", &["duplicate"]),
    ("forget-commits", &["commit-missing"]),
    ("commit-backwards=2", &["commit-went-back"]),
    ("commit-unasked", &["commit-never-asked"]),
    ("commit-ahead", &["commit-never-asked", "unprocessed"]),
    ("late-answer", &["late-reply"]),
    ("extra-field", &["malformed-reply"]),
    ("string-offset", &["malformed-reply"]),
    ("garbage-on-stdout", &["not-json"]),
    ("blank-line", &["not-json"]),
    ("wrong-destination", &["unknown-destination"]),
    ("never-answer=send", &["never-succeeds"]),
    ("never-answer=poll", &["never-succeeds"]),
    ("never-answer=commit_offsets", &["never-succeeds"]),
    ("never-answer=list_committed_offsets", &["never-succeeds"]),
];

/// How many seeds the correct nodes are tried with: a few every day, more by `STRAUM_SEEDS=1000`.
fn seeds() -> usize {
    std::env::var("STRAUM_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(48)
}

#[test]
fn each_bug_is_found_by_its_name() {
    for seed in 1..=3 {
        for (bug, expected) in BUGS {
            let verdict = verdict(&simulate(&settings(seed), Storage::Memory, &[bug]));
            let names = names(&verdict);
            assert_eq!(verdict.validity, Validity::Invalid, "{bug}, seed {seed}");
            for name in *expected {
                assert!(names.contains(name), "{bug}, seed {seed}: {names:?}");
            }
        }
    }
}

#[test]
fn a_node_that_forgets_when_it_is_killed_is_found_out() {
    for storage in [(Storage::Memory, &[][..]), (Storage::LinKv, &["lose-on-restart"])] {
        let settings = Settings {
            faults: vec![fault::Kind::Kill],
            fault_interval_ns: 2 * SECOND,
            ..settings(1)
        };
        let names = names(&verdict(&simulate(&settings, storage.0, storage.1)));
        assert!(names.contains(&"lost-write") || names.contains(&"unseen"), "{names:?}");
    }
}

#[test]
fn nodes_that_do_not_know_of_each_other_are_found_out() {
    let settings = Settings { node_count: 2, ..settings(1) };
    let names = names(&verdict(&simulate(&settings, Storage::Memory, &[])));
    assert!(names.contains(&"inconsistent-offsets"), "{names:?}");
}

#[test]
fn an_answer_that_comes_after_the_last_poll_is_still_heard() {
    let settings = Settings { time_limit_ns: SECOND, ..settings(1) };
    let names = names(&verdict(&simulate(&settings, Storage::Memory, &["late-answer=20"])));
    assert!(names.contains(&"late-reply"), "{names:?}");
}

#[test]
fn a_node_that_exits_ends_the_run_and_proves_nothing() {
    let record = simulate(&settings(1), Storage::Memory, &["exit-after=50"]);
    assert!(!record.history.finished);
    assert_eq!(verdict(&record).validity, Validity::Unknown);
}

#[test]
fn every_planted_bug_is_in_a_test() {
    let elsewhere = ["lose-on-restart", "exit-after"];
    for bug in Bug::all() {
        let name = bug.to_string();
        let told = BUGS.iter().any(|(told, _)| told.split('=').next() == Some(&name));
        assert!(told || elsewhere.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn a_correct_node_is_never_accused_whatever_happens_to_it() {
    for seed in 0..seeds() {
        let faults = if seed % 2 == 0 { vec![] } else { vec![fault::Kind::Pause] };
        let settings = Settings { faults, ..settings(seed as u64) };
        let record = simulate(&settings, Storage::Memory, &[]);
        let verdict = verdict(&record);
        assert_eq!(verdict.validity, Validity::Valid, "seed {seed}: {:#?}", verdict.findings);
    }
}

/// Messages are not duplicated here, which this node cannot bear: the second copy of a `cas` fails, and
/// if that answer overtakes the first one's, the node tries again what has been done.
#[test]
fn correct_nodes_on_lin_kv_are_never_accused_whatever_happens_to_them() {
    // With this seed, a commit and the list that does not show it fall into the same instant.
    const SAME_INSTANT: usize = 216;

    let kinds = [fault::Kind::Partition, fault::Kind::Kill, fault::Kind::Pause];
    for seed in (0..seeds()).chain([SAME_INSTANT]) {
        let faults = kinds.into_iter().filter(|kind| seed >> *kind as usize & 1 == 1).collect();
        let mut settings = Settings { node_count: 1 + seed % 3, faults, ..settings(seed as u64) };
        common::latency(&mut settings, [0, 5, 40][seed % 3]);
        settings.network.loss = [0.0, 0.02][seed / 8 % 2];
        let record = simulate(&settings, Storage::LinKv, &[]);
        let verdict = verdict(&record);
        assert_eq!(verdict.validity, Validity::Valid, "seed {seed}: {:#?}", verdict.findings);
    }
}

/// A node that asks a service while it is in trouble waits, is refused, or does not know; and what it is
/// told when the service has recovered is true.
#[test]
fn services_in_trouble_delay_nodes_and_never_make_them_wrong() {
    for seed in 0..seeds() as u64 {
        let faults = vec![fault::Kind::Service];
        let settings = Settings { faults, fault_interval_ns: SECOND / 2, ..settings(seed) };
        let record = simulate(&settings, Storage::LinKv, &[]);
        let verdict = verdict(&record);
        assert_eq!(verdict.validity, Validity::Valid, "seed {seed}: {:#?}", verdict.findings);
        let troubles = record.history.faults.iter().map(|fault| fault.detail.as_str());
        let known = ["silent", "stalled", "refusing", "unsure"];
        assert!(troubles.clone().count() > 0 && troubles.clone().all(|name| known.contains(&name)));
        let not_ok = |operation: &&Operation| operation.outcome != Outcome::Ok;
        assert!(
            record.history.operations.iter().any(|operation| not_ok(&operation)),
            "seed {seed}"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let settings = Settings {
        node_count: 3,
        faults: vec![fault::Kind::Kill, fault::Kind::Partition],
        fault_interval_ns: 500 * MILLISECOND,
        ..settings(5)
    };
    let mut settings = settings;
    common::latency(&mut settings, 5);
    let run = |settings: &Settings| simulate(settings, Storage::LinKv, &[]).history;
    let first = run(&settings);
    assert_eq!(first, run(&settings));
    settings.seed = 6;
    assert_ne!(first, run(&settings));
}
