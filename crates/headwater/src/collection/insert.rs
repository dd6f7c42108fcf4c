//! Inserting one document, so that a second attempt is known as such.

use std::borrow::Borrow;
use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawBson, RawDocument, RawDocumentBuf, cstr};
use mongodb::options::WriteConcern;
use serde::Serialize;

use super::Collection;
use crate::connector::limit_wait;
use crate::error::classify::Family;
use crate::error::kind::ErrorKind;
use crate::error::{Error, Result};
use crate::operation::Safety;

/// Inserts a document; see [`Collection::insert_one`].
#[must_use = "nothing happens before it is awaited"]
pub struct InsertOne<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    document: Result<(Bson, RawDocumentBuf)>,
    write_concern: Option<WriteConcern>,
    bypass_document_validation: bool,
    comment: Option<Bson>,
    deadline: Option<Duration>,
}

impl<T: Serialize + Send + Sync> Collection<T> {
    /// Inserts a document and gives back its `_id`, as it is or as it was made.
    ///
    /// The `_id` is fixed before the first attempt. If an attempt gets no answer and a later one meets a duplicate of
    /// this very `_id` and content, the first one did the work.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Bson, Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// assert_eq!(users.insert_one(doc! { "_id": 7 }).await?, Bson::Int32(7));
    /// let made = users.insert_one(doc! { "name": "Ada" }).await?;
    /// assert!(made.as_object_id().is_some());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn insert_one(&self, document: impl Borrow<T>) -> InsertOne<'_, T> {
        InsertOne {
            collection: self,
            document: with_id(document.borrow()),
            write_concern: None,
            bypass_document_validation: false,
            comment: None,
            deadline: None,
        }
    }
}

deadline!(InsertOne<T>);
awaitable!(InsertOne<T> => Bson);

impl<'a, T: Send + Sync> InsertOne<'a, T> {
    /// The write concern of this call.
    pub fn write_concern(mut self, concern: WriteConcern) -> Self {
        self.write_concern = Some(concern);
        self
    }

    /// Whether the collection's validator is passed over.
    pub fn bypass_document_validation(mut self, bypass: bool) -> Self {
        self.bypass_document_validation = bypass;
        self
    }

