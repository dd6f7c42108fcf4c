//! Which crate reaches which, by `cargo metadata`. Knows the graph, not what is allowed in it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::files::root;

/// The dependency graph of the workspace, by crate name. Development dependencies are left out.
#[derive(Debug)]
pub struct Edges {
    members: BTreeSet<String>,
    normal: BTreeMap<String, BTreeSet<String>>,
}

impl Edges {
    /// Asks cargo.
    ///
    /// # Panics
    /// If cargo fails or answers something unexpected.
    pub fn read() -> Edges {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--offline", "--locked"])
            .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo answers JSON");
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let names: BTreeMap<String, String> = list(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let name = |id: &Value| names.get(&text(id)).cloned().unwrap_or_default();
        let members = list(&metadata["workspace_members"]).iter().map(&name).collect();
        let mut normal: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let reached = list(&node["deps"])
                .iter()
                .filter(|dep| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()))
                .map(|dep| name(&dep["pkg"]))
                .collect::<Vec<_>>();
            normal.entry(name(&node["id"])).or_default().extend(reached);
        }
        Edges { members, normal }
    }

    /// The crates of the workspace.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(String::as_str)
    }

    /// What a crate depends on directly.
    pub fn direct(&self, from: &str) -> BTreeSet<&str> {
        self.normal.get(from).into_iter().flatten().map(String::as_str).collect()
    }

    /// What a crate depends on, directly or through others.
    pub fn reached(&self, from: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open = self.direct(from).into_iter().collect::<Vec<_>>();
        while let Some(name) = open.pop() {
            if seen.insert(name) {
                open.extend(self.direct(name));
            }
        }
        seen
    }
}
