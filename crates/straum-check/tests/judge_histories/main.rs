//! Hand-written histories, each with its verdict: those of `docs/anomalies.md`, one with each anomaly
//! and a near miss, and the finer points. Never runs a node.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod notation;

use straum_check::judge::{Finding, Validity, Verdict, judge};

fn verdict(text: &str) -> Verdict {
    let (history, demands) = notation::parse(text);
    judge(&history, &demands)
}

fn names(verdict: &Verdict) -> Vec<&'static str> {
    verdict.findings.iter().map(|finding| finding.name).collect()
}

fn found(text: &str) -> Vec<&'static str> {
    names(&verdict(text))
}

/// The only finding, which has one anomaly.
fn only(text: &str) -> Finding {
    let [finding] = verdict(text).findings.try_into().unwrap();
    assert_eq!(finding.count, 1);
    assert_eq!(finding.examples.len(), 1);
    finding
}

/// The name of each anomaly that the page defines, with its example and, if it has one, its near miss.
fn defined() -> Vec<(&'static str, Vec<&'static str>)> {
    let page = include_str!("../../../../docs/anomalies.md");
    let sections = page.split("\n## `").skip(1);
    let sections = sections.map(|section| {
        let (name, text) = section.split_once('`').unwrap();
        let blocks = text.split("```history\n").skip(1);
        (name, blocks.map(|block| block.split_once("```").unwrap().0).collect())
    });
    sections.collect()
}

#[test]
fn every_example_of_the_page_has_its_anomaly() {
    for (name, histories) in defined() {
        let verdict = verdict(histories[0]);
        assert!(names(&verdict).contains(&name), "{name}: {verdict:#?}");
        assert_eq!(verdict.validity, Validity::Invalid, "{name}");
    }
}

#[test]
fn no_near_miss_of_the_page_has_any() {
    let near_misses = defined().into_iter().filter_map(|(name, histories)| {
        let near_miss = *histories.get(1)?;
        Some((name, near_miss))
    });
    let mut count = 0;
    for (name, near_miss) in near_misses {
        let verdict = verdict(near_miss);
        assert_eq!(verdict.findings, [], "{name}");
        assert_eq!(verdict.validity, Validity::Valid, "{name}");
        count += 1;
    }
    assert_eq!(count, 19);
}

#[test]
fn a_lost_write_is_told_with_names_and_numbers() {
    let finding = only(
        "p0@n0 send 7 1 -> ok 0
         p0@n0 send 7 42 -> ok 1
         p3@n1 poll 7:2 -> ok
         p4@n1 poll 7:0 -> ok 7 0=1
         p0@n0 send 7 3 -> ok 5
         p2@n1 poll 7:2 -> ok 7 5=3",
    );
    let [anomaly] = finding.examples.try_into().unwrap();
    assert_eq!(
        anomaly.text,
        "key \"7\": message 42 was acknowledged at offset 1 (op 1, process 0 on n0), but no poll \
         returned it, though one returned offset 5 (op 5, process 2 on n1)"
    );
    assert_eq!(anomaly.evidence, [1, 5]);
    assert_eq!(anomaly.at_ns, 55);
    assert_eq!(anomaly.key, Some(0));
}

#[test]
fn the_first_poll_that_got_past_a_lost_write_proves_it() {
    let finding = only(
        "p0@n0 send k 1 -> ok 0
         p0@n0 send k 2 -> ok 5
         p0@n0 send k 3 -> ok 9
         p1@n0 poll k:9 -> ok k 9=3
         p2@n0 poll k:5 -> ok k 5=2 9=3",
    );
    assert_eq!(finding.name, "lost-write");
    assert_eq!(finding.examples[0].evidence, [0, 3]);
}

#[test]
fn a_value_that_failed_once_and_was_acknowledged_when_sent_again_may_be_there() {
    let names = found(
        "p0@n0 send k 1 -> fail
         p0@n0 send k 1 -> ok 0
         p1@n0 poll k:0 -> ok k 0=1",
    );
    assert_eq!(names, [""; 0]);
}

#[test]
fn an_acknowledged_message_is_lost_when_another_is_at_its_offset() {
    let names = found(
        "p0@n0 send k 1 -> ok 0
         p1@n0 send k 2 -> ok 0
         p2@n0 poll k:0 -> ok k 0=2",
    );
    assert_eq!(names, ["lost-write", "inconsistent-offsets"]);
}

