//! The content of a file as something to read from.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::stream::Stream;
use tokio::io::{AsyncRead, ReadBuf};

use crate::error::Result;

type Pieces = Pin<Box<dyn Stream<Item = Result<Vec<u8>>> + Send>>;

/// Reads a file; see [`Download::reader`](super::Download::reader). An error of the connector comes as the source of
/// the reader's error.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tokio::io::AsyncReadExt;
/// let files = headwater::Headwater::open_in_memory().await?.gridfs();
/// let id = files.upload("greeting").from_bytes("Hello").await?;
/// let mut text = String::new();
/// files.download(id).reader().await?.read_to_string(&mut text).await?;
/// assert_eq!(text, "Hello");
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
pub struct FileReader {
    pieces: Pieces,
    piece: Vec<u8>,
    /// How much of the piece has been read.
    read: usize,
}

impl FileReader {
    pub(super) fn new(pieces: Pieces) -> FileReader {
        FileReader { pieces, piece: Vec::new(), read: 0 }
    }
}

impl AsyncRead for FileReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let reader = self.get_mut();
        while reader.read == reader.piece.len() {
            match ready!(reader.pieces.as_mut().poll_next(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                Some(Ok(piece)) => (reader.piece, reader.read) = (piece, 0),
            }
        }
        let rest = &reader.piece[reader.read..];
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        reader.read += count;
        Poll::Ready(Ok(()))
    }
}
