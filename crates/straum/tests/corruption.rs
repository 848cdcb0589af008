//! Damage to the files of a journal, byte by byte: each start either recovers what was acknowledged before
//! the damage, or refuses with an error that names file and byte. Never a panic, never a wrong message.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::Path;

use straum::files::real::RealFiles;
use straum::journal::disk::{DiskJournal, OpenError, Settings};
use straum::{Engine, Polled, ReadError, Retention};
use tempfile::TempDir;

type Disk = Engine<DiskJournal<RealFiles>>;

const SEGMENT_BYTES: u32 = 512;
fn settings(segment_bytes: u32) -> Settings {
    Settings { segment_bytes, retention: Retention::default(), now_ms: || 0 }
}

const FIRST: &str = "00000000000000000000.segment";
const FIRST_SEALED: &str = "00000000000000000000.sealed";

type Opened = Result<(Disk, Option<(String, u64)>), OpenError>;

fn open(folder: &Path) -> Opened {
    Disk::open(RealFiles::open(folder).unwrap(), settings(SEGMENT_BYTES))
}

/// A journal of some entries, in one segment or more, and its messages.
fn journal(messages: usize) -> (TempDir, Vec<Vec<u8>>) {
    let folder = TempDir::new().unwrap();
    let (mut engine, _) = open(folder.path()).unwrap();
    for n in 0..messages {
        engine.send("k", format!("message {n}").as_bytes()).unwrap();
        engine.sync().unwrap();
    }
    let messages = log(&engine).unwrap();
    (folder, messages)
}

fn log(engine: &Disk) -> Result<Vec<Vec<u8>>, ReadError> {
    let logs = engine.poll(&[("k", 0)], u64::MAX)?;
    Ok(logs.iter().flat_map(Polled::messages).map(|(_, message)| message.to_vec()).collect())
}

/// The names and contents of all files: sealed segments stand before segments of the same position.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// What a damaged journal makes of a start: a first part of the messages, or a refusal; of the poll, if the
/// damage is where a start does not look.
fn check(folder: &Path, messages: &[Vec<u8>], told: &str) -> Option<OpenError> {
    let before = files(folder);
    let (engine, cut) = match open(folder) {
        Ok(opened) => opened,
        Err(error) => {
            assert_eq!(files(folder), before, "{told}: changed though refused");
            return Some(error);
        }
    };
    let recovered = match log(&engine) {
        Ok(recovered) => recovered,
        Err(ReadError::Damaged { file, byte }) => return Some(OpenError::Damaged { file, byte }),
        Err(ReadError::Io { file, error }) => return Some(OpenError::Io { file, error }),
    };
    assert!(messages.starts_with(&recovered), "{told}: {recovered:?}");
    let whole = recovered.len() == messages.len();
    assert!(whole || cut.is_some(), "{told}: lost without a word");
    drop(engine);
    let (again, cut) = open(folder).unwrap();
    assert_eq!((log(&again).unwrap(), cut), (recovered, None), "{told}: not the same again");
    None
}

#[test]
fn every_flipped_byte_is_noticed() {
    let (folder, messages) = long_journal();
    let all = files(folder.path());
    assert!(all.len() > 5, "{}", all.len());
    for (index, (name, good)) in all.iter().enumerate() {
        if name.contains(".new") {
            continue; // It is begun anew.
        }
        restore(folder.path(), &all);
        let mut unnoticed = 0;
        for byte in 0..good.len() {
            let mut bad = good.clone();
            bad[byte] ^= 0x55;
            fs::write(folder.path().join(name), &bad).unwrap();
            match check(folder.path(), &messages, &format!("{name}, byte {byte}")) {
                Some(OpenError::Damaged { file, byte: at }) => {
                    assert!(
                        file == *name && at <= byte as u64,
                        "{name} {byte}: blamed {file} at {at}"
                    );
                }
                None => unnoticed += 1,
                Some(_) => {}
            }
        }
        // The name of the key, where another sealed segment follows: it is read from the newest.
        let harmless = usize::from(index + 4 < all.len());
        assert!(index + 1 == all.len() || unnoticed <= harmless, "{name}: {unnoticed} not noticed");
    }
}

