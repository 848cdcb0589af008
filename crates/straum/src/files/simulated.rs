//! Files in memory on a machine that crashes and a disk that fails, for tests: they do the worst that
//! the contract of [`Files`] allows, as a seed decides. Never touches the real file system.
//!
//! Every call that changes or syncs anything is a **step**, numbered from 0, and any step can be made
//! to fail. A test that runs its workload once to count the steps can then try each of them. Reads are numbered, too,
//! and each can be made to fail or to rot.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// How a read fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFailure {
    /// It is an error of this kind.
    Error(ErrorKind),
    /// One bit of what it returns is another than on the disk.
    Rot,
}

/// A folder in memory, for tests. Clones are the same folder.
#[derive(Debug)]
pub struct SimulatedFiles {
    disk: Arc<Mutex<Disk>>,
    boot: AtomicU64,
}

impl Clone for SimulatedFiles {
    fn clone(&self) -> Self {
        Self { disk: Arc::clone(&self.disk), boot: AtomicU64::new(self.boot()) }
    }
}

/// A lock that nobody can have left broken: who held it did nothing but what is here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Disk {
    random: Random,
    names: Names,
    capacity_bytes: u64,
    steps: u64,
    reads: u64,
    read_bytes: u64,
    failures: BTreeMap<u64, Failure>,
    read_failures: BTreeMap<u64, ReadFailure>,
    /// What the names end in that are refused, and how.
    refused: Vec<(String, ErrorKind)>,
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
            reads: 0,
            read_bytes: 0,
            failures: BTreeMap::new(),
            read_failures: BTreeMap::new(),
            refused: Vec::new(),
            is_off: false,
            lies: false,
            boot: 0,
        };
        Self { disk: Arc::new(Mutex::new(disk)), boot: AtomicU64::new(0) }
    }

    /// The machine crashes, if a step has not made it do so already, and starts again.
    ///
    /// What was not synced is left or not, in whole or in part. Every file that was open and every other
    /// clone of this folder is dead: all calls on it are errors. This one goes on.
    pub fn crash(&self) {
        let disk = &mut *lock(&self.disk);
        disk.names.crash(&mut disk.random);
        self.boot.store(disk.start_again(), Ordering::Relaxed);
    }

    /// The process ends, however it ends, and the machine goes on: what was not synced can still be read,
    /// and is still not synced. Every file that was open and every other clone of this folder is dead.
    pub fn kill(&self) {
        self.boot.store(lock(&self.disk).start_again(), Ordering::Relaxed);
    }

    /// From now on, syncs succeed and do nothing: the disk that no journal can bear, by which a test proves
    /// that it would notice.
    pub fn ignore_syncs(&self) {
        lock(&self.disk).lies = true;
    }

    /// The number of steps so far, which is the number of the next one.
    pub fn steps(&self) -> u64 {
        lock(&self.disk).steps
    }

    /// Makes the step of this number fail.
    pub fn fail_at(&self, step: u64, failure: Failure) {
        lock(&self.disk).failures.insert(step, failure);
    }

    /// The number of reads so far, which is the number of the next one.
    pub fn reads(&self) -> u64 {
        lock(&self.disk).reads
    }

    /// Makes the read of this number fail.
    pub fn fail_read_at(&self, read: u64, failure: ReadFailure) {
        lock(&self.disk).read_failures.insert(read, failure);
    }

    /// Flips a bit of a byte of a file, for good. False if there is no such byte.
    pub fn rot(&self, name: &str, byte: usize) -> bool {
        let disk = &mut *lock(&self.disk);
        let bit = disk.random.up_to(7);
        disk.names.find(name).is_ok_and(|content| lock(&content).rot(byte, bit))
    }

    /// From now on, creating, opening, renaming to and removing files whose names end like this is an error.
    pub fn refuse(&self, suffix: &str, kind: ErrorKind) {
        lock(&self.disk).refused.push((suffix.into(), kind));
    }

    /// Nothing is refused any more.
    pub fn refuse_nothing(&self) {
        lock(&self.disk).refused.clear();
    }

    fn boot(&self) -> u64 {
        self.boot.load(Ordering::Relaxed)
    }

    /// How many bytes have been read so far.
    pub fn read_bytes(&self) -> u64 {
        lock(&self.disk).read_bytes
    }

    /// Limits the size of all files together, in bytes: a file that does not fit is not created.
    pub fn set_capacity(&self, capacity_bytes: u64) {
        lock(&self.disk).capacity_bytes = capacity_bytes;
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

    fn check_name(&self, name: &str) -> io::Result<()> {
        let refused = self.refused.iter().find(|(suffix, _)| name.ends_with(suffix));
        refused.map_or(Ok(()), |(_, kind)| Err((*kind).into()))
    }

    fn has_room(&self, size_bytes: u64) -> bool {
        self.names.used_bytes().saturating_add(size_bytes) <= self.capacity_bytes
    }
}

