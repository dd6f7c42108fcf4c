//! The documents of a cursor in chunks, at most one of them in memory.

use futures_util::{Stream, StreamExt};
use headwater::bson::Document;
use headwater::{Cursor, Result};

/// Chunks of so many documents; the last one may be shorter.
pub(super) fn chunks(
    cursor: Cursor<Document>,
    size: usize,
) -> impl Stream<Item = Result<Vec<Document>>> {
    // An error ends the stream in the place where it came.
    cursor.chunks(size).map(|chunk| chunk.into_iter().collect())
}
