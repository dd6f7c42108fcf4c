//! Updates: what turns one document into the next.
//!
//! An update is compiled once per statement into a tree of paths whose leaves are the operators of the [`UPDATES`]
//! table, and applied to each document in one pass: untouched bytes are copied, nothing is decoded to a tree. Knows no
//! collections, indexes or log; who finds the documents and stores the results is not its business.

mod add_to_set;
mod apply;
mod arithmetic;
mod array_filters;
mod bit;
mod current_date;
mod delta;
mod diff;
mod extreme;
mod modifier;
mod parse;
mod path;
mod pipeline;
mod pop;
mod pull;
mod push;
mod rename;
mod replace;
mod set;
mod splice;
mod table;
mod text;
mod tree;
mod upsert;

pub use delta::Description;
pub use table::UPDATES;
pub use upsert::check_upsert_filter;

use crate::aggregate::expressions::Scope;
use crate::bson::{Array, Doc, DocBuf, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX};

/// A compiled update: a replacement, update operators or a pipeline.
#[derive(Debug)]
pub struct Update {
    body: Body,
    /// What an upsert inserts, where the client says so.
    supplied: Option<DocBuf>,
}

#[derive(Debug)]
enum Body {
    Replacement(replace::Replacement),
    Operators(tree::Operators),
    Pipeline(pipeline::PipelineUpdate),
}

/// What stands beside the update in its statement.
#[derive(Debug, Clone, Copy, Default)]
pub struct UpdateOptions<'a> {
    /// Whether every matching document is updated.
    pub multi: bool,
    /// Whether a document is inserted when none matches.
    pub upsert: bool,
    /// The filters of the `$[identifier]` path components.
    pub array_filters: Option<Array<'a>>,
    /// The variables of the command's `let` and `$$NOW`.
    pub scope: Option<&'a Scope>,
    /// The constants of a pipeline update (`c`).
    pub constants: Option<Doc<'a>>,
    /// Whether an upsert inserts the constant `new` as it is.
    pub upsert_supplied: bool,
}

/// The three forms that an update can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The whole document but its `_id`.
    Replacement,
    /// `$set` and its like.
    Operators,
    /// An aggregation pipeline.
    Pipeline,
}

/// The moment of an update: one for all documents of a statement.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Milliseconds since 1970-01-01T00:00Z.
    pub ms: i64,
    /// The cluster time: seconds in the high, increment in the low 32 bits.
    pub timestamp: u64,
}

/// What an update did to a document.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing: every value was there already.
    Unchanged,
    /// The document is another one now.
    Changed {
        /// The new document.
        document: DocBuf,
        /// The difference, `None` where the document was replaced.
        description: Option<Description>,
    },
}

impl Update {
    /// Compiles an update: a document is a replacement or operators, an array is a pipeline.
    ///
    /// # Errors
    /// `FailedToParse` (9) for an unknown operator, `ConflictingUpdateOperators` (40) where two operators meet on one
    /// path, and what the operators say of their operands, with MongoDB's codes and messages.
    pub fn parse(update: Raw<'_>, options: &UpdateOptions<'_>) -> Result<Update> {
        let UpdateOptions { constants, upsert, upsert_supplied, .. } = *options;
        let supplied = upsert_supplied.then(|| upsert::supplied(constants, upsert));
        let supplied = supplied.transpose()?.map(Doc::to_buf);
        let body = match update.kind {
            Type::Document => {
                let doc = Doc::trusted(update.data);
                if options.constants.is_some() {
                    return Err(Error::location(
                        51198,
                        "Constant values may only be specified for pipeline updates",
                    ));
                }
                if doc.first().is_some_and(|e| e.name.first() == Some(&b'$')) {
                    Body::Operators(parse::Parser::new(options)?.operators(doc)?)
                } else {
                    parse::check_array_filters(options)?;
                    Body::Replacement(replace::Replacement::parse(doc, options)?)
                }
            }
            Type::Array => {
                let stages = Array::trusted(update.data);
                Body::Pipeline(pipeline::PipelineUpdate::parse(stages, options)?)
            }
            _ => {
                return Err(Error::new(
                    Code::FAILED_TO_PARSE,
                    "Update argument must be either an object or an array",
                ));
            }
        };
        Ok(Update { body, supplied })
    }

    /// Which of the three forms it is.
    pub fn kind(&self) -> Kind {
        match self.body {
            Body::Replacement(_) => Kind::Replacement,
            Body::Operators(_) => Kind::Operators,
            Body::Pipeline(_) => Kind::Pipeline,
        }
    }

    /// Whether a path has the positional `$`, so that [`Update::apply`] needs to know which array element matched.
    pub fn needs_position(&self) -> bool {
        match &self.body {
            Body::Operators(operators) => operators.positional,
            Body::Replacement(_) | Body::Pipeline(_) => false,
        }
    }

    /// Applies the update to a document. `position` is the index of the array element that the filter matched.
    ///
    /// # Errors
    /// What the operators say of the values they find, `ImmutableField` (66), a document that grows too large (17419)
    /// or too deep (15).
    pub fn apply(&self, doc: Doc<'_>, position: Option<usize>, now: &Now) -> Result<Outcome> {
        let outcome = match &self.body {
            Body::Replacement(replacement) => replacement.apply(doc, now)?,
            Body::Operators(operators) => operators.apply(doc, position, now)?,
            Body::Pipeline(pipeline) => pipeline.apply(doc)?,
        };
        if let Outcome::Changed { document, .. } = &outcome {
            check_size(document.as_doc(), 17419, "Resulting document after update")?;
        }
        Ok(outcome)
    }

