//! `history.jsonl`: a history as one JSON object a line, written and read. Never judges.
//!
//! The first line names the format; then come the operations in the order of their invocation, the
//! faults, the violations, and a line that says whether the run came to its end. `docs/history.md`
//! documents the fields. Keys are numbers; on the wire a key is its number as a string.

use std::borrow::Cow;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::history::{Action, Crash, Fault, History, KeyId, Message, Offset, Operation, Violation};

/// The format's name and version.
const FORMAT: &str = "straum-history-1";

/// The highest key that is read: keys are counted from 0, so a higher one is a mistake.
const MAX_KEY: KeyId = 10_000_000;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Format(Cow<'a, str>),
    Operation(Cow<'a, Operation>),
    Fault(Cow<'a, Fault>),
    Violation(Cow<'a, Violation>),
    Finished(bool),
    Crash(Cow<'a, Crash>),
}

/// Writes a history.
///
/// # Errors
/// Those of `output`.
pub fn write(history: &History, output: &mut impl Write) -> io::Result<()> {
    let mut line = |line: Line<'_>| -> io::Result<()> {
        serde_json::to_writer(&mut *output, &line)?;
        output.write_all(b"\n")
    };
    line(Line::Format(FORMAT.into()))?;
    for operation in &history.operations {
        line(Line::Operation(Cow::Borrowed(operation)))?;
    }
    for fault in &history.faults {
        line(Line::Fault(Cow::Borrowed(fault)))?;
    }
    for violation in &history.violations {
        line(Line::Violation(Cow::Borrowed(violation)))?;
    }
    if let Some(crash) = &history.crash {
        line(Line::Crash(Cow::Borrowed(crash)))?;
    }
    line(Line::Finished(history.finished))
}

/// Reads a history. One that was cut off between two lines is read as a run that did not finish.
///
/// # Errors
/// Those of `input`, and [`io::ErrorKind::InvalidData`] with the number of the first line that is not
/// what it should be.
pub fn read(input: impl BufRead) -> io::Result<History> {
    let mut history = History::default();
    let mut last_key = None;
    for (number, text) in (1..).zip(input.lines()) {
        let text = text?;
        let line: Line<'_> =
            serde_json::from_str(&text).map_err(|error| invalid(number, &format!("{error}")))?;
        match line {
            Line::Format(format) if number == 1 && format == FORMAT => {}
            _ if number == 1 => return Err(invalid(1, &format!("it does not name {FORMAT}"))),
            Line::Format(_) => return Err(invalid(number, "a second first line")),
            Line::Operation(operation) => {
                let highest = operation.action.keys().into_iter().max();
                if highest.is_some_and(|key| key > MAX_KEY) {
                    return Err(invalid(number, &format!("a key is above {MAX_KEY}")));
                }
                last_key = last_key.max(highest);
                history.operations.push(operation.into_owned());
            }
            Line::Fault(fault) => history.faults.push(fault.into_owned()),
            Line::Violation(violation) => history.violations.push(violation.into_owned()),
            Line::Finished(finished) => history.finished = finished,
            Line::Crash(crash) => history.crash = Some(crash.into_owned()),
        }
    }
    history.keys = (0..last_key.map_or(0, |last| last + 1)).map(|key| key.to_string()).collect();
    Ok(history)
}

fn invalid(number: u64, reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {number}: {reason}"))
}

impl Action {
    /// The keys that it names, in the question or in the answer; some may be there twice.
    pub fn keys(&self) -> Vec<KeyId> {
        let of = |pairs: &[(KeyId, Offset)]| -> Vec<KeyId> {
            pairs.iter().map(|(key, _)| *key).collect()
        };
        match self {
            Self::Send { key, .. } => vec![*key],
            Self::Poll { from, messages } => {
                let answered = messages.iter().map(|(key, _)| *key);
                of(from).into_iter().chain(answered).collect()
            }
            Self::Commit { offsets } => of(offsets),
            Self::Assign { keys, committed, positions, .. } => {
                [&keys[..], &of(committed), &of(positions)].concat()
            }
            Self::Crash => Vec::new(),
        }
    }
}

/// A message stands in a history as the JSON that it came as.
impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Foreign(json) => RawValue::from_string(json.to_string())
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match raw.get().parse() {
            Ok(value) => Self::Value(value),
            Err(_) => Self::Foreign(raw.get().into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Error, Outcome, Rule};

    fn operation(action: Action, outcome: Outcome) -> Operation {
        Operation {
            process: 3,
            node: 1,
            group: None,
            last: false,
            invoked_ns: 10,
            completed_ns: 20,
            outcome,
            action,
        }
    }

    fn example() -> History {
        let error = Error { code: 0, text: "no answer in 5 s".into() };
        let messages =
            vec![(0, vec![(0, Message::Value(5)), (2, Message::Foreign(r#"{"a": 1.50}"#.into()))])];
        let committed = vec![(1, 4)];
        History {
            keys: vec!["0".into(), "1".into()],
            operations: vec![
                operation(Action::Send { key: 1, value: 7, offset: Some(0) }, Outcome::Ok),
                operation(Action::Send { key: 1, value: 8, offset: None }, Outcome::Info(error)),
                operation(Action::Poll { from: vec![(0, 0)], messages }, Outcome::Ok),
                operation(Action::Commit { offsets: vec![(0, 2)] }, Outcome::Ok),
                operation(
                    Action::Assign {
                        keys: vec![1],
                        from_beginning: false,
                        positions: vec![(1, 5)],
                        committed,
                    },
                    Outcome::Ok,
                ),
                Operation { group: Some(1), last: true, ..operation(Action::Crash, Outcome::Ok) },
            ],
            faults: vec![Fault {
                kind: "kill".into(),
                detail: "n0".into(),
                from_ns: 1,
                until_ns: Some(2),
            }],
            violations: vec![Violation {
                at_ns: 5,
                node: 0,
                line_number: 9,
                rule: Rule::NotJson,
                text: "it is not a JSON object".into(),
                line: "starting…".into(),
            }],
            finished: true,
            crash: Some(Crash { node: 0, text: "ended by itself".into() }),
        }
    }

    fn written(history: &History) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(history, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let history = example();
        assert_eq!(read(&written(&history)[..]).unwrap(), history);
    }

    #[test]
    fn a_history_that_was_cut_off_did_not_finish() {
        let text = String::from_utf8(written(&example())).unwrap();
        let lines: Vec<&str> = text.lines().take(4).collect();
        let history = read(lines.join("\n").as_bytes()).unwrap();
        assert_eq!((history.operations.len(), history.finished), (3, false));
    }

    const KEY_TOO_HIGH: &str = r#"{"format":"straum-history-1"}
{"operation":{"process":1,"node":0,"invoked_ns":1,"completed_ns":2,"outcome":"ok","action":{"poll":{"from":[],"messages":[[4294967295,[]]]}}}}"#;

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for (text, says) in [
            ("{\"format\":\"other\"}\n", "line 1: it does not name straum-history-1"),
            ("{\"format\":\"straum-history-1\"}\n{\"operation\":{}}\n", "line 2: missing field"),
            ("{\"format\":\"straum-history-1\"}\n\n", "line 2"),
            (KEY_TOO_HIGH, "line 2: a key is above 10000000"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }
}
