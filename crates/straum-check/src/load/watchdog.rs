//! Kills a node that has gone silent, so that no run waits forever. Never looks at what it says, and never
//! strikes while the loader itself is busy.

use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// Counts each beginning and each end of waiting for the node: an odd number while the loader waits. Whoever
/// gets even one byte has waited successfully, so a long reply is no silence.
#[derive(Clone, Default)]
pub(crate) struct Waits(Arc<AtomicU64>);

impl Waits {
    /// Does what may take as long as the node likes. Not to be nested.
    pub(crate) fn during<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.0.fetch_add(1, Ordering::Relaxed);
        let got = wait();
        self.0.fetch_add(1, Ordering::Relaxed);
        got
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) struct Watchdog {
    done: Sender<()>,
    thread: JoinHandle<bool>,
}

impl Watchdog {
    /// Kills the child's process group when one wait lasts from one look to the next.
    pub(crate) fn watch(child: &Child, waits: Waits, every: Duration) -> Self {
        let group = Pid::from_child(child);
        let (done, disarmed) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut seen = waits.now();
            while disarmed.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let now = waits.now();
                if is_silence(seen, now) {
                    return kill_process_group(group, Signal::KILL).is_ok();
                }
                seen = now;
            }
            false
        });
        Self { done, thread }
    }

    /// Stops watching; true if it had to kill.
    pub(crate) fn disarm(self) -> bool {
        drop(self.done);
        self.thread.join().unwrap_or(false)
    }
}

/// Whether one wait has lasted from one look to the next.
fn is_silence(seen: u64, now: u64) -> bool {
    now == seen && now % 2 == 1
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    fn sleep(seconds: &str) -> Child {
        Command::new("sleep").arg(seconds).process_group(0).spawn().unwrap()
    }

    #[test]
    fn a_child_that_is_waited_for_in_vain_is_killed() {
        let mut child = sleep("1000");
        let waits = Waits::default();
        let watchdog = Watchdog::watch(&child, waits.clone(), SOON);
        assert!(!waits.during(|| child.wait()).unwrap().success());
        assert!(watchdog.disarm());
    }

    #[test]
    fn a_child_is_left_alone_while_the_loader_is_busy() {
        let mut child = sleep("0.2");
        let waits = Waits::default();
        let watchdog = Watchdog::watch(&child, waits.clone(), SOON);
        assert!(
            child.wait().unwrap().success(),
            "nobody has told the watchdog that it is waited for"
        );
        assert!(!watchdog.disarm());
    }

    #[test]
    fn a_wait_that_got_something_is_no_silence() {
        let waits = Waits::default();
        let first = waits.during(|| waits.now());
        assert!(is_silence(first, first));
        assert!(!is_silence(first, waits.now()), "it is over");
        assert!(!is_silence(first, waits.during(|| waits.now())), "it is another one");
    }
}
