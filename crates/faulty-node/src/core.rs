//! The node as an object: lines and the time in, lines out. Never does I/O, never reads a clock.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::bugs::{Bug, Bugs, Planted};
use crate::message::{self, Body, Message};
use crate::request::{CRASH, Error, Kind, Request, TEMPORARILY_UNAVAILABLE};
use crate::storage::Storage;
use crate::storage::lin_kv::{self, Answer, Call, LinKv};
use crate::storage::memory::Memory;
use crate::task::Task;

/// How long a request may take. Maelstrom's clients are gone after 5 s, and a message to one that is
/// gone breaks the protocol: what took longer is dropped, with a margin for the way.
const PATIENCE_NS: u64 = 4_500_000_000;

/// How late `late-answer` answers.
const LATE_NS: u64 = 6_000_000_000;

/// How `exit-after` exits.
const EXIT_STATUS: u8 = 3;

/// What a node is like.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where it keeps its state.
    pub storage: Storage,
    /// What is broken.
    pub bugs: Vec<Planted>,
}

/// The end of a node by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Of the process.
    pub status: u8,
    /// For its stderr.
    pub text: String,
}

/// The node.
pub struct FaultyNode {
    /// From `init`.
    id: Option<String>,
    bugs: Bugs,
    store: Store,
    next_task: u64,
    /// Requests that wait for the storage, by their number: the oldest, whose patience ends first, is
    /// the first.
    waiting: BTreeMap<u64, Waiting>,
    /// Answers that are late on purpose, with their time, the earliest first.
    late: VecDeque<(u64, Vec<u8>)>,
    requests: u64,
    exit: Option<Exit>,
}

enum Store {
    Memory(Memory),
    LinKv(Option<LinKv>),
}

/// Where an answer goes.
struct Client {
    /// The node's own address.
    node: String,
    address: String,
    msg_id: i64,
}

struct Waiting {
    client: Client,
    task: Task,
    /// How many of its jobs are not done.
    open_jobs: usize,
    deadline_ns: u64,
}

impl FaultyNode {
    /// A node before its `init`, with nothing in memory.
    pub fn new(options: Options) -> Self {
        let bugs = Bugs::new(options.bugs);
        let store = match options.storage {
            Storage::LinKv if !bugs.has(Bug::LoseOnRestart) => Store::LinKv(None),
            _ => Store::Memory(Memory::default()),
        };
        Self {
            id: None,
            bugs,
            store,
            next_task: 0,
            waiting: BTreeMap::new(),
            late: VecDeque::new(),
            requests: 0,
            exit: None,
        }
    }

    /// Takes a line and appends the lines that follow from it to `out`, all without their ends. What is
    /// not a message, or nothing that can be answered, is ignored.
    ///
    /// Time, in nanoseconds, never runs backwards, not even from the end of a node to its restart.
    pub fn receive(&mut self, now_ns: u64, line: &[u8], out: &mut Vec<Vec<u8>>) {
        if self.exit.is_some() {
            return;
        }
        self.drop_overdue(now_ns);
        let Some(message) = Message::parse(line) else { return };
        if let Some(in_reply_to) = message.number("in_reply_to") {
            self.take_answer(now_ns, in_reply_to, message, out);
        } else if let Some(msg_id) = message.number("msg_id") {
            self.take_request(now_ns, msg_id, message, out);
        }
    }

    /// When [`on_timer`](Self::on_timer) is to be called, in nanoseconds, if ever.
    pub fn next_timer(&self) -> Option<u64> {
        if self.exit.is_some() {
            return None;
        }
        let overdue = self.waiting.values().next().map(|waiting| waiting.deadline_ns);
        let late = self.late.front().map(|(due_ns, _)| *due_ns);
        overdue.into_iter().chain(late).min()
    }

    /// Does what is due, and appends the lines that follow to `out`.
    pub fn on_timer(&mut self, now_ns: u64, out: &mut Vec<Vec<u8>>) {
        self.drop_overdue(now_ns);
        while self.late.front().is_some_and(|(due_ns, _)| *due_ns <= now_ns) {
            out.extend(self.late.pop_front().map(|(_, line)| line));
        }
    }

