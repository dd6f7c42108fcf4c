//! The examples run and say what they are there to show.

use std::process::Command;

use crate::program;

#[test]
fn d15_the_examples_run() {
    let cases: &[(&str, &[&str])] = &[
        ("aggregation", &["D3: 25 people, 35100 on average", r#""city": String("Rome")"#]),
        ("basic", &["by id: Some(User", "updated: 1", "deleted: 1", "left: 3"]),
        ("bulk", &["inserted 10000 in 10 batches", "refused number 2 of", "20000 users"]),
        ("concurrent", &["0: Count(25)", "2: aggregate on test.users: ", r#""visits": Int32(20)"#]),
        ("embedded", &["books: 1", "change: Insert", "change: Update"]),
        ("errors", &["there already: ", "2 inserted", "the servers are away: ", "127.0.0.1:1"]),
        ("gridfs", &["large.bin has 20971520 bytes", "20971520 bytes read", "not found"]),
    ];
    for (name, wanted) in cases {
        let place = format!("examples/{name}");
        let words = ["-p", "headwater", "--example", name];
        let output = Command::new(program::built(&place, &words)).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{name}: {text}");
        for wanted in *wanted {
            assert!(text.contains(wanted), "{name} without `{wanted}`:\n{text}");
        }
    }
}
