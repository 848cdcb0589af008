//! Version 2 of the formats on disk, pinned: the fixtures are read, the same commands make the same bytes, and a decoder
//! that was made from `docs/format.md` alone agrees with the engine. Never uses the engine's own reading of bytes.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use common::{Disk, GROUPS, IDENTITY, Shown, now, open, options, shown};
use straum::files::simulated::SimulatedFiles;
use straum::files::{File, Files};
use straum::{Append, Command, How, Identity, Options, Producer};

const WAL: &str = "00000000000000000000.wal";
const SORTED: &str = "00000000000000000000-0000000000.sorted";
const SECOND_WAL: &str = "00000000000000000002.wal";
const TIME_MS: u64 = 1_795_392_000_000;

fn small() -> Options {
    options(512)
}

/// Commands of every kind, in two entries.
fn write_entries(engine: &mut Disk) {
    let producer = Some(Producer { id: 300, epoch: 1, first_sequence: 7 });
    let batch = Append {
        count: 3,
        time_ms: Some(TIME_MS - 5),
        producer,
        ..Append::record("clé", b"batch")
    };
    let commit =
        |offset, how, metadata| Command::Commit { group: "g", log: "k", offset, metadata, how };
    let set = |name, value, if_version| Command::Set { name, value, if_version };
    for command in [
        Command::Append(Append::record("k", b"1")),
        Command::Append(Append::record("k", b"")),
        Command::Append(batch),
        Command::Append(Append::record("gone", b"x")),
    ] {
        engine.apply(&command).unwrap();
    }
    engine.sync(now(TIME_MS + 9)).unwrap();
    for command in [
        commit(9, How::Raise, b""),
        commit(7, How::Set, b"meta"),
        Command::Commit { group: "", log: "k", offset: 9, metadata: b"", how: How::Raise },
        Command::Uncommit { group: "g", log: "nothing" },
        set("r", Some(b"v1"), Some(0)),
        set("r", Some(b"v2"), None),
        set("s", Some(b""), None),
        set("s", None, Some(3)),
        Command::Cut { log: "k", before: 1 },
        Command::Drop { log: "gone" },
    ] {
        engine.apply(&command).unwrap();
    }
    engine.sync(now(TIME_MS + 20)).unwrap();
}

/// The files that these commands make: the first segment when it is written, and all when it was sorted.
fn write_today() -> Vec<(&'static str, Vec<u8>)> {
    let files = SimulatedFiles::new(1);
    let (mut engine, _) =
        small().open_files(files.clone(), Identity::new(IDENTITY), now(TIME_MS)).unwrap();
    write_entries(&mut engine);
    let wal = content(&files, WAL);
    engine.append("k", &[b'x'; 300]).unwrap(); // This fits into the next segment only.
    for _ in 0..200 {
        engine.sync(now(TIME_MS + 30)).unwrap();
    }
    vec![(WAL, wal), (SORTED, content(&files, SORTED)), (SECOND_WAL, content(&files, SECOND_WAL))]
}

fn content(files: &SimulatedFiles, name: &str) -> Vec<u8> {
    let file = files.open(name).unwrap();
    let mut bytes = vec![0; usize::try_from(file.size_bytes().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn fixture_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v2").join(name)
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixture_path(name)).unwrap()
}

/// Makes the fixtures anew: only before a version is released.
#[test]
#[ignore = "writes the fixtures"]
fn make_the_fixtures() {
    for (name, bytes) in write_today() {
        fs::write(fixture_path(name), bytes).unwrap();
    }
}

#[test]
fn the_same_commands_are_the_same_bytes_today() {
    for (name, bytes) in write_today() {
        assert!(bytes == fixture(name), "{name}");
    }
}

fn open_fixtures(names: &[&str]) -> Disk {
    let files = SimulatedFiles::new(1);
    for name in names {
        let bytes = fixture(name);
        let mut file = files.create(name, bytes.len() as u64).unwrap();
        file.write_at(0, &bytes).unwrap();
    }
    open(&files, small())
}

#[test]
fn a_decoder_made_from_the_document_agrees() {
    let wal = decode_wal(&fixture(WAL));
    assert_eq!(wal.commits[&("g".into(), "k".into())], (7, b"meta".to_vec()));
    assert_eq!(wal, shown(&open_fixtures(&[WAL]), &GROUPS));

    let mut sorted = decode_sorted(&fixture(SORTED));
    assert_eq!(sorted, wal, "sorting changes nothing");
    let (_, end, records) = sorted.logs.get_mut("k").unwrap();
    *end += 1;
    records.push((2, 1, vec![b'x'; 300]));
    assert_eq!(sorted, shown(&open_fixtures(&[SORTED, SECOND_WAL]), &GROUPS));
}

#[test]
fn the_examples_in_the_document_are_these_files() {
    let page =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/format.md"))
            .unwrap();
    for name in [WAL, SORTED] {
        let (_, after) = page.split_once(&format!("tests/fixtures/v2/{name}`")).expect(name);
        let (_, example) = after.split_once("```text\n").unwrap();
        let (example, _) = example.split_once("```").unwrap();
        let mut bytes = Vec::new();
        for line in example.lines().filter(|line| line.contains(": ")) {
            let (at, rest) = line.split_once(": ").unwrap();
            assert_eq!(usize::from_str_radix(at, 16).unwrap(), bytes.len(), "{line}");
            let digits = rest.split("  ").next().unwrap();
            bytes.extend(digits.split(' ').map(|digits| u8::from_str_radix(digits, 16).unwrap()));
        }
        let mut file = fixture(name);
        if name == WAL {
            assert!(file[bytes.len()..].iter().all(|byte| *byte == 0));
            file.truncate(bytes.len());
        }
        assert!(bytes == file, "{name}");
    }
}

// The decoder. It uses nothing of the engine.

fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for byte in parts.concat() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// A place in bytes that moves on.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn fixed(&mut self, bytes: usize) -> u64 {
        self.take(bytes).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn varint(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let byte = self.fixed(1);
            number |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return number;
            }
        }
        unreachable!()
    }

    fn signed(&mut self) -> i64 {
        let number = self.varint();
        i64::try_from(number >> 1).unwrap() ^ -i64::try_from(number & 1).unwrap()
    }

    fn bytes(&mut self) -> &'a [u8] {
        let count = usize::try_from(self.varint()).unwrap();
        self.take(count)
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// The header that both kinds of file have: the first position, and the time in it.
fn decode_header(file: &[u8], magic: &[u8]) -> (u64, u64) {
    let mut header = Cursor(&file[..64]);
    assert_eq!((header.take(8), header.fixed(4)), (magic, 2));
    header.fixed(4);
    assert_eq!(header.take(16), IDENTITY);
    let fields = (header.fixed(8), header.fixed(8));
    header.take(12);
    assert_eq!(header.fixed(4), u64::from(crc32(&[&file[..60]])));
    fields
}

