//! What matters about the shape of the workspace, asserted: who may depend on whom, and that every file says
//! what it is. It stands with the engine because that has no dependency of ours; it looks at all crates.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::{Path, PathBuf};

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    let mut files = Vec::new();
    rust_files(&crates(), &mut files);
    assert!(files.len() > 10);
    for file in files {
        assert!(fs::read_to_string(&file).unwrap().starts_with("//! "), "{}", file.display());
    }
}

/// The names in the `[dependencies]` of a crate.
fn dependencies(name: &str) -> Vec<String> {
    let manifest = fs::read_to_string(crates().join(name).join("Cargo.toml")).unwrap();
    let section = manifest.split_once("[dependencies]\n").unwrap().1;
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| Some(line.split_once([' ', '='])?.0.to_owned())).collect()
}

#[test]
fn the_engine_depends_on_files_a_checksum_and_maps_and_nothing_else() {
    for name in dependencies("straum") {
        assert!(
            ["crc32fast", "foldhash", "hashbrown", "rustix"].contains(&name.as_str()),
            "{name}"
        );
    }
}

/// Only whoever asks `system.rs` or the files knows of a clock, of chance or of the operating system.
#[test]
fn the_engine_asks_for_the_time_and_for_chance_in_one_place() {
    let mut files = Vec::new();
    rust_files(&crates().join("straum/src"), &mut files);
    for file in files {
        let path = file.to_string_lossy();
        if ["system.rs", "files/real.rs", "handle.rs", "tests"]
            .iter()
            .any(|name| path.contains(name))
        {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for word in
            ["std::time", "std::fs", "std::net", "std::thread", "serde", "rustix", "getrandom"]
        {
            assert!(!text.contains(word) || path.contains("options.rs"), "{path}: {word}");
        }
    }
}

#[test]
fn the_shared_journal_has_no_clock_no_files_no_network_and_no_threads() {
    let mut files = vec![crates().join("straum/src/shared.rs")];
    rust_files(&crates().join("straum/src/shared"), &mut files);
    assert!(files.len() > 10);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for word in
            ["std::time", "std::fs", "std::io", "std::net", "std::thread", "serde", "rustix"]
        {
            assert!(!text.contains(word), "{}: {word}", file.display());
        }
    }
}

/// Who measures or judges shares no code with a node, nor one node with the other.
#[test]
fn no_crate_needs_another_but_the_node_its_engine() {
    let crates: Vec<_> = fs::read_dir(crates()).unwrap().map(|entry| entry.unwrap()).collect();
    let names = crates.iter().map(|entry| entry.file_name().into_string().unwrap());
    let names: Vec<String> = names.collect();
    let mut pairs = Vec::new();
    for name in &names {
        let ours = dependencies(name).into_iter().filter(|needed| names.contains(needed));
        pairs.extend(ours.map(|needed| (name.clone(), needed)));
    }
    assert_eq!(pairs, [("maelstrom-kafka".to_owned(), "straum".to_owned())]);
}

#[test]
fn every_dependency_has_its_reason_beside_it() {
    for entry in fs::read_dir(crates()).unwrap() {
        let manifest = fs::read_to_string(entry.unwrap().path().join("Cargo.toml")).unwrap();
        let sections = manifest.split("\n[").filter(|section| section.contains("dependencies]\n"));
        for line in sections.flat_map(str::lines).filter(|line| line.contains(" = ")) {
            assert!(line.contains("path = ") || line.contains(" # "), "{line}");
        }
    }
}
