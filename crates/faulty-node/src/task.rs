//! A request under way: its jobs, one for each document it is about, and its answer. Never knows where
//! documents are.
//!
//! A log is an array of `[offset, message]`, an element `[offset]` being an offset without a message
//! (which only a bug leaves behind). A committed offset is an integer.

use serde_json::{Map, Value, json};

use crate::bugs::{Bug, Bugs};
use crate::message::{self, Body};
use crate::request::{Error, Kind, Request, TEMPORARILY_UNAVAILABLE};

/// How much too high `commit-unasked` lists: no log of a run grows that long.
const UNASKED: i64 = 1_000_000;
/// How much too high `commit-ahead` stores.
const AHEAD: i64 = 5;
/// Invented messages start here, above whatever clients count up to.
const INVENTED: i64 = 900_000_000_000;

/// The bugs that break a send.
const SEND_BUGS: [Bug; 5] = [
    Bug::DropSend,
    Bug::ReuseOffsetKeepOld,
    Bug::ReuseOffsetKeepNew,
    Bug::FailStoredSend,
    Bug::DuplicateMessage,
];

/// What a request does.
pub(crate) struct Task {
    pub(crate) kind: Kind,
    pub(crate) jobs: Vec<Job>,
    /// Decided once, when the request comes.
    flaw: Option<Bug>,
}

/// What a request does to one document.
pub(crate) struct Job {
    key: String,
    work: Work,
    /// What the answer will say of this key; null before the job has run, or if that is nothing.
    found: Value,
}

enum Work {
    Append { msg: Value, flaw: Option<Bug> },
    Read { from: i64, invent: bool },
    Raise { offset: i64 },
    Look,
}

impl Task {
    /// What a request does; `None` for `init`, which is about no document.
    pub(crate) fn new(request: Request, bugs: &mut Bugs) -> Option<Self> {
        match request {
            Request::Init { .. } => None,
            Request::Send { key, msg } => Some(Self::send(key, msg, bugs)),
            Request::Poll { offsets } => Some(Self::poll(offsets, bugs)),
            Request::Commit { offsets } => Some(Self::commit(offsets, bugs)),
            Request::List { keys } => {
                let jobs = keys.into_iter().map(|key| Job::new(key, Work::Look)).collect();
                Some(Self { kind: Kind::List, jobs, flaw: None })
            }
        }
    }

    fn send(key: String, msg: Value, bugs: &mut Bugs) -> Self {
        let flaw = bugs.first_to_strike(&SEND_BUGS);
        Self { kind: Kind::Send, jobs: vec![Job::new(key, Work::Append { msg, flaw })], flaw }
    }

    fn poll(offsets: Vec<(String, i64)>, bugs: &mut Bugs) -> Self {
        let resumes = offsets.iter().any(|(_, from)| *from > 0);
        let from_beginning = resumes && bugs.strikes(Bug::PollFromBeginning);
        let mut invent = !offsets.is_empty() && bugs.strikes(Bug::InventMessage);
        let read = |(key, from)| {
            let from = if from_beginning { 0 } else { from };
            Job::new(key, Work::Read { from, invent: std::mem::take(&mut invent) })
        };
        Self { kind: Kind::Poll, jobs: offsets.into_iter().map(read).collect(), flaw: None }
    }

    /// A negative offset is acknowledged and changes nothing: no message has been processed.
    fn commit(offsets: Vec<(String, i64)>, bugs: &mut Bugs) -> Self {
        let ahead = if bugs.has(Bug::CommitAhead) { AHEAD } else { 0 };
        let stored = |(_, offset): &(String, i64)| *offset >= 0 && !bugs.has(Bug::ForgetCommits);
        let raise = |(key, offset): (String, i64)| {
            Job::new(key, Work::Raise { offset: offset.saturating_add(ahead) })
        };
        let jobs = offsets.into_iter().filter(stored).map(raise).collect();
        Self { kind: Kind::Commit, jobs, flaw: None }
    }

    /// The answer, once all jobs have run.
    pub(crate) fn answer(self, bugs: &mut Bugs) -> Body {
        match self.kind {
            Kind::Send if self.flaw == Some(Bug::FailStoredSend) => {
                Error::new(TEMPORARILY_UNAVAILABLE, "not now").into_body()
            }
            Kind::Send => {
                let offset = self.jobs.into_iter().next().map(|job| job.found);
                message::body("send_ok", [("offset", offset.unwrap_or_default())])
            }
            Kind::Poll => {
                let mut msgs = found(self.jobs);
                break_poll(&mut msgs, bugs);
                message::body("poll_ok", [("msgs", msgs.into())])
            }
            Kind::Commit => {
                for (key, offset) in found(self.jobs) {
                    bugs.saw_commit(&key, offset.as_i64().unwrap_or_default());
                }
                message::body("commit_offsets_ok", [])
            }
            Kind::List => {
                let mut offsets = found(self.jobs);
                break_list(&mut offsets, bugs);
                message::body("list_committed_offsets_ok", [("offsets", offsets.into())])
            }
        }
    }
}

