//! The one direction of dependency: store, engine, server, connector, binary, applications.

use std::collections::BTreeSet;

use headwater_tidy::edges::Edges;

/// Which crates of the workspace each of them may name as a dependency.
const ALLOWED: &[(&str, &[&str])] = &[
    ("acceptance", &["command-line", "headwater"]),
    ("command-line", &["headwater"]),
    ("headwater", &["headwater-engine", "headwater-server"]),
    ("headwater-bench", &["headwater", "headwater-engine", "headwater-server", "headwater-store"]),
    ("headwater-cli", &["headwater", "headwater-engine", "headwater-server", "ticker"]),
    ("headwater-engine", &["headwater-store"]),
    ("headwater-scoreboard", &["headwater-engine"]),
    ("headwater-server", &["headwater-engine"]),
    ("headwater-store", &[]),
    ("headwater-tidy", &[]),
    ("lessons", &["command-line", "headwater"]),
    ("rust-client", &[]),
    ("ticker", &["command-line", "headwater"]),
];

/// What a crate must not reach, not even through others.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("headwater-engine", &["bson", "hyper", "mio", "mongodb", "rustls", "tokio"]),
    ("headwater-server", &["bson", "mongodb"]),
    ("headwater-store", &["bson", "hyper", "mio", "mongodb", "rustls", "serde", "tokio"]),
];

#[test]
fn crates_depend_in_one_direction() {
    let edges = Edges::read();
    let members: BTreeSet<&str> = edges.members().collect();
    let mut wrong = Vec::new();
    for member in &members {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == member) else {
            wrong.push(format!("{member}: say in ALLOWED what it may depend on"));
            continue;
        };
        for to in edges.direct(member).intersection(&members) {
            if !allowed.contains(to) {
                wrong.push(format!("{member} -> {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that are not allowed:\n{}", wrong.join("\n"));
}

#[test]
fn crates_do_not_know_what_they_must_not() {
    let edges = Edges::read();
    let mut wrong = Vec::new();
    for (from, forbidden) in FORBIDDEN {
        let reached = edges.reached(from);
        wrong.extend(
            forbidden
                .iter()
                .filter(|to| reached.contains(**to))
                .map(|to| format!("{from} reaches {to}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
