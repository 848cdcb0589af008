//! An engine for many threads: one thread owns it, callers wait in a bounded queue, and all that waits shares the next
//! sync. Never shows an outcome before it is durable.

use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, mem};

use crate::command::{Append, Command, Outcome};
use crate::engine::Engine;
use crate::read::{Budget, Read};
use crate::{Bounds, Failed, Offset, Refused, system};

/// How many requests may wait: who comes then waits until there is room, so that memory is bounded.
const MOST_WAITING: usize = 1024;

/// How many requests share a sync at most.
const MOST_TOGETHER: usize = 1024;

/// So often an engine that nobody asks is synced all the same: sorting and retention go on.
const IDLE: Duration = Duration::from_secs(1);

/// An engine on disk or in memory that any number of threads use at once. Clones are the same engine.
///
/// The engine ends when the last clone is gone; what was appended by then is durable.
///
/// ```
/// let handle = straum::Handle::new(straum::Engine::in_memory())?;
/// let other = handle.clone();
/// let sender = std::thread::spawn(move || other.append("k", b"hello").unwrap());
/// assert_eq!(sender.join().unwrap(), 0);
/// let read = handle.read("k", 0, 1 << 20)?.unwrap();
/// assert_eq!(read.fetch()?.iter().count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Handle {
    queue: SyncSender<Request>,
    shared: Arc<Shared>,
    /// Dropped last: waits for the thread to end.
    _owner: Arc<Owner>,
}

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandleError {
    /// It was not taken, and nothing has changed.
    Refused(Refused),
    /// The journal has failed: what was asked may have happened, or not. The program must start again.
    Failed(Failed),
    /// The thread that owned the engine is gone: what was asked may have happened, or not.
    Gone,
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Failed(failed) => failed.fmt(f),
            Self::Gone => f.write_str("the engine is gone"),
        }
    }
}

impl std::error::Error for HandleError {}

/// What the callers wait for the growth of logs with.
#[derive(Debug, Default)]
struct Shared {
    /// How often logs have grown.
    growth: Mutex<u64>,
    grown: Condvar,
}

impl Shared {
    fn growth(&self) -> MutexGuard<'_, u64> {
        self.growth.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that is under way, with what comes of it. Whoever drops it does not wait for it; it is done all the same.
#[derive(Debug)]
pub struct Pending<T>(Receiver<Result<T, HandleError>>);

impl<T> Pending<T> {
    /// Waits until it is durable.
    ///
    /// # Errors
    /// [`HandleError::Failed`] or [`HandleError::Gone`].
    pub fn wait(self) -> Result<T, HandleError> {
        self.0.recv().unwrap_or(Err(HandleError::Gone))
    }
}

/// Waits for the thread when the last handle is gone.
#[derive(Debug)]
struct Owner(Mutex<Option<JoinHandle<()>>>);

impl Drop for Owner {
    fn drop(&mut self) {
        let thread = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.join().ok();
        }
    }
}

/// What is done on the engine's thread. What it gives back is called when all before it is durable.
type Work = Box<dyn FnOnce(&mut Engine) -> After + Send>;

/// Tells the caller, with the failure of the sync if it failed.
type After = Box<dyn FnOnce(Option<&Failed>) + Send>;

struct Request(Work);

impl Handle {
    /// Gives an engine a thread of its own.
    ///
    /// # Errors
    /// Those of the system when it has no more threads.
    pub fn new(engine: Engine) -> io::Result<Self> {
        let (queue, requests) = sync_channel(MOST_WAITING);
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("straum".into())
            .spawn(move || own(engine, &requests, &for_thread))?;
        Ok(Self { queue, shared, _owner: Arc::new(Owner(Mutex::new(Some(thread)))) })
    }

    /// Does something with the engine, together with what others do, and waits until all of it is durable. What it
    /// reads of logs is what was durable before.
    ///
    /// # Errors
    /// [`HandleError::Failed`] or [`HandleError::Gone`].
    pub fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<T, HandleError> {
        self.begin(work)?.wait()
    }

