//! Updates by pipeline: the stages that make of one document one other.

use super::replace::{check_upserted_id, kept_id};
use super::{Outcome, UpdateOptions, diff, parse};
use crate::aggregate::pipeline::{Context, Pipeline, Place, check_names};
use crate::bson::{Array, Doc, DocBuf, DocWriter, Value};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::query::exec::{Environment, Stage};

/// A compiled update by pipeline.
#[derive(Debug)]
pub(super) struct PipelineUpdate {
    pipeline: Pipeline,
}

/// The stages that an update may have, sorted.
const ALLOWED: &[&str] =
    &["$addFields", "$project", "$replaceRoot", "$replaceWith", "$set", "$unset"];

impl PipelineUpdate {
    pub(super) fn parse(stages: Array<'_>, options: &UpdateOptions<'_>) -> Result<PipelineUpdate> {
        if options.array_filters.is_some_and(|filters| !filters.is_empty()) {
            return Err(Error::new(
                Code::FAILED_TO_PARSE,
                "arrayFilters may not be specified for pipeline-style updates",
            ));
        }
        let mut scope = parse::scope(options.scope)?;
        for constant in options.constants.into_iter().flatten() {
            let value = Value::from(constant.value).into_owned();
            scope.define_constant(constant.name_str(), value);
        }
        check_names(stages)?;
        let refused = |name: &&str| ALLOWED.binary_search(name).is_err();
        let mut names = stages.iter().filter_map(|stage| Some(stage.as_doc()?.first()?.name_str()));
        if let Some(name) = names.find(refused) {
            let message = format!("{name} is not allowed to be used within an update");
            return Err(Error::new(Code::INVALID_OPTIONS, message));
        }
        let context = Context::new(&mut scope, "", Some(""));
        let pipeline = Pipeline::parse(stages, &mut Context { place: Place::Update, ..context })?;
        Ok(PipelineUpdate { pipeline })
    }

    pub(super) fn apply(&self, old: Doc<'_>) -> Result<Outcome> {
        let new = self.run(old)?;
        if new.as_doc() == old {
            return Ok(Outcome::Unchanged);
        }
        let document = with_id(old, new)?;
        let description = diff::describe(old, document.as_doc());
        Ok(Outcome::Changed { document, description })
    }

    /// The document that the pipeline makes of what an upsert's filter says.
    pub(super) fn insert(&self, seed: Doc<'_>) -> Result<DocBuf> {
        let made = self.run(seed)?;
        check_upserted_id(seed.get("_id"), made.as_doc().get("_id"))?;
        with_id(seed, made)
    }

    fn run(&self, doc: Doc<'_>) -> Result<DocBuf> {
        let source = Box::new(Once(Some(doc.to_buf())));
        let new = self.pipeline.build(source).next(&Alone)?;
        new.ok_or_else(|| Error::new(Code::INTERNAL_ERROR, "An update's pipeline gave no document"))
    }
}

/// The new document with its `_id`, or else the old one's, in front.
fn with_id(old: Doc<'_>, new: DocBuf) -> Result<DocBuf> {
    let doc = new.as_doc();
    let own = doc.get("_id");
    let Some(id) = kept_id(old.get("_id"), own)? else { return Ok(new) };
    if own.is_some() && doc.first().is_some_and(|first| first.name == b"_id") {
        return Ok(new);
    }
    let mut out = DocWriter::append_to(Vec::with_capacity(doc.as_bytes().len() + 32));
    out.raw("_id", id);
    for element in doc.iter().filter(|element| element.name != b"_id") {
        out.raw_bytes(element.name, element.value);
    }
    Ok(out.finish())
}

/// The source of a run: one document.
struct Once(Option<DocBuf>);

impl Stage for Once {
    fn next(&mut self, _: &dyn Environment) -> Result<Option<DocBuf>> {
        Ok(self.0.take())
    }
}

/// The environment of a run: an update sees its document and nothing else.
struct Alone;

impl Environment for Alone {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn open(&self, _: &str, _: &str, _: Doc<'_>, _: &ValueOrder) -> Result<Box<dyn Stage>> {
        Err(Error::new(Code::ILLEGAL_OPERATION, "An update cannot read other collections"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowed_stages_are_sorted() {
        assert!(ALLOWED.is_sorted());
    }
}
