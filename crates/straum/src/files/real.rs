//! Files of the operating system, in a folder that belongs to one process at a time. Never reads or
//! writes anything on its own, and never touches another folder that has come to have the same name.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{
    Advice, AtFlags, Dir, DirEntry, FallocateFlags, FileType, FlockOperation, Mode, OFlags,
    fadvise, fallocate, flock, openat, renameat, statat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

use super::{File, Files};

/// A folder on the disk, locked for as long as this lives.
#[derive(Debug)]
pub struct RealFiles {
    /// Locked. Everything goes by this handle, and never by a path, which may come to lead elsewhere.
    folder: fs::File,
}

impl RealFiles {
    /// Makes the folder, with those above it, if it is not there, and locks it.
    ///
    /// The operating system gives the lock back when the process ends, however it ends.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if the folder is in use already, and others of the file system.
    pub fn open(folder: &Path) -> io::Result<Self> {
        make_folder(folder)?;
        let handle = fs::File::open(folder)?;
        lock(&handle, folder)?;
        Ok(Self { folder: handle })
    }
}

/// Makes a folder durable. One that exists may have been made by a process that was killed before it
/// could sync, so that its name is synced too; unless it is in a folder that we may not read, which we
/// did not make.
fn make_folder(folder: &Path) -> io::Result<()> {
    let Some(parent) = parent(folder) else { return Ok(()) };
    if folder.is_dir() {
        return match sync_folder(parent) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            done => done,
        };
    }
    make_folder(parent)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists || !folder.is_dir() => Err(error),
        _ => sync_folder(parent),
    }
}

fn parent(folder: &Path) -> Option<&Path> {
    let parent = folder.parent()?;
    Some(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn lock(folder: &fs::File, path: &Path) -> io::Result<()> {
    match retry_on_intr(|| flock(folder, FlockOperation::NonBlockingLockExclusive)) {
        Err(Errno::WOULDBLOCK) => {
            let reason = format!("another process uses the folder {}", path.display());
            Err(io::Error::new(ErrorKind::WouldBlock, reason))
        }
        done => Ok(done?),
    }
}

/// Reserves room on the disk. A file system that cannot do that is asked for the size alone: there, a
/// write may find the disk full.
fn reserve(file: &fs::File, size_bytes: u64) -> io::Result<()> {
    if size_bytes == 0 {
        return Ok(());
    }
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, size_bytes)) {
        Err(Errno::OPNOTSUPP) => file.set_len(size_bytes),
        done => Ok(done?),
    }
}