    /// The same, without waiting: a thread can have several things under way. They are done in the order in which the
    /// thread began them. Only where too many wait already, this waits until there is room.
    ///
    /// # Errors
    /// [`HandleError::Gone`].
    pub fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<Pending<T>, HandleError> {
        let (answer, answered) = sync_channel(1);
        let work: Work = Box::new(move |engine| {
            let done = work(engine);
            Box::new(move |failed| {
                let told =
                    failed.map_or(Ok(done), |failed| Err(HandleError::Failed(failed.clone())));
                answer.send(told).ok(); // If nobody waits for it, nobody has to be told.
            })
        });
        self.queue.send(Request(work)).map_err(|_| HandleError::Gone)?;
        Ok(Pending(answered))
    }

    /// Appends a record to the log of a key and returns its offset when that is durable.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn append(&self, log: &str, record: &[u8]) -> Result<Offset, HandleError> {
        let (log, record) = (log.to_owned(), record.to_owned());
        let append = move |engine: &mut Engine| engine.append(&log, &record);
        self.with(append)?.map_err(HandleError::Refused)
    }

    /// Appends records to the log of a key, all of them or none, and returns the offset of the first one when that is
    /// durable. None if there are no records.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn append_all(
        &self,
        log: &str,
        records: Vec<Vec<u8>>,
    ) -> Result<Option<Offset>, HandleError> {
        let log = log.to_owned();
        let append = move |engine: &mut Engine| {
            let appends = records.iter().map(|record| Append::record(&log, record));
            let commands: Vec<_> = appends.map(Command::Append).collect();
            let mut first = None;
            let outcome = |outcome: Outcome| first = first.or(outcome.offset());
            engine.apply_all(&commands, outcome).map(|()| first)
        };
        self.with(append)?.map_err(HandleError::Refused)
    }

    /// Records how far a group has got with a log, and returns when that is durable.
    ///
    /// # Errors
    /// [`HandleError`].
    pub fn commit(&self, group: &str, log: &str, offset: Offset) -> Result<(), HandleError> {
        let (group, log) = (group.to_owned(), log.to_owned());
        let commit = move |engine: &mut Engine| engine.commit(&group, &log, offset);
        self.with(commit)?.map_err(HandleError::Refused)
    }

    /// The offset that a group has committed for a log.
    ///
    /// # Errors
    /// [`HandleError::Failed`] or [`HandleError::Gone`].
    pub fn committed(&self, group: &str, log: &str) -> Result<Option<Offset>, HandleError> {
        let (group, log) = (group.to_owned(), log.to_owned());
        self.with(move |engine| engine.committed(&group, &log).map(|committed| committed.offset))
    }

    /// What is known of a log.
    ///
    /// # Errors
    /// [`HandleError::Failed`] or [`HandleError::Gone`].
    pub fn bounds(&self, log: &str) -> Result<Option<Bounds>, HandleError> {
        let log = log.to_owned();
        self.with(move |engine| engine.bounds(&log))
    }

    /// Reads a log from an offset on, for about so many bytes: see [`Engine::read`]. What is in files is read by who
    /// calls [`Read::fetch`], while the engine goes on.
    ///
    /// # Errors
    /// [`HandleError::Failed`] or [`HandleError::Gone`].
    pub fn read(
        &self,
        log: &str,
        from: Offset,
        max_bytes: u64,
    ) -> Result<Option<Read>, HandleError> {
        let log = log.to_owned();
        self.with(move |engine| engine.read(&log, from, max_bytes, &mut Budget::new(max_bytes, 0)))
    }

    /// The same; if there is nothing yet, waits until there is, at most for so long.
    ///
    /// # Errors
    /// [`HandleError::Failed`] or [`HandleError::Gone`].
    pub fn wait_and_read(
        &self,
        log: &str,
        from: Offset,
        max_bytes: u64,
        patience: Duration,
    ) -> Result<Option<Read>, HandleError> {
        let deadline = Instant::now() + patience;
        loop {
            let seen = *self.shared.growth();
            let read = self.read(log, from, max_bytes)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if read.is_some() || left.is_zero() {
                return Ok(read);
            }
            let growth = self.shared.growth();
            let waited =
                self.shared.grown.wait_timeout_while(growth, left, |growth| *growth == seen);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Takes all that waits, does it, syncs once, and tells the callers; until nobody can ask any more.
fn own(mut engine: Engine, requests: &Receiver<Request>, shared: &Shared) {
    let mut told: Vec<After> = Vec::new();
    let mut pace = Pace::default();
    loop {
        match requests.recv_timeout(IDLE) {
            Ok(first) => {
                engine.set_time(system::now());
                told.push(first.0(&mut engine));
                pace.gather(requests, &mut engine, &mut told);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let began = Instant::now();
        let (grew, failed) = match engine.sync(system::now()) {
            Ok(mut grown) => (grown.next().is_some(), None),
            Err(failed) => (false, Some(failed)),
        };
        pace = Pace { callers: told.len(), patience: began.elapsed() / 2 };
        for after in mem::take(&mut told) {
            after(failed.as_ref());
        }
        if grew {
            *shared.growth() += 1;
            shared.grown.notify_all();
        }
    }
}

/// Those who were answered come back together, a moment later: as many as came last time are waited for, for half as
/// long as the last sync took. Nobody waits for others who is alone.
#[derive(Debug, Default)]
struct Pace {
    callers: usize,
    patience: Duration,
}

impl Pace {
    fn gather(&self, requests: &Receiver<Request>, engine: &mut Engine, told: &mut Vec<After>) {
        let began = Instant::now();
        loop {
            let room = MOST_TOGETHER - told.len();
            told.extend(requests.try_iter().take(room).map(|Request(work)| work(engine)));
            let is_enough = told.len() >= self.callers.min(MOST_TOGETHER);
            if is_enough || began.elapsed() >= self.patience {
                return;
            }
            thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn many_threads_append_and_every_record_has_its_offset() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::default().create(true);
        let handle = Handle::new(options.open(folder.path()).unwrap().0).unwrap();
        let threads: Vec<_> = (0..8_u8)
            .map(|number| {
                let handle = handle.clone();
                thread::spawn(move || -> Vec<_> {
                    (0..50_u8)
                        .map(|n| (handle.append("k", &[number, n]).unwrap(), [number, n]))
                        .collect()
                })
            })
            .collect();
        let mut sent: Vec<_> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        sent.sort_unstable();
        drop(handle);
        // The folder is free again, and all is there.
        let (engine, _) = options.open(folder.path()).unwrap();
        let read =
            engine.read("k", 0, u64::MAX, &mut Budget::new(u64::MAX, 0)).unwrap().fetch().unwrap();
        let read: Vec<_> =
            read.iter().map(|record| (record.offset, [record.bytes[0], record.bytes[1]])).collect();
        assert_eq!(read, sent);
    }

    #[test]
    fn who_waits_for_a_log_is_woken_when_it_grows() {
        let handle = Handle::new(Engine::in_memory()).unwrap();
        let reader = handle.clone();
        let waiting = thread::spawn(move || {
            let read = reader.wait_and_read("k", 0, 100, Duration::from_mins(1)).unwrap();
            read.unwrap().fetch().unwrap().iter().count()
        });
        handle.append("other", b"m").unwrap();
        assert_eq!(handle.append_all("k", vec![b"a".to_vec(), b"b".to_vec()]).unwrap(), Some(0));
        assert_eq!(waiting.join().unwrap(), 2);
        let nothing = handle.wait_and_read("none", 0, 100, Duration::ZERO).unwrap();
        assert!(nothing.is_none());
    }

    #[test]
    fn what_is_refused_is_told_and_what_others_asked_is_done() {
        let handle = Handle::new(Engine::in_memory()).unwrap();
        let too_long = "k".repeat(crate::MAX_NAME_BYTES + 1);
        let refused = handle.append(&too_long, b"m").unwrap_err();
        assert!(matches!(refused, HandleError::Refused(Refused::TooLarge { .. })));
        handle.commit("g", "k", 5).unwrap();
        assert_eq!(handle.committed("g", "k").unwrap(), Some(5));
        assert_eq!(handle.bounds("k").unwrap(), None);
    }
}
