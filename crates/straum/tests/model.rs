//! Holds the engine against the simplest possible one, a map of vectors, under random sequences of
//! the four operations. Never looks inside the engine.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use straum::files::simulated::SimulatedFiles;
use straum::journal::disk::Settings;
use straum::{Engine, Journal, MESSAGE_OVERHEAD_BYTES, MemoryJournal, Offset, Retention};

#[derive(Clone, Debug)]
enum Operation {
    Send { key: String, message: Vec<u8> },
    Commit { key: String, offset: Offset },
    Poll { wanted: Vec<(String, Offset)>, max_bytes: u64 },
    Sync,
}

/// The specification: what each operation means, with no thought for speed or memory.
#[derive(Debug, Default)]
struct Model {
    logs: BTreeMap<String, Vec<Vec<u8>>>,
    committed: BTreeMap<String, Offset>,
}

impl Model {
    fn send(&mut self, key: &str, message: &[u8]) -> Offset {
        let log = self.logs.entry(key.into()).or_default();
        log.push(message.to_vec());
        log.len() as Offset - 1
    }

    fn commit(&mut self, key: &str, offset: Offset) {
        if let Some(log) = self.logs.get(key) {
            let offset = offset.min(log.len() as Offset - 1);
            let committed = self.committed.entry(key.into()).or_default();
            *committed = offset.max(*committed);
        }
    }

    fn from(&self, key: &str, offset: Offset) -> Vec<(Offset, Vec<u8>)> {
        let log = self.logs.get(key).map_or(&[][..], Vec::as_slice);
        (0..).zip(log.iter().cloned()).skip_while(|(at, _)| *at < offset).collect()
    }
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-c]", 1 => any::<String>()]
}

fn offset() -> impl Strategy<Value = Offset> {
    prop_oneof![8 => 0..40_u64, 1 => any::<u64>()]
}

fn operation() -> impl Strategy<Value = Operation> {
    // Some messages are larger than a chunk, so that chunks of every kind come up.
    let length = prop_oneof![8 => 0..40_usize, 1 => 20_000..80_000_usize];
    let message = (any::<u8>(), length).prop_map(|(byte, length)| vec![byte; length]);
    let max_bytes = prop_oneof![Just(u64::MAX), 0..2_000_u64, 0..200_000_u64];
    prop_oneof![
        8 => (key(), message).prop_map(|(key, message)| Operation::Send { key, message }),
        2 => (key(), offset()).prop_map(|(key, offset)| Operation::Commit { key, offset }),
        4 => (vec((key(), offset()), 0..5), max_bytes)
            .prop_map(|(wanted, max_bytes)| Operation::Poll { wanted, max_bytes }),
        1 => Just(Operation::Sync),
    ]
}

fn check_poll(
    engine: &Engine<impl Journal>,
    model: &Model,
    wanted: &[(String, Offset)],
    max_bytes: u64,
) {
    let polled = engine.poll(wanted, max_bytes).unwrap();
    let mut polled = polled.iter();
    let mut bounded_bytes = 0;
    let mut wished_bytes = wanted.len() as u64;
    let mut held_back = false;
    for (key, offset) in wanted {
        let expected = model.from(key, *offset);
        if expected.is_empty() {
            continue;
        }
        let log = polled.next().expect("a log with messages is never left out");
        assert_eq!(log.key, key);
        let got: Vec<_> = log.messages().map(|(at, message)| (at, message.to_vec())).collect();
        assert!(!got.is_empty(), "at least one, however large");
        assert_eq!(got, expected[..got.len()], "contiguous, in order, from the wanted offset on");
        let cost = |messages: &[(Offset, Vec<u8>)]| -> u64 {
            messages.iter().map(|(_, message)| message.len() as u64 + MESSAGE_OVERHEAD_BYTES).sum()
        };
        if got.len() > 1 {
            bounded_bytes += cost(&got);
        }
        wished_bytes += cost(&expected[..expected.len().min(got.len() + 1)]);
        held_back |= got.len() < expected.len();
    }
    assert!(polled.next().is_none(), "a log without messages is left out");
    assert!(bounded_bytes <= max_bytes, "only a log's first message may exceed the bound");
    assert!(!held_back || wished_bytes > max_bytes, "one more of each would have been too much");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_is_a_map_of_vectors(operations in vec(operation(), 0..200)) {
        check(Engine::<MemoryJournal>::default(), operations, |engine| engine)?;
    }

    /// Every sync may be followed by the end of the process, and a new start from the files.
    #[test]
    fn an_engine_on_disk_is_a_map_of_vectors_across_restarts(
        operations in vec(operation(), 0..200),
        restarts in vec(any::<bool>(), 1..20),
    ) {
        let files = SimulatedFiles::new(0);
        let open = || Engine::open(files.clone(), settings()).unwrap().0;
        let mut restarts = restarts.into_iter().cycle();
        check(open(), operations, |engine| if restarts.next().unwrap() { open() } else { engine })?;
    }
}

/// Room for the largest message of these tests and little more, so that there are many segments.
const SEGMENT_BYTES: u32 = 100_000;

fn settings() -> Settings {
    Settings { segment_bytes: SEGMENT_BYTES, retention: Retention::default(), now_ms: || 0 }
}

/// Holds an engine against the model; `synced` may put another in its place after each sync.
fn check<J: Journal>(
    mut engine: Engine<J>,
    operations: Vec<Operation>,
    mut synced: impl FnMut(Engine<J>) -> Engine<J>,
) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    for operation in operations {
        match operation {
            Operation::Send { key, message } => {
                prop_assert_eq!(engine.send(&key, &message), Ok(model.send(&key, &message)));
            }
            Operation::Commit { key, offset } => {
                engine.commit(&[(&key, offset)]).unwrap();
                model.commit(&key, offset);
            }
            Operation::Poll { wanted, max_bytes } => {
                check_poll(&engine, &model, &wanted, max_bytes);
            }
            Operation::Sync => {
                engine.sync().unwrap();
                engine = synced(engine);
            }
        }
        for key in model.logs.keys() {
            prop_assert_eq!(engine.committed(key), model.committed.get(key).copied());
        }
    }
    Ok(())
}