/// A journal with sealed segments, a segment that is being sealed, and the active one.
fn long_journal() -> (TempDir, Vec<Vec<u8>>) {
    let journals = (45..).map(journal);
    let is_sealing = |folder: &TempDir| {
        let segments =
            files(folder.path()).into_iter().filter(|(name, _)| name.ends_with("segment"));
        segments.count() == 2
    };
    journals.into_iter().find(|(folder, _)| is_sealing(folder)).unwrap()
}

/// Puts all files back, and removes others.
fn restore(folder: &Path, all: &[(String, Vec<u8>)]) {
    for (name, _) in files(folder) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, content) in all {
        fs::write(folder.join(name), content).unwrap();
    }
}

/// A message that is far from the damage can be read, and so can other logs.
#[test]
fn a_damaged_chunk_is_an_error_for_who_reads_it_and_for_nobody_else() {
    let (folder, messages) = journal(45);
    let sealed = folder.path().join(FIRST_SEALED);
    let mut bytes = fs::read(&sealed).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&sealed, bytes).unwrap();
    let (mut engine, _) = open(folder.path()).unwrap();
    assert!(matches!(log(&engine), Err(ReadError::Damaged { file, .. }) if file == FIRST_SEALED));
    let later = engine.poll(&[("k", 44)], u64::MAX).unwrap();
    assert_eq!(later[0].messages().next(), Some((44, messages[44].as_slice())));
    engine.send("other", b"m").unwrap();
    assert_eq!(engine.poll(&[("other", 0)], u64::MAX).unwrap().len(), 1);
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

#[test]
fn a_sealed_segment_that_is_shorter_or_longer_than_it_was_is_damage() {
    let (folder, messages) = long_journal();
    let good = fs::read(folder.path().join(FIRST_SEALED)).unwrap();
    for length in (0..good.len()).chain([good.len() + 1]) {
        let mut bytes = good.clone();
        bytes.resize(length, 0);
        fs::write(folder.path().join(FIRST_SEALED), &bytes).unwrap();
        let refused = check(folder.path(), &messages, &format!("{length} bytes"));
        let damaged =
            matches!(&refused, Some(OpenError::Damaged { file, .. }) if file == FIRST_SEALED);
        assert!(damaged, "{length} bytes: {refused:?}");
    }
}

