//! Measuring, on histories of a few lines.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use straum_check::history::{Action, Error, History, Message, Operation, Outcome};
use straum_check::measure::{Measures, OperationKind, Outcomes, measure};
use straum_check::time::{MILLISECOND, Nanos};

fn operation(invoked_ms: Nanos, completed_ms: Nanos, action: Action) -> Operation {
    Operation {
        process: 0,
        node: 0,
        group: None,
        last: false,
        invoked_ns: invoked_ms * MILLISECOND,
        completed_ns: completed_ms * MILLISECOND,
        outcome: Outcome::Ok,
        action,
    }
}

fn send(offset: i64) -> Action {
    Action::Send { key: 0, value: 7, offset: Some(offset) }
}

fn poll(from: i64, offsets: &[i64]) -> Action {
    let messages = offsets.iter().map(|offset| (*offset, Message::Value(7))).collect();
    Action::Poll { from: vec![(0, from)], messages: vec![(0, messages)] }
}

fn assign(from_beginning: bool) -> Action {
    Action::Assign { keys: vec![0], from_beginning, committed: vec![], positions: vec![(0, 0)] }
}

fn timed_out(mut operation: Operation) -> Operation {
    operation.outcome = Outcome::Info(Error { code: 0, text: "no answer".to_owned() });
    operation
}

fn measured(operations: Vec<Operation>) -> Measures {
    measure(&History { keys: vec!["a".to_owned()], operations, ..History::default() })
}

fn worst_lag_ms(operations: Vec<Operation>) -> Option<f64> {
    measured(operations).worst_lag.map(|lag| lag.lag_ms)
}

#[test]
fn without_operations_there_is_nothing_to_tell() {
    let measures = measured(vec![]);
    assert_eq!(measures.ok_fraction, None);
    assert!(measures.latencies.is_empty());
    assert_eq!(measures.worst_lag, None);
    assert_eq!(measures.series.rates.ok_per_s, [0.0]);
}

#[test]
fn what_asks_no_node_counts_for_itself_only() {
    let mut refused = operation(1, 2, send(0));
    refused.outcome = Outcome::Fail(Error { code: 11, text: "not now".to_owned() });
    let measures = measured(vec![
        operation(0, 1, send(0)),
        refused,
        timed_out(operation(2, 5_002, poll(0, &[]))),
        operation(3, 3, Action::Crash),
        operation(3, 3, assign(true)),
        operation(4, 5, assign(false)),
    ]);
    assert_eq!(measures.operations[&OperationKind::Send], Outcomes { ok: 1, fail: 1, info: 0 });
    assert_eq!(measures.operations[&OperationKind::Crash], Outcomes { ok: 1, fail: 0, info: 0 });
    assert_eq!(measures.operations[&OperationKind::Assign], Outcomes { ok: 2, fail: 0, info: 0 });
    assert_eq!(measures.latencies[&OperationKind::Assign].count, 1);
    assert_eq!(measures.all_operations, Outcomes { ok: 2, fail: 1, info: 1 });
    assert_eq!(measures.ok_fraction, Some(0.5));
}

#[test]
fn percentiles_are_measured_values_of_good_answers() {
    let mut operations: Vec<Operation> =
        (1..=200).map(|took| operation(0, took, send(0))).collect();
    operations.push(timed_out(operation(0, 5_000, send(0))));
    let latency = measured(operations).latencies[&OperationKind::Send];
    assert_eq!(latency.count, 200);
    let told = [latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms];
    assert_eq!(told.map(Some), [100.0, 190.0, 198.0, 200.0].map(Some));
}

#[test]
fn a_poll_that_sees_the_last_message_has_no_lag() {
    assert_eq!(worst_lag_ms(vec![operation(0, 1, send(0)), operation(2, 3, poll(0, &[0]))]), None);
}

/// The example in the definition of Jepsen's `realtime-lag`.
#[test]
fn lag_counts_from_the_acknowledgement_to_the_request() {
    let lag_ms = worst_lag_ms(vec![
        operation(0, 1, send(0)),
        operation(1, 2, poll(0, &[0])),
        operation(2, 3, send(1)),
        operation(4, 5, poll(1, &[])),
    ]);
    assert_eq!(lag_ms, Some(1.0));
}

#[test]
fn what_another_poll_saw_is_known_too() {
    let lag_ms = worst_lag_ms(vec![
        timed_out(operation(0, 5_000, send(3))),
        operation(1, 2, poll(3, &[3])),
        operation(12, 13, poll(3, &[])),
    ]);
    assert_eq!(lag_ms, Some(10.0));
}

#[test]
fn an_unknown_send_and_one_acknowledged_after_the_request_make_no_lag() {
    let lag_ms = worst_lag_ms(vec![
        timed_out(operation(0, 1, send(0))),
        operation(2, 9, send(1)),
        operation(5, 6, poll(0, &[])),
    ]);
    assert_eq!(lag_ms, None);
}

#[test]
fn lag_counts_from_the_first_of_several_later_offsets() {
    let lag_ms = worst_lag_ms(vec![
        operation(0, 1, send(0)),
        operation(0, 4, send(1)),
        operation(0, 8, send(2)),
        operation(10, 11, poll(1, &[])),
    ]);
    assert_eq!(lag_ms, Some(6.0));
}

#[test]
fn final_polls_start_over_and_do_not_lag() {
    let mut last = operation(1_000, 1_001, poll(0, &[0]));
    last.last = true;
    let operations = vec![operation(0, 1, send(0)), operation(1, 2, send(1)), last];
    assert_eq!(worst_lag_ms(operations), None);
}

#[test]
fn a_series_has_every_operation_once_and_no_more_than_200_elements() {
    let operations: Vec<Operation> =
        (0..1_000).map(|i| operation(i * 61, i * 61 + 5, send(0))).collect();
    let series = measured(operations).series;
    assert_eq!(series.bucket_ms, 500);
    assert_eq!(series.len(), 121);
    let whole: f64 = series.rates.ok_per_s[..120].iter().map(|rate| rate * 0.5).sum();
    let rest = series.rates.ok_per_s[120] * (60.944 - 60.0);
    assert!((whole + rest - 1_000.0).abs() < 1e-6, "{whole} {rest}");
    assert_eq!(series.latencies[&OperationKind::Send].p99_ms[0], Some(5.0));
}

#[test]
fn the_final_polls_are_no_part_of_a_rate() {
    let mut last = operation(1_500, 1_501, poll(0, &[0]));
    last.last = true;
    let measures = measured(vec![operation(0, 1, send(0)), operation(1, 2, assign(true)), last]);
    assert_eq!(measures.all_operations.sum(), 2);
    assert_eq!(measures.workload_operations, 1);
    let series = measures.series;
    assert_eq!(series.rates.ok_per_s.iter().filter(|rate| **rate > 0.0).count(), 1);
    assert_eq!(series.latencies[&OperationKind::Poll].p99_ms.iter().flatten().count(), 1);
}

#[test]
fn a_span_without_answers_has_no_latency() {
    let series = measured(vec![operation(0, 1, send(0)), operation(1_900, 2_000, send(1))]).series;
    let latencies = &series.latencies[&OperationKind::Send].p50_ms;
    assert_eq!(latencies.iter().flatten().count(), 2);
    assert!(latencies.len() > 100);
}
