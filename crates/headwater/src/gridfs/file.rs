//! What is known of a file: the document of the files collection, read and written.

use mongodb::bson::{Bson, DateTime, Document, doc};

use super::failed;
use crate::error::Result;
use crate::error::kind::GridFsFailure;

/// What is known of a file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FileInfo {
    /// Its `_id`, of any type.
    pub id: Bson,
    /// Its name, which other files may have too.
    pub name: Option<String>,
    /// Its bytes.
    pub length: u64,
    /// The bytes of each chunk but the last.
    pub chunk_size: u32,
    /// When its upload was finished.
    pub uploaded_at: DateTime,
    /// What kind of content it has, such as `text/plain`.
    pub content_type: Option<String>,
    /// What the application added.
    pub metadata: Document,
}

/// Where the content type stands within the metadata; files of old have it beside them.
const CONTENT_TYPE: &str = "contentType";

impl FileInfo {
    pub(super) fn read(document: Document) -> Result<FileInfo> {
        let wrong = |what: &str| {
            failed(GridFsFailure::Corrupt, format!("the entry of a file has no sound `{what}`"))
        };
        let number = |name: &str| match document.get(name) {
            Some(Bson::Int32(number)) => u64::try_from(*number).ok(),
            Some(Bson::Int64(number)) => u64::try_from(*number).ok(),
            Some(Bson::Double(number)) if *number >= 0.0 && number.fract() == 0.0 => {
                Some(*number as u64)
            }
            _ => None,
        };
        let chunk_size = number("chunkSize").and_then(|size| u32::try_from(size).ok());
        let metadata = document.get_document("metadata").cloned().unwrap_or_default();
        let content_type = metadata.get_str(CONTENT_TYPE).or(document.get_str(CONTENT_TYPE));
        Ok(FileInfo {
            id: document.get("_id").cloned().ok_or_else(|| wrong("_id"))?,
            name: document.get_str("filename").ok().map(str::to_owned),
            length: number("length").ok_or_else(|| wrong("length"))?,
            chunk_size: chunk_size.filter(|size| *size > 0).ok_or_else(|| wrong("chunkSize"))?,
            uploaded_at: *document.get_datetime("uploadDate").map_err(|_| wrong("uploadDate"))?,
            content_type: content_type.ok().map(str::to_owned),
            metadata: metadata.clone(),
        })
    }

    pub(super) fn write(&self) -> Document {
        let mut metadata = self.metadata.clone();
        if let Some(kind) = &self.content_type {
            metadata.insert(CONTENT_TYPE, kind);
        }
        let mut document = doc! {
            "_id": self.id.clone(),
            "length": i64::try_from(self.length).unwrap_or(i64::MAX),
            "chunkSize": i32::try_from(self.chunk_size).unwrap_or(i32::MAX),
            "uploadDate": self.uploaded_at,
        };
        if let Some(name) = &self.name {
            document.insert("filename", name);
        }
        if !metadata.is_empty() {
            document.insert("metadata", metadata);
        }
        document
    }
}