/// A backup of another journal, put under the right name.
#[test]
fn a_sealed_segment_of_another_journal_is_damage_and_no_endless_loop() {
    let (folder, _) = long_journal();
    let (other, _) = journal(0);
    let (mut engine, _) = open(other.path()).unwrap();
    while !other.path().join(FIRST_SEALED).exists() {
        engine.send("k", b"longer than the messages there").unwrap();
        engine.sync().unwrap();
    }
    let mut bytes = fs::read(other.path().join(FIRST_SEALED)).unwrap();
    let all = files(folder.path());
    let end = all[1].0[..20].parse::<u64>().unwrap();
    bytes[24..32].copy_from_slice(&end.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    fs::write(folder.path().join(FIRST_SEALED), bytes).unwrap();
    let (engine, _) = open(folder.path()).unwrap();
    assert!(matches!(log(&engine), Err(ReadError::Damaged { .. })));
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
    let mut rng = fastrand::Rng::with_seed(1);
    for size_bytes in (0..600).step_by(7) {
        let bytes: Vec<u8> = (0..size_bytes).map(|_| rng.u8(..)).collect();
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
    let (folder, _) = journal(3);
    fs::OpenOptions::new()
        .write(true)
        .open(folder.path().join(FIRST))
        .unwrap()
        .set_len(1 << 43)
        .unwrap();
    let refused = open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { byte: 512, .. }), "{refused:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join(FIRST)).unwrap();
    let refused = open(folder.path()).unwrap_err().to_string();
    assert!(refused.contains(FIRST), "{refused}");
}

/// A torn entry of which every eighth byte looks like the beginning of another.
#[test]
fn a_torn_end_that_is_full_of_what_looks_like_entries_is_refused_and_not_pondered() {
    let folder = TempDir::new().unwrap();
    let open = || Disk::open(RealFiles::open(folder.path()).unwrap(), settings(1 << 20));
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

/// A whole file of version 2, as far as its header goes: where the header ends, and where its crc is.
fn of_a_later_version(file: &[u8], covered: usize) -> Vec<u8> {
    let mut newer = file.to_vec();
    newer[8] = 2;
    let crc = crc32fast::hash(&newer[..covered]);
    newer[covered..covered + 4].copy_from_slice(&crc.to_le_bytes());
    newer
}

#[test]
fn what_is_missing_foreign_or_newer_is_named() {
    let (folder, messages) = long_journal();
    let all = files(folder.path());
    let (name, content) = &all[1];
    let (segment, segment_content) = &all[all.len() - 2];
    assert!(name.ends_with(".sealed") && segment.ends_with(".segment"));
    let check = |told| check(folder.path(), &messages, told);
    let path = |name: &str| folder.path().join(name);

    fs::rename(path(name), path("notes.txt")).unwrap();
    let refused = check("foreign");
    assert!(matches!(refused, Some(OpenError::Foreign { file }) if file == "notes.txt"));

    fs::remove_file(path("notes.txt")).unwrap();
    let refused = check("a sealed segment is missing");
    assert!(matches!(refused, Some(OpenError::Missing { file }) if file == *name));

    fs::write(path(name), of_a_later_version(content, 60)).unwrap();
    let refused = check("a newer sealed segment");
    assert!(matches!(refused, Some(OpenError::Version { file, version: 2 }) if file == *name));

    fs::write(path(name), content).unwrap();
    fs::remove_file(path(segment)).unwrap();
    let refused = check("a segment is missing");
    assert!(matches!(refused, Some(OpenError::Missing { file }) if file == *segment));

    fs::write(path(segment), of_a_later_version(segment_content, 28)).unwrap();
    let refused = check("a newer segment");
    assert!(matches!(refused, Some(OpenError::Version { file, version: 2 }) if file == *segment));

    fs::write(path(segment), segment_content).unwrap();
    let unfinished = [format!("{FIRST}.new"), format!("{FIRST_SEALED}.new")];
    for name in &unfinished {
        fs::write(path(name), b"half a header").unwrap();
    }
    assert!(check("unfinished").is_none());
    assert!(unfinished.iter().all(|name| !path(name).exists()));
}

#[test]
fn a_start_without_any_segment_is_refused_if_there_were_some() {
    let (folder, messages) = journal(45);
    for (name, _) in files(folder.path()) {
        if name.ends_with(".segment") {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
    }
    let refused = check(folder.path(), &messages, "no segment");
    assert!(matches!(refused, Some(OpenError::Missing { .. })), "{refused:?}");
}

/// The process ended between the sealed segment's new name and the end of what it replaces.
#[test]
fn a_segment_that_was_sealed_already_is_removed() {
    let (folder, messages) = journal(10);
    let segment = fs::read(folder.path().join(FIRST)).unwrap();
    let (mut engine, _) = open(folder.path()).unwrap();
    while folder.path().join(FIRST).exists() {
        engine.send("other", &[7; 50]).unwrap();
        engine.sync().unwrap();
    }
    drop(engine);
    fs::write(folder.path().join(FIRST), segment).unwrap();
    assert!(check(folder.path(), &messages, "sealed already").is_none());
    assert!(!folder.path().join(FIRST).exists());
}
