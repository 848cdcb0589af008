//! Damage to the files of a journal, byte by byte: each start either recovers what was acknowledged before
//! the damage, or refuses with an error that names file and byte. Never a panic, never a wrong message.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::Path;

use straum::Engine;
use straum::files::real::RealFiles;
use straum::journal::disk::{DiskJournal, OpenError};
use tempfile::TempDir;

type Disk = Engine<DiskJournal<RealFiles>>;

const SEGMENT_BYTES: u32 = 512;
const FIRST: &str = "00000000000000000000.segment";

type Opened = Result<(Disk, Option<(String, u64)>), OpenError>;

fn open(folder: &Path) -> Opened {
    Disk::open(RealFiles::open(folder).unwrap(), SEGMENT_BYTES)
}

/// A journal of some entries, in one segment or more, and its messages.
fn journal(messages: usize) -> (TempDir, Vec<Vec<u8>>) {
    let folder = TempDir::new().unwrap();
    let (mut engine, _) = open(folder.path()).unwrap();
    for n in 0..messages {
        engine.send("k", format!("message {n}").as_bytes()).unwrap();
        engine.sync().unwrap();
    }
    let messages = log(&engine);
    (folder, messages)
}

fn log(engine: &Disk) -> Vec<Vec<u8>> {
    let logs = engine.poll(&[("k", 0)], u64::MAX);
    logs.flat_map(|log| log.messages).map(|(_, message)| message.to_vec()).collect()
}

/// The names and contents of the segments.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// What a damaged journal makes of a start: a first part of the messages, or a refusal.
fn check(folder: &Path, messages: &[Vec<u8>], told: &str) -> Option<OpenError> {
    let before = files(folder);
    match open(folder) {
        Ok((engine, cut)) => {
            let recovered = log(&engine);
            assert!(messages.starts_with(&recovered), "{told}: {recovered:?}");
            let whole = recovered.len() == messages.len();
            assert!(whole || cut.is_some(), "{told}: lost without a word");
            drop(engine);
            let (again, cut) = open(folder).unwrap();
            assert_eq!((log(&again), cut), (recovered, None), "{told}: not the same again");
            None
        }
        Err(error) => {
            assert_eq!(files(folder), before, "{told}: changed though refused");
            Some(error)
        }
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    let (folder, messages) = journal(40);
    let segments = files(folder.path());
    assert!(segments.len() > 2);
    for (index, (name, good)) in segments.iter().enumerate() {
        for byte in 0..good.len() {
            for (other, content) in &segments {
                fs::write(folder.path().join(other), content).unwrap();
            }
            let mut bad = good.clone();
            bad[byte] ^= 0x55;
            fs::write(folder.path().join(name), &bad).unwrap();
            let told = format!("{name}, byte {byte}");
            let refused = check(folder.path(), &messages, &told);
            let last = index + 1 == segments.len();
            assert!(last || refused.is_some(), "{told}: damage before the end was accepted");
            if let Some(OpenError::Damaged { file, byte: at }) = refused {
                assert!(file == *name && at <= byte as u64, "{told}: blamed {file} at {at}");
            }
        }
    }
}

/// A crash never makes a segment shorter: its size is durable before it has its name.
#[test]
fn a_segment_that_is_shorter_or_longer_than_it_was_is_damage() {
    let (folder, messages) = journal(6);
    let good = fs::read(folder.path().join(FIRST)).unwrap();
    for length in 0..good.len() {
        fs::write(folder.path().join(FIRST), &good[..length]).unwrap();
        let refused = check(folder.path(), &messages, &format!("{length} bytes"));
        assert!(matches!(refused, Some(OpenError::Damaged { .. })), "{length} bytes: {refused:?}");
    }
    fs::write(folder.path().join(FIRST), [&good[..], &[0]].concat()).unwrap();
    assert!(check(folder.path(), &messages, "one byte more").is_some());
}

/// Half an entry is what a crash leaves: the rest of the segment is still the zeros of its room.
#[test]
fn a_torn_last_entry_is_cut_off_wherever_it_is_torn() {
    let (folder, messages) = journal(6);
    let good = fs::read(folder.path().join(FIRST)).unwrap();
    let end = good.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let entry_bytes = 16 + 11 + 1 + "message 5".len();
    for torn in end - entry_bytes..end {
        let mut bytes = good.clone();
        bytes[torn..].fill(0);
        fs::write(folder.path().join(FIRST), &bytes).unwrap();
        // Torn before its first byte it never was, and nobody can tell.
        let expected = &messages[..if torn == end - entry_bytes { 5 } else { messages.len() }];
        assert!(check(folder.path(), expected, &format!("torn at {torn}")).is_none());
    }
}

#[test]
fn random_bytes_are_no_journal() {
    let folder = TempDir::new().unwrap();
    let mut random = 1_u64;
    for size_bytes in (0..600).step_by(7) {
        let bytes: Vec<u8> = (0..size_bytes)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                random.to_be_bytes()[0]
            })
            .collect();
        fs::write(folder.path().join(FIRST), &bytes).unwrap();
        let refused = check(folder.path(), &[], "random bytes");
        assert!(matches!(refused, Some(OpenError::Damaged { byte: 0, .. })), "{refused:?}");
    }
}

