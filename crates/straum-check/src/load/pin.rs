//! Decides which cores the loader and the node run on: the system's own choice changes from run to run, and
//! with it what a program needs, by a factor of three for one that only moves bytes. Never touches a process
//! that already runs.

use std::slice;

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where the loader and a node run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// Both on the same one: or what is measured where one waits for the other is how long the system takes to
    /// wake a process on another core.
    Same,
    /// The loader on one, the node on all others, if there are others: for what is done at the same time.
    Apart,
}

/// Until it is dropped, the thread that made it, and all that it starts, keep to their cores.
pub(crate) struct Pinned {
    before: CpuSet,
}

impl Pinned {
    /// Starts the node with `start` on its cores, and goes on on the loader's.
    pub(crate) fn start<T>(cores: Cores, start: impl FnOnce() -> T) -> Result<(Self, T)> {
        let before = sched_getaffinity(None).context("cannot ask for the allowed cores")?;
        let pinned = Self { before };
        let allowed: Vec<_> = (0..CpuSet::MAX_CPU).filter(|&core| before.is_set(core)).collect();
        // The first tends to serve the interrupts.
        let (&first, others) = allowed.split_first().context("no core is allowed")?;
        let (of_node, of_loader) = match (cores, others.last()) {
            (_, None) => (&allowed[..], first),
            (Cores::Apart, _) => (others, first),
            (Cores::Same, Some(last)) => (slice::from_ref(last), *last),
        };
        pin(of_node)?;
        let started = start();
        pin(&[of_loader])?;
        Ok((pinned, started))
    }
}

fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    sched_setaffinity(None, &set).context("cannot choose cores")
}

impl Drop for Pinned {
    fn drop(&mut self) {
        sched_setaffinity(None, &self.before).ok();
    }
}
