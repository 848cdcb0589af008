//! The bugs that can be planted, and when each strikes. Never breaks anything itself: where a bug
//! strikes, the code that it breaks asks here.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::request::Kind;

/// A thing that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is described once, in the table")]
pub enum Bug {
    DropSend,
    ReuseOffsetKeepOld,
    ReuseOffsetKeepNew,
    FailStoredSend,
    DuplicateMessage,
    SkipInPoll,
    PollFromBeginning,
    ReorderInPoll,
    InventMessage,
    ForgetCommits,
    CommitBackwards,
    CommitUnasked,
    CommitAhead,
    LoseOnRestart,
    LateAnswer,
    ExtraField,
    StringOffset,
    GarbageOnStdout,
    BlankLine,
    WrongDestination,
    NeverAnswer,
    ExitAfter,
}

/// How often a bug strikes if nobody says.
const EVERY: u64 = 10;

/// What may stand behind a bug's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Number,
    Request,
}

/// Every bug with its name, what may stand behind it, and what it breaks.
#[rustfmt::skip]
const TABLE: [(Bug, &str, Takes, &str); 22] = [
    (Bug::DropSend, "drop-send", Takes::Number, "every Nth send is acknowledged with its own offset, where no message is stored"),
    (Bug::ReuseOffsetKeepOld, "reuse-offset-keep-old", Takes::Number, "every Nth send gets the offset of its log's last message, which stays"),
    (Bug::ReuseOffsetKeepNew, "reuse-offset-keep-new", Takes::Number, "every Nth send gets the offset of its log's last message, which it replaces"),
    (Bug::FailStoredSend, "fail-stored-send", Takes::Number, "every Nth send is stored, but answered with the definite error 11"),
    (Bug::DuplicateMessage, "duplicate-message", Takes::Number, "every Nth send is stored at two offsets, the first of which is answered"),
    (Bug::SkipInPoll, "skip-in-poll", Takes::Number, "every Nth poll with 3 or more messages of a key leaves out one in their middle"),
    (Bug::PollFromBeginning, "poll-from-beginning", Takes::Number, "every Nth poll that asks for a later offset is answered from offset 0"),
    (Bug::ReorderInPoll, "reorder-in-poll", Takes::Number, "every Nth poll with 2 or more messages of a key swaps two neighbours"),
    (Bug::InventMessage, "invent-message", Takes::Number, "every Nth poll appends a message that nobody sent to the first log it reads"),
    (Bug::ForgetCommits, "forget-commits", Takes::Nothing, "commits are acknowledged, but never stored"),
    (Bug::CommitBackwards, "commit-backwards", Takes::Number, "every Nth committed offset that would be listed is the first one the node saw, if that is lower"),
    (Bug::CommitUnasked, "commit-unasked", Takes::Number, "every Nth committed offset that is listed is 1000000 too high: nobody asked for it"),
    (Bug::CommitAhead, "commit-ahead", Takes::Nothing, "commits are stored 5 too high, so that a consumer that resumes there skips messages"),
    (Bug::LoseOnRestart, "lose-on-restart", Takes::Nothing, "the state is kept in memory in spite of --storage lin-kv"),
    (Bug::LateAnswer, "late-answer", Takes::Number, "every Nth answer leaves 6 s late"),
    (Bug::ExtraField, "extra-field", Takes::Number, "every Nth good answer has a field that does not belong there"),
    (Bug::StringOffset, "string-offset", Takes::Number, "every Nth send_ok has its offset as a string"),
    (Bug::GarbageOnStdout, "garbage-on-stdout", Takes::Number, "at every Nth request a log line goes to stdout"),
    (Bug::BlankLine, "blank-line", Takes::Number, "at every Nth request a blank line goes to stdout"),
    (Bug::WrongDestination, "wrong-destination", Takes::Number, "every Nth answer goes to c99999 too, who does not exist"),
    (Bug::NeverAnswer, "never-answer", Takes::Request, "requests of this kind take effect, but are never answered"),
    (Bug::ExitAfter, "exit-after", Takes::Number, "after N requests the node exits with status 3"),
];

/// Its name on the command line.
impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = TABLE.iter().find(|row| row.0 == *self);
        f.write_str(row.map_or("", |row| row.1))
    }
}

impl Bug {
    /// Every bug.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }
}

