//! Files of any size in a database, cut into chunks (GridFS): the bucket, and what is known of its files. Knows the
//! layout of files and chunks; how one write or read is tried again is the collection's affair.

mod download;
mod file;
mod reader;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

pub use self::download::Download;
pub use self::file::FileInfo;
pub use self::reader::FileReader;
pub use self::upload::{Upload, UploadStream};
use crate::collection::{Collection, Index};
use crate::connector::Headwater;
use crate::database::Database;
use crate::error::kind::{ErrorKind, GridFsFailure};
use crate::error::{Error, Result};

const DEFAULT_BUCKET: &str = "fs";

/// Files of any size in a database, each cut into chunks of 255 KiB.
///
/// Uploads and downloads are streams: memory holds a few chunks, however large the file. A file is there when its
/// upload is finished; an upload that fails, is aborted or dropped leaves no chunks.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main]
/// # async fn main() -> headwater::Result<()> {
/// use headwater::bson::doc;
/// let headwater = headwater::Headwater::open_in_memory().await?;
/// let files = headwater.gridfs();
/// let id = files
///     .upload("hello.txt")
///     .content_type("text/plain")
///     .metadata(doc! { "author": "Ada" })
///     .from_bytes(b"Hello, world")
///     .await?;
/// assert_eq!(files.download(id.clone()).into_bytes().await?, b"Hello, world");
/// assert_eq!(files.download(id.clone()).range(7..12).into_bytes().await?, b"world");
/// files.delete(id.clone()).await?;
/// assert!(files.download(id).into_bytes().await.is_err());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct GridFs {
    files: Collection<RawDocumentBuf>,
    chunks: Collection<RawDocumentBuf>,
    indexed: Arc<AtomicBool>,
}

impl Headwater {
    /// The files of the default database, in the bucket `fs`.
    pub fn gridfs(&self) -> GridFs {
        self.default_database().gridfs(DEFAULT_BUCKET)
    }
}

impl Database {
    /// The files of a bucket, which is usually called `fs`.
    pub fn gridfs(&self, bucket: &str) -> GridFs {
        GridFs {
            files: self.collection(&format!("{bucket}.files")),
            chunks: self.collection(&format!("{bucket}.chunks")),
            indexed: Arc::default(),
        }
    }
}

impl GridFs {
    /// Begins to store a file. Nothing is sent before it gets its content.
    pub fn upload(&self, name: impl Into<String>) -> Upload {
        Upload::new(self.clone(), name.into())
    }

    /// Reads the file with the `_id`.
    pub fn download(&self, id: impl Into<Bson>) -> Download {
        Download::by_id(self.clone(), id.into())
    }

    /// Reads the newest file of that name, or another revision of it: see [`Download::revision`].
    pub fn download_by_name(&self, name: impl Into<String>) -> Download {
        Download::by_name(self.clone(), name.into())
    }

    /// What is known of the file with the `_id`, `None` if there is none.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn info(&self, id: impl Into<Bson>) -> Result<Option<FileInfo>> {
        let found = self.files.with_type::<Document>().find_by_id(id.into()).await?;
        found.map(FileInfo::read).transpose()
    }

    /// Whether there is a file with the `_id`.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn exists(&self, id: impl Into<Bson>) -> Result<bool> {
        Ok(self.info(id).await?.is_some())
    }

    /// Whether there is a file of that name.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn exists_by_name(&self, name: &str) -> Result<bool> {
        Ok(self.files.count(doc! { "filename": name }).limit(1).await? > 0)
    }

    /// The files whose entry (`_id`, `filename`, `length`, `uploadDate`, `metadata`) matches the filter, by name and
    /// age; all for an empty one.
    ///
    /// # Errors
    /// Why there was no answer.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::doc;
    /// let files = headwater::Headwater::open_in_memory().await?.gridfs();
    /// files.upload("a").metadata(doc! { "year": 1854 }).from_bytes(b"x").await?;
    /// let old = files.list(doc! { "metadata.year": { "$lt": 1900 } }).await?;
    /// assert_eq!((old.len(), old[0].length), (1, 1));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn list(&self, filter: Document) -> Result<Vec<FileInfo>> {
        let files = self.files.with_type::<Document>();
        let sort = doc! { "filename": 1, "uploadDate": 1, "_id": 1 };
        let found = files.find_many(filter).sort(sort).await?;
        found.into_iter().map(FileInfo::read).collect()
    }

    /// Gives the file with the `_id` another name.
    ///
    /// # Errors
    /// [`GridFsFailure::FileNotFound`], or why there was no answer.
    pub async fn rename(&self, id: impl Into<Bson>, name: impl Into<String>) -> Result<()> {
        let id = id.into();
        let update = doc! { "$set": { "filename": name.into() } };
        let result = self.files.update_by_id(id.clone(), update).await?;
        if result.matched_count == 0 { Err(not_found(&id)) } else { Ok(()) }
    }

    /// Removes the file with the `_id` and its chunks.
    ///
    /// # Errors
    /// [`GridFsFailure::FileNotFound`], or why there was no answer.
    pub async fn delete(&self, id: impl Into<Bson>) -> Result<()> {
        let id = id.into();
        let deleted = self.files.delete_by_id(id.clone()).await?;
        // Those that an upload left whose process died, too.
        self.remove_chunks(&id).await?;
        if deleted == 0 { Err(not_found(&id)) } else { Ok(()) }
    }

    /// Removes all files of the bucket.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn drop_bucket(&self) -> Result<()> {
        self.indexed.store(false, Ordering::Relaxed);
        self.files.drop_collection().await?;
        self.chunks.drop_collection().await
    }

    async fn remove_chunks(&self, id: &Bson) -> Result<()> {
        self.chunks.delete_many(doc! { "files_id": { "$eq": id.clone() } }).await.map(drop)
    }

    /// Makes the indexes of a new bucket.
    async fn prepare(&self) -> Result<()> {
        if self.indexed.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.files.find_one(doc! {}).await?.is_none() {
            let files = Index::keys(doc! { "filename": 1, "uploadDate": 1 });
            self.files.create_index(files).await?;
            let chunks = Index::keys(doc! { "files_id": 1, "n": 1 }).unique();
            self.chunks.create_index(chunks).await?;
        }
        self.indexed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[cold]
fn failed(failure: GridFsFailure, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::GridFs(failure), message)
}

#[cold]
fn not_found(id: &Bson) -> Error {
    failed(GridFsFailure::FileNotFound, format!("no file has the _id {id}"))
}
