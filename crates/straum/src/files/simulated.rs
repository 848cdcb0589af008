//! Files in memory on a machine that crashes and a disk that fails, for tests: they do the worst that
//! the contract of [`Files`] allows, as a seed decides. Never touches the real file system.
//!
//! Every call that changes or syncs anything is a **step**, numbered from 0, and any step can be made
//! to fail. A test that runs its workload once to count the steps can then try each of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use self::content::Write;
use self::names::{Names, Shared};
use super::{File, Files};
use crate::random::Random;

mod content;
mod names;
#[cfg(test)]
mod tests;

/// How a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The power goes off during the step, which may or may not have had its effect. Every call is an
    /// error from then on, until [`SimulatedFiles::crash`].
    Crash,
    /// The step is an error of this kind. Any part of a write may have been made. Nothing becomes
    /// durable by a sync, and some of what it was for is not tried again by the next one. Nothing else
    /// has an effect, but that a file that could not be created may be there, empty, after a crash.
    Error(ErrorKind),
}

/// A folder in memory, for tests. Clones are the same folder.
#[derive(Clone, Debug)]
pub struct SimulatedFiles {
    disk: Rc<RefCell<Disk>>,
    boot: Cell<u64>,
}

#[derive(Debug)]
struct Disk {
    random: Random,
    names: Names,
    capacity_bytes: u64,
    steps: u64,
    read_bytes: u64,
    failures: BTreeMap<u64, Failure>,
    is_off: bool,
    /// Syncs are answered and not done.
    lies: bool,
    /// How often the machine has crashed. Handles from before a crash are dead.
    boot: u64,
}

impl SimulatedFiles {
    /// An empty folder, on a disk without limit, with all chance to come from `seed`.
    pub fn new(seed: u64) -> Self {
        let disk = Disk {
            random: Random::new(seed),
            names: Names::default(),
            capacity_bytes: u64::MAX,
            steps: 0,
            read_bytes: 0,
            failures: BTreeMap::new(),
            is_off: false,
            lies: false,
            boot: 0,
        };
        Self { disk: Rc::new(RefCell::new(disk)), boot: Cell::new(0) }
    }

    /// The machine crashes, if a step has not made it do so already, and starts again.
    ///
    /// What was not synced is left or not, in whole or in part. Every file that was open and every other
    /// clone of this folder is dead: all calls on it are errors. This one goes on.
    pub fn crash(&self) {
        let disk = &mut *self.disk.borrow_mut();
        disk.names.crash(&mut disk.random);
        self.boot.set(disk.start_again());
    }

    /// The process ends, however it ends, and the machine goes on: what was not synced can still be read,
    /// and is still not synced. Every file that was open and every other clone of this folder is dead.
    pub fn kill(&self) {
        self.boot.set(self.disk.borrow_mut().start_again());
    }

    /// From now on, syncs succeed and do nothing: the disk that no journal can bear, by which a test proves
    /// that it would notice.
    pub fn ignore_syncs(&self) {
        self.disk.borrow_mut().lies = true;
    }

    /// The number of steps so far, which is the number of the next one.
    pub fn steps(&self) -> u64 {
        self.disk.borrow().steps
    }

    /// Makes the step of this number fail.
    pub fn fail_at(&self, step: u64, failure: Failure) {
        self.disk.borrow_mut().failures.insert(step, failure);
    }

    /// How many bytes have been read so far.
    pub fn read_bytes(&self) -> u64 {
        self.disk.borrow().read_bytes
    }

    /// Limits the size of all files together, in bytes: a file that does not fit is not created.
    pub fn set_capacity(&self, capacity_bytes: u64) {
        self.disk.borrow_mut().capacity_bytes = capacity_bytes;
    }
}

impl Disk {
    /// All handles so far are dead: those from now on have the number that this gives.
    fn start_again(&mut self) -> u64 {
        self.is_off = false;
        self.boot += 1;
        self.boot
    }

    fn check_power(&self, boot: u64) -> io::Result<()> {
        if self.is_off || boot != self.boot {
            return Err(io::Error::other("the simulated machine has crashed"));
        }
        Ok(())
    }

    /// Counts a step and says how it is to fail. One during which the power goes off has its effect,
    /// as far as that survives; its caller learns of it from [`check_power`](Self::check_power).
    fn step(&mut self, boot: u64) -> io::Result<Option<Failure>> {
        self.check_power(boot)?;
        let failure = self.failures.remove(&self.steps);
        self.steps += 1;
        self.is_off = failure == Some(Failure::Crash);
        Ok(failure)
    }