    /// Whether the node wants to end, and how; from then on it does nothing.
    pub fn exit(&self) -> Option<&Exit> {
        self.exit.as_ref()
    }

    fn drop_overdue(&mut self, now_ns: u64) {
        while let Some(oldest) = self.waiting.first_entry()
            && oldest.get().deadline_ns <= now_ns
        {
            let task = *oldest.key();
            oldest.remove();
            self.forget_calls(task);
        }
    }

    fn forget_calls(&mut self, task: u64) {
        if let Store::LinKv(Some(lin_kv)) = &mut self.store {
            lin_kv.forget(task);
        }
    }

    fn take_request(&mut self, now_ns: u64, msg_id: i64, message: Message, out: &mut Vec<Vec<u8>>) {
        let node = self.id.clone().unwrap_or(message.dest);
        let client = Client { node, address: message.src, msg_id };
        match Request::parse(message.body) {
            Ok(Request::Init { node_id }) => self.init(now_ns, &client, node_id, out),
            request => {
                self.soil_stdout(out);
                let request = request.and_then(|request| self.only_after_init(request));
                match request.map(|request| Task::new(request, &mut self.bugs)) {
                    Ok(Some(task)) => self.start(now_ns, client, task, out),
                    Ok(None) => {}
                    Err(error) => self.reply(now_ns, &client, None, error.into_body(), out),
                }
                self.exit_if_due();
            }
        }
    }

    fn init(&mut self, now_ns: u64, client: &Client, node_id: String, out: &mut Vec<Vec<u8>>) {
        let id = self.id.get_or_insert(node_id).clone();
        if let Store::LinKv(lin_kv) = &mut self.store {
            lin_kv.get_or_insert_with(|| LinKv::new(now_ns));
        }
        let mut body = message::body("init_ok", []);
        body.insert("in_reply_to".into(), client.msg_id.into());
        out.push(message::line(&id, &client.address, &body));
    }

    fn only_after_init(&self, request: Request) -> Result<Request, Error> {
        let too_early = || Error::new(TEMPORARILY_UNAVAILABLE, "init comes first");
        self.id.is_some().then_some(request).ok_or_else(too_early)
    }

    fn soil_stdout(&mut self, out: &mut Vec<Vec<u8>>) {
        self.requests += 1;
        if self.bugs.strikes(Bug::GarbageOnStdout) {
            out.push(format!("INFO {} requests so far", self.requests).into_bytes());
        }
        if self.bugs.strikes(Bug::BlankLine) {
            out.push(Vec::new());
        }
    }

    fn exit_if_due(&mut self) {
        if self.bugs.strikes(Bug::ExitAfter) {
            let text = format!("exiting after {} requests, as told", self.requests);
            self.exit = Some(Exit { status: EXIT_STATUS, text });
        }
    }

    fn start(&mut self, now_ns: u64, client: Client, mut task: Task, out: &mut Vec<Vec<u8>>) {
        match &mut self.store {
            Store::Memory(memory) => {
                task.jobs.iter_mut().for_each(|job| memory.run(job));
                self.finish(now_ns, &client, task, out);
            }
            Store::LinKv(_) if task.jobs.is_empty() => self.finish(now_ns, &client, task, out),
            Store::LinKv(_) => {
                let deadline_ns = now_ns.saturating_add(PATIENCE_NS);
                let open_jobs = task.jobs.len();
                let number = self.next_task;
                self.next_task += 1;
                self.waiting.insert(number, Waiting { client, task, open_jobs, deadline_ns });
                (0..open_jobs).for_each(|job| self.read(number, job, out));
            }
        }
    }

    /// Asks the service for the document of a job.
    fn read(&mut self, task: u64, job: usize, out: &mut Vec<Vec<u8>>) {
        let Store::LinKv(Some(lin_kv)) = &mut self.store else { return };
        let Some(waiting) = self.waiting.get(&task) else { return };
        let body = lin_kv.read(task, job, &waiting.task.jobs[job].document());
        out.push(message::line(&waiting.client.node, lin_kv::ADDRESS, &body));
    }

