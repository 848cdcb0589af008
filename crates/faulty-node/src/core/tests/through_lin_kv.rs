//! Nodes without bugs that keep their state in `lin-kv`.

use super::*;

fn lin_kv() -> Bench {
    Bench::new(Storage::LinKv, &[])
}

/// The answer of the service to the only line.
fn answered(kv: &mut FakeLinKv, lines: &[Vec<u8>]) -> String {
    assert_eq!(lines.len(), 1, "{:?}", messages(lines));
    kv.answer(&lines[0]).expect("a line for the service")
}

fn poll(key: &str) -> Value {
    json!({"type": "poll", "offsets": {key: 0}})
}

#[test]
fn every_request_is_answered_as_in_memory() {
    let mut kv = FakeLinKv::default();
    let (mut remote, mut memory) = (lin_kv(), Bench::memory(&[]));
    for request in [
        poll("a"),
        send("a", 1),
        send("b", 2),
        send("a", 3),
        json!({"type": "poll", "offsets": {"a": 0, "b": 0, "c": 0}}),
        json!({"type": "poll", "offsets": {"a": 1}}),
        json!({"type": "poll", "offsets": {}}),
        json!({"type": "commit_offsets", "offsets": {"a": 1, "b": 0}}),
        json!({"type": "commit_offsets", "offsets": {"a": 0}}),
        json!({"type": "commit_offsets", "offsets": {}}),
        json!({"type": "list_committed_offsets", "keys": ["a", "b", "c", "a"]}),
        json!({"type": "unknown"}),
    ] {
        let reply = remote.ask_with(&mut kv, request.clone());
        assert_eq!(reply, memory.ask(request.clone()), "{request}");
    }
    assert_eq!(remote.node.next_timer(), None, "nothing is left waiting");
}

#[test]
fn all_nodes_see_the_same_and_a_killed_one_loses_nothing() {
    let mut kv = FakeLinKv::default();
    let mut n0 = lin_kv();
    n0.ask_with(&mut kv, send("a", 1));
    drop(n0);

    let mut n1 = Bench::named("n1", Storage::LinKv, &[], 0);
    assert_eq!(n1.ask_with(&mut kv, send("a", 2))["offset"], 1);
    let mut n0 = Bench::named("n0", Storage::LinKv, &[], SECOND_NS);
    assert_eq!(n0.ask_with(&mut kv, poll("a"))["msgs"]["a"], json!([[0, 1], [1, 2]]));
}

#[test]
fn of_two_nodes_that_send_at_once_the_loser_tries_again() {
    for log in [None, Some(json!([[0, 10]]))] {
        let mut kv = FakeLinKv::default();
        kv.values.extend(log.map(|log| ("log a".to_owned(), log)));
        let (mut n0, mut n1) = (lin_kv(), lin_kv());
        // Both read the same state.
        let (read_0, read_1) = (n0.give(send("a", 1)), n1.give(send("a", 2)));
        let (state_0, state_1) = (answered(&mut kv, &read_0), answered(&mut kv, &read_1));
        let (cas_0, cas_1) = (n0.give_line(&state_0), n1.give_line(&state_1));
        // Then both write.
        let (first, second) = (n0.settle(&mut kv, cas_0), n1.settle(&mut kv, cas_1));

        let first = message(&first[0])["body"]["offset"].as_i64().unwrap();
        let second = message(&second[0])["body"]["offset"].as_i64().unwrap();
        assert_eq!(second, first + 1);
        assert_eq!(kv.cas_count, 3);
        let sent = kv.values["log a"].as_array().unwrap();
        assert_eq!(sent[sent.len() - 2..], [json!([first, 1]), json!([second, 2])]);
    }
}

#[test]
fn of_two_commits_at_once_the_higher_one_stays() {
    let commit = |offset: i64| json!({"type": "commit_offsets", "offsets": {"a": offset}});
    let mut kv = FakeLinKv::default();
    let (mut n0, mut n1) = (lin_kv(), lin_kv());
    let (read_0, read_1) = (n0.give(commit(5)), n1.give(commit(3)));
    let (state_0, state_1) = (answered(&mut kv, &read_0), answered(&mut kv, &read_1));
    let (cas_0, cas_1) = (n0.give_line(&state_0), n1.give_line(&state_1));
    n0.settle(&mut kv, cas_0);
    let reply = n1.settle(&mut kv, cas_1);
    assert_eq!(message(&reply[0])["body"]["type"], "commit_offsets_ok");
    assert_eq!(kv.values["committed a"], 5);
}

#[test]
fn a_send_whose_cas_was_executed_but_not_answered_is_neither_repeated_nor_answered() {
    let mut kv = FakeLinKv::default();
    let mut n0 = lin_kv();
    let read = n0.give(send("a", 1));
    let state = answered(&mut kv, &read);
    let cas = n0.give_line(&state);
    let lost = answered(&mut kv, &cas);

    assert!(n0.wait_until(6 * SECOND_NS).is_empty());
    assert_eq!(n0.node.next_timer(), None);
    assert!(n0.give_line(&lost).is_empty(), "the client is gone");
    assert_eq!(n0.ask_with(&mut kv, poll("a"))["msgs"]["a"], json!([[0, 1]]));
}

#[test]
fn an_answer_that_comes_when_the_client_is_gone_is_ignored_without_a_timer_too() {
    let mut kv = FakeLinKv::default();
    let mut n0 = lin_kv();
    let read = n0.give(poll("a"));
    let state = answered(&mut kv, &read);
    n0.now_ns = 5 * SECOND_NS;
    assert!(n0.give_line(&state).is_empty());
}

#[test]
fn an_answer_to_a_node_before_it_was_killed_is_not_taken_for_another() {
    let mut kv = FakeLinKv::default();
    let mut n0 = lin_kv();
    let read = n0.give(poll("a"));
    let stale = answered(&mut kv, &read);

    let mut n0 = Bench::named("n0", Storage::LinKv, &[], SECOND_NS);
    Bench::named("n1", Storage::LinKv, &[], 0).ask_with(&mut kv, send("a", 1));
    let read = n0.give(poll("a"));
    assert!(n0.give_line(&stale).is_empty());
    let replies = n0.settle(&mut kv, read);
    assert_eq!(message(&replies[0])["body"]["msgs"]["a"], json!([[0, 1]]));
}

#[test]
fn an_answer_of_anyone_else_is_ignored() {
    let mut kv = FakeLinKv::default();
    let mut n0 = lin_kv();
    let read = n0.give(poll("a"));
    let forged = answered(&mut kv, &read).replace(r#""src":"lin-kv""#, r#""src":"n1""#);
    assert!(n0.give_line(&forged).is_empty());
    assert_eq!(n0.settle(&mut kv, read).len(), 1);
}

#[test]
fn an_error_that_the_service_does_not_promise_leaves_the_outcome_unknown() {
    let mut n0 = lin_kv();
    let read = message(&n0.give(send("a", 1))[0]);
    let body = json!({"type": "error", "code": 11, "in_reply_to": read["body"]["msg_id"]});
    let answer = json!({"src": "lin-kv", "dest": "n0", "body": body});
    let replies = n0.give_line(&answer.to_string());
    assert_eq!(n0.reply(&replies[0])["code"], 13);
    assert_eq!(n0.node.next_timer(), None);
}

#[test]
fn a_poll_reads_its_keys_at_once() {
    let mut n0 = lin_kv();
    let calls = n0.give(json!({"type": "poll", "offsets": {"a": 0, "b": 0, "c": 0}}));
    assert_eq!(calls.len(), 3);
}
