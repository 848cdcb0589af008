//! Damage to the files of a journal, byte by byte: each start either recovers what was acknowledged before
//! the damage, or refuses with an error that names file and byte. Never a panic, never a wrong record.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::fs;
use std::path::Path;

use common::{IDENTITY, Read, now, options, read_from};
use straum::files::real::RealFiles;
use straum::{Engine, Found, Identity, OpenError, Options, ReadError, Refused};
use tempfile::TempDir;

const SEGMENT_BYTES: u32 = 512;
const FIRST: &str = "00000000000000000000.wal";
const FIRST_SORTED: &str = "00000000000000000000-0000000000.sorted";

type Opened = Result<(Engine, Found), OpenError>;

fn open_with(folder: &Path, options: Options) -> Opened {
    let files = RealFiles::open(folder).unwrap();
    options.open_files(files, Identity::new(IDENTITY), now(1_000))
}

fn open(folder: &Path) -> Opened {
    open_with(folder, options(SEGMENT_BYTES))
}

/// A journal of some entries, in one segment or more.
fn journal(records: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    let (mut engine, found) = open(folder.path()).unwrap();
    assert!(found.created);
    for n in 0..records {
        engine.append("k", format!("record {n}").as_bytes()).unwrap();
        engine.sync(now(1_000)).unwrap();
    }
    folder
}

fn log(engine: &Engine) -> Result<Vec<Read>, ReadError> {
    read_from(engine, "k", 0, u64::MAX)
}

