//! Programs of this build: found beside the tests, built if missing or older than the sources. Does not run them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The program at a place below the folder of this profile; `words` tell cargo which target it is.
pub(crate) fn built(place: &str, words: &[&str]) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.ancestors().nth(2).expect("target/PROFILE/deps/it");
    let program = profile.join(place);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let sources = newest(&root.join("crates")).max(newest(&root.join("apps")));
    if modified(&program).is_some_and(|built| built >= sources) {
        return program;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "-q", "--locked"]).args(words);
    command.arg("--target-dir").arg(profile.parent().unwrap()).current_dir(root);
    // What cargo says of this package would make build scripts run again that look at it, here and in the next build.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    if profile.ends_with("release") {
        command.arg("--release");
    }
    assert!(command.status().unwrap().success(), "cargo cannot build {place}");
    program
}

/// When a file of the sources was last changed, those of tests left out.
fn newest(folder: &Path) -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !["tests", "target", "benches"].iter().any(|name| path.ends_with(name)) {
                newest = newest.max(self::newest(&path));
            }
        } else if let Ok(changed) = entry.metadata().and_then(|metadata| metadata.modified()) {
            newest = newest.max(changed);
        }
    }
    newest
}
