//! SIGTERM and SIGINT: the process ends between two batches, never within one.
//!
//! A thread waits for the signals, since a loop that waits for both input and signals would pay for
//! one more system call on every round trip. It never touches the node.

use std::io;
use std::mem;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// A signal this long after the first one is from somebody who has waited for the batch and means it;
/// an earlier one comes from the same wish, by another way.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the loop and the thread that waits for signals share.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    batch: Mutex<()>,
    asked: AtomicBool,
}

impl Stop {
    /// Ends the process with success when a signal has come and no batch is at hand. A signal that
    /// comes long after the first ends the process at once, as it would have without us.
    ///
    /// # Errors
    /// Those of the system when it takes no more signal handlers or threads.
    pub(crate) fn on_signals() -> io::Result<Arc<Self>> {
        let stop = Arc::new(Self::default());
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let shared = Arc::clone(&stop);
        spawn(move || {
            let mut first_at = None;
            for signal in signals.forever() {
                match first_at {
                    None => {
                        first_at = Some(Instant::now());
                        shared.asked.store(true, Ordering::Relaxed);
                        let shared = Arc::clone(&shared);
                        spawn(move || shared.exit_between_batches()).ok();
                    }
                    Some(at) if at.elapsed() >= PATIENCE => {
                        emulate_default_handler(signal).ok();
                    }
                    Some(_) => {}
                }
            }
        })?;
        Ok(stop)
    }

    /// Held while a batch is at hand.
    pub(crate) fn batch(&self) -> MutexGuard<'_, ()> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this batch is the last.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Says why a loop has come to its good end, once: the other thread has nothing to add any more.
    pub(crate) fn farewell(&self) {
        mem::forget(self.batch());
        log::info!("stopped: {}", if self.asked() { "a signal" } else { "the input ended" });
    }

    /// Comes into its own when the loop waits for input; a busy loop sees that it was asked.
    fn exit_between_batches(&self) {
        self.farewell();
        process::exit(0);
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("signals".into()).spawn(run).map(|_| ())
}
