//! What a signal that ends this program does first: it kills the node that is running, with all that it
//! started. Never leaves one behind that does not heed the end of its input.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// The process group of the node that is running.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

/// From now on.
pub(crate) fn kill_with_us() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            if let Some(group) = *running() {
                kill_process_group(group, Signal::KILL).ok();
            }
            emulate_default_handler(signal).ok();
        }
    });
    Ok(())
}

/// The node that is running; to be set to none before its process group may be another's.
pub(crate) fn running() -> MutexGuard<'static, Option<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
