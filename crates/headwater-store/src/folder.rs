//! The data folder: who owns it (the lock file) and which format version it has.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::{Error, ErrorKind, Result};

const FORMAT: &str = "headwater 1\n";

/// Ownership of a data folder, given back when dropped (or when the process dies).
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Creates the folder when it is missing, takes its lock and checks its format version.
    pub(crate) fn open(path: &Path) -> Result<Folder> {
        fs::create_dir_all(path).map_err(|error| Error::io("creating", path, error))?;
        let lock = take_lock(path)?;
        let folder = Folder { path: path.to_path_buf(), lock };
        folder.check_format()?;
        Ok(folder)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    fn check_format(&self) -> Result<()> {
        let path = self.path.join("format");
        match fs::read(&path) {
            Ok(found) if found == FORMAT.as_bytes() => Ok(()),
            Ok(found) => Err(other_format(&self.path, &found)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.write_format(),
            Err(error) => Err(Error::io("reading", &path, error)),
        }
    }

    /// Marks a new folder. One that holds other things already is left alone.
    fn write_format(&self) -> Result<()> {
        for name in ["log", "tree"] {
            if self.path.join(name).exists() {
                let message = format!(
                    "{} has a {name} folder but no format file: not a data folder, or a damaged one",
                    self.path.display()
                );
                return Err(Error::new(ErrorKind::FormatVersion, message));
            }
        }
        let (path, new) = (self.path.join("format"), self.path.join("format.new"));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(FORMAT.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|error| Error::io("writing", &path, error))
    }
}

impl Drop for Folder {
    /// Unlocks by hand: a process being forked off at this moment has a copy of the file open, which
    /// would keep the lock until it is replaced.
    fn drop(&mut self) {
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

#[cold]
fn other_format(path: &Path, found: &[u8]) -> Error {
    let found = String::from_utf8_lossy(found.get(..64).unwrap_or(found));
    let (path, found, known) = (path.display(), found.trim_end(), FORMAT.trim_end());
    let message = format!(
        "{path} has format {found:?}; this version reads {known:?}. Open it with the version that \
         wrote it"
    );
    Error::new(ErrorKind::FormatVersion, message)
}

/// `flock` decides; the process id in the file is for people. A lock file left by a process that
/// died is simply taken over.
fn take_lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let failed = |error| Error::io("locking", &path, error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(failed(error.into()));
        }
        let mut owner = String::new();
        let _ = file.read_to_string(&mut owner);
        let owner = match owner.trim() {
            "" => "another process".to_owned(),
            pid => format!("process {pid}"),
        };
        let message = format!("{} is in use by {owner}", folder.display());
        return Err(Error::new(ErrorKind::Locked, message));
    }
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}
