//! Each bug does what the table says, when it says so, and nothing else.

use super::*;

#[test]
fn bugs_of_sends() {
    // What the third of four sends is answered, and what the log is then.
    let ok = |offset: i64| json!({"type": "send_ok", "offset": offset});
    for (bug, answer, log) in [
        ("drop-send=3", ok(2), json!([[0, 0], [1, 1], [3, 3]])),
        ("reuse-offset-keep-old=3", ok(1), json!([[0, 0], [1, 1], [2, 3]])),
        ("reuse-offset-keep-new=3", ok(1), json!([[0, 0], [1, 2], [2, 3]])),
        ("duplicate-message=3", ok(2), json!([[0, 0], [1, 1], [2, 2], [3, 2], [4, 3]])),
        (
            "fail-stored-send=3",
            json!({"type": "error", "code": 11, "text": "not now"}),
            json!([[0, 0], [1, 1], [2, 2], [3, 3]]),
        ),
    ] {
        for storage in [Storage::Memory, Storage::LinKv] {
            let mut kv = FakeLinKv::default();
            let mut bench = Bench::new(storage, &[bug]);
            let replies: Vec<Value> =
                (0..4).map(|msg| bench.ask_with(&mut kv, send("a", msg))).collect();
            assert_eq!(replies[1], ok(1), "{bug}");
            assert_eq!(replies[2], answer, "{bug}");
            assert_eq!(replies[3]["type"], "send_ok", "{bug}");
            let poll = bench.ask_with(&mut kv, json!({"type": "poll", "offsets": {"a": 0}}));
            assert_eq!(poll["msgs"]["a"], log, "{bug}");
        }
    }
}

#[test]
fn an_offset_is_reused_only_in_a_log_that_has_one() {
    for bug in ["reuse-offset-keep-old=1", "reuse-offset-keep-new=1"] {
        let mut bench = Bench::memory(&[bug]);
        assert_eq!(bench.send("a", 7)["offset"], 0);
        assert_eq!(bench.poll("a", 0), json!([[0, 7]]));
    }
}

#[test]
fn bugs_of_polls() {
    for (bug, second_poll) in [
        ("skip-in-poll=2", json!([[1, 1], [3, 3]])),
        ("reorder-in-poll=2", json!([[2, 2], [1, 1], [3, 3]])),
        ("poll-from-beginning=2", json!([[0, 0], [1, 1], [2, 2], [3, 3]])),
        ("invent-message=2", json!([[1, 1], [2, 2], [3, 3], [4, 900_000_000_004_i64]])),
    ] {
        let mut bench = Bench::memory(&[bug]);
        bench.send_many("a", 4);
        assert_eq!(bench.poll("a", 1), json!([[1, 1], [2, 2], [3, 3]]), "{bug}");
        assert_eq!(bench.poll("a", 1), second_poll, "{bug}");
    }
}

#[test]
fn a_poll_that_a_bug_cannot_show_in_does_not_count() {
    let mut bench = Bench::memory(&["skip-in-poll=1", "reorder-in-poll=1"]);
    bench.send_many("a", 2);
    assert_eq!(bench.poll("a", 1), json!([[1, 1]]));
    assert_eq!(bench.poll("a", 0), json!([[1, 1], [0, 0]]), "two can be swapped, not skipped");
}

#[test]
fn an_invented_message_stays() {
    let mut kv = FakeLinKv::default();
    let mut bench = Bench::new(Storage::LinKv, &["invent-message=2"]);
    let polls = [(); 3].map(|()| {
        bench.ask_with(&mut kv, json!({"type": "poll", "offsets": {"a": 0}}))["msgs"].take()
    });
    let invented = json!({"a": [[0, 900_000_000_000_i64]]});
    assert_eq!(polls, [json!({}), invented.clone(), invented]);
}

#[test]
fn forget_commits_acknowledges_and_forgets() {
    let mut bench = Bench::memory(&["forget-commits"]);
    bench.commit("a", 3);
    assert_eq!(bench.committed("a"), json!(null));
}

#[test]
fn commit_ahead_stores_more_than_was_asked() {
    let mut bench = Bench::memory(&["commit-ahead"]);
    bench.commit("a", 3);
    assert_eq!(bench.committed("a"), json!(8));
    bench.commit("b", i64::MAX);
}