    /// Takes an answer of the service.
    fn take_answer(
        &mut self,
        now_ns: u64,
        in_reply_to: i64,
        message: Message,
        out: &mut Vec<Vec<u8>>,
    ) {
        let Store::LinKv(Some(lin_kv)) = &mut self.store else { return };
        if message.src != lin_kv::ADDRESS {
            return;
        }
        match lin_kv.answered(in_reply_to, message.body) {
            Some((call, Answer::Document(document))) => self.work(now_ns, call, document, out),
            Some((call, Answer::Replaced)) => self.job_done(now_ns, call.task, out),
            Some((call, Answer::Conflict)) => self.read(call.task, call.job, out),
            Some((call, Answer::Unknown(text))) => self.give_up(now_ns, call.task, text, out),
            None => {}
        }
    }

    /// Does a job on the document that was read, and stores what becomes of it.
    fn work(&mut self, now_ns: u64, call: Call, document: Value, out: &mut Vec<Vec<u8>>) {
        let Store::LinKv(Some(lin_kv)) = &mut self.store else { return };
        let Some(waiting) = self.waiting.get_mut(&call.task) else { return };
        let job = &mut waiting.task.jobs[call.job];
        let mut changed = document.clone();
        if job.run(&mut changed) {
            let body = lin_kv.cas(call, &job.document(), document, changed);
            out.push(message::line(&waiting.client.node, lin_kv::ADDRESS, &body));
        } else {
            self.job_done(now_ns, call.task, out);
        }
    }

    fn job_done(&mut self, now_ns: u64, task: u64, out: &mut Vec<Vec<u8>>) {
        let Some(waiting) = self.waiting.get_mut(&task) else { return };
        waiting.open_jobs -= 1;
        if waiting.open_jobs == 0
            && let Some(Waiting { client, task, .. }) = self.waiting.remove(&task)
        {
            self.finish(now_ns, &client, task, out);
        }
    }

    /// Tells the client that nobody knows what happened.
    fn give_up(&mut self, now_ns: u64, task: u64, text: String, out: &mut Vec<Vec<u8>>) {
        let Some(Waiting { client, task: Task { kind, .. }, .. }) = self.waiting.remove(&task)
        else {
            return;
        };
        self.forget_calls(task);
        self.reply(now_ns, &client, Some(kind), Error::new(CRASH, text).into_body(), out);
    }

    fn finish(&mut self, now_ns: u64, client: &Client, task: Task, out: &mut Vec<Vec<u8>>) {
        let kind = task.kind;
        let body = task.answer(&mut self.bugs);
        self.reply(now_ns, client, Some(kind), body, out);
    }

    fn reply(
        &mut self,
        now_ns: u64,
        client: &Client,
        kind: Option<Kind>,
        mut body: Body,
        out: &mut Vec<Vec<u8>>,
    ) {
        if kind.is_some_and(|kind| self.bugs.never_answers(kind)) {
            return;
        }
        self.break_body(&mut body);
        body.insert("in_reply_to".into(), client.msg_id.into());
        if self.bugs.strikes(Bug::WrongDestination) {
            out.push(message::line(&client.node, "c99999", &body));
        }
        let line = message::line(&client.node, &client.address, &body);
        if self.bugs.strikes(Bug::LateAnswer) {
            self.late.push_back((now_ns.saturating_add(LATE_NS), line));
        } else {
            out.push(line);
        }
    }

    fn break_body(&mut self, body: &mut Body) {
        if let Some(offset) = body.get_mut("offset")
            && self.bugs.strikes(Bug::StringOffset)
        {
            *offset = offset.to_string().into();
        }
        if !body.contains_key("code") && self.bugs.strikes(Bug::ExtraField) {
            body.insert("extra".into(), true.into());
        }
    }
}

#[cfg(test)]
mod tests;
