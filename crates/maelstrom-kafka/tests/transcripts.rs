//! Plays the stories in `transcripts/` to the real binary. A line that begins with `>` goes in, one
//! with `<` must come out, and one with `!` must be in the next line on stderr; the rest is prose.
//! Never accepts a line more or less than the story tells.

mod common;

use std::path::Path;

#[test]
fn every_transcript_goes_as_it_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut stories: Vec<_> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.sort();
    assert!(!stories.is_empty());
    for story in stories {
        println!("{}", story.display());
        play(&std::fs::read_to_string(story).unwrap());
    }
}

fn play(story: &str) {
    let told = |mark: &str| -> Vec<&str> {
        story.lines().filter_map(|line| line.strip_prefix(mark)).map(str::trim_start).collect()
    };
    let options = told("$ maelstrom-kafka");
    let options: Vec<&str> = options.iter().flat_map(|line| line.split_whitespace()).collect();
    let input = told(">").join("\n") + "\n";
    let output = common::run(&options, input.as_bytes());
    assert_eq!(common::lines(&output.stdout), told("<"));
    let stderr = common::lines(&output.stderr);
    let expected = told("!");
    assert_eq!(stderr.len(), expected.len(), "{stderr:#?}");
    for (line, expected) in stderr.iter().zip(expected) {
        assert!(line.contains(expected), "{line:?} does not say {expected:?}");
    }
    assert_eq!(output.status.code(), Some(0));
}
