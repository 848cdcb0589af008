//! What is in a simulated file: what everybody reads, and what the disk would hold after a crash.
//! Never knows the file's name.

use crate::random::Random;

/// A disk writes a sector whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Bytes for a place in a file.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) at: usize,
    pub(super) bytes: Vec<u8>,
}

impl Write {
    /// What is left of it if it was neither synced nor kept from the disk: all, nothing, the bytes up
    /// to any one, or any of its sectors.
    pub(super) fn survivors(mut self, random: &mut Random) -> Vec<Self> {
        match random.up_to(3) {
            0 => Vec::new(),
            1 => vec![self],
            2 => {
                self.bytes.truncate(random.up_to(self.bytes.len()));
                vec![self]
            }
            _ => self.into_sectors().into_iter().filter(|_| random.coin()).collect(),
        }
    }

    fn into_sectors(self) -> Vec<Self> {
        let mut sectors = Vec::new();
        let (mut at, mut rest) = (self.at, self.bytes.as_slice());
        while !rest.is_empty() {
            let room = SECTOR_BYTES - at % SECTOR_BYTES;
            let (sector, others) = rest.split_at(room.min(rest.len()));
            sectors.push(Self { at, bytes: sector.to_vec() });
            at += sector.len();
            rest = others;
        }
        sectors
    }

    /// Puts into `file` what lies within it.
    fn apply(&self, file: &mut [u8]) {
        let file = file.get_mut(self.at..).unwrap_or_default();
        let length = file.len().min(self.bytes.len());
        file[..length].copy_from_slice(&self.bytes[..length]);
    }
}

#[derive(Debug)]
pub(super) struct Content {
    /// What is read. Its length is the size of the file.
    volatile: Vec<u8>,
    /// What the last sync left on the disk. Shorter than `volatile` until the first sync: the size is
    /// no more durable than the bytes.
    durable: Vec<u8>,
    /// What was written since, in order.
    unsynced: Vec<Write>,
}

impl Content {
    pub(super) fn new(size: usize) -> Self {
        Self { volatile: vec![0; size], durable: Vec::new(), unsynced: Vec::new() }
    }

    pub(super) fn size(&self) -> usize {
        self.volatile.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.volatile
    }

    /// Makes it so long, if it is shorter.
    pub(super) fn extend(&mut self, size: usize) {
        if size > self.volatile.len() {
            self.volatile.resize(size, 0);
        }
    }

    /// What is read from now on is what the disk will have, with those writes that are still to come: a disk that
    /// lies takes none.
    pub(super) fn forget_cached(&mut self, lies: bool) {
        let size = self.volatile.len();
        self.volatile = vec![0; size];
        self.volatile[..self.durable.len()].copy_from_slice(&self.durable);
        if !lies {
            self.unsynced.iter().for_each(|write| write.apply(&mut self.volatile));
        }
    }

    /// Flips a bit of a byte, on the disk and in memory. False if there is no such byte.
    pub(super) fn rot(&mut self, byte: usize, bit: usize) -> bool {
        for bytes in [&mut self.volatile, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << (bit % 8);
            }
        }
        byte < self.volatile.len()
    }

    /// The write must lie within the file.
    pub(super) fn write(&mut self, write: Write) {
        write.apply(&mut self.volatile);
        self.unsynced.push(write);
    }

    pub(super) fn sync(&mut self) {
        lengthen(&mut self.durable, self.volatile.len());
        for write in self.unsynced.drain(..) {
            write.apply(&mut self.durable);
        }
    }

    /// A sync that failed: the disk has nothing new, and some writes will not be tried again, as if
    /// they had reached it. They may still be read, while the page cache lasts.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        self.unsynced.retain(|_| random.coin());
        if random.coin() {
            self.forget_cached(false);
        }
    }

    /// Only what is on the disk is left, and of what was on its way there, anything.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let size = self.size_after_crash(random);
        lengthen(&mut self.durable, size);
        random.shuffle(&mut self.unsynced);
        for write in self.unsynced.drain(..).flat_map(|write| write.survivors(random)) {
            write.apply(&mut self.durable);
        }
        self.volatile.clone_from(&self.durable);
    }

    fn size_after_crash(&self, random: &mut Random) -> usize {
        let (durable, volatile) = (self.durable.len(), self.volatile.len());
        match random.up_to(2) {
            0 => durable,
            1 => volatile,
            _ => durable + random.up_to(volatile - durable),
        }
    }
}

fn lengthen(bytes: &mut Vec<u8>, size: usize) {
    if bytes.is_empty() {
        *bytes = vec![0; size]; // costs nothing until it is written to, unlike `resize`
    } else {
        bytes.resize(size, 0);
    }
}