    /// The document that an upsert inserts when nothing matches: the filter's equalities with the update applied, `_id`
    /// first, made by `new_id` where neither gives one.
    ///
    /// # Errors
    /// `NotSingleValueField` (54) where the filter's equalities do not agree, `InvalidIdField` (53), and those of
    /// [`Update::apply`].
    pub fn insert_document(
        &self,
        filter: Doc<'_>,
        new_id: impl FnOnce() -> [u8; 12],
        now: &Now,
    ) -> Result<DocBuf> {
        let document = match (&self.supplied, &self.body) {
            (Some(document), _) => document.clone(),
            (None, Body::Replacement(replacement)) => {
                let seed = upsert::seed(filter, upsert::Take::Id)?;
                replacement.upsert(seed.as_doc(), now)?
            }
            (None, Body::Operators(operators)) => {
                let seed = upsert::seed(filter, upsert::Take::All)?;
                operators.apply_to_new(seed, now)?
            }
            (None, Body::Pipeline(pipeline)) => {
                let seed = upsert::seed(filter, upsert::Take::All)?;
                pipeline.insert(seed.as_doc())?
            }
        };
        let document = upsert::with_id_first(document, new_id)?;
        check_size(document.as_doc(), 17420, "Document to upsert")?;
        Ok(document)
    }
}

fn check_size(doc: Doc<'_>, code: i32, what: &str) -> Result<()> {
    if doc.as_bytes().len() > DOCUMENT_BYTES_MAX {
        return Err(Error::location(code, format!("{what} is larger than {DOCUMENT_BYTES_MAX}")));
    }
    Ok(())
}

#[cold]
fn too_deep() -> Error {
    Error::new(Code::OVERFLOW, format!("Document exceeds maximum nesting depth of {DEPTH_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::DocWriter;

    const NOW: Now = Now { ms: 5, timestamp: 7 };

    fn doc(fill: impl FnOnce(&mut DocWriter)) -> DocBuf {
        let mut doc = DocWriter::new();
        fill(&mut doc);
        doc.finish()
    }

    fn apply(old: &DocBuf, update: &DocBuf) -> Result<Outcome> {
        Update::parse(update.as_doc().as_raw(), &UpdateOptions::default())?.apply(
            old.as_doc(),
            None,
            &NOW,
        )
    }

    #[test]
    fn operators_change_in_place_and_append_in_order() {
        let old = doc(|d| {
            d.i32("_id", 1);
            d.i32("n", 1);
            d.document("o", |o| o.i32("x", 1));
            d.array("a", |a| a.i32(7));
        });
        let update = doc(|d| {
            d.document("$set", |s| {
                s.i32("z", 1);
                s.i32("o.y", 2);
            });
            d.document("$inc", |s| s.i32("n", 5));
            d.document("$push", |s| s.i32("a", 8));
        });
        let Outcome::Changed { document, description } = apply(&old, &update).unwrap() else {
            panic!("nothing changed");
        };
        let expected = doc(|d| {
            d.i32("_id", 1);
            d.i32("n", 6);
            d.document("o", |o| {
                o.i32("x", 1);
                o.i32("y", 2);
            });
            d.array("a", |a| {
                a.i32(7);
                a.i32(8);
            });
            d.i32("z", 1);
        });
        assert_eq!(document, expected);
        let expected = doc(|d| {
            d.document("updatedFields", |u| {
                u.i32("n", 6);
                u.i32("z", 1);
                u.i32("a.1", 8);
                u.i32("o.y", 2);
            });
            d.array("removedFields", |_| ());
            d.array("truncatedArrays", |_| ());
        });
        assert_eq!(description.unwrap().as_doc(), expected.as_doc());
    }

    #[test]
    fn a_replacement_keeps_the_id_and_equal_ones_change_nothing() {
        let old = doc(|d| {
            d.i32("_id", 1);
            d.i32("a", 1);
        });
        let outcome = apply(&old, &doc(|d| d.i32("a", 1))).unwrap();
        assert!(matches!(outcome, Outcome::Unchanged), "{outcome:?}");
        let error = apply(&old, &doc(|d| d.i32("_id", 2))).unwrap_err();
        assert_eq!(error.code(), Code::IMMUTABLE_FIELD);
    }

    #[test]
    fn an_upsert_takes_the_filters_equalities() {
        let filter = doc(|d| {
            d.i32("b.c", 2);
            d.i32("_id", 1);
        });
        let update = doc(|d| d.document("$set", |s| s.i32("a", 3)));
        let update = Update::parse(update.as_doc().as_raw(), &UpdateOptions::default()).unwrap();
        let inserted = update.insert_document(filter.as_doc(), || [9; 12], &NOW).unwrap();
        let expected = doc(|d| {
            d.i32("_id", 1);
            d.document("b", |b| b.i32("c", 2));
            d.i32("a", 3);
        });
        assert_eq!(inserted, expected);
    }
}
