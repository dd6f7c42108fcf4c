//! Reading a file: by `_id` or by name and revision, whole or a range, a few chunks at a time.

use std::ops::{Bound, RangeBounds};

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::reader::FileReader;
use super::{FileInfo, GridFs, failed, not_found};
use crate::error::Result;
use crate::error::kind::GridFsFailure;

/// Content that one request asks for.
const FETCH_BYTES: u64 = 2 << 20;
/// Requests under way: one is read while the next one comes.
const AHEAD: usize = 2;

/// A file to be read; see [`GridFs::download`] and [`GridFs::download_by_name`].
#[must_use = "nothing happens before it is read"]
pub struct Download {
    bucket: GridFs,
    which: Which,
    start: u64,
    /// Behind the last byte.
    end: Option<u64>,
}

enum Which {
    Id(Bson),
    Name(String, i32),
}

impl Download {
    pub(super) fn by_id(bucket: GridFs, id: Bson) -> Download {
        Download { bucket, which: Which::Id(id), start: 0, end: None }
    }

    pub(super) fn by_name(bucket: GridFs, name: String) -> Download {
        Download { bucket, which: Which::Name(name, -1), start: 0, end: None }
    }

    /// Which file of the name: 0 the first that was stored, 1 the second and so on, -1 the newest, -2 the one before.
    /// -1 unless set. Has no meaning for a download by `_id`.
    pub fn revision(mut self, revision: i32) -> Download {
        if let Which::Name(_, of_name) = &mut self.which {
            *of_name = revision;
        }
        self
    }

    /// Only these bytes; what lies behind the end of the file is left out.
    pub fn range(mut self, bytes: impl RangeBounds<u64>) -> Download {
        self.start = match bytes.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        self.end = match bytes.end_bound() {
            Bound::Included(end) => Some(end.saturating_add(1)),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => None,
        };
        self
    }

    /// What is known of the file.
    ///
    /// # Errors
    /// [`GridFsFailure::FileNotFound`], [`GridFsFailure::RevisionNotFound`], or why there was no answer.
    pub async fn info(&self) -> Result<FileInfo> {
        match &self.which {
            Which::Id(id) => self.bucket.info(id.clone()).await?.ok_or_else(|| not_found(id)),
            Which::Name(name, revision) => self.revision_of(name, *revision).await,
        }
    }

    async fn revision_of(&self, name: &str, revision: i32) -> Result<FileInfo> {
        let (direction, skip) = match revision {
            0.. => (1, revision.unsigned_abs()),
            _ => (-1, revision.unsigned_abs() - 1),
        };
        let files = self.bucket.files.with_type::<Document>();
        let sort = doc! { "uploadDate": direction, "_id": direction };
        let find = files.find_one(doc! { "filename": name }).sort(sort);
        if let Some(found) = find.skip(u64::from(skip)).await? {
            return FileInfo::read(found);
        }
        Err(match self.bucket.exists_by_name(name).await? {
            true => failed(
                GridFsFailure::RevisionNotFound,
                format!("the file `{name}` has no revision {revision}"),
            ),
            false => failed(GridFsFailure::FileNotFound, format!("no file has the name `{name}`")),
        })
    }

    /// The content piece by piece. Each piece is a request of its own, tried again as any read is.
    ///
    /// # Errors
    /// As [`Download::info`]; the stream ends with an error if a chunk is missing or has the wrong size.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use futures_util::TryStreamExt;
    /// let files = headwater::Headwater::open_in_memory().await?.gridfs();
    /// files.upload("song").from_bytes(vec![7; 600_000]).await?;
    /// let mut pieces = Box::pin(files.download_by_name("song").stream().await?);
    /// let mut length = 0;
    /// while let Some(piece) = pieces.try_next().await? {
    ///     length += piece.len();
    /// }
    /// assert_eq!(length, 600_000);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn stream(self) -> Result<impl Stream<Item = Result<Vec<u8>>> + Send + 'static> {
        let file = self.info().await?;
        let end = self.end.unwrap_or(file.length).min(file.length);
        let start = self.start.min(end);
        let size = u64::from(file.chunk_size);
        let chunks = (FETCH_BYTES / size).max(1);
        let (first, last) = (start / size, end.div_ceil(size));
        let steps = (first..if start < end { last } else { first }).step_by(chunks as usize);
        let bucket = self.bucket;
        let fetch = move |from: u64| {
            let (bucket, file) = (bucket.clone(), file.clone());
            let to = (from + chunks).min(last);
            async move {
                let mut content = bucket.fetch(&file, from, to).await?;
                // The range may begin and end within a chunk.
                content.truncate((end - from * size).min(content.len() as u64) as usize);
                content
                    .drain(..start.saturating_sub(from * size).min(content.len() as u64) as usize);
                Ok(content)
            }
        };
        Ok(stream::iter(steps).map(fetch).buffered(AHEAD))
    }

    /// The content as something to read from.
    ///
    /// # Errors
    /// As [`Download::info`].
    pub async fn reader(self) -> Result<FileReader> {
        Ok(FileReader::new(Box::pin(self.stream().await?)))
    }

    /// Writes the content to a writer and flushes it; gives back how many bytes.
    ///
    /// # Errors
    /// As [`Download::stream`], or the writer fails.
    pub async fn to_writer(self, mut writer: impl AsyncWrite + Send + Unpin) -> Result<u64> {
        let mut pieces = Box::pin(self.stream().await?);
        let unwritable = |error: std::io::Error| {
            failed(GridFsFailure::Other, "the content could not be written").with_source(error)
        };
        let mut length = 0;
        while let Some(piece) = pieces.try_next().await? {
            writer.write_all(&piece).await.map_err(unwritable)?;
            length += piece.len() as u64;
        }
        writer.flush().await.map_err(unwritable)?;
        Ok(length)
    }

    /// The whole content in memory.
    ///
    /// # Errors
    /// As [`Download::stream`].
    pub async fn into_bytes(self) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        let mut pieces = Box::pin(self.stream().await?);
        while let Some(piece) = pieces.try_next().await? {
            content.extend_from_slice(&piece);
        }
        Ok(content)
    }
}

impl GridFs {
    /// The content of some chunks, each checked.
    async fn fetch(&self, file: &FileInfo, from: u64, to: u64) -> Result<Vec<u8>> {
        let corrupt = |n: u64, what: &str| {
            failed(GridFsFailure::Corrupt, format!("chunk {n} of the file {} {what}", file.id))
        };
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let filter = doc! {
            "files_id": { "$eq": file.id.clone() },
            "n": { "$gte": number(from), "$lt": number(to) },
        };
        let chunks: Vec<RawDocumentBuf> =
            self.chunks.find_many(filter).sort(doc! { "n": 1 }).await?;
        let size = u64::from(file.chunk_size);
        let mut content =
            Vec::with_capacity(chunks.len().min(64) * file.chunk_size.min(1 << 20) as usize);
        let mut chunks = chunks.into_iter();
        for n in from..to {
            let chunk = chunks.next().ok_or_else(|| corrupt(n, "is missing"))?;
            let is_next = match chunk.get("n") {
                Ok(Some(value)) => {
                    value.as_i32().map(i64::from).or(value.as_i64()) == Some(number(n))
                }
                _ => false,
            };
            let data = chunk.get_binary("data").map_err(|_| corrupt(n, "has no content"))?;
            if !is_next {
                return Err(corrupt(n, "is missing"));
            }
            if data.bytes.len() as u64 != size.min(file.length - n * size) {
                return Err(corrupt(n, "has the wrong size"));
            }
            content.extend_from_slice(data.bytes);
        }
        Ok(content)
    }
}
