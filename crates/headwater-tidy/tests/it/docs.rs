//! Generated documents are fresh. `REWRITE=1` writes them instead.

use headwater_tidy::{compat, files};

#[test]
fn the_compatibility_page_is_fresh() {
    let path = files::root().join("docs/compat.md");
    let page = compat::page();
    if std::env::var_os("REWRITE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("docs/ can be made");
        std::fs::write(&path, &page).expect("docs/compat.md can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/compat.md is stale: run REWRITE=1 cargo test -p headwater-tidy");
}
