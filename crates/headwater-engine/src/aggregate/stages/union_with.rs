//! `$unionWith`: the documents of another pipeline behind those of this one.

use std::sync::Arc;

use super::lookup::{Empty, open};
use super::{Parsed, StageSpec};
use crate::aggregate::pipeline::{
    Context, OPTIMIZING, Pipeline, Place, check_objects, expect, survey_at, unknown_field,
};
use crate::bson::{Array, Doc, DocBuf, Raw, Type};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::query::exec::{Environment, Stage};

#[derive(Debug)]
struct UnionWith {
    order: ValueOrder,
    db: Box<str>,
    collection: Option<Box<str>>,
    pipeline: Pipeline,
}

pub(super) fn survey(raw: Raw<'_>, db: &str, depth: usize) -> Result<()> {
    match arguments(raw, db)?.1 {
        Some(stages) => match stages.as_array() {
            Some(stages) => survey_at(stages, db, depth + 1),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// The collection and the pipeline.
fn arguments<'a>(raw: Raw<'a>, db: &str) -> Result<(Option<&'a str>, Option<Raw<'a>>)> {
    let (mut collection, mut stages) = (None, None);
    match raw.kind {
        Type::String => collection = raw.as_str(),
        Type::Document => {
            for element in raw.as_doc().into_iter().flatten() {
                match element.name {
                    b"coll" => {
                        expect(element.value, Type::String, "$unionWith", "coll")?;
                        collection = element.value.as_str();
                    }
                    b"pipeline" => stages = Some(element.value),
                    _ => return Err(unknown_field("$unionWith", element.name_str())),
                }
            }
        }
        kind => {
            let what = "the $unionWith stage specification must be an object or string, but found ";
            return Err(Error::new(Code::FAILED_TO_PARSE, format!("{what}{}", kind.alias())));
        }
    }
    if collection == Some("") {
        let message = format!("Namespace {db}. is not a valid collection name");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    let array = stages.map(|stages| stages.as_array());
    array.flatten().map_or(Ok(()), check_objects)?;
    if collection.is_none()
        && !matches!(array, Some(None))
        && !begins_with_documents(array.flatten())
    {
        let message = "$unionWith stage without explicit collection must have a pipeline with $documents as first stage";
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    }
    Ok((collection, stages))
}

/// Whether a pipeline brings its documents along.
pub(super) fn begins_with_documents(stages: Option<Array<'_>>) -> bool {
    let first = stages.and_then(|stages| stages.get(0)).and_then(Raw::as_doc).and_then(Doc::first);
    first.is_some_and(|first| first.name == b"$documents")
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let db: Box<str> = context.db.into();
    let (collection, stages) = arguments(raw, &db)?;
    let order = context.scope.order().clone();
    let mut inner = context.inner(Place::UnionWith, collection)?;
    let pipeline = match stages {
        Some(stages) => Pipeline::parse_value(stages, &mut inner).map_err(|error| {
            // What evaluating constants raises is told of this pipeline and of the one around it.
            match error.message().starts_with(OPTIMIZING) {
                true => error.with_prefix(OPTIMIZING),
                false => error,
            }
        })?,
        None => Pipeline::default(),
    };
    Ok(vec![Arc::new(UnionWith { order, db, collection: collection.map(Into::into), pipeline })])
}

impl StageSpec for UnionWith {
    fn name(&self) -> &'static str {
        "$unionWith"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Uniting { spec: self, source, second: false })
    }
}

struct Uniting {
    spec: Arc<UnionWith>,
    source: Box<dyn Stage>,
    second: bool,
}

impl Stage for Uniting {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        loop {
            if let Some(doc) = self.source.next(env)? {
                return Ok(Some(doc));
            }
            if self.second {
                return Ok(None);
            }
            self.second = true;
            self.source = match &self.spec.collection {
                Some(collection) => {
                    open(env, &self.spec.db, collection, &self.spec.pipeline, &self.spec.order)?
                }
                None => self.spec.pipeline.build(Box::new(Empty)),
            };
        }
    }
}