impl RealFiles {
    /// Some file systems do not say in a folder's entry what it is.
    fn is_folder(&self, entry: &DirEntry) -> io::Result<bool> {
        let file_type = match entry.file_type() {
            FileType::Unknown => {
                let found = statat(&self.folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(found.st_mode)
            }
            known => known,
        };
        Ok(file_type == FileType::Directory)
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<fs::File> {
        let flags = flags | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        Ok(retry_on_intr(|| openat(&self.folder, name, flags, mode))?.into())
    }
}

impl Files for RealFiles {
    type File = RealFile;

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            if !self.is_folder(&entry)? {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str, size_bytes: u64) -> io::Result<RealFile> {
        let file = self.open_file(name, OFlags::CREATE | OFlags::EXCL)?;
        if let Err(error) = reserve(&file, size_bytes) {
            self.remove(name)?;
            return Err(error);
        }
        Ok(RealFile(file))
    }

    fn open(&self, name: &str) -> io::Result<RealFile> {
        Ok(RealFile(self.open_file(name, OFlags::empty())?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(renameat(&self.folder, from, &self.folder, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.folder, name, AtFlags::empty())?)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.folder.sync_all()
    }
}

/// A file on the disk.
#[derive(Debug)]
pub struct RealFile(fs::File);

impl File for RealFile {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, at)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn extend(&mut self, size_bytes: u64) -> io::Result<()> {
        let before_bytes = self.size_bytes()?;
        if size_bytes <= before_bytes {
            return Ok(());
        }
        reserve(&self.0, size_bytes).inspect_err(|_| {
            self.0.set_len(before_bytes).ok(); // What was added is of no use, and no harm.
        })
    }

    fn forget_cached(&self) -> io::Result<()> {
        match fadvise(&self.0, 0, None, Advice::DontNeed) {
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            done => Ok(done?),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use tempfile::{TempDir, tempdir};

    use super::*;

    fn folder() -> (TempDir, RealFiles) {
        let folder = tempdir().unwrap();
        let files = RealFiles::open(folder.path()).unwrap();
        (folder, files)
    }

    #[test]
    fn a_folder_is_made_with_those_above_it() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("data").join("n1");
        RealFiles::open(&path).unwrap();
        assert!(path.is_dir());
    }

    #[test]
    fn a_file_where_the_folder_should_be_is_an_error() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("data");
        fs::write(&path, "").unwrap();
        assert!(RealFiles::open(&path).is_err());
        assert!(RealFiles::open(&path.join("n1")).is_err());
    }

    #[test]
    fn the_second_to_open_a_folder_is_told_why_not_until_the_first_is_gone() {
        let (folder, first) = folder();
        let error = RealFiles::open(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(error.to_string().starts_with("another process uses the folder /"), "{error}");
        drop(first);
        RealFiles::open(folder.path()).unwrap();
    }

    #[test]
    fn what_is_written_and_synced_is_read_by_the_next_to_open() {
        let (folder, files) = folder();
        let mut file = files.create("a", 8).unwrap();
        file.write_at(2, b"xyz").unwrap();
        file.sync().unwrap();
        files.sync_names().unwrap();
        drop((file, files));

        let file = RealFiles::open(folder.path()).unwrap().open("a").unwrap();
        let mut all = [1; 8];
        file.read_at(0, &mut all).unwrap();
        assert_eq!(&all, b"\0\0xyz\0\0\0");
        assert_eq!(file.size_bytes().unwrap(), 8);
        assert_eq!(file.read_at(6, &mut [0; 3]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn names_are_those_of_the_files() {
        let (folder, files) = folder();
        fs::create_dir(folder.path().join("folder")).unwrap();
        for name in ["a", "b", "c"] {
            files.create(name, 0).unwrap();
        }
        files.rename("a", "d").unwrap();
        assert_eq!(files.open("a").unwrap_err().kind(), ErrorKind::NotFound);
        files.create("e", 7).unwrap();
        files.rename("e", "d").unwrap();
        assert_eq!(files.open("d").unwrap().size_bytes().unwrap(), 7);
        files.remove("c").unwrap();
        let mut names = files.names().unwrap();
        names.sort_unstable();
        assert_eq!(names, ["b", "d"]);
    }

    /// Somebody moves the folder away under a process and starts another one in its place.
    #[test]
    fn another_folder_of_the_same_name_is_never_touched() {
        let above = tempdir().unwrap();
        let (path, elsewhere) = (above.path().join("n0"), above.path().join("elsewhere"));
        let files = RealFiles::open(&path).unwrap();
        fs::rename(&path, &elsewhere).unwrap();
        let other = RealFiles::open(&path).unwrap();
        other.create("a", 1).unwrap();
        files.create("a", 2).unwrap();
        files.rename("a", "b").unwrap();
        assert_eq!(
            (files.names().unwrap(), other.names().unwrap()),
            (vec!["b".into()], vec!["a".into()])
        );
        assert_eq!(fs::metadata(path.join("a")).unwrap().len(), 1);
        assert_eq!(fs::metadata(elsewhere.join("b")).unwrap().len(), 2);
    }

    #[test]
    fn room_is_reserved_before_anything_is_written() {
        let (_folder, files) = folder();
        let file = files.create("a", 1 << 20).unwrap();
        if fallocate(&file.0, FallocateFlags::empty(), 0, 1) == Err(Errno::OPNOTSUPP) {
            return; // the temporary folder is on a file system that cannot reserve
        }
        assert!(file.0.metadata().unwrap().blocks() * 512 >= 1 << 20);
    }

    #[test]
    fn a_file_that_is_extended_has_what_was_in_it_and_zeros_behind() {
        let (_folder, files) = folder();
        let mut file = files.create("a", 0).unwrap();
        file.extend(3).unwrap();
        file.write_at(0, b"abc").unwrap();
        file.extend(5).unwrap();
        file.extend(4).unwrap();
        file.sync().unwrap();
        file.forget_cached().unwrap();
        let mut all = [1; 5];
        file.read_at(0, &mut all).unwrap();
        assert_eq!((file.size_bytes().unwrap(), &all), (5, b"abc\0\0"));
        assert!(file.extend(u64::MAX).is_err());
        assert_eq!(file.size_bytes().unwrap(), 5);
    }

    #[test]
    fn a_file_that_cannot_be_created_leaves_no_name_and_one_that_exists_stays() {
        let (_folder, files) = folder();
        assert!(files.create("a", u64::MAX).is_err());
        assert_eq!(files.names().unwrap(), [""; 0]);
        files.create("a", 1).unwrap();
        assert_eq!(files.create("a", 2).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(files.open("a").unwrap().size_bytes().unwrap(), 1);
    }
}
