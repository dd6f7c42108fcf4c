//! The stages that list what a node records only when it was told to, by commands that this version does not have: there is
//! nothing to list, as on a MongoDB node that was not told. And the one that only a router answers.

use std::sync::Arc;

use super::lookup::Empty;
use super::{Parsed, StageSpec};
use crate::aggregate::pipeline::{Context, expect, missing_field, unknown_field};
use crate::bson::{Doc, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::query::exec::Stage;

/// A stage that gives no documents.
#[derive(Debug)]
struct Unrecorded(&'static str);

/// `$listSampledQueries`: `configureQueryAnalyzer` would have to be asked to sample.
pub(super) fn sampled_queries(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    const NAME: &str = "$listSampledQueries";
    let doc = raw.as_doc().ok_or_else(|| {
        let shown = crate::aggregate::expressions::bson_text(raw);
        let message = format!("{NAME} must take a nested object but found: {NAME}: {shown}");
        Error::location(6_876_000, message)
    })?;
    for field in doc {
        match field.name {
            b"namespace" => expect(field.value, Type::String, NAME, "namespace")?,
            _ => return Err(unknown_field(NAME, field.name_str())),
        }
    }
    on_admin(NAME, context)
}

/// `$querySettings`: `setQuerySettings` would have to set some.
pub(super) fn query_settings(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    const NAME: &str = "$querySettings";
    let doc = raw.as_doc().ok_or_else(|| {
        Error::location(7_746_801, format!("{NAME} stage expects a document as argument"))
    })?;
    for field in doc {
        match field.name {
            b"showDebugQueryShape" => expect(field.value, Type::Bool, NAME, "showDebugQueryShape")?,
            _ => return Err(unknown_field(NAME, field.name_str())),
        }
    }
    on_admin(NAME, context)
}

/// `$queryStats`: a parameter of the server would have to say how many queries are recorded.
pub(super) fn query_stats(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    const NAME: &str = "$queryStats";
    let doc = raw.as_doc().ok_or_else(|| {
        let message = format!("{NAME} value must be an object. Found: {}", raw.kind.alias());
        Error::new(Code::FAILED_TO_PARSE, message)
    })?;
    for field in doc {
        match field.name {
            b"transformIdentifiers" => {
                expect(field.value, Type::Document, NAME, "transformIdentifiers")?;
                field.value.as_doc().map_or(Ok(()), check_transformation)?;
            }
            _ => return Err(unknown_field(NAME, field.name_str())),
        }
    }
    on_admin(NAME, context)
}

fn check_transformation(doc: Doc<'_>) -> Result<()> {
    const NAME: &str = "$queryStats.transformIdentifiers";
    for field in doc {
        match field.name {
            b"algorithm" => {
                expect(field.value, Type::String, NAME, "algorithm")?;
                if let Some(other) = field.value.as_str().filter(|name| *name != "hmac-sha-256") {
                    let message = format!(
                        "Enumeration value '{other}' for field '{NAME}.algorithm' is not a valid value."
                    );
                    return Err(Error::new(Code::BAD_VALUE, message));
                }
            }
            b"hmacKey" => expect(field.value, Type::Binary, NAME, "hmacKey")?,
            _ => return Err(unknown_field(NAME, field.name_str())),
        }
    }
    doc.get("algorithm").map(drop).ok_or_else(|| missing_field(NAME, "algorithm"))
}

/// `$shardedDataDistribution`, which a node that is no router refuses.
pub(super) fn sharded_data(raw: Raw<'_>, _: &mut Context<'_>) -> Result<Parsed> {
    const NAME: &str = "$shardedDataDistribution";
    if !raw.as_doc().is_some_and(Doc::is_empty) {
        let message = format!("The {NAME} stage specification must be an empty object");
        return Err(Error::location(6_789_100, message));
    }
    Err(Error::location(6_789_101, format!("The {NAME} stage can only be run on router")))
}

fn on_admin(name: &'static str, context: &Context<'_>) -> Result<Parsed> {
    if context.db != "admin" || context.collection.is_some() {
        let message =
            format!("{name} must be run against the 'admin' database with {{aggregate: 1}}");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    Ok(vec![Arc::new(Unrecorded(name))])
}

impl StageSpec for Unrecorded {
    fn name(&self) -> &'static str {
        self.0
    }

    fn start(self: Arc<Self>, _: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Empty)
    }

    fn is_source(&self) -> bool {
        true
    }
}