    /// A remark for the server's logs.
    pub fn comment(mut self, comment: impl Into<Bson>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    async fn run(mut self) -> Result<Bson> {
        let collection = self.collection;
        let (id, document) =
            std::mem::replace(&mut self.document, Ok((Bson::Null, RawDocumentBuf::new())))?;
        let command = self.command(&document)?;
        let database = collection.driver_database();
        let operation =
            collection.operation("insert_one", Safety::FixedInsert).deadline(self.deadline);
        let call = || async {
            let reply = database.run_raw_command(command.clone()).await;
            check(&reply.map_err(|error| Error::of_driver(error, Family::Query))?)
        };
        match collection.resilience().run(operation, call).await {
            Ok(()) => Ok(id),
            Err(error) if error.kind() == ErrorKind::DuplicateKey && error.was_sent_before() => {
                collection.settle(id, &document, error).await
            }
            Err(error) => Err(error),
        }
    }

    fn command(&self, document: &RawDocument) -> Result<RawDocumentBuf> {
        let mut command = insert_of(self.collection.name(), document)?;
        let mut concern =
            self.write_concern.clone().or_else(|| self.collection.write_concern().cloned());
        limit_wait(&mut concern);
        if let Some(concern) = concern {
            let concern = mongodb::bson::serialize_to_raw_document_buf(&concern).map_err(unfit)?;
            command.append(cstr!("writeConcern"), concern);
        }
        if self.bypass_document_validation {
            command.append(cstr!("bypassDocumentValidation"), true);
        }
        if let Some(comment) = self.comment.clone() {
            command.append(cstr!("comment"), RawBson::try_from(comment).map_err(unfit)?);
        }
        Ok(command)
    }
}

impl<T: Send + Sync> Collection<T> {
    /// A duplicate after an attempt without an answer: whether it is the document of that attempt.
    async fn settle(&self, id: Bson, document: &RawDocument, error: Error) -> Result<Bson> {
        let key = error.duplicate_key();
        let on_id = key
            .and_then(|key| key.key_pattern.as_ref())
            .is_some_and(|pattern| pattern.len() == 1 && pattern.contains_key("_id"));
        if !on_id {
            // Another key was there already, so the document was never inserted.
            return Err(error.with_outcome_known());
        }
        let there = self.with_type::<RawDocumentBuf>().find_by_id(id.clone()).await;
        match there {
            Ok(Some(there)) if there.as_bytes() == document.as_bytes() => Ok(id),
            // It may have been inserted by us and changed by someone else since: nobody can tell.
            _ => Err(error),
        }
    }
}

/// The document as bytes, with an `_id` as its first field if it has none, as the driver does it.
pub(crate) fn with_id<T: Serialize>(document: &T) -> Result<(Bson, RawDocumentBuf)> {
    let document = mongodb::bson::serialize_to_raw_document_buf(document).map_err(unfit)?;
    if let Some(id) = document.get("_id").map_err(unfit)? {
        let id = Bson::try_from(id).map_err(unfit)?;
        return Ok((id, document));
    }
    let id = ObjectId::new();
    // The fields of the document, and the zero that closes it.
    let own = &document.as_bytes()[4..];
    let mut bytes = Vec::with_capacity(21 + own.len());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(b"\x07_id\0");
    bytes.extend_from_slice(&id.bytes());
    bytes.extend_from_slice(own);
    Ok((Bson::ObjectId(id), measured(bytes)?))
}

/// `{insert: name, documents: [document]}`, written at once: each `append` of a document would copy it.
fn insert_of(collection: &str, document: &RawDocument) -> Result<RawDocumentBuf> {
    let (name, document) = (collection.as_bytes(), document.as_bytes());
    let mut bytes = Vec::with_capacity(64 + name.len() + document.len());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(b"\x02insert\0");
    bytes.extend_from_slice(&length(name.len() + 1)?);
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(b"\0\x04documents\0");
    // Four bytes of length, the element's type and its name "0", and the closing zero.
    bytes.extend_from_slice(&length(4 + 3 + document.len() + 1)?);
    bytes.extend_from_slice(b"\x030\0");
    bytes.extend_from_slice(document);
    bytes.extend_from_slice(&[0, 0]);
    measured(bytes)
}

/// A document's bytes whose first four are still to hold their number.
fn measured(mut bytes: Vec<u8>) -> Result<RawDocumentBuf> {
    let all = length(bytes.len())?;
    bytes[..4].copy_from_slice(&all);
    RawDocumentBuf::from_bytes(bytes).map_err(unfit)
}

fn length(bytes: usize) -> Result<[u8; 4]> {
    let length = i32::try_from(bytes);
    length.map(i32::to_le_bytes).map_err(|_| Error::validation("the document is too large"))
}

#[cold]
pub(super) fn unfit(error: mongodb::bson::error::Error) -> Error {
    Error::validation(format!("not a BSON document: {error}")).with_source(error)
}

#[cold]
pub(super) fn unread(error: mongodb::bson::error::Error) -> Error {
    Error::unreadable(error, Family::Query, "the document cannot be read as asked")
}

/// Whether the reply of an insert of one document says that it was done.
fn check(reply: &Document) -> Result<()> {
    let place = |name: &str| reply.get_array(name).ok()?.first()?.as_document();
    let problem = match (place("writeErrors"), reply.get_document("writeConcernError").ok()) {
        (Some(problem), _) => problem,
        (None, Some(problem)) => problem,
        (None, None) => return Ok(()),
    };
    let code = problem.get_i32("code").unwrap_or_default();
    let message = problem.get_str("errmsg").unwrap_or_default();
    let raw = RawDocumentBuf::try_from(reply).map_err(unfit)?;
    let labels = [Some(reply), Some(problem)].into_iter().flatten();
    let labels = labels.filter_map(|place| place.get_array("errorLabels").ok()).flatten();
    let labels: Vec<String> = labels.filter_map(|label| Some(label.as_str()?.to_owned())).collect();
    let mut error = if place("writeErrors").is_some() {
        Error::of_code(code, Family::Query, message)
    } else {
        Error::unmet_write_concern(code, message, problem)
    };
    if let Ok(name) = problem.get_str("codeName") {
        error = error.with_code_name(name);
    }
    Err(error.with_labels(labels).completed_by(&raw))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{doc, rawdoc};

    use super::*;

    #[test]
    fn d19_ids_keep_their_type_and_come_first_when_made() {
        let (id, whole) = with_id(&doc! { "a": 1, "_id": 7 }).unwrap();
        assert_eq!(id, Bson::Int32(7));
        assert_eq!(whole, RawDocumentBuf::try_from(&doc! { "a": 1, "_id": 7 }).unwrap());
        let (id, whole) = with_id(&doc! { "a": 1 }).unwrap();
        let whole = Document::try_from(whole.as_ref()).unwrap();
        assert_eq!(whole, doc! { "_id": id, "a": 1 });
        assert_eq!(whole.keys().next().unwrap(), "_id");
    }

    #[test]
    fn the_command_is_what_appending_would_make() {
        let document = rawdoc! { "_id": 1, "a": [1, { "b": "c" }] };
        let command = insert_of("things", &document).unwrap();
        assert_eq!(command, rawdoc! { "insert": "things", "documents": [document] });
    }

    #[test]
    fn r3_a_validator_that_refuses_says_why() {
        let details = doc! { "failingDocumentId": 1, "details": { "operatorName": "$gte" } };
        let reply = doc! {
            "n": 0,
            "writeErrors": [{
                "index": 0, "code": 121, "errmsg": "Document failed validation",
                "errInfo": details.clone(),
            }],
        };
        let error = check(&reply).unwrap_err();
        assert_eq!(
            (error.kind(), error.validation_details()),
            (ErrorKind::Validation, Some(&details))
        );
    }

    #[test]
    fn r3_an_unmet_write_concern_says_what_was_applied() {
        let reply = doc! {
            "n": 1,
            "writeConcernError": {
                "code": 64, "codeName": "WriteConcernTimeout", "errmsg": "waiting timed out",
                "errInfo": { "wtimeout": true },
            },
        };
        let error = check(&reply).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteConcern);
        let unmet = error.write_concern().unwrap();
        assert!(unmet.timed_out && !unmet.unsatisfiable && error.is_timeout());
        assert_eq!(unmet.applied, Some(1));
        let reply = doc! { "n": 1, "writeConcernError": { "code": 100, "errmsg": "not enough" } };
        let unmet = check(&reply).unwrap_err();
        assert!(unmet.write_concern().unwrap().unsatisfiable && !unmet.is_timeout());
    }
}
