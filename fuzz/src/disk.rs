//! The store's seam to the operating system over bytes in memory. Knows names, not folders, so that one log fits any folder.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use headwater_store::Io;
use headwater_store::io::File;

/// The log's files by name.
pub type Files = BTreeMap<OsString, Vec<u8>>;

/// Clones are the same disk.
#[derive(Clone, Default)]
pub struct Disk {
    files: Arc<Mutex<Files>>,
    off: Arc<AtomicBool>,
}

impl Disk {
    pub fn new(files: Files) -> Disk {
        Disk { files: Arc::new(Mutex::new(files)), off: Arc::default() }
    }

    /// A copy of everything.
    pub fn copy(&self) -> Files {
        self.lock().clone()
    }

    /// From now on every call fails.
    pub fn turn_off(&self) {
        self.off.store(true, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().expect("no panic under the lock")
    }

    fn files(&self) -> io::Result<MutexGuard<'_, Files>> {
        match self.off.load(Ordering::SeqCst) {
            true => Err(io::Error::other("the power is off")),
            false => Ok(self.lock()),
        }
    }
}

fn name(path: &Path) -> OsString {
    path.file_name().unwrap_or_default().to_owned()
}

impl Io for Disk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn File>> {
        let mut files = self.files()?;
        if !files.contains_key(&name(path)) && !create {
            return Err(io::ErrorKind::NotFound.into());
        }
        files.entry(name(path)).or_default();
        Ok(Box::new(DiskFile { disk: self.clone(), name: name(path) }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.files()?.keys().map(|name| folder.join(name)).collect())
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        self.files().map(drop)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files()?;
        let bytes = files.remove(&name(from)).ok_or(io::ErrorKind::NotFound)?;
        files.insert(name(to), bytes);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files()?.remove(&name(path)).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.files().map(drop)
    }
}

struct DiskFile {
    disk: Disk,
    name: OsString,
}

impl File for DiskFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let files = self.disk.files()?;
        let bytes = files.get(&self.name).ok_or(io::ErrorKind::NotFound)?;
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut files = self.disk.files()?;
        let file = files.get_mut(&self.name).ok_or(io::ErrorKind::NotFound)?;
        let end = offset as usize + bytes.len();
        file.resize(file.len().max(end), 0);
        file[offset as usize..end].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.files().map(drop)
    }

    /// Reserves nothing: files stay as small as what is in them.
    fn allocate(&self, _: u64) -> io::Result<()> {
        self.disk.files().map(drop)
    }

    fn length(&self) -> io::Result<u64> {
        let files = self.disk.files()?;
        Ok(files.get(&self.name).ok_or(io::ErrorKind::NotFound)?.len() as u64)
    }
}