/// The names and contents of all files, in the order of their names.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// Whether a file is of a kind.
fn is(name: &str, suffix: &str) -> bool {
    name.ends_with(suffix)
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

/// What a damaged journal makes of a start: a first part of the records, or a refusal; of a read, if the
/// damage is where a start does not look.
fn check(folder: &Path, records: &[Read], told: &str) -> Option<OpenError> {
    let before = files(folder);
    let (engine, found) = match open(folder) {
        Ok(opened) => opened,
        Err(error) => {
            assert_eq!(files(folder), before, "{told}: changed though refused");
            return Some(error);
        }
    };
    let recovered = match log(&engine) {
        Ok(recovered) => recovered,
        Err(ReadError::Damaged { file, byte }) => return Some(OpenError::Damaged { file, byte }),
        Err(error) => panic!("{told}: {error}"),
    };
    assert!(records.starts_with(&recovered), "{told}: {recovered:?}");
    let whole = recovered.len() == records.len();
    assert!(whole || found.cut.is_some(), "{told}: lost without a word");
    drop(engine);
    let (again, found) = open(folder).unwrap();
    assert_eq!((log(&again).unwrap(), found.cut), (recovered, None), "{told}: not the same again");
    None
}

/// A journal with sorted segments, a segment that is being sorted, and the active one.
fn long_journal() -> (TempDir, Vec<Read>) {
    let is_sorting = |folder: &TempDir| {
        files(folder.path()).iter().filter(|file| is(&file.0, ".wal")).count() == 2
    };
    let folder = (45..90).map(journal).find(is_sorting).unwrap();
    let all = files(folder.path());
    let records = log(&open(folder.path()).unwrap().0).unwrap();
    restore(folder.path(), &all);
    (folder, records)
}

#[test]
fn every_flipped_byte_is_noticed() {
    let (folder, records) = long_journal();
    let all = files(folder.path());
    assert!(all.len() > 5, "{}", all.len());
    for (index, (name, good)) in all.iter().enumerate() {
        if is(name, ".new") {
            continue; // It is begun anew.
        }
        let mut unnoticed = Vec::new();
        for byte in 0..good.len() {
            restore(folder.path(), &all);
            let mut bad = good.clone();
            bad[byte] ^= 0x55;
            fs::write(folder.path().join(name), &bad).unwrap();
            match check(folder.path(), &records, &format!("{name}, byte {byte}")) {
                Some(OpenError::Damaged { file, byte: at }) => {
                    assert_eq!(file, *name, "byte {byte}: blamed {file} at {at}");
                }
                None => unnoticed.push(byte),
                Some(_) => {}
            }
        }
        // Of the last segment, the torn end is cut off. Of an older sorted segment, nobody needs the state section.
        let is_last = index + 1 == all.len();
        assert!(is_last || unnoticed.is_empty(), "{name}: {unnoticed:?} not noticed");
    }
}

/// A record that is far from the damage can be read, and so can other logs.
#[test]
fn a_damaged_chunk_is_an_error_for_who_reads_it_and_for_nobody_else() {
    let folder = journal(60);
    let sorted = folder.path().join(FIRST_SORTED);
    let mut bytes = fs::read(&sorted).unwrap();
    bytes[80] ^= 1;
    fs::write(&sorted, bytes).unwrap();
    let (mut engine, _) = open(folder.path()).unwrap();
    assert!(matches!(log(&engine), Err(ReadError::Damaged { file, .. }) if file == FIRST_SORTED));
    let later = read_from(&engine, "k", 55, u64::MAX).unwrap();
    assert_eq!(later[0], (55, 1, b"record 55".to_vec()));
    engine.append("other", b"m").unwrap();
    engine.sync(now(1_000)).unwrap();
    assert_eq!(read_from(&engine, "other", 0, u64::MAX).unwrap().len(), 1);
}

#[test]
fn a_file_that_is_shorter_or_longer_than_it_was_is_damage() {
    let folder = journal(60);
    let all = files(folder.path());
    for (name, good) in all.iter().filter(|(name, _)| !is(name, ".new")) {
        for length in [0, 1, 63, 64, 100, good.len() - 1, good.len() + 1] {
            restore(folder.path(), &all);
            let mut bad = good.clone();
            bad.resize(length, 0);
            fs::write(folder.path().join(name), bad).unwrap();
            let refused = open(folder.path()).err();
            let is_named =
                matches!(&refused, Some(OpenError::Damaged { file, .. }) if file == name);
            assert!(is_named, "{name} of {length} bytes: {refused:?}");
        }
    }
}

#[test]
fn a_torn_last_entry_is_cut_off_wherever_it_is_torn() {
    let folder = journal(3);
    let path = folder.path().join(FIRST);
    let good = fs::read(&path).unwrap();
    let end = good.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let last = end - (24 + 4 + "record 2".len());
    for torn in last..end {
        let mut bad = good.clone();
        bad[torn..end].fill(0);
        fs::write(&path, &bad).unwrap();
        let (engine, found) = open(folder.path()).unwrap();
        let kept = if torn == last { None } else { Some((FIRST.to_owned(), last as u64)) };
        assert_eq!((log(&engine).unwrap().len(), found.cut), (2, kept), "{torn}");
    }
}

/// A key that holds the bytes of a later entry, then a record, in an entry that is torn: whoever sent the key does not
/// know the journal's identity.
#[test]
fn bytes_of_a_client_never_pass_for_a_later_entry() {
    let mut later = Vec::new();
    {
        let elsewhere = TempDir::new().unwrap();
        let files = RealFiles::open(elsewhere.path()).unwrap();
        let other = Identity::new([7; 16]);
        let (mut engine, _) = options(8192).open_files(files, other, now(1_000)).unwrap();
        for _ in 0..9 {
            engine.append("k", b"m").unwrap();
            engine.sync(now(1_000)).unwrap();
        }
        drop(engine);
        let all = fs::read(elsewhere.path().join(FIRST)).unwrap();
        let end = all.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        later.extend_from_slice(&all[end - 29..end]); // The entry of position 8.
    }
    let key = String::from_utf8_lossy(&later).into_owned();
    let folder = TempDir::new().unwrap();
    let (mut engine, _) = open_with(folder.path(), options(8192)).unwrap();
    engine.append("k", b"acknowledged").unwrap();
    engine.sync(now(1_000)).unwrap();
    engine.append(&key, &later).unwrap();
    engine.append("k", &[b'x'; 2_000]).unwrap();
    engine.sync(now(1_000)).unwrap();
    drop(engine);
    let path = folder.path().join(FIRST);
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes[end - 1_000..end].fill(0);
    fs::write(&path, bytes).unwrap();
    let (engine, found) = open_with(folder.path(), options(8192)).unwrap();
    assert!(found.cut.is_some());
    assert_eq!(log(&engine).unwrap().len(), 1);
}

#[test]
fn a_torn_end_with_a_later_entry_behind_it_is_damage() {
    let folder = journal(3);
    let path = folder.path().join(FIRST);
    let mut bytes = fs::read(&path).unwrap();
    bytes[64 + 30] ^= 1; // in the first entry
    fs::write(&path, bytes).unwrap();
    let refused = open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { byte: 64, .. }), "{refused}");
}