#[test]
fn bugs_of_lists() {
    for (bug, listed) in
        [("commit-backwards=2", [9, 3, 9]), ("commit-unasked=2", [9, 1_000_009, 9])]
    {
        let mut bench = Bench::memory(&[bug]);
        bench.commit("a", 3);
        bench.commit("a", 9);
        let lists = [(); 3].map(|()| bench.committed("a"));
        assert_eq!(lists, listed.map(Value::from), "{bug}");
    }
}

#[test]
fn a_commit_goes_backwards_only_to_a_lower_one() {
    let mut bench = Bench::memory(&["commit-backwards=1"]);
    bench.commit("a", 3);
    assert_eq!(bench.committed("a"), json!(3));
}

#[test]
fn lose_on_restart_keeps_nothing_in_the_service() {
    let mut bench = Bench::new(Storage::LinKv, &["lose-on-restart"]);
    assert_eq!(bench.send("a", 1)["offset"], 0);
    assert_eq!(bench.poll("a", 0), json!([[0, 1]]));
}

#[test]
fn a_late_answer_leaves_after_six_seconds() {
    let mut bench = Bench::memory(&["late-answer=2"]);
    bench.send("a", 1);
    assert!(bench.give(send("a", 2)).is_empty());
    assert_eq!(bench.node.next_timer(), Some(6 * SECOND_NS));
    assert!(bench.wait_until(6 * SECOND_NS - 1).is_empty());
    let lines = bench.wait_until(6 * SECOND_NS);
    assert_eq!(bench.reply(&lines[0]), json!({"type": "send_ok", "offset": 1}));
    assert_eq!(bench.node.next_timer(), None);
}

#[test]
fn bugs_of_answers() {
    for (bug, second) in [
        ("extra-field=2", json!({"type": "send_ok", "offset": 1, "extra": true})),
        ("string-offset=2", json!({"type": "send_ok", "offset": "1"})),
    ] {
        let mut bench = Bench::memory(&[bug]);
        assert_eq!(bench.send("a", 1), json!({"type": "send_ok", "offset": 0}), "{bug}");
        assert_eq!(bench.send("a", 2), second, "{bug}");
        assert_eq!(bench.send("a", 3), json!({"type": "send_ok", "offset": 2}), "{bug}");
    }
}

#[test]
fn an_error_may_have_any_field_so_none_is_added() {
    let mut bench = Bench::memory(&["extra-field=1"]);
    assert_eq!(bench.ask(json!({"type": "txn"})).get("extra"), None);
}

#[test]
fn bugs_of_stdout() {
    for (bug, line) in [("garbage-on-stdout=2", "INFO 2 requests so far"), ("blank-line=2", "")] {
        let mut bench = Bench::memory(&[bug]);
        bench.send("a", 1);
        let lines = bench.give(send("a", 2));
        assert_eq!(lines[0], line.as_bytes(), "{bug}");
        assert_eq!(bench.reply(&lines[1])["offset"], 1, "{bug}");
        assert_eq!(lines.len(), 2, "{bug}");
    }
}

#[test]
fn wrong_destination_answers_someone_else_too() {
    let mut bench = Bench::memory(&["wrong-destination=2"]);
    bench.send("a", 1);
    let lines = bench.give(send("a", 2));
    assert_eq!(message(&lines[0])["dest"], "c99999");
    assert_eq!(message(&lines[1])["dest"], "c1");
}

#[test]
fn never_answer_does_what_was_asked_in_silence() {
    for kind in Kind::ALL {
        let mut bench = Bench::memory(&[&format!("never-answer={kind}")]);
        for body in [
            send("a", 1),
            json!({"type": "poll", "offsets": {"a": 0}}),
            json!({"type": "commit_offsets", "offsets": {"a": 0}}),
            json!({"type": "list_committed_offsets", "keys": ["a"]}),
        ] {
            let is_silent = body["type"] == kind.name();
            assert_eq!(bench.give(body).is_empty(), is_silent, "{kind}");
        }
    }
    let mut bench = Bench::memory(&["never-answer=send"]);
    bench.give(send("a", 1));
    assert_eq!(bench.poll("a", 0), json!([[0, 1]]));
}

#[test]
fn exit_after_answers_its_last_request_and_falls_silent() {
    let mut bench = Bench::memory(&["exit-after=2"]);
    bench.send("a", 1);
    assert_eq!(bench.node.exit(), None);
    bench.send("a", 2);
    assert_eq!(bench.node.exit().map(|exit| exit.status), Some(3));
    assert!(bench.give(send("a", 3)).is_empty());
}
