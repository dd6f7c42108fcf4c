//! A simulated disk behind the log's seam: what isn't synced may be lost in a power cut, sector by
//! sector; single calls can fail; syncs can be made to lie. The tree's files are real (LMDB does
//! its own I/O) and stand, after a simulated power cut, at their last commit.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use headwater_store::Io;
use headwater_store::io::File;

use crate::random::Random;

const SECTOR: usize = 512;

/// What goes wrong at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Eio,
    Enospc,
    /// Half of the write happens and is reported so; other calls succeed.
    ShortWrite,
    /// From this call on nothing reaches the disk.
    PowerCut,
}

/// Which safeguard of the disk is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    FileSync,
    FolderSync,
}

#[derive(Clone)]
pub(crate) struct Simulated {
    disk: Arc<Mutex<Disk>>,
}

struct Disk {
    files: Vec<Contents>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<NameChange>,
    calls: u64,
    fault: Option<(u64, Fault)>,
    power: bool,
    lie: Lie,
}

#[derive(Clone, Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone)]
enum NameChange {
    Set(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Set(path, file) => {
                names.insert(path.clone(), *file);
            }
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            NameChange::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Simulated {
    pub(crate) fn new() -> Simulated {
        Simulated::with(Vec::new(), BTreeMap::new())
    }

    fn with(files: Vec<Contents>, names: BTreeMap<PathBuf, usize>) -> Simulated {
        let disk = Disk {
            files,
            durable_names: names.clone(),
            names,
            unsynced_names: Vec::new(),
            calls: 0,
            fault: None,
            power: true,
            lie: Lie::None,
        };
        Simulated { disk: Arc::new(Mutex::new(disk)) }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    /// Lets the call that is `ahead` calls away fail.
    pub(crate) fn fail(&self, ahead: u64, fault: Fault) {
        let mut disk = self.disk();
        disk.fault = Some((disk.calls + ahead, fault));
    }

    pub(crate) fn lie(&self, lie: Lie) {
        self.disk().lie = lie;
    }

    pub(crate) fn calls(&self) -> u64 {
        self.disk().calls
    }

    /// The disk as it might be found after losing power now.
    pub(crate) fn after_power_cut(&self, random: &mut Random) -> Simulated {
        let disk = self.disk();
        let mut names = disk.durable_names.clone();
        let kept = random.below(disk.unsynced_names.len() as u64 + 1) as usize;
        disk.unsynced_names.iter().take(kept).for_each(|change| change.apply(&mut names));
        let files = disk.files.iter().map(|file| file.after_power_cut(random)).collect();
        Simulated::with(files, names)
    }

    /// Changes the durable bytes of a file: damage.
    pub(crate) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.disk();
        let file = disk.names[path];
        change(&mut disk.files[file].now);
        disk.files[file].durable = disk.files[file].now.clone();
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.disk().names.keys().cloned().collect()
    }
}

impl Contents {
    fn after_power_cut(&self, random: &mut Random) -> Contents {
        let mut bytes = self.durable.clone();
        let mode = random.below(4);
        let whole = random.below(self.unsynced.len() as u64 + 1) as usize;
        for (at, (offset, written)) in self.unsynced.iter().enumerate() {
            for (sector, chunk) in written.chunks(SECTOR).enumerate() {
                let keep = match mode {
                    0 => false,
                    1 => at < whole,
                    2 => at < whole || (at == whole && random.below(2) == 0),
                    _ => random.below(2) == 0,
                };
                if keep {
                    put(&mut bytes, offset + sector * SECTOR, chunk);
                }
            }
        }
        Contents { now: bytes.clone(), durable: bytes, unsynced: Vec::new() }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    let end = offset + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(new);
}

impl Disk {
    /// Counts a call; says what is to go wrong.
    fn call(&mut self) -> io::Result<Option<Fault>> {
        self.calls += 1;
        let due = self.fault.filter(|(at, _)| *at == self.calls).map(|(_, fault)| fault);
        if due == Some(Fault::PowerCut) {
            self.power = false;
        }
        match due {
            _ if !self.power => Err(io::Error::other("the power is off")),
            Some(Fault::Eio) => Ok(Some(Fault::Eio)),
            due => Ok(due),
        }
    }

    fn call_or_fail(&mut self) -> io::Result<()> {
        match self.call()? {
            Some(fault @ (Fault::Eio | Fault::Enospc)) => Err(fault.error()),
            _ => Ok(()),
        }
    }
}

impl Fault {
    fn error(self) -> io::Error {
        // EIO and ENOSPC.
        io::Error::from_raw_os_error(if self == Fault::Enospc { 28 } else { 5 })
    }
}

impl Io for Simulated {
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn File>> {
        let mut disk = self.disk();
        disk.call_or_fail()?;
        let file = match disk.names.get(path) {
            Some(file) => *file,
            None if create => {
                disk.files.push(Contents::default());
                let file = disk.files.len() - 1;
                let change = NameChange::Set(path.to_path_buf(), file);
                change.apply(&mut disk.names);
                disk.unsynced_names.push(change);
                file
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Box::new(SimulatedFile { disk: self.clone(), file }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut disk = self.disk();
        disk.call_or_fail()?;
        Ok(disk.names.keys().filter(|path| path.parent() == Some(folder)).cloned().collect())
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        self.disk().call_or_fail()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.call_or_fail()?;
        if !disk.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let change = NameChange::Rename(from.to_path_buf(), to.to_path_buf());
        change.apply(&mut disk.names);
        disk.unsynced_names.push(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.call_or_fail()?;
        let change = NameChange::Remove(path.to_path_buf());
        change.apply(&mut disk.names);
        disk.unsynced_names.push(change);
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.call_or_fail()?;
        if disk.lie != Lie::FolderSync {
            disk.durable_names = disk.names.clone();
            disk.unsynced_names.clear();
        }
        Ok(())
    }
}

struct SimulatedFile {
    disk: Simulated,
    file: usize,
}

impl File for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk.disk();
        disk.call_or_fail()?;
        let rest = disk.files[self.file].now.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk.disk();
        let bytes = match disk.call()? {
            Some(fault @ (Fault::Eio | Fault::Enospc)) => return Err(fault.error()),
            Some(Fault::ShortWrite) => &bytes[..bytes.len().div_ceil(2)],
            _ => bytes,
        };
        let file = &mut disk.files[self.file];
        put(&mut file.now, offset as usize, bytes);
        file.unsynced.push((offset as usize, bytes.to_vec()));
        Ok(bytes.len())
    }

    /// A sync that fails loses what it was to write for good, as Linux does.
    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.disk();
        let result = disk.call_or_fail();
        let lie = disk.lie == Lie::FileSync;
        let file = &mut disk.files[self.file];
        let unsynced = std::mem::take(&mut file.unsynced);
        if result.is_ok() && lie {
            file.unsynced = unsynced;
        } else if result.is_ok() {
            for (offset, bytes) in unsynced {
                put(&mut file.durable, offset, &bytes);
            }
        } else if !disk.power {
            disk.files[self.file].unsynced = unsynced;
        }
        result
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut disk = self.disk.disk();
        disk.call_or_fail()?;
        let file = &mut disk.files[self.file];
        let length = file.now.len().max(length as usize);
        file.now.resize(length, 0);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        let mut disk = self.disk.disk();
        disk.call_or_fail()?;
        Ok(disk.files[self.file].now.len() as u64)
    }
}
