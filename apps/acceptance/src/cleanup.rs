//! Removes what the stages made, the file store's collections included, and looks whether it is gone.

use headwater::Result;

use crate::bench::{Bench, FILES, GEO, MAIN, TEXT};
use crate::report::Report;

pub(crate) async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let database = bench.headwater.default_database();
    let made = [MAIN, TEXT, GEO].into_iter().chain(FILES);
    // Files that were there before belong to somebody else.
    for name in made.filter(|name| !bench.foreign.iter().any(|foreign| foreign == name)) {
        database.drop_collection(name).await?;
    }
    let mut left = database.collection_names().await?;
    left.retain(|name| !bench.foreign.contains(name));
    report.equal("nothing that was made is left", left, Vec::new());
    Ok(())
}
