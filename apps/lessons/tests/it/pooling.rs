//! The lines of the first lecture.

use crate::binary::run;
use crate::inventory::Node;

#[tokio::test(flavor = "multi_thread")]
async fn pooling_shows_what_a_pool_is() {
    let node = Node::start().await;
    let output = run(node.uri(), &["pooling"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let lines = output.lines();
    let [default, configured, burst, again, shared, two, left] = lines[..] else {
        panic!("{output:?}");
    };
    assert_eq!(default, "default maximum pool size: 100");
    assert_eq!(configured, "configured maximum pool size: 50");
    let used = burst.strip_prefix("burst of 500 operations used ").unwrap();
    let used: u32 = used.strip_suffix(" connections").unwrap().parse().unwrap();
    assert!((2..=50).contains(&used), "{burst}");
    assert_eq!(again, "second burst opened 0 new connections");
    let (own, one) = shared.split_once(" ms, one shared client: ").unwrap();
    let own: u64 = own.strip_prefix("one client per operation: ").unwrap().parse().unwrap();
    let one: u64 = one.strip_suffix(" ms").unwrap().parse().unwrap();
    assert!(one < own, "{shared}");
    assert_eq!(two, "two clients own two pools: yes");
    assert_eq!(left, "connections left after close: 0");
}
