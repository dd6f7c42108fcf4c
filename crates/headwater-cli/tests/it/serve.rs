//! `headwater serve`.

use headwater_engine::bson::{DocBuf, DocWriter, View};

use crate::process::{Folder, Running, ask, exists, output};

fn stderr(words: &[&str]) -> (Option<i32>, String) {
    let output = output(words);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn insert(command: &mut DocWriter) {
    command.str("insert", "c");
    command.array("documents", |documents| documents.document(|d| d.i32("_id", 1)));
}

fn count(command: &mut DocWriter) {
    command.str("count", "c");
}

fn number(reply: &DocBuf, name: &str) -> i64 {
    match reply.as_doc().get(name).map(|value| value.view()) {
        Some(View::Int32(n)) => n.into(),
        Some(View::Int64(n)) => n,
        Some(View::Double(n)) => n as i64,
        other => panic!("{name} is {other:?} in {reply:?}"),
    }
}

#[test]
fn wrong_options_end_with_code_2_and_say_why() {
    for (words, needle) in [
        (&["serve", "--frob"][..], "--frob"),
        (&["serve", "--listen", "0.0.0.0:0", "--data", ":memory:"], "authentication"),
        (&["serve", "--config", "/nonexistent.toml"], "/nonexistent.toml"),
        (&["frob"], "no such command: frob"),
        (&[], "no command given"),
    ] {
        let (code, text) = stderr(words);
        assert_eq!(code, Some(2), "{words:?}: {text}");
        assert!(text.contains(needle), "{words:?}: {text}");
    }
}

#[test]
fn help_and_version_end_with_code_0() {
    for words in [&["help"][..], &["--help"], &["serve", "--help"], &["--version"]] {
        let output = output(words);
        assert!(output.status.success());
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn data_outlives_a_stop_by_either_signal() {
    let folder = Folder::new("signals");
    let data = folder.data();
    for (round, name) in ["-TERM", "-INT"].into_iter().enumerate() {
        let mut server = Running::start(&["--data", &data, "--listen", "127.0.0.1:0"], &[]);
        assert!(server.lines.iter().any(|line| line.contains(&data)), "{:?}", server.lines);
        if round == 0 {
            assert_eq!(number(&server.ask(insert), "n"), 1);
        }
        assert_eq!(number(&server.ask(count), "n"), 1);
        server.signal(name);
        assert!(server.wait().success(), "{:?}", server.lines);
        assert!(server.lines.iter().any(|line| line.contains("stopped")), "{:?}", server.lines);
    }
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let folder = Folder::new("kill");
    let data = folder.data();
    let mut server = Running::start(&["--data", &data, "--listen", "127.0.0.1:0"], &[]);
    assert_eq!(number(&server.ask(insert), "n"), 1);
    server.signal("-KILL");
    server.wait();
    let server = Running::start(&["--data", &data, "--listen", "127.0.0.1:0"], &[]);
    assert_eq!(number(&server.ask(count), "n"), 1);
}

#[test]
fn a_data_folder_has_one_owner() {
    let folder = Folder::new("owner");
    let data = folder.data();
    let server = Running::start(&["--data", &data, "--listen", "127.0.0.1:0"], &[]);
    let (code, text) = stderr(&["serve", "--data", &data, "--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&data), "{text}");
    server.ask(|command| command.i32("ping", 1));
}

#[test]
fn a_port_in_use_is_said() {
    let server = Running::start(&["--data", ":memory:", "--listen", "127.0.0.1:0"], &[]);
    let (code, text) = stderr(&["serve", "--data", ":memory:", "--listen", &server.address]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&server.address), "{text}");
}

#[test]
fn an_address_is_checked_before_the_data_folder_is_touched() {
    let folder = Folder::new("address");
    let data = folder.data();
    let server = Running::start(&["--data", ":memory:", "--listen", "127.0.0.1:0"], &[]);
    for address in [&server.address, "0.0.0.0:0", "no such host:1"] {
        let (code, text) = stderr(&["serve", "--data", &data, "--listen", address]);
        assert_ne!(code, Some(0), "{text}");
        assert!(!exists(&data), "{address}: {text}");
    }
}

#[test]
fn environment_and_file_are_read() {
    let folder = Folder::new("layers");
    let file = folder.0.join("headwater.toml");
    std::fs::write(&file, "data = \":memory:\"\nreplset = \"file\"\nlog-format = \"json\"\n")
        .unwrap();
    let environment =
        [("HEADWATER_LISTEN", "127.0.0.1:0"), ("HEADWATER_CONFIG", file.to_str().unwrap())];
    let server = Running::start(&["--replset", "flag"], &environment);
    assert!(server.lines.iter().all(|line| line.starts_with('{')), "{:?}", server.lines);
    let hello = server.ask(|command| command.i32("hello", 1));
    let hello = hello.as_doc();
    assert_eq!(hello.get("setName").unwrap().as_str(), Some("flag"));
    assert_eq!(hello.get("me").unwrap().as_str(), Some(server.address.as_str()));
}

#[test]
fn a_unix_socket_answers_and_goes() {
    let folder = Folder::new("socket");
    let path = folder.0.join("headwater.sock");
    let path = path.to_str().unwrap();
    let words = ["--data", ":memory:", "--listen", "127.0.0.1:0", "--socket", path];
    let mut server = Running::start(&words, &[]);
    let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    let hello = ask(&mut stream, |command| command.i32("hello", 1));
    assert_eq!(hello.as_doc().get("me").unwrap().as_str(), Some(path));
    server.signal("-TERM");
    assert!(server.wait().success());
    assert!(!exists(path));
}
