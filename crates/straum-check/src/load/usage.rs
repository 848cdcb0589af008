//! What a process has used: CPU time and memory. Never counts what other processes used that it started.

use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The system adds what a running process uses to its clock when it stops running or when the system's own
/// clock ticks; after so long it has.
const AT_REST: Duration = Duration::from_millis(10);

/// Reads what one process has used, until it has been waited for.
#[derive(Clone)]
pub(crate) struct Usage {
    pid: Pid,
    status: String,
}

impl Usage {
    pub(crate) fn of(child: &Child) -> Result<Self> {
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        Ok(Self { pid, status: format!("/proc/{pid}/status") })
    }

    /// User and system time of all its threads, ended ones too.
    fn cpu(&self) -> Result<Duration> {
        let clock = clock_getcpuclockid(self.pid).context("cannot find its CPU clock")?;
        Ok(clock_gettime(clock).context("cannot read its CPU clock")?.into())
    }

    /// The most memory that was resident so far; None once it has ended.
    pub(crate) fn peak_kib(&self) -> Option<u32> {
        peak_kib(&fs::read_to_string(&self.status).ok()?)
    }
}

/// Measures from when it is made.
pub(crate) struct Meter {
    usage: Usage,
    cpu_before: Duration,
    start: Instant,
}

/// What the measured part took.
pub(crate) struct Used {
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Duration,
    /// Since the process began.
    pub(crate) peak_kib: u32,
}

impl Meter {
    pub(crate) fn start(usage: &Usage) -> Result<Self> {
        let usage = usage.clone();
        Ok(Self { cpu_before: usage.cpu()?, start: Instant::now(), usage })
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// To be called when all is answered, with the node still there.
    pub(crate) fn stop(self) -> Result<Used> {
        let (elapsed, peak_kib) = (self.elapsed(), self.usage.peak_kib());
        self.used(elapsed, peak_kib)
    }

    /// As `stop`, for a node that may have ended, but has not been waited for.
    pub(crate) fn used(self, elapsed: Duration, peak_kib: Option<u32>) -> Result<Used> {
        thread::sleep(AT_REST);
        let cpu = self.usage.cpu()?.saturating_sub(self.cpu_before);
        let peak_kib = peak_kib.context("no VmHWM in /proc/PID/status")?;
        Ok(Used { elapsed, cpu, peak_kib })
    }
}

fn peak_kib(status: &str) -> Option<u32> {
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_peak_is_read_from_status() {
        let status = "Name:\tnode\nVmPeak:\t  9000 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1000 kB\n";
        assert_eq!(peak_kib(status), Some(1234));
        assert_eq!(peak_kib("Name:\tnode\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn cpu_time_can_be_read_until_the_process_is_waited_for() {
        let script = "read go; i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; echo";
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let meter = Meter::start(&Usage::of(&child).unwrap()).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        // It has ended when its output has.
        std::io::copy(&mut child.stdout.take().unwrap(), &mut std::io::sink()).unwrap();
        let used = meter.used(Duration::ZERO, Some(1)).unwrap();
        assert!(used.cpu > Duration::from_millis(1), "{:?}", used.cpu);
        child.wait().unwrap();
    }
}
