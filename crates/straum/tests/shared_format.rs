//! The bytes of the shared journal: they are those of `docs/shared-format.md` and stay it, what is written is read
//! back, and any bytes are read without a panic. Never touches a store.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use straum::Command;
use straum::journal::format::write_command;
use straum::shared::format::{
    Batch, Garbage, Message, VERSION, read_entry, read_run, write_entry, write_run,
};

use common::{document, shown};

#[derive(Clone, Debug)]
enum Owned {
    Send(String, Vec<u8>),
    Commit(String, u64),
}

fn command() -> impl Strategy<Value = Owned> {
    prop_oneof![
        (".{0,8}", vec(any::<u8>(), 0..40)).prop_map(|(key, message)| Owned::Send(key, message)),
        (".{0,8}", any::<u64>()).prop_map(|(key, offset)| Owned::Commit(key, offset)),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    vec(command(), 1..5).prop_map(|commands| {
        let commands = commands.iter().map(|command| match command {
            Owned::Send(key, message) => Command::Send { key, message },
            Owned::Commit(key, offset) => Command::Commit { key, offset: *offset },
        });
        payload_of(&commands.collect::<Vec<_>>())
    })
}

fn batches() -> impl Strategy<Value = Vec<(u64, u64, Vec<u8>)>> {
    vec((any::<u64>(), 1..u64::MAX, payload()), 1..4)
}

fn entry_of(batches: &[(u64, u64, Vec<u8>)]) -> Vec<u8> {
    let bytes: Vec<_> = batches
        .iter()
        .map(|(instance, seq, payload)| {
            Batch { instance: *instance, seq: *seq, payload }.to_bytes()
        })
        .collect();
    write_entry(bytes.iter().map(Vec::as_slice))
}

proptest! {
    #[test]
    fn an_entry_is_read_as_it_was_written(batches in batches()) {
        let entry = entry_of(&batches);
        let read = read_entry(&entry).unwrap();
        let read: Vec<_> =
            read.iter().map(|one| (one.instance, one.seq, one.payload.to_vec())).collect();
        prop_assert_eq!(read, batches);
    }

    #[test]
    fn a_run_is_read_as_it_was_written(entries in vec(vec(any::<u8>(), 0..50), 0..10)) {
        let run = write_run(entries.iter().map(Vec::as_slice));
        prop_assert_eq!(read_run(&run).unwrap(), entries);
    }

    #[test]
    fn a_message_is_read_as_it_was_written(
        position in any::<u64>(),
        entry in vec(any::<u8>(), 0..50),
        seq in 1..u64::MAX,
        payload in payload(),
    ) {
        let batch = Batch { instance: position, seq, payload: &payload };
        let tell = Message::Tell { position, entry: &entry };
        for message in [tell, Message::Forward(batch), Message::Alive] {
            let bytes = message.to_bytes();
            prop_assert_eq!(Message::read(&bytes).unwrap(), message);
        }
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_garbage(batches in batches(), at in any::<proptest::sample::Index>()) {
        let entry = entry_of(&batches);
        let whole: Vec<usize> = (1..=batches.len()).map(|n| entry_of(&batches[..n]).len()).collect();
        let cut = at.index(entry.len());
        prop_assert_eq!(read_entry(&entry[..cut]).is_ok(), whole.contains(&cut));
        let mut longer = entry;
        longer.push(0);
        prop_assert!(read_entry(&longer).is_err());
    }

    /// Garbage that begins well gets further.
    #[test]
    fn any_bytes_are_read_without_a_panic(
        bytes in prop_oneof![
            vec(any::<u8>(), 0..200),
            (Just(VERSION), 0_u8..4, vec(any::<u8>(), 0..200))
                .prop_map(|(version, kind, rest)| [vec![version, kind], rest].concat()),
            (batches(), any::<proptest::sample::Index>(), any::<u8>()).prop_map(|(batches, at, byte)| {
                let mut entry = entry_of(&batches);
                let at = at.index(entry.len());
                entry[at] = byte;
                entry
            }),
        ]
    ) {
        if let Ok(batches) = read_entry(&bytes) {
            let commands: usize = batches.iter().map(|batch| batch.commands().count()).sum();
            prop_assert!(commands >= batches.len());
        }
        read_run(&bytes).ok();
        Message::read(&bytes).ok();
    }
}

#[test]
fn a_version_to_come_is_told_from_garbage() {
    assert_eq!(read_entry(&[2, 0]), Err(Garbage::Version(2)));
    assert_eq!(read_run(&[0]), Err(Garbage::Version(0)));
    assert_eq!(Message::read(&[9]), Err(Garbage::Version(9)));
    assert_eq!(read_entry(&[]), Err(Garbage::Malformed));
    assert_eq!(read_entry(&[VERSION]), Err(Garbage::Malformed), "an entry holds something");
}

/// The bytes of the example under a heading of the page.
fn example(of: &str) -> Vec<u8> {
    let page = document("shared-format.md");
    let (_, section) = page.split_once(&format!("## An example of {of}\n")).unwrap();
    shown(section.split("\n## ").next().unwrap())
}

fn payload_of(commands: &[Command<'_>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for command in commands {
        write_command(*command, &mut payload);
    }
    payload
}

#[test]
fn the_examples_of_the_page_are_what_is_written_today_and_are_read() {
    let first =
        [Command::Send { key: "k", message: b"1" }, Command::Commit { key: "clé", offset: 9 }];
    let (first, second) =
        (payload_of(&first), payload_of(&[Command::Send { key: "k", message: b"" }]));
    let first = Batch { instance: 0x1122_3344_5566_7788, seq: 1, payload: &first };
    let second = Batch { instance: 0x0102_0304_0506_0708, seq: 7, payload: &second };

    let entry = example("an entry");
    let (bytes, small) = ([first, second].map(|batch| batch.to_bytes()), second.to_bytes());
    assert_eq!(write_entry(bytes.iter().map(Vec::as_slice)), entry);
    assert_eq!(read_entry(&entry).unwrap(), [first, second]);

    let (run, small) = (example("a run"), write_entry([small.as_slice()]));
    assert_eq!(write_run([small.as_slice(), &small]), run);
    assert_eq!(read_run(&run).unwrap(), [&small, &small]);

    for (of, message) in [
        ("a tell", Message::Tell { position: 5, entry: &small }),
        ("a forward", Message::Forward(second)),
        ("a sign of life", Message::Alive),
    ] {
        assert_eq!(message.to_bytes(), example(of), "{of}");
        assert_eq!(Message::read(&example(of)).unwrap(), message, "{of}");
    }
}
