//! Kills a node that has gone silent, so that no run waits forever. Never looks at what it says.

use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

pub(crate) struct Watchdog {
    done: Sender<()>,
    thread: JoinHandle<bool>,
}

impl Watchdog {
    /// Kills the child's process group when `progress` stands still from one look to the next.
    pub(crate) fn watch(child: &Child, progress: Arc<AtomicU64>, every: Duration) -> Self {
        let group = Pid::from_child(child);
        let (done, disarmed) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut seen = progress.load(Ordering::Relaxed);
            while disarmed.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let now = progress.load(Ordering::Relaxed);
                if now == seen {
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    fn sleep(seconds: &str) -> Child {
        Command::new("sleep").arg(seconds).process_group(0).spawn().unwrap()
    }

    #[test]
    fn a_silent_child_is_killed() {
        let mut child = sleep("1000");
        let watchdog = Watchdog::watch(&child, Arc::default(), Duration::from_millis(1));
        assert!(!child.wait().unwrap().success());
        assert!(watchdog.disarm());
    }

    #[test]
    fn a_child_in_time_is_left_alone() {
        let mut child = sleep("0");
        let watchdog = Watchdog::watch(&child, Arc::default(), Duration::from_secs(1000));
        assert!(child.wait().unwrap().success());
        assert!(!watchdog.disarm());
    }
}
