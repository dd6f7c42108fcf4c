//! A file larger than a document may be: stored from a reader, read in part and whole, in constant memory.
//!
//! `cargo run -p headwater --example gridfs`

use headwater::Headwater;
use headwater::bson::doc;
use tokio::io::AsyncReadExt;

const LENGTH: u64 = 20 << 20;

#[tokio::main]
async fn main() -> headwater::Result<()> {
    let headwater = Headwater::open_in_memory().await?;
    let files = headwater.gridfs();

    // Any reader will do: a file, a socket, a pipe.
    let content = tokio::io::repeat(b'x').take(LENGTH);
    let id = files
        .upload("large.bin")
        .content_type("application/octet-stream")
        .metadata(doc! { "author": "Ada" })
        .from_reader(content)
        .await?;
    let info = files.download(id.clone()).info().await?;
    println!("{} has {} bytes", info.name.unwrap_or_default(), info.length);

    let part = files.download(id.clone()).range(1_000_000..1_000_010).into_bytes().await?;
    println!("{}", String::from_utf8_lossy(&part));

    // Any writer will do.
    let written = files.download_by_name("large.bin").to_writer(tokio::io::sink()).await?;
    println!("{written} bytes read");

    files.delete(id.clone()).await?;
    let error = files.download(id).into_bytes().await.expect_err("it is deleted");
    println!("{error}");
    Ok(())
}
