//! The node without bugs, in memory.

use super::*;

#[test]
fn what_is_sent_is_polled_with_its_offsets() {
    let mut bench = Bench::memory(&[]);
    assert_eq!(bench.send("a", 10), json!({"type": "send_ok", "offset": 0}));
    assert_eq!(bench.send("a", 11), json!({"type": "send_ok", "offset": 1}));
    assert_eq!(bench.send("b", 20), json!({"type": "send_ok", "offset": 0}));

    let poll = json!({"type": "poll", "offsets": {"a": 1, "b": -3, "c": 0}});
    let msgs = json!({"a": [[1, 11]], "b": [[0, 20]]});
    assert_eq!(bench.ask(poll), json!({"type": "poll_ok", "msgs": msgs}));
}

#[test]
fn a_poll_past_the_end_or_of_nothing_is_empty() {
    let mut bench = Bench::memory(&[]);
    bench.send("a", 10);
    let empty = json!({"type": "poll_ok", "msgs": {}});
    assert_eq!(bench.ask(json!({"type": "poll", "offsets": {"a": 1}})), empty);
    assert_eq!(bench.ask(json!({"type": "poll", "offsets": {}})), empty);
}

#[test]
fn any_json_value_is_kept() {
    let mut bench = Bench::memory(&[]);
    for (offset, msg) in [json!(null), json!("x\ny"), json!({"b": [1, {}]}), json!(-1.5), json!([])]
        .into_iter()
        .enumerate()
    {
        bench.ask(json!({"type": "send", "key": "a", "msg": msg}));
        assert_eq!(bench.poll("a", i64::try_from(offset).unwrap()), json!([[offset, msg]]));
    }
}

#[test]
fn a_committed_offset_never_goes_back() {
    let mut bench = Bench::memory(&[]);
    assert_eq!(bench.committed("a"), json!(null));
    for (commit, committed) in [(3, 3), (1, 3), (-1, 3), (5, 5)] {
        bench.commit("a", commit);
        assert_eq!(bench.committed("a"), json!(committed));
    }
}

#[test]
fn a_list_leaves_out_what_was_never_committed() {
    let mut bench = Bench::memory(&[]);
    bench.ask(json!({"type": "commit_offsets", "offsets": {"a": 1, "b": 2, "c": -1}}));
    let list = json!({"type": "list_committed_offsets", "keys": ["a", "b", "c", "d"]});
    let offsets = json!({"a": 1, "b": 2});
    assert_eq!(bench.ask(list), json!({"type": "list_committed_offsets_ok", "offsets": offsets}));
}

#[test]
fn what_is_wrong_is_refused_with_its_code_and_the_next_request_is_answered() {
    let mut bench = Bench::memory(&[]);
    for (body, code) in [
        (json!({"type": "txn"}), 10),
        (json!({}), 12),
        (json!({"type": 3}), 12),
        (json!({"type": "send", "msg": 1}), 12),
        (json!({"type": "send", "key": 1, "msg": 1}), 12),
        (json!({"type": "send", "key": "a"}), 12),
        (json!({"type": "poll"}), 12),
        (json!({"type": "poll", "offsets": [0]}), 12),
        (json!({"type": "poll", "offsets": {"a": 0.5}}), 12),
        (json!({"type": "commit_offsets", "offsets": {"a": "1"}}), 12),
        (json!({"type": "list_committed_offsets", "keys": {}}), 12),
        (json!({"type": "list_committed_offsets", "keys": [1]}), 12),
    ] {
        let error = bench.ask(body.clone());
        assert_eq!((&error["type"], &error["code"]), (&"error".into(), &code.into()), "{body}");
    }
    assert_eq!(bench.send("a", 1)["offset"], 0);
}

#[test]
fn what_cannot_be_answered_is_ignored() {
    let mut bench = Bench::memory(&[]);
    for line in [
        "",
        "hello",
        "[]",
        "{}",
        r#"{"src":"c1","dest":"n0"}"#,
        r#"{"src":"c1","dest":"n0","body":{"type":"send","key":"a","msg":1}}"#,
        r#"{"src":"lin-kv","dest":"n0","body":{"type":"read_ok","in_reply_to":0,"value":1}}"#,
    ] {
        assert!(bench.give_line(line).is_empty(), "{line}");
    }
    assert_eq!(bench.send("a", 1)["offset"], 0);
}

#[test]
fn a_request_before_init_is_refused() {
    let mut node = FaultyNode::new(Options::default());
    let mut out = Vec::new();
    let line = br#"{"src":"c1","dest":"n4","body":{"type":"poll","offsets":{},"msg_id":1}}"#;
    node.receive(0, line, &mut out);
    let reply = message(&out[0]);
    assert_eq!((&reply["src"], &reply["body"]["code"]), (&"n4".into(), &11.into()));
}

#[test]
fn a_second_init_loses_nothing() {
    let mut bench = Bench::memory(&[]);
    bench.send("a", 1);
    bench.ask(json!({"type": "init", "node_id": "n0", "node_ids": ["n0"]}));
    assert_eq!(bench.poll("a", 0), json!([[0, 1]]));
}
