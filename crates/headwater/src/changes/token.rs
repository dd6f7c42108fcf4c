//! Resume tokens: the place behind an event of a change stream, opaque, and as text or document to keep.

use std::fmt;

use mongodb::bson::{Bson, Document};
use serde::{Deserialize, Serialize};

/// A place in the history of a deployment: a change stream that starts behind it misses nothing and repeats nothing.
///
/// What it looks like is the server's affair. It can be kept in any form that serde knows, or by a
/// [`TokenStore`](crate::TokenStore).
///
/// ```
/// use headwater::ResumeToken;
/// use headwater::bson::{Document, doc};
/// let token = ResumeToken::from(doc! { "_data": "8263" });
/// let text = serde_json::to_string(&token).unwrap();
/// assert_eq!(text, r#"{"_data":"8263"}"#);
/// assert_eq!(serde_json::from_str::<ResumeToken>(&text).unwrap(), token);
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResumeToken(Document);

impl ResumeToken {
    /// The token as the server wrote it.
    pub fn as_document(&self) -> &Document {
        &self.0
    }
}

impl From<Document> for ResumeToken {
    fn from(document: Document) -> ResumeToken {
        ResumeToken(document)
    }
}

impl From<ResumeToken> for Document {
    fn from(token: ResumeToken) -> Document {
        token.0
    }
}

impl From<ResumeToken> for Bson {
    fn from(token: ResumeToken) -> Bson {
        Bson::Document(token.0)
    }
}

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get_str("_data") {
            Ok(data) => f.debug_tuple("ResumeToken").field(&data).finish(),
            Err(_) => f.debug_tuple("ResumeToken").field(&self.0).finish(),
        }
    }
}
