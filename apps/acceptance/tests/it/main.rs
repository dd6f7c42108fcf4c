//! The program as a process: on the embedded database, on a server over TCP, and without a configuration.

#[path = "../../../../crates/headwater/tests/it/program.rs"]
mod program;
#[path = "../../../../crates/headwater/tests/it/serve.rs"]
mod serve;

use std::process::{Command, Output};

use headwater::Headwater;
use headwater::bson::{Document, doc};

use self::serve::Serve;

/// Runs the program with these variables and no others, in a folder without a `.env` file.
fn run(words: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_acceptance"));
    command.args(words).env_clear().envs(variables.iter().copied());
    let Output { status, stdout, stderr } =
        command.current_dir(std::env::temp_dir()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// The lines of the checks, spaces made even.
fn checks(output: &str) -> Vec<String> {
    let numbered = |line: &&str| {
        line.starts_with('S') && line[1..].starts_with(|digit: char| digit.is_ascii_digit())
    };
    let lines = output.lines().filter(numbered);
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn assert_passed(output: &str) {
    let checks = checks(output);
    // What the table of the stages says, with the counts that each stage has when nothing breaks off.
    let ok = |stage: u32| {
        let (number, state) = (format!("S{stage}."), " ok ");
        checks.iter().filter(|line| line.starts_with(&number) && line.contains(state)).count()
    };
    for (stage, wanted) in [(1, 5), (2, 3), (3, 5), (4, 10), (7, 6), (8, 4), (9, 7)] {
        assert_eq!(ok(stage), wanted, "stage {stage} of {output}");
    }
    for (stage, wanted) in [(5, 4), (6, 4)] {
        let gap = format!("  expected  stage {stage}: ");
        assert!(ok(stage) == wanted || output.contains(&gap), "stage {stage} of {output}");
    }
    assert!(output.contains(" 0 failed, "), "{output}");
}

#[test]
fn s1_to_s9_on_the_embedded_database() {
    let (code, output, problems) = run(&["--embedded"], &[("CLEANUP_DATA", "true")]);
    assert_passed(&output);
    assert!(output.contains("C.1  ok    nothing that was made is left"), "{output}");
    assert_eq!(code, 0, "{output}{problems}");
}

#[tokio::test]
async fn s1_to_s9_on_a_server_and_d33_everything_is_cleaned() {
    let serve = Serve::start(&[]);
    let uri = format!("mongodb://{}/acceptance?replicaSet=rs0", serve.address());
    let headwater = Headwater::connect(&uri).await.unwrap();
    headwater.collection::<Document>("foreign").insert_one(doc! { "_id": 1 }).await.unwrap();

    let (code, output, problems) = run(&[], &[("MONGO_URI", &uri)]);
    assert_passed(&output);
    assert_eq!(code, 0, "{output}{problems}");
    let mut names = headwater.default_database().collection_names().await.unwrap();
    names.sort_unstable();
    let ours = ["async_geo_collection", "async_test_collection", "async_text_collection"];
    let files = ["foreign", "fs.chunks", "fs.files"];
    assert_eq!(names, [&ours[..], &files[..]].concat(), "data stays unless told otherwise");
    let kept = headwater.collection::<Document>(ours[1]);
    assert_eq!(kept.count(doc! {}).await.unwrap(), 5_001);

    // Begun without files, so that it makes their collections itself.
    headwater.gridfs().drop_bucket().await.unwrap();
    let parts = [
        ("MONGO_HOST", serve.address().ip().to_string()),
        ("MONGO_PORT", serve.address().port().to_string()),
        ("MONGO_DB", "acceptance".to_owned()),
        ("CLEANUP_DATA", "TRUE".to_owned()),
    ];
    let parts = parts.each_ref().map(|(name, value)| (*name, value.as_str()));
    let (code, output, problems) = run(&[], &parts);
    assert_passed(&output);
    assert_eq!(code, 0, "{output}{problems}");
    let names = headwater.default_database().collection_names().await.unwrap();
    assert_eq!(names, ["foreign"]);
    assert!(serve.uri().starts_with("mongodb://"));
}

#[test]
fn d33_missing_variables_are_told_and_the_exit_code_is_2() {
    let (code, output, problems) = run(&[], &[]);
    assert_eq!((code, output.as_str()), (2, ""));
    assert!(
        problems.contains("Missing required config variables: MONGO_HOST, MONGO_DB"),
        "{problems}"
    );
    let (code, _, problems) = run(&[], &[("MONGO_HOST", "127.0.0.1")]);
    assert_eq!(code, 2);
    assert!(problems.contains("Missing required config variables: MONGO_DB."), "{problems}");
}

#[test]
fn d33_other_wrong_words_are_no_success_either() {
    let (code, _, problems) = run(&["--embeded"], &[]);
    assert!(code == 2 && problems.contains("usage: acceptance"), "{problems}");
    let (code, _, problems) = run(&["--embedded"], &[("CLEANUP_DATA", "maybe")]);
    assert!(code == 2 && problems.contains("CLEANUP_DATA is `maybe`"), "{problems}");
    let away = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200";
    let (code, _, problems) = run(&[], &[("MONGO_URI", away)]);
    assert!(code == 1 && problems.contains("cannot be prepared"), "{problems}");
}