fn decode_wal(file: &[u8]) -> Shown {
    let (mut position, _) = decode_header(file, b"STRAUMW\n");
    let mut shown = Shown::default();
    let mut rest = Cursor(&file[64..]);
    while rest.0.len() >= 24 && rest.0[..4] != [0; 4] {
        let (length, crc) = (rest.0[..4].to_vec(), rest.0[4..8].to_vec());
        let mut header = Cursor(rest.take(24));
        let payload_bytes = size(header.fixed(4));
        header.take(4);
        let checked = header.0.to_vec();
        assert_eq!(header.fixed(8), position);
        let payload = rest.take(payload_bytes);
        assert_eq!(crc, crc32(&[&IDENTITY, &length, &checked, payload]).to_le_bytes());
        let mut commands = Cursor(payload);
        while !commands.0.is_empty() {
            decode_command(&mut commands, &mut shown);
        }
        position += 1;
    }
    assert!(rest.0.iter().all(|byte| *byte == 0));
    shown
}

fn decode_command(command: &mut Cursor<'_>, shown: &mut Shown) {
    let append = |log: String, count: u64, record: &[u8], shown: &mut Shown| {
        let (_, end, records) = shown.logs.entry(log).or_default();
        records.push((*end, u32::try_from(count).unwrap(), record.to_vec()));
        *end += count;
    };
    match command.fixed(1) {
        1 => {
            let (log, record) = (command.text(), command.bytes());
            append(log, 1, record, shown);
        }
        2 => {
            let (log, flags, count) = (command.text(), command.fixed(1), command.varint());
            let varints = (flags & 1) + 3 * (flags >> 1 & 1);
            (0..varints).for_each(|_| _ = command.varint());
            let record = command.bytes();
            append(log, count, record, shown);
        }
        3 => {
            let key = (command.text(), command.text());
            let (how, offset, metadata) = (command.fixed(1), command.varint(), command.bytes());
            let last = shown.logs.get(&key.1).and_then(|log| log.1.checked_sub(1));
            if how == 1 {
                shown.commits.insert(key, (offset, metadata.to_vec()));
            } else if let Some(last) = last
                && shown.commits.get(&key).is_none_or(|old| old.0 < offset.min(last))
            {
                shown.commits.insert(key, (offset.min(last), metadata.to_vec()));
            }
        }
        4 => _ = shown.commits.remove(&(command.text(), command.text())),
        5 => {
            let (name, _, length) = (command.text(), command.varint(), command.varint());
            match length {
                0 => _ = shown.registers.remove(&name),
                more => _ = shown.registers.insert(name, command.take(size(more - 1)).to_vec()),
            }
        }
        6 => {
            let log = command.text();
            shown.logs.remove(&log);
            shown.commits.retain(|key, _| key.1 != log);
        }
        7 => {
            let (log, before) = (command.text(), command.varint());
            let (start, end, records) = shown.logs.get_mut(&log).unwrap();
            *start = before.clamp(*start, *end);
            records.retain(|record| record.0 + u64::from(record.1) > *start);
        }
        kind => panic!("kind {kind}"),
    }
}

