//! The names in a simulated folder: those that everybody sees, and those that a crash would leave.
//! Never looks into a file.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use super::content::Content;
use super::lock;
use crate::random::Random;

/// A file, which lives as long as a name or a handle leads to it.
pub(super) type Shared = Arc<Mutex<Content>>;

type Folder = BTreeMap<String, Shared>;

#[derive(Debug)]
enum Change {
    Create { name: String, content: Shared },
    Rename { from: String, to: String, content: Shared },
    Remove { name: String },
}

impl Change {
    /// Holds even if the changes before it were lost; a file never has two names.
    fn apply(&self, folder: &mut Folder) {
        match self {
            Self::Create { name, content } => {
                folder.insert(name.clone(), Arc::clone(content));
            }
            Self::Rename { from, to, content } => {
                folder.remove(from);
                folder.retain(|_, other| !Arc::ptr_eq(other, content));
                folder.insert(to.clone(), Arc::clone(content));
            }
            Self::Remove { name } => {
                folder.remove(name);
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Names {
    volatile: Folder,
    /// As the last sync left it.
    durable: Folder,
    /// What was changed since, in order.
    unsynced: Vec<Change>,
}

impl Names {
    pub(super) fn list(&self) -> Vec<String> {
        self.volatile.keys().cloned().collect()
    }

    pub(super) fn find(&self, name: &str) -> io::Result<Shared> {
        self.volatile.get(name).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// The room that all files take, in bytes.
    pub(super) fn used_bytes(&self) -> u64 {
        self.volatile.values().map(|content| lock(content).size() as u64).sum()
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.volatile);
        self.unsynced.push(change);
    }

    pub(super) fn create(&mut self, name: &str, size: usize) -> Shared {
        let content = Arc::new(Mutex::new(Content::new(size)));
        self.change(Change::Create { name: name.to_owned(), content: Arc::clone(&content) });
        content
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let content = self.find(from)?;
        if from != to {
            self.change(Change::Rename { from: from.to_owned(), to: to.to_owned(), content });
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.find(name)?;
        self.change(Change::Remove { name: name.to_owned() });
        Ok(())
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// A sync that failed: the disk has nothing new, and some changes will not be tried again.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        self.unsynced.retain(|_| random.coin());
    }

    /// Of the changes that were not synced, either the first few are left, as on a file system with a
    /// journal, or any. Then each file crashes too.
    pub(super) fn crash(&mut self, random: &mut Random) {
        if random.coin() {
            self.unsynced.truncate(random.up_to(self.unsynced.len()));
        } else {
            self.unsynced.retain(|_| random.coin());
        }
        self.sync();
        for content in self.durable.values() {
            lock(content).crash(random);
        }
        self.volatile.clone_from(&self.durable);
    }
}