#[test]
fn a_torn_end_that_is_full_of_what_looks_like_entries_is_refused_and_not_pondered() {
    let folder = TempDir::new().unwrap();
    let (mut engine, _) = open_with(folder.path(), options(1 << 20)).unwrap();
    engine.append("k", b"m").unwrap();
    engine.sync(now(1_000)).unwrap();
    drop(engine);
    let path = folder.path().join(FIRST);
    let mut bytes = fs::read(&path).unwrap();
    let mut lookalike = Vec::new();
    lookalike.extend_from_slice(&900_000_u32.to_le_bytes());
    lookalike.extend_from_slice(&[0; 4]);
    lookalike.extend_from_slice(&5_u64.to_le_bytes());
    lookalike.extend_from_slice(&[0; 8]);
    lookalike.extend_from_slice(&[6, 1, b'k']); // a command that drops a log
    let begin = 200;
    for place in bytes[begin..100_000].chunks_exact_mut(lookalike.len()) {
        place.copy_from_slice(&lookalike);
    }
    fs::write(&path, bytes).unwrap();
    assert!(matches!(open(folder.path()), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_file_of_another_journal_is_refused_wherever_it_lies() {
    let folder = journal(60);
    let elsewhere = TempDir::new().unwrap();
    {
        let files = RealFiles::open(elsewhere.path()).unwrap();
        let other = Identity::new([7; 16]);
        let (mut engine, _) = options(SEGMENT_BYTES).open_files(files, other, now(1_000)).unwrap();
        for n in 0..60 {
            engine.append("k", format!("record {n}").as_bytes()).unwrap();
            engine.sync(now(1_000)).unwrap();
        }
    }
    let all = files(folder.path());
    for (name, _) in all.iter().filter(|(name, _)| !is(name, ".new")) {
        restore(folder.path(), &all);
        fs::copy(elsewhere.path().join(name), folder.path().join(name)).unwrap();
        let refused = open(folder.path()).unwrap_err();
        assert!(matches!(refused, OpenError::OtherJournal { .. }), "{name}: {refused}");
    }
}

#[test]
fn what_is_missing_foreign_or_of_another_version_is_named() {
    let folder = journal(60);
    let all = files(folder.path());
    let remaining: Vec<_> = all.iter().filter(|(name, _)| !is(name, ".new")).collect();
    for (index, (name, _)) in remaining.iter().enumerate() {
        restore(folder.path(), &all);
        fs::remove_file(folder.path().join(name)).unwrap();
        let opened = open(folder.path());
        // What cannot be missed: the first sorted segment, as if retention had removed it, and the last segment, if
        // there is one before it.
        let cannot_be_missed =
            index == 0 || (index + 1 == remaining.len() && is(&remaining[index - 1].0, ".wal"));
        assert!(
            cannot_be_missed || matches!(opened, Err(OpenError::Missing { .. })),
            "{name}: {opened:?}"
        );
    }
    for foreign in ["x", "7.wal", "00000000000000000000-7.sorted", "x.new"] {
        restore(folder.path(), &all);
        fs::write(folder.path().join(foreign), "").unwrap();
        let refused = open(folder.path()).unwrap_err();
        assert!(matches!(&refused, OpenError::Foreign { file } if file == foreign), "{refused}");
    }
    for old in ["00000000000000000000.segment", "00000000000000000000.sealed"] {
        restore(folder.path(), &[]);
        fs::write(folder.path().join(old), "").unwrap();
        let refused = open(folder.path()).unwrap_err();
        assert!(refused.to_string().contains("straum 0.1"), "{refused}");
    }
    for (name, good) in [&all[0], all.last().unwrap()] {
        restore(folder.path(), &all);
        let mut newer = good.clone();
        newer[8] = 3;
        let crc = crc32fast::hash(&newer[..60]);
        newer[60..64].copy_from_slice(&crc.to_le_bytes());
        fs::write(folder.path().join(name), newer).unwrap();
        let refused = open(folder.path()).unwrap_err();
        let expected = matches!(&refused, OpenError::Version { file, version: 3 } if file == name);
        assert!(expected, "{refused}");
    }
}

#[test]
fn an_empty_folder_becomes_a_journal_only_if_asked() {
    let folder = TempDir::new().unwrap();
    let existing = Options::default();
    assert!(matches!(existing.open(folder.path()), Err(OpenError::NoJournal)));
    let nowhere = folder.path().join("not mounted");
    assert!(matches!(existing.open(&nowhere), Err(OpenError::NoJournal)));
    assert!(!nowhere.exists());
    let (mut engine, found) = existing.create(true).open(&nowhere).unwrap();
    assert!(found.created);
    engine.append("k", b"m").unwrap();
    engine.sync(now(1_000)).unwrap();
    drop(engine);
    assert!(!existing.open(&nowhere).unwrap().1.created);
}

#[test]
fn impossible_options_are_errors() {
    let folder = TempDir::new().unwrap();
    for segment_bytes in [0, 255, (1 << 30) + 1, u32::MAX] {
        let refused = options(segment_bytes).open(folder.path()).unwrap_err();
        assert!(matches!(refused, OpenError::Options(_)), "{refused}");
    }
}

/// A crash between the name of a sorted segment and the removal of its source leaves both. If the copy is not what was
/// written, the source is used.
#[test]
fn a_sorted_segment_that_is_not_whole_gives_way_to_its_source() {
    let before = (5..40).map(journal).find(|folder| {
        let all = files(folder.path());
        all.iter().filter(|(name, _)| is(name, ".wal")).count() == 2
            && all.iter().all(|(name, _)| !is(name, ".sorted"))
    });
    let before = before.unwrap();
    let sources = files(before.path());
    let (mut engine, _) = open(before.path()).unwrap();
    let records = log(&engine).unwrap();
    for _ in 0..500 {
        engine.sync(now(1_000)).unwrap();
    }
    drop(engine);
    let sorted = files(before.path()).into_iter().find(|(name, _)| name == FIRST_SORTED).unwrap();
    for damage in [false, true] {
        restore(before.path(), &sources);
        let mut bytes = sorted.1.clone();
        bytes[100] ^= u8::from(damage);
        fs::write(before.path().join(FIRST_SORTED), bytes).unwrap();
        let (mut engine, _) = open(before.path()).unwrap();
        assert_eq!(log(&engine).unwrap(), records);
        let remarks = engine.remarks();
        assert_eq!(remarks.len(), usize::from(damage), "{remarks:?}");
        drop(engine);
        let names: Vec<_> = files(before.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.contains(&FIRST_SORTED.to_owned()), !damage, "{names:?}");
        assert_eq!(names.contains(&FIRST.to_owned()), damage, "{names:?}");
    }
}

#[test]
fn a_request_larger_than_a_segment_is_refused_and_the_largest_is_taken() {
    let folder = TempDir::new().unwrap();
    let (mut engine, _) = open(folder.path()).unwrap();
    // The headers, the kind, the key and two lengths.
    let largest = vec![7; SEGMENT_BYTES as usize - 64 - 24 - 1 - 2 - 2];
    let refused = engine.append("k", &[&largest[..], b"x"].concat()).unwrap_err();
    assert!(matches!(refused, Refused::TooLarge { what: "request", .. }), "{refused}");
    assert_eq!(engine.append("k", &largest).unwrap(), 0);
    assert_eq!(engine.append("k", &largest).unwrap(), 1);
    engine.sync(now(1_000)).unwrap();
    assert_eq!(log(&engine).unwrap().len(), 2);
}