/// What was found for each key, keys for which nothing was left out.
fn found(jobs: Vec<Job>) -> Map<String, Value> {
    jobs.into_iter().filter(|job| !job.found.is_null()).map(|job| (job.key, job.found)).collect()
}

fn break_poll(msgs: &mut Map<String, Value>, bugs: &mut Bugs) {
    if let Some(messages) = longer_than(msgs, 2)
        && bugs.strikes(Bug::SkipInPoll)
    {
        messages.remove(messages.len() / 2);
    }
    if let Some(messages) = longer_than(msgs, 1)
        && bugs.strikes(Bug::ReorderInPoll)
    {
        let middle = messages.len() / 2;
        messages.swap(middle - 1, middle);
    }
}

/// The messages of the first key that has more than `count`.
fn longer_than(msgs: &mut Map<String, Value>, count: usize) -> Option<&mut Vec<Value>> {
    msgs.values_mut().filter_map(Value::as_array_mut).find(|messages| messages.len() > count)
}

fn break_list(offsets: &mut Map<String, Value>, bugs: &mut Bugs) {
    for (key, value) in offsets {
        let Some(offset) = value.as_i64() else { continue };
        if let Some(first) = bugs.first_commit(key)
            && first < offset
            && bugs.strikes(Bug::CommitBackwards)
        {
            *value = first.into();
        }
        if bugs.strikes(Bug::CommitUnasked) {
            *value = offset.saturating_add(UNASKED).into();
        }
    }
}

impl Job {
    fn new(key: String, work: Work) -> Self {
        Self { key, work, found: Value::Null }
    }

    /// The name of the document.
    pub(crate) fn document(&self) -> String {
        match self.work {
            Work::Append { .. } | Work::Read { .. } => format!("log {}", self.key),
            Work::Raise { .. } | Work::Look => format!("committed {}", self.key),
        }
    }

    /// Does the work on the document (null if it does not exist); whether it changed. May be done
    /// again, on another state of the document, if the change could not be stored: only the last time
    /// counts.
    pub(crate) fn run(&mut self, document: &mut Value) -> bool {
        match &self.work {
            Work::Append { msg, flaw } => {
                self.found = append(document, msg, *flaw).into();
                true
            }
            Work::Read { from, invent } => {
                if *invent {
                    append(document, &(INVENTED + next_offset(document)).into(), None);
                }
                self.found = read(document, *from);
                *invent
            }
            Work::Raise { offset } => {
                self.found = (*offset).into();
                raise(document, *offset)
            }
            Work::Look => {
                self.found = document.clone();
                false
            }
        }
    }
}

/// Appends a message to a log; returns its offset.
fn append(log: &mut Value, msg: &Value, flaw: Option<Bug>) -> i64 {
    let next = next_offset(log);
    let mut entries = match log.take() {
        Value::Array(entries) => entries,
        _ => Vec::new(),
    };
    let offset = match flaw {
        Some(Bug::ReuseOffsetKeepOld | Bug::ReuseOffsetKeepNew) if next > 0 => next - 1,
        _ => next,
    };
    match flaw {
        Some(Bug::DropSend) => entries.push(json!([offset])),
        Some(Bug::ReuseOffsetKeepOld) if offset < next => {}
        Some(Bug::ReuseOffsetKeepNew) if offset < next => {
            entries.pop();
            entries.push(json!([offset, msg]));
        }
        Some(Bug::DuplicateMessage) => {
            entries.push(json!([offset, msg]));
            entries.push(json!([offset + 1, msg]));
        }
        _ => entries.push(json!([offset, msg])),
    }
    *log = Value::Array(entries);
    offset
}

/// The messages of a log from an offset on, or null.
fn read(log: &Value, from: i64) -> Value {
    let Value::Array(entries) = log else { return Value::Null };
    let begin = entries.partition_point(|entry| offset_of(entry) < from);
    let has_message = |entry: &&Value| entry.get(1).is_some();
    let messages: Vec<Value> = entries.iter().skip(begin).filter(has_message).cloned().collect();
    if messages.is_empty() { Value::Null } else { messages.into() }
}

fn next_offset(log: &Value) -> i64 {
    log.as_array().and_then(|entries| entries.last()).map_or(0, |last| offset_of(last) + 1)
}

fn offset_of(entry: &Value) -> i64 {
    entry.get(0).and_then(Value::as_i64).unwrap_or_default()
}

/// Raises a committed offset; whether it did: it never goes back.
fn raise(committed: &mut Value, offset: i64) -> bool {
    let raises = committed.as_i64().is_none_or(|before| before < offset);
    if raises {
        *committed = offset.into();
    }
    raises
}