#[test]
fn a_lost_write_shows_even_if_the_run_was_cut_off_but_an_unseen_one_does_not() {
    let names = found(
        "unfinished
         p0@n0 send k 1 -> ok 0
         p0@n0 send k 2 -> ok 1
         p1@n0 poll k:1 -> ok k 1=2",
    );
    assert_eq!(names, ["lost-write"]);
    let verdict = verdict(
        "unfinished
         p0@n0 send k 1 -> ok 0
         p0@n0 send k 2 -> ok 1
         p1@n0 poll k:0 -> ok k 0=1",
    );
    assert_eq!(names_and_validity(&verdict), (vec![], Validity::Unknown));
}

fn names_and_validity(verdict: &Verdict) -> (Vec<&'static str>, Validity) {
    (names(verdict), verdict.validity)
}

#[test]
fn a_message_read_at_another_offset_than_acknowledged_is_a_duplicate_not_lost() {
    let names = found(
        "p0@n0 send k 1 -> ok 0
         p1@n0 poll k:0 -> ok k 4=1
         p1@n0 poll k:5 -> ok",
    );
    assert_eq!(names, ["duplicate", "poll-skip"]);
}

#[test]
fn what_a_poll_without_a_good_answer_returned_counts_for_nothing() {
    let verdict = verdict(
        "p0@n0 send k 1 -> ok 0
         p1@n0 poll k:0 -> info k 0=99
         p2@n0 poll k:0 -> ok k 0=1",
    );
    assert_eq!(names_and_validity(&verdict), (vec![], Validity::Valid));
}

#[test]
fn a_value_of_another_key_is_invented_here() {
    let finding = only(
        "p0@n0 send k 1 -> ok 0
         p0@n0 send l 2 -> ok 0
         p1@n0 poll k:0 l:0 -> ok k 0=1 1=2 l 0=2",
    );
    assert_eq!(finding.name, "invented");
}

#[test]
fn a_value_that_is_read_before_it_is_sent_is_invented() {
    let finding = only(
        "p1@n0 poll k:0 -> ok k 0=1
         p0@n0 send k 1 -> ok 0",
    );
    assert_eq!(finding.name, "invented");
}

#[test]
fn json_that_no_client_sends_is_invented_and_has_its_place_in_the_log() {
    let names = found(
        "p0@n0 send k 1 -> ok 0
         p1@n0 poll k:0 -> ok k 0=1 1=\"x\"
         p2@n0 poll k:0 -> ok k 0=\"x\" 1=1",
    );
    assert_eq!(names, ["invented", "inconsistent-offsets", "duplicate"]);
}

#[test]
fn a_skip_does_not_depend_on_when_the_skipped_message_was_written() {
    let names = found(
        "p0@n0 send k 2 -> ok 1
         p1@n0 poll k:0 -> ok k 1=2
         p0@n0 send l 9 -> ok 0
         p2@n0 send k 1 -> ok 0
         p3@n0 poll k:0 l:0 -> ok k 0=1 1=2 l 0=9",
    );
    assert_eq!(names, ["poll-skip"]);
}

#[test]
fn a_poll_that_did_not_name_a_key_is_held_to_the_clients_last_one() {
    let before = "p0@n0 send k 1 -> ok 0
                  p0@n0 send k 2 -> ok 1
                  p0@n0 send k 3 -> ok 2
                  p2@n0 poll k:0 -> ok k 0=1 1=2 2=3
                  p2@n0 assign k l -> ok\n";
    let verdicts = [
        ("p2@n0 poll -> ok k 2=3", vec!["nonmonotonic-poll"]),
        ("p2@n0 assign k -> ok\np2@n0 poll -> ok k 2=3", vec!["nonmonotonic-poll"]),
        ("p2@n0 assign k -> info\np2@n0 poll -> ok k 2=3", vec!["nonmonotonic-poll"]),
        ("p2@n0 assign l -> ok\np2@n0 poll -> ok k 2=3", vec![]),
        ("p2@n0 assign k from beginning -> ok\np2@n0 poll -> ok k 2=3", vec![]),
        ("p3@n0 poll -> ok k 2=3", vec![]),
    ];
    for (after, expected) in verdicts {
        assert_eq!(found(&format!("{before}{after}")), expected, "{after}");
    }
    let names = found(
        "p0@n0 send k 1 -> ok 0
         p0@n0 send k 2 -> ok 1
         p0@n0 send k 3 -> ok 2
         p2@n0 poll -> ok k 0=1
         p2@n0 poll -> ok k 2=3
         p3@n0 poll k:1 -> ok k 1=2 2=3",
    );
    assert_eq!(names, ["poll-skip"]);
}