impl Files for SimulatedFiles {
    type File = SimulatedFile;

    fn names(&self) -> io::Result<Vec<String>> {
        let disk = lock(&self.disk);
        disk.check_power(self.boot())?;
        Ok(disk.names.list())
    }

    fn create(&self, name: &str, size_bytes: u64) -> io::Result<SimulatedFile> {
        let disk = &mut *lock(&self.disk);
        let failure = disk.step(self.boot())?;
        disk.check_name(name)?;
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
        disk.check_power(self.boot())?;
        Ok(self.handle(content))
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let disk = lock(&self.disk);
        disk.check_power(self.boot())?;
        disk.check_name(name)?;
        Ok(self.handle(disk.names.find(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let disk = &mut *lock(&self.disk);
        disk.atomic_step(self.boot())?;
        disk.check_name(to)?;
        disk.names.rename(from, to)?;
        disk.check_power(self.boot())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let disk = &mut *lock(&self.disk);
        disk.atomic_step(self.boot())?;
        disk.check_name(name)?;
        disk.names.remove(name)?;
        disk.check_power(self.boot())
    }

    fn sync_names(&self) -> io::Result<()> {
        let disk = &mut *lock(&self.disk);
        match disk.step(self.boot())? {
            Some(Failure::Error(kind)) => {
                disk.names.fail_sync(&mut disk.random);
                return Err(kind.into());
            }
            Some(Failure::Crash) if disk.random.coin() => {}
            _ if disk.lies => {}
            _ => disk.names.sync(),
        }
        disk.check_power(self.boot())
    }
}

impl SimulatedFiles {
    fn handle(&self, content: Shared) -> SimulatedFile {
        SimulatedFile { disk: Arc::clone(&self.disk), boot: self.boot(), content }
    }
}

fn within_memory(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| ErrorKind::InvalidInput.into())
}

/// An open file of [`SimulatedFiles`], dead after the next crash.
#[derive(Debug)]
pub struct SimulatedFile {
    disk: Arc<Mutex<Disk>>,
    boot: u64,
    content: Shared,
}

impl File for SimulatedFile {
    fn size_bytes(&self) -> io::Result<u64> {
        lock(&self.disk).check_power(self.boot)?;
        Ok(lock(&self.content).size() as u64)
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let disk = &mut *lock(&self.disk);
        disk.check_power(self.boot)?;
        let failure = disk.read_failures.remove(&disk.reads);
        disk.reads += 1;
        disk.read_bytes += buffer.len() as u64;
        if let Some(ReadFailure::Error(kind)) = failure {
            return Err(kind.into());
        }
        let at = within_memory(at)?;
        let content = lock(&self.content);
        let bytes = at
            .checked_add(buffer.len())
            .and_then(|end| content.bytes().get(at..end))
            .ok_or(ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        if failure == Some(ReadFailure::Rot) && !buffer.is_empty() {
            let bit = disk.random.up_to(8 * buffer.len() - 1);
            buffer[bit / 8] ^= 1 << (bit % 8);
        }
        Ok(())
    }

    /// A write past the end is [`ErrorKind::InvalidInput`].
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let disk = &mut *lock(&self.disk);
        let failure = disk.step(self.boot)?;
        let mut content = lock(&self.content);
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

    fn extend(&mut self, size_bytes: u64) -> io::Result<()> {
        let disk = &mut *lock(&self.disk);
        let failure = disk.step(self.boot)?;
        let added_bytes = size_bytes.saturating_sub(lock(&self.content).size() as u64);
        if let Some(Failure::Error(kind)) = failure {
            return Err(kind.into());
        }
        if !disk.has_room(added_bytes) {
            return Err(ErrorKind::StorageFull.into());
        }
        lock(&self.content).extend(within_memory(size_bytes)?);
        disk.check_power(self.boot)
    }

    fn forget_cached(&self) -> io::Result<()> {
        let disk = lock(&self.disk);
        disk.check_power(self.boot)?;
        lock(&self.content).forget_cached(disk.lies);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let disk = &mut *lock(&self.disk);
        match disk.step(self.boot)? {
            Some(Failure::Error(kind)) => {
                lock(&self.content).fail_sync(&mut disk.random);
                return Err(kind.into());
            }
            Some(Failure::Crash) if disk.random.coin() => {}
            _ if disk.lies => {}
            _ => lock(&self.content).sync(),
        }
        disk.check_power(self.boot)
    }
}