#[test]
fn a_torn_end_with_a_later_entry_behind_it_is_damage() {
    let (folder, messages) = journal(6);
    let mut bytes = fs::read(folder.path().join(FIRST)).unwrap();
    bytes[60] ^= 1;
    fs::write(folder.path().join(FIRST), &bytes).unwrap();
    let refused = check(folder.path(), &messages, "the first entry");
    assert!(matches!(refused, Some(OpenError::Damaged { byte: 32, .. })), "{refused:?}");
}

/// The header says how large the file is, before any room is made for it.
#[test]
fn a_file_of_an_absurd_size_is_refused_at_once() {
    let (folder, messages) = journal(3);
    fs::OpenOptions::new()
        .write(true)
        .open(folder.path().join(FIRST))
        .unwrap()
        .set_len(1 << 43)
        .unwrap();
    let refused = open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { byte: 512, .. }), "{refused:?}");
    assert_eq!(messages.len(), 3);
}

/// A torn entry of which every eighth byte looks like the beginning of another.
#[test]
fn a_torn_end_that_is_full_of_what_looks_like_entries_is_refused_and_not_pondered() {
    let folder = TempDir::new().unwrap();
    let open = || Disk::open(RealFiles::open(folder.path()).unwrap(), 1 << 20);
    let (mut engine, _) = open().unwrap();
    let mut lookalikes = Vec::new();
    while lookalikes.len() < 900_000 {
        lookalikes.extend_from_slice(&[0, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        lookalikes.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    engine.send("k", &lookalikes).unwrap();
    engine.sync().unwrap();
    drop(engine);
    let path = folder.path().join(FIRST);
    let mut bytes = fs::read(&path).unwrap();
    bytes[900_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(open(), Err(OpenError::Damaged { byte: 32, .. })));
}

#[test]
fn what_is_missing_foreign_or_newer_is_named() {
    let (folder, messages) = journal(40);
    let names: Vec<String> = files(folder.path()).into_iter().map(|(name, _)| name).collect();
    let second = folder.path().join(&names[1]);

    fs::rename(&second, folder.path().join("notes.txt")).unwrap();
    let refused = check(folder.path(), &messages, "foreign");
    assert!(matches!(refused, Some(OpenError::Foreign { file }) if file == "notes.txt"));

    fs::rename(folder.path().join("notes.txt"), folder.path().join("elsewhere")).unwrap();
    let elsewhere = fs::read(folder.path().join("elsewhere")).unwrap();
    fs::remove_file(folder.path().join("elsewhere")).unwrap();
    let refused = check(folder.path(), &messages, "missing");
    assert!(matches!(refused, Some(OpenError::Missing { file }) if file == names[1]));

    let mut newer = elsewhere.clone();
    newer[8] = 2;
    let crc = crc32fast::hash(&newer[..24]);
    newer[24..28].copy_from_slice(&crc.to_le_bytes());
    fs::write(&second, &newer).unwrap();
    let refused = check(folder.path(), &messages, "newer");
    assert!(matches!(refused, Some(OpenError::Version { version: 2, .. })));

    fs::write(&second, &elsewhere).unwrap();
    fs::write(folder.path().join(format!("{FIRST}.new")), b"half a header").unwrap();
    assert!(check(folder.path(), &messages, "unfinished").is_none());
    assert!(!folder.path().join(format!("{FIRST}.new")).exists());
}
