//! Keeps this thread, and the processes it starts, on one core for a while. Never touches a
//! process that already runs.

use anyhow::Result;

/// Until it is dropped, the thread that made it runs on one core only.
pub(crate) struct Pinned {
    #[cfg(target_os = "linux")]
    before: rustix::thread::CpuSet,
}

#[cfg(target_os = "linux")]
impl Pinned {
    pub(crate) fn to_one_core() -> Result<Self> {
        use anyhow::Context as _;
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

        let before = sched_getaffinity(None).context("cannot ask for the allowed cores")?;
        // The last: the first tends to serve the interrupts.
        let core = (0..CpuSet::MAX_CPU).rev().find(|&core| before.is_set(core));
        let mut one = CpuSet::new();
        one.set(core.context("no core is allowed")?);
        sched_setaffinity(None, &one).context("cannot pin to one core")?;
        Ok(Self { before })
    }
}

#[cfg(target_os = "linux")]
impl Drop for Pinned {
    fn drop(&mut self) {
        rustix::thread::sched_setaffinity(None, &self.before).ok();
    }
}

#[cfg(not(target_os = "linux"))]
impl Pinned {
    pub(crate) fn to_one_core() -> Result<Self> {
        Ok(Self {})
    }
}