fn decode_sorted(file: &[u8]) -> Shown {
    let (first_position, _) = decode_header(file, b"STRAUMS\n");
    let body = &file[..file.len() - 96];
    let mut trailer = Cursor(&file[body.len()..]);
    let (end_position, file_bytes) = (trailer.fixed(8), trailer.fixed(8));
    assert_eq!((end_position, size(file_bytes)), (2, file.len()));
    trailer.fixed(8);
    let (state_at, index_at) = (size(trailer.fixed(8)), size(trailer.fixed(8)));
    trailer.take(24);
    let (slots, body_crc) = (size(trailer.fixed(4)), trailer.fixed(4));
    assert_eq!(body_crc, u64::from(crc32(&[body])));
    trailer.take(4 + 16);
    let first = first_position.to_le_bytes();
    let own_crc = crc32(&[&IDENTITY, &first, &file[body.len()..file.len() - 4]]);
    assert_eq!(trailer.fixed(4), u64::from(own_crc));

    let mut shown = Shown::default();
    for block in 0..slots.div_ceil(64) {
        let mut entry = Cursor(&body[index_at + 12 * block..][..12]);
        let (at, block_bytes) = (size(entry.fixed(8)), size(entry.fixed(4)));
        let mut rows = Cursor(&body[at..at + block_bytes]);
        let crc = rows.fixed(4);
        let number = (block as u64).to_le_bytes();
        assert_eq!(crc, u64::from(crc32(&[&IDENTITY, &first, &number, rows.0])));
        decode_rows(rows, &body[..at], &mut shown);
    }
    let mut state = Cursor(&body[state_at..index_at]);
    while !state.0.is_empty() {
        let (length, crc) = (size(state.fixed(4)), state.fixed(4));
        let items = state.take(length);
        assert_eq!(crc, u64::from(crc32(&[&IDENTITY, &first, items])));
        decode_items(Cursor(items), &mut shown);
    }
    shown
}

fn decode_rows(mut rows: Cursor<'_>, before: &[u8], shown: &mut Shown) {
    let mut all = Vec::new();
    let mut id = 0;
    while !rows.0.is_empty() {
        rows.varint();
        id += rows.signed();
        let key = rows.text();
        let (start, left) = (rows.varint(), rows.varint());
        rows.varint();
        rows.varint();
        rows.varint();
        rows.signed();
        all.push((id, key, start, start + left, size(rows.varint()), rows.varint()));
    }
    let records_bytes: usize = all.iter().map(|row| row.4).sum();
    let mut records = Cursor(&before[before.len() - records_bytes..]);
    for (id, key, start, end, bytes, chunks) in all {
        assert!(chunks <= 1, "this decoder needs no chunk rows for the example");
        let chunk = records.take(bytes);
        let read = if chunk.is_empty() { Vec::new() } else { decode_chunk(id, chunk) };
        let left =
            read.into_iter().filter(|record: &common::Read| record.0 + u64::from(record.1) > start);
        shown.logs.insert(key, (start, end, left.collect()));
    }
}

fn decode_chunk(id: i64, chunk: &[u8]) -> Vec<common::Read> {
    let mut content = Cursor(chunk);
    let crc = content.fixed(4);
    assert_eq!(crc, u64::from(crc32(&[&IDENTITY, &id.to_le_bytes(), content.0])));
    let mut offset = content.varint();
    (0..4).for_each(|_| _ = content.varint());
    content.signed();
    let mut records = Vec::new();
    while !content.0.is_empty() {
        let head = content.varint();
        let mut count = 1;
        if head & 1 == 1 {
            count = content.varint();
            content.signed();
        }
        let record = content.take(size(head >> 1));
        records.push((offset, u32::try_from(count).unwrap(), record.to_vec()));
        offset += count;
    }
    records
}

fn decode_items(mut items: Cursor<'_>, shown: &mut Shown) {
    let mut producers = BTreeMap::new();
    while !items.0.is_empty() {
        match items.fixed(1) {
            1 => {
                let mut key = Cursor(items.bytes());
                let group = key.text();
                let log = String::from_utf8(key.0.to_vec()).unwrap();
                let (offset, metadata) = (items.varint(), items.bytes().to_vec());
                items.signed();
                shown.commits.insert((group, log), (offset, metadata));
            }
            2 => {
                let name = items.text();
                items.varint();
                shown.registers.insert(name, items.bytes().to_vec());
            }
            3 => {
                let (log, id, epoch) = (items.varint(), items.varint(), items.varint());
                items.signed();
                let count = items.varint();
                let last: Vec<_> =
                    (0..count).map(|_| (items.varint(), items.varint(), items.varint())).collect();
                producers.insert((log, id), (epoch, last));
            }
            kind => panic!("item {kind}"),
        }
    }
    assert_eq!(producers, BTreeMap::from([((1, 300), (1, vec![(7, 3, 0)]))]));
}