/// The table for people.
pub fn help() -> String {
    let mut text = String::from("Bugs (N is 10 if it is left out):\n");
    for (_, name, takes, breaks) in TABLE {
        let name = match takes {
            Takes::Nothing => name.to_owned(),
            Takes::Number => format!("{name}=N"),
            Takes::Request => format!("{name}=REQUEST"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<25} {breaks}");
    }
    let kinds = Kind::ALL.map(Kind::name).join(", ");
    let _ = writeln!(text, "\nREQUEST is one of: {kinds}.");
    text.push_str("With two or more nodes, --storage memory is a bug of its own: split brain.");
    text
}

/// A bug as it was asked for: `drop-send`, `drop-send=5`, `never-answer=poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    bug: Bug,
    /// At least 1.
    every: u64,
    request: Option<Kind>,
}

impl FromStr for Planted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) =
            text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let Some(&(bug, _, takes, _)) = TABLE.iter().find(|row| row.1 == name) else {
            return Err(format!("there is no bug {name}: see --help"));
        };
        let planted = Self { bug, every: EVERY, request: None };
        match (takes, value) {
            (Takes::Nothing | Takes::Number, None) => Ok(planted),
            (Takes::Number, Some(value)) => Ok(Self { every: number(value)?, ..planted }),
            (Takes::Request, Some(value)) => Ok(Self { request: Some(value.parse()?), ..planted }),
            (Takes::Nothing, Some(_)) => Err(format!("{name} takes no value")),
            (Takes::Request, None) => Err(format!("{name} needs a kind of request")),
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{text} is not a number from 1")),
    }
}

/// The bugs of a node, each with its count of occasions.
pub(crate) struct Bugs {
    planted: Vec<(Planted, u64)>,
    /// The first committed offset of each key that this node saw; kept only for `commit-backwards`.
    first_commits: BTreeMap<String, i64>,
}

impl Bugs {
    pub(crate) fn new(bugs: Vec<Planted>) -> Self {
        let planted = bugs.into_iter().map(|bug| (bug, 0)).collect();
        Self { planted, first_commits: BTreeMap::new() }
    }

    /// Whether the bug is there at all.
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.planted.iter().any(|(planted, _)| planted.bug == bug)
    }

    /// Counts an occasion for the bug; whether it takes it.
    pub(crate) fn strikes(&mut self, bug: Bug) -> bool {
        let mut strikes = false;
        for (planted, occasions) in &mut self.planted {
            if planted.bug == bug {
                *occasions += 1;
                strikes |= occasions.is_multiple_of(planted.every);
            }
        }
        strikes
    }

    /// The first of `bugs` that takes this occasion.
    pub(crate) fn first_to_strike(&mut self, bugs: &[Bug]) -> Option<Bug> {
        bugs.iter().copied().find(|&bug| self.strikes(bug))
    }

    /// Whether requests of this kind are never answered.
    pub(crate) fn never_answers(&self, kind: Kind) -> bool {
        self.planted.iter().any(|(planted, _)| planted.request == Some(kind))
    }

    /// Remembers a committed offset, if a bug will want it.
    pub(crate) fn saw_commit(&mut self, key: &str, offset: i64) {
        if self.has(Bug::CommitBackwards) && !self.first_commits.contains_key(key) {
            self.first_commits.insert(key.to_owned(), offset);
        }
    }

    /// The first committed offset that was seen for a key.
    pub(crate) fn first_commit(&self, key: &str) -> Option<i64> {
        self.first_commits.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_stands_once_in_the_table() {
        for bug in Bug::all() {
            assert_eq!(TABLE.iter().filter(|row| row.0 == bug).count(), 1, "{bug:?}");
        }
    }

    #[test]
    fn a_name_may_carry_what_its_bug_takes() {
        let planted = |text: &str| text.parse::<Planted>().unwrap();
        assert_eq!(planted("drop-send").every, 10);
        assert_eq!(planted("drop-send=3").every, 3);
        assert_eq!(planted("forget-commits").bug, Bug::ForgetCommits);
        assert_eq!(planted("never-answer=commit_offsets").request, Some(Kind::Commit));
    }

    #[test]
    fn what_a_bug_does_not_take_is_refused() {
        for text in [
            "no-such-bug",
            "",
            "drop-send=",
            "drop-send=0",
            "drop-send=-1",
            "drop-send=two",
            "forget-commits=3",
            "never-answer",
            "never-answer=init",
        ] {
            assert!(text.parse::<Planted>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_bug_strikes_at_every_nth_occasion() {
        let mut bugs = Bugs::new(vec!["drop-send=3".parse().unwrap()]);
        let struck: Vec<bool> = (0..7).map(|_| bugs.strikes(Bug::DropSend)).collect();
        assert_eq!(struck, [false, false, true, false, false, true, false]);
        assert!(!bugs.strikes(Bug::BlankLine));
    }
}