#[test]
fn what_the_client_asked_for_outweighs_what_it_had_before() {
    let names = found(
        "p0@n0 send k 1 -> ok 0
         p0@n0 send k 2 -> ok 1
         p1@n0 poll k:0 -> ok k 0=1 1=2
         p1@n0 poll k:1 -> ok k 1=2",
    );
    assert_eq!(names, [""; 0]);
}

#[test]
fn the_same_offset_twice_in_an_answer_goes_back() {
    let names = found(
        "p0@n0 send k 1 -> ok 0
         p1@n0 poll k:0 -> ok k 0=1 0=1",
    );
    assert_eq!(names, ["int-nonmonotonic-poll"]);
}

#[test]
fn each_gap_of_an_answer_counts() {
    let verdict = verdict(
        "p0@n0 send k 1 -> ok 0
         p0@n0 send k 2 -> ok 1
         p0@n0 send k 3 -> ok 2
         p0@n0 send k 4 -> ok 3
         p0@n0 send k 5 -> ok 4
         p1@n0 poll k:0 -> ok k 0=1 2=3 4=5
         p2@n0 poll k:0 -> ok k 0=1 1=2 2=3 3=4 4=5",
    );
    assert_eq!(names(&verdict), ["int-poll-skip"]);
    assert_eq!(verdict.findings[0].count, 2);
    assert_eq!(verdict.findings[0].examples[1].evidence, [3, 5]);
}

#[test]
fn a_commit_that_is_asked_for_only_later_was_not_asked_for() {
    let names = found(
        "p0@n0 send k 1 -> ok 0
         p1@n0 poll k:0 -> ok k 0=1
         p2@n0 assign k -> ok k:0
         p1@n0 commit k:0 -> ok",
    );
    assert_eq!(names, ["commit-never-asked"]);
}

#[test]
fn a_commit_whose_outcome_is_unknown_or_bad_was_asked_for() {
    let names = found(
        "p0@n0 send k 1 -> ok 0
         p1@n0 poll k:0 -> ok k 0=1
         p1@n0 commit k:0 -> info
         p2@n0 assign k -> ok k:0
         p2@n0 commit k:0 -> ok",
    );
    assert_eq!(names, [""; 0]);
}

#[test]
fn a_list_that_names_nothing_after_one_that_did_went_back() {
    let finding = only(
        "p0@n0 send k 1 -> ok 0
         p1@n0 poll k:0 -> ok k 0=1
         p1@n0 commit k:0 -> ok
         p2@n0 assign k -> ok k:0
         p2@n0 assign k -> ok",
    );
    assert_eq!(finding.name, "commit-went-back");
    assert_eq!(finding.examples[0].evidence, [3, 4]);
}

#[test]
fn a_list_that_was_not_asked_for_a_key_may_leave_it_out() {
    let names = found(
        "p0@n0 send k 1 -> ok 0
         p1@n0 poll k:0 -> ok k 0=1
         p1@n0 commit k:0 -> ok
         p1@n0 assign l -> ok
         last p1@n0 assign l -> ok",
    );
    assert_eq!(names, [""; 0]);
}

#[test]
fn a_lower_commit_after_a_higher_one_changes_nothing() {
    let before = "p0@n0 send k 1 -> ok 0
                  p0@n0 send k 2 -> ok 1
                  p1@n0 poll k:0 -> ok k 0=1 1=2
                  p1@n0 commit k:1 -> ok
                  p1@n0 commit k:0 -> ok\n";
    assert_eq!(found(&format!("{before} p1@n0 assign k -> ok k:1")), [""; 0]);
    assert_eq!(found(&format!("{before} p1@n0 assign k -> ok k:0")), ["commit-went-back"]);
}

