//! Events of change streams: what happened, where, and the documents before and after. Knows no cursor.

use mongodb::bson::{DateTime, Document, RawDocumentBuf, Timestamp, deserialize_from_slice};
use mongodb::change_stream::event::{ChangeNamespace, OperationType, UpdateDescription};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::token::ResumeToken;

/// One change. Documents read as `T`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ChangeEvent<T> {
    /// The place behind this event.
    #[serde(rename = "_id")]
    pub token: ResumeToken,
    /// What happened.
    #[serde(rename = "operationType")]
    pub operation: OperationType,
    /// Where it happened; not told of an `invalidate`.
    #[serde(rename = "ns")]
    pub namespace: Option<ChangeNamespace>,
    /// The new name, of a `rename`.
    pub to: Option<ChangeNamespace>,
    /// The `_id`, and the shard key if there is one, of the document.
    pub document_key: Option<Document>,
    /// What an update changed.
    #[serde(rename = "updateDescription")]
    pub update: Option<UpdateDescription>,
    /// The document: of inserts and replacements always, of updates if [`Watch::full_document`] asks for it.
    ///
    /// [`Watch::full_document`]: crate::changes::Watch::full_document
    pub full_document: Option<T>,
    /// The document as it was before, if [`Watch::full_document_before_change`] asks for it and it is kept.
    ///
    /// [`Watch::full_document_before_change`]: crate::changes::Watch::full_document_before_change
    pub full_document_before_change: Option<T>,
    /// The deployment's time of the change.
    pub cluster_time: Option<Timestamp>,
    /// The server's clock at the change.
    pub wall_time: Option<DateTime>,
    /// The session, of a change within a transaction.
    pub lsid: Option<Document>,
    /// The number of the transaction within its session.
    pub txn_number: Option<i64>,
    /// What an event of a definition did; see [`Watch::show_expanded_events`].
    ///
    /// [`Watch::show_expanded_events`]: crate::changes::Watch::show_expanded_events
    pub operation_description: Option<Document>,
    #[serde(skip)]
    raw: RawDocumentBuf,
}

impl<T> ChangeEvent<T> {
    /// The event as the server wrote it, with what a pipeline added.
    pub fn raw(&self) -> &RawDocumentBuf {
        &self.raw
    }
}

impl<T: DeserializeOwned> ChangeEvent<T> {
    pub(super) fn read(raw: RawDocumentBuf) -> mongodb::bson::error::Result<ChangeEvent<T>> {
        let mut event: ChangeEvent<T> = deserialize_from_slice(raw.as_bytes())?;
        event.raw = raw;
        Ok(event)
    }
}
