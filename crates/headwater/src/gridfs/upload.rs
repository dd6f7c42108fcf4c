//! Storing a file: content comes in pieces of any size and goes out in chunks, a few at a time.

use futures_util::stream::{Stream, StreamExt};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Bson, DateTime, Document, RawBinaryRef, RawBson, RawDocumentBuf, cstr};
use mongodb::options::InsertManyOptions;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{FileInfo, GridFs, failed};
use crate::collection::Prepared;
use crate::error::kind::GridFsFailure;
use crate::error::{Error, Result};

/// What most drivers take: a chunk and its frame fit in 256 KiB.
const CHUNK_BYTES: u32 = 255 << 10;
/// Room for the rest of a chunk's document within 16 MiB.
const CHUNK_BYTES_MAX: u32 = (16 << 20) - 4096;
/// Content that is held until it goes out in one message.
const HELD_BYTES: usize = 2 << 20;
const READ_BYTES: usize = 64 << 10;

/// A file that is about to be stored; see [`GridFs::upload`].
#[must_use = "nothing happens before it gets its content"]
pub struct Upload {
    bucket: GridFs,
    id: Option<Bson>,
    name: String,
    chunk_size: u32,
    content_type: Option<String>,
    metadata: Document,
}

impl Upload {
    pub(super) fn new(bucket: GridFs, name: String) -> Upload {
        let metadata = Document::new();
        Upload { bucket, id: None, name, chunk_size: CHUNK_BYTES, content_type: None, metadata }
    }

    /// The `_id` of the file, of any type; a new ObjectId unless set.
    pub fn id(mut self, id: impl Into<Bson>) -> Upload {
        self.id = Some(id.into());
        self
    }

    /// What kind of content it has, such as `text/plain`; kept in the metadata as `contentType`.
    pub fn content_type(mut self, kind: impl Into<String>) -> Upload {
        self.content_type = Some(kind.into());
        self
    }

    /// What the application wants to keep with it.
    pub fn metadata(mut self, metadata: Document) -> Upload {
        self.metadata = metadata;
        self
    }

    /// The bytes of a chunk; 261,120 unless set, at least 1 and less than 16 MiB.
    pub fn chunk_size(mut self, bytes: u32) -> Upload {
        self.chunk_size = bytes.clamp(1, CHUNK_BYTES_MAX);
        self
    }

    /// Stores bytes and gives back the file's `_id`.
    ///
    /// # Errors
    /// A chunk could not be stored; nothing is left then.
    pub async fn from_bytes(self, content: impl AsRef<[u8]>) -> Result<Bson> {
        let mut stream = self.open().await?;
        match stream.write(content.as_ref()).await {
            Ok(()) => stream.finish().await,
            Err(error) => stream.give_up(error).await,
        }
    }

    /// Stores all that a reader gives and gives back the file's `_id`.
    ///
    /// # Errors
    /// The reader fails, or a chunk could not be stored; nothing is left then.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// let files = headwater::Headwater::open_in_memory().await?.gridfs();
    /// // A file, a socket, or anything else that reads.
    /// let id = files.upload("zeros").from_reader(&[0_u8; 100][..]).await?;
    /// let mut copy = Vec::new();
    /// assert_eq!(files.download(id).to_writer(&mut copy).await?, 100);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn from_reader(self, mut reader: impl AsyncRead + Send + Unpin) -> Result<Bson> {
        let mut stream = self.open().await?;
        let mut piece = vec![0; READ_BYTES];
        loop {
            let count = match reader.read(&mut piece).await {
                Ok(0) => return stream.finish().await,
                Ok(count) => count,
                Err(error) => return stream.give_up(unreadable(error)).await,
            };
            if let Err(error) = stream.write(&piece[..count]).await {
                return stream.give_up(error).await;
            }
        }
    }

    /// Stores all pieces of a stream and gives back the file's `_id`.
    ///
    /// # Errors
    /// The stream gives an error, or a chunk could not be stored; nothing is left then.
    pub async fn from_stream<S, B, E>(self, pieces: S) -> Result<Bson>
    where
        S: Stream<Item = std::result::Result<B, E>> + Send,
        B: AsRef<[u8]> + Send,
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut stream = self.open().await?;
        let mut pieces = std::pin::pin!(pieces);
        while let Some(piece) = pieces.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return stream.give_up(unreadable(error)).await,
            };
            if let Err(error) = stream.write(piece.as_ref()).await {
                return stream.give_up(error).await;
            }
        }
        stream.finish().await
    }

    /// Begins the upload, for content that comes piece by piece.
    ///
    /// # Errors
    /// There is a file with the `_id` already, or no answer.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// let files = headwater::Headwater::open_in_memory().await?.gridfs();
    /// let mut upload = files.upload("log").open().await?;
    /// for line in ["one\n", "two\n"] {
    ///     upload.write(line.as_bytes()).await?;
    /// }
    /// let id = upload.finish().await?;
    /// assert_eq!(files.info(id).await?.unwrap().length, 8);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn open(self) -> Result<UploadStream> {
        self.bucket.prepare().await?;
        if let Some(id) = &self.id
            && self.bucket.exists(id.clone()).await?
        {
            let message = format!("there is a file with the _id {id} already");
            return Err(failed(GridFsFailure::Other, message));
        }
        let info = FileInfo {
            id: self.id.unwrap_or_else(|| ObjectId::new().into()),
            name: Some(self.name),
            length: 0,
            chunk_size: self.chunk_size,
            uploaded_at: DateTime::now(),
            content_type: self.content_type,
            metadata: self.metadata,
        };
        Ok(UploadStream { bucket: self.bucket, info, held: Vec::new(), next: 0, open: true })
    }
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    failed(GridFsFailure::Other, "the content could not be read").with_source(error)
}

