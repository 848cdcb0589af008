//! SIGTERM and SIGINT: the process ends between two batches, never within one.
//!
//! A thread waits for the signals, since a loop that waits for both input and signals would pay for
//! one more system call on every round trip. It never touches the node.

use std::io;
use std::process;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// Ends the process with success when a signal has come and `batch` is free. A second signal does not
/// wait: it ends the process at once, as the signal alone would have.
///
/// # Errors
/// Those of the system when it takes no more signal handlers or threads.
pub(crate) fn stop_between_batches(batch: Arc<Mutex<()>>) -> io::Result<()> {
    let asked_before = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        flag::register_conditional_default(signal, Arc::clone(&asked_before))?;
        flag::register(signal, Arc::clone(&asked_before))?;
    }
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            let _idle = batch.lock().unwrap_or_else(PoisonError::into_inner);
            log::info!("stopped: signal");
            process::exit(0);
        }
    })?;
    Ok(())
}
