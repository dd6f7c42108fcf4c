//! What a server's reply says about an error and the driver does not pass on: the duplicate key, the counts.

use mongodb::bson::{Document, RawDocument};

use super::Error;
use super::details::{Details, DuplicateKey};
use super::kind::ErrorKind;

/// Adds to the error what the reply knows more.
pub(super) fn complete(error: &mut Error, reply: &RawDocument) {
    match error.0.kind {
        ErrorKind::DuplicateKey => {
            let place = first_write_error(reply).unwrap_or(reply);
            error.0.details = Details::DuplicateKey(duplicate_key(place, &error.0.message));
        }
        ErrorKind::WriteConcern => {
            if let Details::WriteConcern(failure) = &mut error.0.details {
                failure.applied = count(reply, "n");
                failure.modified = count(reply, "nModified");
            }
        }
        ErrorKind::Validation if matches!(error.0.details, Details::None) => {
            let place = first_write_error(reply).unwrap_or(reply);
            if let Some(info) = document(place, "errInfo") {
                error.0.details = Details::Validation(info);
            }
        }
        _ => {}
    }
}

/// The duplicate key as an error document of the server tells it.
pub(super) fn duplicate_key(place: &RawDocument, message: &str) -> DuplicateKey {
    DuplicateKey {
        index: index_name(message),
        key_pattern: document(place, "keyPattern"),
        key_value: document(place, "keyValue"),
    }
}

/// The index's name, which the server puts into the text only.
fn index_name(message: &str) -> Option<String> {
    let (_, rest) = message.split_once(" index: ")?;
    let (name, _) = rest.split_once(" dup key").or_else(|| rest.split_once(" collation"))?;
    // Text of the form `index: name collation: {..} dup key: {..}` when the index has a collation.
    let name = name.split_once(" collation: ").map_or(name, |(name, _)| name);
    Some(name.trim().to_owned())
}

fn first_write_error(reply: &RawDocument) -> Option<&RawDocument> {
    let errors = reply.get_array("writeErrors").ok()?;
    errors.into_iter().next()?.ok()?.as_document()
}

fn document(place: &RawDocument, name: &str) -> Option<Document> {
    Document::try_from(place.get_document(name).ok()?).ok()
}

fn count(reply: &RawDocument, name: &str) -> Option<u64> {
    let value = reply.get(name).ok()??;
    let number = value.as_i32().map(i64::from).or_else(|| value.as_i64());
    number.or_else(|| value.as_f64().map(|number| number as i64))?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r3_the_index_is_named_in_the_text() {
        for (message, name) in [
            (
                "E11000 duplicate key error collection: a.b index: e_1 dup key: { e: 1 }",
                Some("e_1"),
            ),
            (
                "E11000 duplicate key error collection: a.b index: e 1 collation: { locale: \"de\" } dup key: { e: \"x\" }",
                Some("e 1"),
            ),
            ("something else", None),
        ] {
            assert_eq!(index_name(message).as_deref(), name, "{message}");
        }
    }
}
