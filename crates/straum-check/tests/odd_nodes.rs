//! Nodes that are odd in ways that once fooled the run or the judge, on a virtual clock. Never runs a
//! process.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::cell::Cell;
use std::rc::Rc;

use serde_json::{Value, json};
use straum_check::cluster::simulated::{Node, Simulated};
use straum_check::fault;
use straum_check::history::Outcome;
use straum_check::run::{Record, Settings, run};
use straum_check::time::{MILLISECOND, Nanos};

/// A node that is a function from a request's sender and body to the messages that it sends.
struct Odd<F>(F);

impl<F: FnMut(&str, &Value) -> Vec<(String, Value)>> Node for Odd<F> {
    fn receive(&mut self, _now: Nanos, line: &[u8], out: &mut Vec<Vec<u8>>) {
        let message: Value = serde_json::from_slice(line).unwrap();
        for (dest, body) in self.0(message["src"].as_str().unwrap(), &message["body"]) {
            out.push(json!({"src": "n0", "dest": dest, "body": body}).to_string().into());
        }
    }

    fn next_timer(&self) -> Option<Nanos> {
        None
    }

    fn on_timer(&mut self, _now: Nanos, _out: &mut Vec<Vec<u8>>) {}
}

fn reply(to: &str, request: &Value, mut body: Value) -> (String, Value) {
    body["in_reply_to"] = request["msg_id"].clone();
    (to.to_owned(), body)
}

fn simulate(settings: &Settings, make: impl FnMut(usize) -> Box<dyn Node> + 'static) -> Record {
    run(settings, &mut Simulated::new(1, make), &mut ()).unwrap()
}

/// It keeps the length of each log, and says that the message at an offset is the offset.
#[test]
fn a_node_that_stores_nothing_cannot_guess_the_messages() {
    let record = simulate(&common::settings(1), |_| {
        let mut lengths = std::collections::HashMap::<String, u64>::new();
        Box::new(Odd(move |src: &str, request: &Value| {
            let body = match request["type"].as_str().unwrap() {
                "init" => json!({"type": "init_ok"}),
                "send" => {
                    let length = lengths.entry(request["key"].to_string()).or_default();
                    *length += 1;
                    json!({"type": "send_ok", "offset": *length - 1})
                }
                "poll" => {
                    let offsets = request["offsets"].as_object().unwrap().iter();
                    let messages = |(key, from): (&String, &Value)| {
                        let length = lengths.get(&format!("{key:?}")).copied().unwrap_or(0);
                        let pairs: Vec<_> =
                            (from.as_u64().unwrap()..length).map(|o| json!([o, o])).collect();
                        (key.clone(), Value::from(pairs))
                    };
                    let msgs: serde_json::Map<_, _> = offsets.map(messages).collect();
                    json!({"type": "poll_ok", "msgs": msgs})
                }
                "commit_offsets" => json!({"type": "commit_offsets_ok"}),
                _ => json!({"type": "list_committed_offsets_ok", "offsets": {}}),
            };
            vec![reply(src, request, body)]
        }))
    });
    let names = common::names(&common::verdict(&record));
    assert!(names.contains(&"invented") && names.contains(&"lost-write"), "{names:?}");
}

/// Each life asks the service one thing, as number 1, and would mistake any other answer for its own.
#[test]
fn an_answer_to_an_earlier_life_does_not_reach_the_next_one() {
    let settings = Settings {
        faults: vec![fault::Kind::Kill],
        fault_interval_ns: 100 * MILLISECOND,
        ..common::settings(2)
    };
    let mut settings = settings;
    common::latency(&mut settings, 150);
    let lives = Rc::new(Cell::new(0));
    let answered = Rc::new(Cell::new(0));
    let (counted, heard) = (Rc::clone(&lives), Rc::clone(&answered));
    simulate(&settings, move |_| {
        counted.set(counted.get() + 1);
        let life = counted.get();
        let heard = Rc::clone(&heard);
        Box::new(Odd(move |src: &str, request: &Value| match request["type"].as_str().unwrap() {
            "init" => {
                let write = json!({"type": "write", "msg_id": 1, "key": life, "value": life});
                let read = json!({"type": "read", "msg_id": 1, "key": life});
                let ask = if life % 2 == 0 { write } else { read };
                let ok = reply(src, request, json!({"type": "init_ok"}));
                vec![ok, ("lin-kv".to_owned(), ask)]
            }
            answer if src == "lin-kv" => {
                assert_eq!(answer, if life % 2 == 0 { "write_ok" } else { "error" });
                heard.set(heard.get() + 1);
                vec![]
            }
            _ => vec![reply(src, request, json!({"type": "error", "code": 11, "text": ""}))],
        }))
    });
    assert!(lives.get() > 10 && answered.get() > 0);
}

/// A client that is refused does not ask again and again without a pause.
#[test]
fn a_node_that_refuses_everything_does_not_raise_the_rate() {
    let settings = common::settings(3);
    let record = simulate(&settings, |_| {
        Box::new(Odd(|src: &str, request: &Value| {
            let init = request["type"] == "init";
            let refusal = json!({"type": "error", "code": 11, "text": "not now"});
            vec![reply(src, request, if init { json!({"type": "init_ok"}) } else { refusal })]
        }))
    });
    let mut operations = record.history.operations.iter();
    let in_workload = operations.clone().filter(|operation| !operation.last).count();
    assert!((700..1_000).contains(&in_workload), "{in_workload} at 100/s in 8 s");
    assert!(operations.any(|operation| matches!(operation.outcome, Outcome::Fail(_))));
    assert!(common::names(&common::verdict(&record)).contains(&"never-succeeds"));
}
