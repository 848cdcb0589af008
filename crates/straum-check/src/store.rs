//! Where a run is stored: `store/<time>`, and `store/latest` that points to it. Never decides what is
//! stored there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A folder for a run that starts now: `out`, or a new one in `store/`.
pub(crate) fn folder(out: Option<&Path>, started: &str) -> io::Result<PathBuf> {
    if let Some(out) = out {
        fs::create_dir_all(out)?;
        return Ok(out.to_owned());
    }
    let store = Path::new("store");
    fs::create_dir_all(store)?;
    let folder = new_folder(store, started)?;
    point_to(&store.join("latest"), &folder)?;
    Ok(folder)
}

/// Two runs may start within the same second.
fn new_folder(store: &Path, started: &str) -> io::Result<PathBuf> {
    let name = started.replace(':', "");
    for attempt in 1.. {
        let name = if attempt == 1 { name.clone() } else { format!("{name}-{attempt}") };
        let folder = store.join(name);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done.map(|()| folder),
        }
    }
    Err(io::Error::other("no name is left for a new folder"))
}

/// Makes `link` a link to a folder beside it, in place of any other.
fn point_to(link: &Path, folder: &Path) -> io::Result<()> {
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let Some(name) = folder.file_name() else { return Ok(()) };
    std::os::unix::fs::symlink(name, link)
}

/// The time as `2026-01-31T23:59:58Z`.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
