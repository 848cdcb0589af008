//! What a signal that ends this program does first: it kills the node that is running, with all that it
//! started, and waits until the node is dead. Never leaves one behind, or lets another begin.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
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
            let running = running(); // Held to the end, or another node might start.
            if let Some(node) = *running {
                kill_process_group(node, Signal::KILL).ok();
                wait_for_its_death(node);
            }
            emulate_default_handler(signal).ok();
        }
    });
    Ok(())
}

/// Waits until it is dead, and leaves its status to the one that started it.
pub(crate) fn wait_for_its_death(node: Pid) {
    let died = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    // An error means that it has been waited for: it is gone.
    retry_on_intr(|| waitid(WaitId::Pid(node), died)).ok();
}

/// The node that is running; to be set to none before its process group may be another's.
pub(crate) fn running() -> MutexGuard<'static, Option<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