/// An upload under way. Dropped before [`UploadStream::finish`], it removes the chunks that it stored.
pub struct UploadStream {
    bucket: GridFs,
    info: FileInfo,
    held: Vec<u8>,
    /// The number of the next chunk.
    next: i32,
    open: bool,
}

impl UploadStream {
    /// The `_id` that the file has or will have.
    pub fn id(&self) -> &Bson {
        &self.info.id
    }

    /// Adds content. It goes out when there is enough of it.
    ///
    /// # Errors
    /// A chunk could not be stored. The upload cannot go on then.
    pub async fn write(&mut self, mut content: &[u8]) -> Result<()> {
        while !content.is_empty() {
            let room = self.goal() - self.held.len();
            let (now, later) = content.split_at(room.min(content.len()));
            self.held.extend_from_slice(now);
            content = later;
            if self.held.len() == self.goal() {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Stores what is left; the file is there then. Gives back its `_id`.
    ///
    /// # Errors
    /// The last chunk or the file's entry could not be stored; nothing is left then, unless the error says that the
    /// outcome is unknown.
    pub async fn finish(mut self) -> Result<Bson> {
        if let Err(error) = self.flush().await {
            return self.give_up(error).await;
        }
        self.info.uploaded_at = DateTime::now();
        let files = self.bucket.files.with_type::<Document>();
        match files.insert_one(self.info.write()).await {
            Ok(_) => self.open = false,
            // It may be there, and then it needs its chunks.
            Err(error) if error.is_outcome_unknown() => {
                self.open = false;
                return Err(error);
            }
            Err(error) => return self.give_up(error).await,
        }
        Ok(self.info.id.clone())
    }

    /// Ends the upload and removes what it stored.
    ///
    /// # Errors
    /// The chunks could not be removed.
    pub async fn abort(mut self) -> Result<()> {
        self.open = false;
        self.bucket.remove_chunks(&self.info.id).await
    }

    /// Removes what was stored and gives back why.
    async fn give_up(mut self, error: Error) -> Result<Bson> {
        self.open = false;
        // If nothing was stored, chunks of that `_id` are somebody else's.
        if self.next > 0 {
            let _ = self.bucket.remove_chunks(&self.info.id).await;
        }
        Err(error)
    }

    /// As many whole chunks as go out at once.
    fn goal(&self) -> usize {
        let chunk = self.info.chunk_size as usize;
        (HELD_BYTES / chunk).max(1) * chunk
    }

    async fn flush(&mut self) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let chunks = self.held.chunks(self.info.chunk_size as usize).zip(self.next..);
        let id = RawBson::try_from(self.info.id.clone()).map_err(|error| {
            failed(GridFsFailure::Other, "the _id is no BSON value").with_source(error)
        })?;
        let documents: Vec<Prepared> = chunks.map(|(data, n)| chunk(&id, n, data)).collect();
        let count =
            i32::try_from(documents.len()).ok().and_then(|count| self.next.checked_add(count));
        let next = count.ok_or_else(|| failed(GridFsFailure::Other, "too many chunks"))?;
        let stored =
            self.bucket.chunks.insert_batch(&documents, &InsertManyOptions::default(), None).await;
        // Some may be there although the call failed.
        let some = stored.as_ref().err().is_some_and(|error| {
            error.is_outcome_unknown() || error.bulk().is_some_and(|bulk| bulk.counts.inserted > 0)
        });
        if stored.is_ok() || some {
            self.next = next;
        }
        stored?;
        self.info.length += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }
}

/// A chunk's document, with its `_id` fixed.
fn chunk(file: &RawBson, n: i32, data: &[u8]) -> Prepared {
    let id = ObjectId::new();
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), id);
    document.append(cstr!("files_id"), file.clone());
    document.append(cstr!("n"), n);
    document.append(cstr!("data"), RawBinaryRef { subtype: BinarySubtype::Generic, bytes: data });
    Prepared { id: id.into(), document }
}

impl Drop for UploadStream {
    fn drop(&mut self) {
        if !self.open || self.next == 0 {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (bucket, id) = (self.bucket.clone(), self.info.id.clone());
            runtime.spawn(async move {
                if let Err(error) = bucket.remove_chunks(&id).await {
                    tracing::warn!(%error, "chunks of an upload that was dropped stay behind");
                }
            });
        }
    }
}
