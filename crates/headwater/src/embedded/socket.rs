//! Where the socket of an embedded database lives: in a folder that only its user may enter.

use std::collections::hash_map::RandomState;
use std::fs::{DirBuilder, Metadata};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const NAME: &str = "node.sock";
/// The system takes 107 bytes; some take fewer.
const SOCKET_PATH_BYTES_MAX: usize = 100;
const ATTEMPTS_MAX: usize = 8;

/// A folder of mode 0700 that holds one socket.
#[derive(Debug)]
pub(crate) struct SocketFolder {
    path: PathBuf,
    /// Removed with this value.
    temporary: bool,
}

impl SocketFolder {
    /// A new folder with a random name.
    pub(crate) fn private() -> io::Result<SocketFolder> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let bases = runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for base in bases.filter(|base| base.is_absolute()) {
            for _ in 0..ATTEMPTS_MAX {
                let path = base.join(format!("headwater-{:016x}", random()));
                if !is_short(&path) {
                    break;
                }
                match DirBuilder::new().mode(0o700).create(&path) {
                    Ok(()) => return Ok(SocketFolder { path, temporary: true }),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }

    /// The folder that everyone who shares `data` finds: within it or, where that path is too long for a socket, in
    /// the folder for temporary files under a name made from it.
    pub(crate) fn of(data: &Path) -> io::Result<SocketFolder> {
        std::fs::create_dir_all(data)?;
        let data = data.canonicalize()?;
        let within = data.join("socket");
        let path = if is_short(&within) {
            within
        } else {
            let name = format!("headwater-{:016x}", fnv(data.as_os_str().as_encoded_bytes()));
            std::env::temp_dir().join(name)
        };
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Others may have made a folder of that name first, to listen in our place.
        let (folder, owner) = (std::fs::symlink_metadata(&path)?, std::fs::metadata(&data)?);
        if !is_ours(&folder, &owner) {
            let what =
                format!("{} is not a folder of mode 0700 of the data's owner", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
        }
        Ok(SocketFolder { path, temporary: false })
    }

    /// The path of the socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path.join(NAME)
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        if self.temporary {
            let _ = std::fs::remove_file(self.socket());
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

fn is_short(folder: &Path) -> bool {
    folder.join(NAME).as_os_str().len() <= SOCKET_PATH_BYTES_MAX
}

fn is_ours(folder: &Metadata, data: &Metadata) -> bool {
    folder.is_dir() && folder.uid() == data.uid() && folder.mode() & 0o077 == 0
}

fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

/// FNV-1a: the same in every build, unlike the standard library's hashes.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_private_folder_is_for_its_owner_only_and_goes_with_its_value() {
        let (one, two) = (SocketFolder::private().unwrap(), SocketFolder::private().unwrap());
        assert_ne!(one.path, two.path);
        let mode = std::fs::metadata(&one.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let path = one.path.clone();
        drop(one);
        assert!(!path.exists());
    }

    #[test]
    fn a_shared_folder_has_one_name_even_where_the_path_is_long() {
        let base = SocketFolder::private().unwrap();
        for name in ["data".to_owned(), "d".repeat(120)] {
            let data = base.path.join(name);
            let (one, two) = (SocketFolder::of(&data).unwrap(), SocketFolder::of(&data).unwrap());
            assert_eq!(one.socket(), two.socket());
            assert!(one.socket().as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
            std::fs::remove_dir(&one.path).unwrap();
            std::fs::remove_dir(&data).unwrap();
        }
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let base = SocketFolder::private().unwrap();
        let data = base.path.join("data");
        let open = data.join("socket");
        std::fs::create_dir_all(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(SocketFolder::of(&data).is_err());
        std::fs::remove_dir_all(&data).unwrap();
    }
}
