//! BSON as raw bytes: walking, validating, writing, comparing, ordering keys, Extended JSON.
//!
//! Nothing here knows commands, collections or queries. Documents are never decoded to a tree; [`Raw`] is the
//! common currency: a type and the bytes of a value, borrowed from the document that holds it.

mod doc;
mod raw;
mod validate;
mod value;
mod write;

pub use doc::{Array, Doc, DocBuf, Element, Iter};
pub use raw::{Raw, Type, View};
pub use validate::{validate, validate_command};
pub use value::Value;
pub use write::{ArrayWriter, DocWriter};
