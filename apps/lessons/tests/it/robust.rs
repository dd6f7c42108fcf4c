//! The lines of the second lecture.

use crate::binary::run;
use crate::inventory::Node;
use crate::process::Output;
use crate::serve::Serve;

/// The number between two texts.
fn number(line: &str, before: &str, after: &str) -> u64 {
    let rest = line.strip_prefix(before).unwrap_or_else(|| panic!("{line}"));
    rest.strip_suffix(after).unwrap_or_else(|| panic!("{line}")).parse().unwrap()
}

fn check_selection(lines: &[&str], output: &Output) {
    let [unsatisfiable, selection, default, recovered] = lines else { panic!("{output:?}") };
    assert_eq!(*unsatisfiable, "write concern not satisfiable (code 100)");
    let taken = number(selection, "server selection failed after ", " ms: no server available");
    assert!((2_000..=2_500).contains(&taken), "{selection}");
    assert_eq!(*default, "default server selection timeout: 30000 ms");
    assert_eq!(*recovered, "recovered without a new client: yes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_cannot_hold_a_write_back_is_told() {
    let node = Node::start().await;
    let output = run(node.uri(), &["robust"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let lines = output.lines();
    assert_eq!(lines[0], "write concern: w=majority wtimeout=2500");
    assert_eq!(lines[1], "majority write acknowledged");
    let skipped = "skipped: the deployment gives no means to hold a write back (";
    assert!(lines[2].starts_with(skipped), "{output:?}");
    check_selection(&lines[3..], &output);
}

#[test]
fn a_write_that_is_held_back_is_applied_and_told_so() {
    let serve = Serve::start(&["--test-commands"]);
    let output = run(&serve.uri(), &["robust"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("fail point"), "{output:?}");
    let lines = output.lines();
    assert_eq!(
        lines[..2],
        ["write concern: w=majority wtimeout=2500", "majority write acknowledged"]
    );
    let after = " ms (code 64), the write itself was applied";
    let taken = number(lines[2], "write concern timeout after ", after);
    assert!((2_500..=3_000).contains(&taken), "{}", lines[2]);
    assert_eq!(lines[3], "document present after timeout: yes");
    check_selection(&lines[4..], &output);
}
