//! The storage on disk: what was synced survives `kill -9` and power loss. Never goes on after a write or a
//! sync has failed.
//!
//! This file orders what others do. Commands go to the write-ahead log (`wal.rs`). A full segment of it is sorted
//! while the next one fills (`sorting.rs`), and then replaced by a sorted segment (`sorted.rs`), so that there are
//! never more than two, and the records in memory are never more than theirs. Sorted segments are removed when they
//! are too many or too old (`retention.rs`), and rewritten when much of them is dead (`rewriting.rs`). A start is
//! `recovery.rs`.

pub(crate) mod names;
pub(crate) mod open_error;
pub(crate) mod recovery;
pub(crate) mod retention;
pub(crate) mod rewriting;
pub(crate) mod sorted;
pub(crate) mod sorting;
pub(crate) mod wal;
pub(crate) mod wal_format;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use self::open_error::OpenError;
use self::recovery::{Recovered, recover};
use self::retention::{Clocks, Retention};
use self::rewriting::{Sizes, Upkeep};
use self::sorted::SortedSegments;
use self::sorted::file::Sorted;
use self::sorted::format::Header;
use self::sorting::Sorting;
use self::wal::{Active, Wal};
use self::wal_format::{ENTRY_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use crate::command::Command;
use crate::command_bytes::command_bytes;
use crate::files::Files;
use crate::identity::Identity;
use crate::read::Older;
use crate::state::State;
use crate::{Failed, Now, Position, Refused};

/// The largest segment, in bytes (1 GiB).
pub(crate) const MOST_SEGMENT_BYTES: u32 = 1 << 30;

/// For each byte that is appended, so many bytes of sorting are done: a segment is sorted before the next one is
/// full.
const WORK_FACTOR: usize = 5;

/// How a journal on disk is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How large new segments are, in bytes; nothing larger can be in one entry.
    pub(crate) segment_bytes: u32,
    /// What is removed.
    pub(crate) retention: Retention,
    /// The identity of a new journal; none if there must be one already.
    pub(crate) create: Option<Identity>,
}

/// A journal in a folder.
#[derive(Debug)]
pub(crate) struct DiskStorage<F: Files> {
    files: Arc<F>,
    settings: Settings,
    wal: Wal<F::File>,
    sorted: Arc<SortedSegments<F>>,
    /// What is frozen in the state, and in the segments of the write-ahead log before the active one.
    sorting: Option<Sorting<F::File>>,
    /// How many bytes of work on it are due.
    owed_bytes: usize,
    upkeep: Upkeep<F::File>,
    /// How many bytes of work on that are due.
    upkeep_owed_bytes: usize,
    /// Sorted segments that count no more, and that somebody may still read.
    retired: VecDeque<Arc<Sorted>>,
    clocks: Clocks,
    /// Why there was no room for another segment; it is not looked for again before the next sync.
    full: Option<String>,
    /// Why nothing may be appended or synced any more.
    failure: Option<Failed>,
    remarks: Vec<String>,
}

/// A journal that was opened.
#[derive(Debug)]
pub(crate) struct Opened<F: Files> {
    /// It holds everything that was acknowledged.
    pub(crate) storage: DiskStorage<F>,
    /// What comes out of it.
    pub(crate) state: State,
    /// The file and the byte from which on a torn end was cut off, if there was one.
    pub(crate) cut: Option<(String, u64)>,
    /// Whether there was no journal.
    pub(crate) created: bool,
}

impl<F: Files> DiskStorage<F> {
    /// Opens the journal in `files`, or begins one if there is none and that was asked for.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was lost.
    pub(crate) fn open(files: Arc<F>, settings: Settings) -> Result<Opened<F>, OpenError> {
        let Recovered { state, identity, sorted, sorting, active, next_position, cut, remarks } =
            recover(&files, settings.create)?;
        let storage = Self {
            files,
            settings,
            wal: Wal::new(identity, active, next_position),
            sorted: Arc::new(sorted),
            sorting,
            owed_bytes: 0,
            upkeep: Upkeep::default(),
            upkeep_owed_bytes: 0,
            retired: VecDeque::new(),
            clocks: Clocks::default(),
            full: None,
            failure: None,
            remarks,
        };
        let created = storage.wal.active().is_none() && storage.next_position() == 0;
        Ok(Opened { storage, state, cut, created })
    }

    pub(crate) fn next_position(&self) -> Position {
        self.wal.next_position()
    }

    pub(crate) fn has_open_batch(&self) -> bool {
        self.wal.has_open_batch()
    }

    pub(crate) fn older(&self) -> Arc<dyn Older> {
        Arc::clone(&self.sorted) as Arc<dyn Older>
    }

