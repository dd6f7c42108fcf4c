//! Stage 8: a file in, out, and gone.

use headwater::bson::doc;
use headwater::{ErrorKind, GridFsFailure, Result};

use crate::bench::Bench;
use crate::report::Report;

const CONTENT: &[u8; 50] = b"Fifty bytes that go into the file store and back..";

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let files = bench.headwater.gridfs();
    let upload = files.upload("acceptance.txt").content_type("text/plain");
    let id = upload.metadata(doc! { "author": "acceptance" }).from_bytes(CONTENT).await?;
    report.holds("the upload gives an id", id.as_object_id().is_some(), &id);
    let content = files.download(id.clone()).into_bytes().await?;
    report.equal("the same bytes come back", content.as_slice(), CONTENT.as_slice());
    files.delete(id.clone()).await?;
    report.equal("the file is gone", files.exists(id.clone()).await?, false);
    let kind = files.download(id).into_bytes().await.err().map(|error| error.kind());
    let not_found = ErrorKind::GridFs(GridFsFailure::FileNotFound);
    report.equal("a second download finds no file", kind, Some(not_found));
    Ok(())
}
