//! `testdata/oracle` is a faithful copy of `../shared/oracle`, where that is at hand.

use std::path::Path;

use headwater_scoreboard::recording;

#[test]
fn the_copy_is_that_of_the_shared_folder() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/oracle");
    if !shared.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", shared.display());
        eprintln!("NOT COMPARED: {} is missing", shared.display());
        return;
    }
    let names = recording::files(&shared).expect("the shared folder can be read");
    let copied = recording::files(&recording::folder()).expect("the copy can be read");
    let plain = copied.iter().map(|name| name.trim_end_matches(".gz").to_owned());
    assert_eq!(names, plain.collect::<Vec<_>>(), "run testdata/copy-oracle");
    for (name, copied) in names.iter().zip(&copied) {
        let copied = recording::folder().join(copied);
        let ours = match copied.extension().is_some_and(|ending| ending == "gz") {
            true => recording::unpacked(&copied),
            false => std::fs::read_to_string(&copied),
        };
        let theirs = std::fs::read_to_string(shared.join(name));
        let same = ours.expect("the copy can be read") == theirs.expect("the original can be read");
        assert!(same, "{name} differs: run testdata/copy-oracle");
    }
}

#[test]
fn every_recording_can_be_read() {
    let cases = recording::cases("").expect("the recordings");
    assert!(cases.len() > 6000, "{} cases", cases.len());
    let mut names = cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "a name stands twice");
    for case in &cases {
        let replies = case.doc("reply").is_some() || !case.docs("replies").is_empty();
        assert!(replies, "{} has no reply", case.name);
    }
}