    pub(crate) fn remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Adds commands to the open batch, all of them or none. Whoever appends commands applies them before the next
    /// call.
    ///
    /// # Errors
    /// [`Refused`]: none of them is in the batch.
    pub(crate) fn append(
        &mut self,
        state: &mut State,
        commands: &[Command<'_>],
    ) -> Result<(), Refused> {
        self.healthy()?;
        let size_bytes = commands.iter().map(command_bytes).sum();
        if !self.wal.has_room(size_bytes) {
            let headers_bytes = SEGMENT_HEADER_BYTES + ENTRY_HEADER_BYTES;
            let limit_bytes = self.settings.segment_bytes as usize - headers_bytes;
            Refused::at_most("request", size_bytes, limit_bytes)?;
            self.write_batch()?;
            if let Some(reason) = &self.full {
                return Err(Refused::Full(reason.clone()));
            }
            self.begin_segment(state)?;
        }
        for command in commands {
            self.upkeep.note(command, state);
            self.wal.push(command, state.time_ms);
        }
        Ok(())
    }

    /// Makes the open batch durable, and does some of the work that is due.
    ///
    /// # Errors
    /// [`Failed`]: nobody may be told of any command of the batch.
    pub(crate) fn sync(&mut self, state: &mut State, now: Now) -> Result<(), Failed> {
        self.full = None;
        self.healthy()?;
        let synced = self.write_batch().and_then(|()| self.work(state, now));
        match synced {
            Ok(()) | Err(Refused::Full(_)) => Ok(()), // Whoever appends is told when there is no room left.
            Err(_) => Err(self.failure.clone().unwrap_or_else(|| {
                Failed::new("go on", &io::Error::other("the journal has failed"))
            })),
        }
    }

    fn work(&mut self, state: &mut State, now: Now) -> Result<(), Refused> {
        self.sort_what_is_owed(state)?;
        let now_ms = self.clocks_say(now);
        self.sort_what_is_old(state, now_ms)?;
        self.retain(state, now_ms);
        self.keep_up(state)?;
        self.remove_retired()
    }

    /// Ends the active segment and begins another. Only while nothing but the reservation of its room has been
    /// tried can the disk be full and the journal go on.
    fn begin_segment(&mut self, state: &mut State) -> Result<(), Refused> {
        let begun = self.sort_all(state).and_then(|()| {
            let size_bytes = self.next_segment_bytes(state);
            let begun = self.wal.begin_segment(&*self.files, size_bytes, state.time_ms);
            begun.map_err(|error| self.refused("begin a segment", &error))
        });
        let ended = begun.inspect_err(|refused| {
            if let Refused::Full(reason) = refused {
                self.full = Some(reason.clone());
            }
        })?;
        if let Some(ended) = ended.filter(|ended| !ended.is_empty()) {
            self.begin_sorting(state, &ended);
        }
        Ok(())
    }

    fn begin_sorting(&mut self, state: &mut State, ended: &Active<F::File>) {
        assert!(self.sorting.is_none(), "one segment is sorted at a time");
        let header = Header {
            identity: self.wal.identity,
            first_position: ended.first_position,
            base_time_ms: ended.begun_at_ms,
        };
        let segments = vec![(ended.first_position, ended.size_bytes)];
        self.sorting = Some(Sorting::begin(state, header, segments, self.wal.next_position()));
        self.owed_bytes = 0;
    }

    /// Larger than it is set to be if there is so much to be said of all logs that it would outweigh the records
    /// of a sorted segment.
    fn next_segment_bytes(&self, state: &State) -> u32 {
        let stored_bytes = u32::try_from(state.stored_bytes()).unwrap_or(u32::MAX);
        self.settings.segment_bytes.max(stored_bytes.min(MOST_SEGMENT_BYTES))
    }

    /// Sorts as much as is owed for what was written.
    fn sort_what_is_owed(&mut self, state: &mut State) -> Result<(), Refused> {
        while self.sorting.is_some() && self.owed_bytes >= self.slice_bytes() {
            self.sort_slice(state)?;
        }
        Ok(())
    }

    fn sort_all(&mut self, state: &mut State) -> Result<(), Refused> {
        while self.sorting.is_some() {
            self.sort_slice(state)?;
        }
        Ok(())
    }

    /// About how much work is done at once, in bytes: a write that takes little longer than a sync.
    fn slice_bytes(&self) -> usize {
        (self.settings.segment_bytes as usize / 64).clamp(1, 1024 * 1024)
    }

    /// Sorts a slice more of what is frozen. If there is no room for it, nothing has happened.
    fn sort_slice(&mut self, state: &mut State) -> Result<(), Refused> {
        let slice_bytes = self.slice_bytes();
        let Some(sorting) = &mut self.sorting else { return Ok(()) };
        let slice = sorting.slice(&*self.files, state, slice_bytes);
        let is_done = sorting.is_done();
        let slice = slice.map_err(|error| self.refused("sort a segment", &error))?;
        self.owed_bytes = self.owed_bytes.saturating_sub(slice.worked_bytes);
        if let Some(sorted) = slice.replaced {
            Arc::make_mut(&mut self.sorted).push(sorted);
        }
        if is_done {
            self.sorting = None;
        }
        Ok(())
    }

    /// What time it is, if the clocks agree about that.
    fn clocks_say(&mut self, now: Now) -> Option<u64> {
        let max_age_ms = self.settings.retention.max_age_ms?;
        let disagreed = self.clocks.disagree;
        let now_ms = self.clocks.look(now, max_age_ms);
        if now_ms.is_none() && !disagreed {
            self.remarks.push(
                "the clock has jumped by more than the age that records may have: none is removed by age \
                 before it is back, or this program starts again"
                    .into(),
            );
        }
        now_ms
    }

    /// Ends the active segment if its first entry is too old, and sees to it that sorting goes on even if
    /// little is written.
    fn sort_what_is_old(&mut self, state: &mut State, now_ms: Option<u64>) -> Result<(), Refused> {
        let retention = self.settings.retention;
        if retention.max_age_ms.is_none() {
            return Ok(());
        }
        let is_over = |active: &Active<F::File>| {
            !active.is_empty() && retention.is_over(active.begun_at_ms, now_ms)
        };
        if self.sorting.is_some() {
            self.sort_slice(state)
        } else if self.wal.active().is_some_and(is_over) {
            self.begin_segment(state)
        } else {
            Ok(())
        }
    }

    /// Removes the oldest sorted segments if they are not to be kept any longer.
    fn retain(&mut self, state: &mut State, now_ms: Option<u64>) {
        let retention = self.settings.retention;
        while let [oldest, _, ..] = self.sorted.all()
            && retention.removes(self.size_bytes(), oldest.trailer.newest_time_ms, now_ms)
        {
            self.remove_oldest(state);
        }
    }

    /// The logs begin where the next segment does, from now on.
    fn remove_oldest(&mut self, state: &mut State) {
        if let Some(next) = self.sorted.all().get(1)
            && let Err(error) = rewriting::begin_logs_at(&*self.files, next, state)
        {
            self.remarks.push(format!("while the oldest segment was removed: {error}"));
        }
        let gone = Arc::make_mut(&mut self.sorted).replace(0..1, None);
        self.retired.extend(gone);
        self.upkeep.restart();
    }

    /// Looks for sorted segments of which much is dead, and rewrites them: a slice for each that is owed, and one if
    /// nothing else was done.
    fn keep_up(&mut self, state: &mut State) -> Result<(), Refused> {
        let slice_bytes = self.slice_bytes();
        if self.upkeep_owed_bytes < slice_bytes {
            return Ok(());
        }
        self.upkeep_owed_bytes = 0;
        let Settings { segment_bytes, retention, .. } = self.settings;
        let sizes = Sizes { segment_bytes, slice_bytes, merges: retention.max_age_ms.is_none() };
        let rewritten = self
            .upkeep
            .slice(&self.files, self.sorted.all(), state, sizes)
            .map_err(|error| self.refused("rewrite a segment", &error))?;
        self.remarks.extend(self.upkeep.remark());
        if let Some((range, sorted)) = rewritten {
            let gone = Arc::make_mut(&mut self.sorted).replace(range, sorted);
            self.retired.extend(gone);
        }
        Ok(())
    }

    /// Removes the files of segments that count no more and that nobody reads any more: in order, so that none is
    /// missing between two others.
    fn remove_retired(&mut self) -> Result<(), Refused> {
        while let Some(oldest) = self.retired.front()
            && Arc::strong_count(oldest) == 1
        {
            let removed = self.files.remove(&oldest.name()).and_then(|()| self.files.sync_names());
            removed.map_err(|error| self.fail("remove a segment", &error))?;
            self.retired.pop_front();
        }
        Ok(())
    }

    /// The size of all files, in bytes.
    fn size_bytes(&self) -> u64 {
        let active_bytes = self.wal.active().map_or(0, |active| active.size_bytes);
        let sorting_bytes = self.sorting.as_ref().map_or(0, Sorting::size_bytes);
        self.sorted.size_bytes() + active_bytes + sorting_bytes
    }

    fn healthy(&self) -> Result<(), Failed> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    fn write_batch(&mut self) -> Result<(), Refused> {
        let written = self.wal.write_batch();
        let written_bytes = written.map_err(|error| self.fail("write the journal", &error))?;
        // In an idle journal the work goes on, too.
        let due_bytes =
            if written_bytes == 0 { self.slice_bytes() } else { WORK_FACTOR * written_bytes };
        self.owed_bytes = self.owed_bytes.saturating_add(due_bytes);
        self.upkeep_owed_bytes = self.upkeep_owed_bytes.saturating_add(due_bytes);
        Ok(())
    }

    /// What is refused by an error: if only room is missing, later commands are not.
    fn refused(&mut self, doing: &'static str, error: &io::Error) -> Refused {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Refused::Full(error.to_string())
            }
            _ => self.fail(doing, error).into(),
        }
    }

    fn fail(&mut self, doing: &'static str, error: &io::Error) -> Failed {
        let failed = Failed::new(doing, error);
        self.failure = Some(failed.clone());
        failed
    }
}