#[test]
fn only_the_last_list_of_each_node_must_have_the_commits_and_only_those_before_it() {
    let before = "p0@n0 send k 1 -> ok 0
                  p1@n0 poll k:0 -> ok k 0=1
                  p1@n0 commit k:0 -> ok
                  p2@n0 assign k -> ok
                  last p3@n1 assign k -> ok\n";
    assert_eq!(found(before), ["commit-missing"]);
    assert_eq!(found(&format!("{before} last p4@n1 assign k -> ok k:0")), [""; 0]);
    assert_eq!(found(&format!("{before} last p4@n1 assign k -> info")), ["commit-missing"]);
    assert_eq!(found(&format!("{before} last p4@n0 assign k -> ok k:0")), ["commit-missing"]);
    let during = "p0@n0 send k 1 -> ok 0
                  p1@n0 poll k:0 -> ok k 0=1
                  last p3@n1 assign k -> ok +3
                  p1@n0 commit k:0 -> ok";
    assert_eq!(found(during), [""; 0]);
    let in_flight = "p0@n0 send k 1 -> ok 0
                     p1@n0 poll k:0 -> ok k 0=1
                     p1@n0 commit k:0 -> ok +3
                     last p3@n1 assign k -> ok";
    assert_eq!(found(in_flight), [""; 0]);
}

#[test]
fn a_group_is_told_by_which_assign_it_passed_a_message_over() {
    let finding = only(
        "p0@n0 send k 1 -> ok 0
         p2@n0 poll k:0 -> ok k 0=1
         p2@n0 commit k:0 -> ok
         p1@n0/g3 assign k -> ok k:0
         p1@n0/g3 poll k:1 -> ok",
    );
    assert_eq!(finding.name, "unprocessed");
    assert_eq!(finding.examples[0].evidence, [0, 3]);
    assert!(finding.examples[0].text.ends_with("; process 1 on n0 resumed at offset 1 (op 3)"));
}

#[test]
fn a_group_need_not_process_what_was_not_acknowledged_or_keys_it_does_not_read() {
    let names = found(
        "p0@n0 send l 1 -> ok 0
         p0@n0 send k 2 -> info
         p0@n0 send k 3 -> fail
         p2@n0 poll k:0 l:0 -> ok k 0=2 l 0=1
         p1@n0/g3 assign k -> ok
         p1@n0/g3 assign k l -> info",
    );
    assert_eq!(names, [""; 0]);
}

#[test]
fn what_a_group_did_not_process_before_a_run_was_cut_off_is_not_held_against_it() {
    let text = "p0@n0 send k 1 -> ok 0
                p2@n0 poll k:0 -> ok k 0=1
                p1@n0/g3 assign k -> ok\n";
    assert_eq!(found(text), ["unprocessed"]);
    assert_eq!(found(&format!("{text} unfinished")), [""; 0]);
}

#[test]
fn crashes_and_assigns_that_ask_nobody_are_no_successes() {
    let verdict = verdict(
        "demand availability 0.1
         p0@n0 send k 1 -> info
         p1@n0 crash
         p1@n0 assign k from beginning -> ok
         p2@n0 assign k -> info
         p3@n0 assign k -> info",
    );
    assert_eq!(names(&verdict), ["never-succeeds", "availability"]);
    assert_eq!(verdict.findings[0].count, 2);
    assert_eq!(
        verdict.findings[0].examples[1].text,
        "assign was tried 2 times and never succeeded, first in op 3, last in op 4, process 3 on n0: \
         error 0: no answer in 5 s"
    );
}

/// A client that crashed in the middle of a request says nothing about the node.
#[test]
fn availability_counts_those_who_waited_for_the_answer() {
    let text = "demand availability 1
         p0@n0 send k 1 -> ok 0
         p0@n0 send k 2 -> abandoned
         p1@n0 poll k:0 -> ok k 0=1";
    assert_eq!(found(text), [""; 0]);
    assert_eq!(found(&text.replace("abandoned", "info")), ["availability"]);
}

#[test]
fn a_run_in_which_nothing_was_seen_is_unknown() {
    for text in ["", "p0@n0 send k 1 -> ok 0\nunfinished", "p0@n0 poll k:0 -> ok"] {
        let verdict = verdict(text);
        let unseen = names(&verdict);
        assert_eq!((unseen, verdict.validity), (vec![], Validity::Unknown), "{text}");
    }
}

#[test]
fn a_broken_rule_is_told_with_its_line() {
    let finding = only("n2 breaks late-reply");
    assert_eq!(finding.examples[0].text, "n2, line 3: it is wrong: oops");
    assert_eq!(finding.examples[0].at_ns, 7);
    assert_eq!(finding.examples[0].evidence, [0; 0]);
}

#[test]
fn offsets_at_the_ends_of_their_range_are_judged_like_others() {
    let max = i64::MAX;
    let names = found(&format!(
        "p0@n0 send k 1 -> ok -5
         p0@n0 send k 2 -> ok {max}
         p1@n0 poll k:-9 -> ok k -5=1 {max}=2",
    ));
    assert_eq!(names, [""; 0]);
}
