//! The files of the repository: which there are, and their text. Knows git, no rules.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The paths, relative to the root, of all files that are committed or would be (ignored ones left out).
///
/// # Panics
/// If git cannot be run.
pub fn tracked() -> Vec<String> {
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
    let names = String::from_utf8(listing.stdout).expect("file names are UTF-8");
    names.lines().filter(|name| root().join(name).is_file()).map(str::to_owned).collect()
}

/// The text of a file, `None` if it is not text.
pub fn text(name: &str) -> Option<String> {
    String::from_utf8(std::fs::read(root().join(name)).ok()?).ok()
}