    /// A step that has no effect if it is an error.
    fn atomic_step(&mut self, boot: u64) -> io::Result<()> {
        match self.step(boot)? {
            Some(Failure::Error(kind)) => Err(kind.into()),
            _ => Ok(()),
        }
    }

    fn has_room(&self, size_bytes: u64) -> bool {
        self.names.used_bytes().saturating_add(size_bytes) <= self.capacity_bytes
    }
}

impl Files for SimulatedFiles {
    type File = SimulatedFile;

    fn names(&self) -> io::Result<Vec<String>> {
        let disk = self.disk.borrow();
        disk.check_power(self.boot.get())?;
        Ok(disk.names.list())
    }

    fn create(&self, name: &str, size_bytes: u64) -> io::Result<SimulatedFile> {
        let disk = &mut *self.disk.borrow_mut();
        let failure = disk.step(self.boot.get())?;
        if disk.names.find(name).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let error = match failure {
            Some(Failure::Error(kind)) => Some(kind),
            _ if !disk.has_room(size_bytes) => Some(ErrorKind::StorageFull),
            _ => None,
        };
        if let Some(kind) = error {
            disk.names.create(name, 0);
            disk.names.remove(name)?;
            return Err(kind.into());
        }
        let content = disk.names.create(name, within_memory(size_bytes)?);
        disk.check_power(self.boot.get())?;
        Ok(self.handle(content))
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let disk = self.disk.borrow();
        disk.check_power(self.boot.get())?;
        Ok(self.handle(disk.names.find(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let disk = &mut *self.disk.borrow_mut();
        disk.atomic_step(self.boot.get())?;
        disk.names.rename(from, to)?;
        disk.check_power(self.boot.get())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let disk = &mut *self.disk.borrow_mut();
        disk.atomic_step(self.boot.get())?;
        disk.names.remove(name)?;
        disk.check_power(self.boot.get())
    }

    fn sync_names(&self) -> io::Result<()> {
        let disk = &mut *self.disk.borrow_mut();
        match disk.step(self.boot.get())? {
            Some(Failure::Error(kind)) => {
                disk.names.fail_sync(&mut disk.random);
                return Err(kind.into());
            }
            Some(Failure::Crash) if disk.random.coin() => {}
            _ if disk.lies => {}
            _ => disk.names.sync(),
        }
        disk.check_power(self.boot.get())
    }
}

impl SimulatedFiles {
    fn handle(&self, content: Shared) -> SimulatedFile {
        SimulatedFile { disk: Rc::clone(&self.disk), boot: self.boot.get(), content }
    }
}

fn within_memory(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| ErrorKind::InvalidInput.into())
}

/// An open file of [`SimulatedFiles`], dead after the next crash.
#[derive(Debug)]
pub struct SimulatedFile {
    disk: Rc<RefCell<Disk>>,
    boot: u64,
    content: Shared,
}

impl File for SimulatedFile {
    fn size_bytes(&self) -> io::Result<u64> {
        self.disk.borrow().check_power(self.boot)?;
        Ok(self.content.borrow().size() as u64)
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let disk = &mut *self.disk.borrow_mut();
        disk.check_power(self.boot)?;
        disk.read_bytes += buffer.len() as u64;
        let at = within_memory(at)?;
        let content = self.content.borrow();
        let bytes = at
            .checked_add(buffer.len())
            .and_then(|end| content.bytes().get(at..end))
            .ok_or(ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    /// A write past the end is [`ErrorKind::InvalidInput`]: a file's size never changes.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let disk = &mut *self.disk.borrow_mut();
        let failure = disk.step(self.boot)?;
        let mut content = self.content.borrow_mut();
        let at = within_memory(at)?;
        if at.checked_add(bytes.len()).is_none_or(|end| end > content.size()) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let write = Write { at, bytes: bytes.to_vec() };
        if let Some(Failure::Error(kind)) = failure {
            for part in write.survivors(&mut disk.random) {
                content.write(part);
            }
            return Err(kind.into());
        }
        content.write(write);
        disk.check_power(self.boot)
    }

    fn sync(&mut self) -> io::Result<()> {
        let disk = &mut *self.disk.borrow_mut();
        match disk.step(self.boot)? {
            Some(Failure::Error(kind)) => {
                self.content.borrow_mut().fail_sync(&mut disk.random);
                return Err(kind.into());
            }
            Some(Failure::Crash) if disk.random.coin() => {}
            _ if disk.lies => {}
            _ => self.content.borrow_mut().sync(),
        }
        disk.check_power(self.boot)
    }
}
