//! `create` with `viewOn`: makes a view.

use super::options;
use crate::aggregate::expressions::{Scope, document_text};
use crate::aggregate::pipeline::{self, Pipeline};
use crate::bson::{Array, Doc, Type};
use crate::catalog::view::{View, no_stages};
use crate::catalog::{Catalog, store_view};
use crate::change::event::{EventWriter, Kind};
use crate::commands::{Context, Fields};
use crate::engine::{WriteGuard, now_ms};
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;

/// The view that a command describes; `None` if it describes a collection.
///
/// # Errors
/// `InvalidOptions` (72), `BadValue` (2), `InvalidNamespace` (73), `TypeMismatch` (14), and those of the pipeline.
pub(super) fn parse(context: &Context<'_>, namespace: &Namespace) -> Result<Option<View>> {
    let fields = context.fields();
    let pipeline = stages(fields)?;
    let Some(on) = fields.str("viewOn")? else {
        if pipeline.is_some() {
            let message = "'pipeline' requires 'viewOn' to also be specified";
            return Err(Error::new(Code::INVALID_OPTIONS, message));
        }
        return Ok(None);
    };
    if fields.get("timeseries").is_some() {
        let message = format!("{namespace}: 'timeseries' is not allowed with 'viewOn'");
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    if fields.get("clusteredIndex").is_some() {
        let message = "The 'clusteredIndex' option is not supported with views";
        return Err(Error::location(6_026_500, message));
    }
    if options::images(fields, "create", namespace)?.unwrap_or(false) {
        let message = "option not supported on a view: changeStreamPreAndPostImages";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    check_source(on)?;
    let pipeline = pipeline.map_or_else(no_stages, |stages| stages.as_bytes().to_vec());
    let collation = options::collation(fields)?;
    let view = View { namespace: namespace.clone(), on: on.to_owned(), pipeline, collation };
    check_pipeline(context, &view)?;
    Ok(Some(view))
}

/// The `pipeline` argument: an array of documents.
///
/// # Errors
/// `TypeMismatch` (14).
pub(in crate::commands) fn stages<'a>(fields: Fields<'a>) -> Result<Option<Array<'a>>> {
    let Some(stages) = fields.array("pipeline")? else { return Ok(None) };
    let wrong = (0..).zip(stages.iter()).find(|(_, stage)| stage.kind != Type::Document);
    match wrong {
        Some((at, stage)) => {
            Err(fields.wrong_type(&format!("pipeline.{at}"), stage.kind, &["object"]))
        }
        None => Ok(Some(stages)),
    }
}

/// Checks the name of what a view is on.
///
/// # Errors
/// `BadValue` (2), `InvalidNamespace` (73).
pub(in crate::commands) fn check_source(on: &str) -> Result<()> {
    if on.is_empty() {
        return Err(Error::new(Code::BAD_VALUE, "'viewOn' cannot be empty"));
    }
    if on.contains(['$', '\0']) || on.starts_with('.') {
        let message = format!("invalid name for 'viewOn': {on}");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    Ok(())
}

/// Checks that a view's pipeline can run and writes nothing.
///
/// # Errors
/// `OptionNotSupportedOnView` (167); those of the pipeline.
pub(in crate::commands) fn check_pipeline(context: &Context<'_>, view: &View) -> Result<()> {
    pipeline::check_names(view.stages())?;
    let prefix = format!("Invalid pipeline for view {} :: caused by :: ", view.namespace);
    let refused = |message: String| {
        Err(Error::new(Code::OPTION_NOT_SUPPORTED_ON_VIEW, message).with_prefix(&prefix))
    };
    for (stage, at) in view.stages().iter().filter_map(|stage| stage.as_doc()?.first()).zip(0..) {
        match stage.name_str() {
            name @ ("$out" | "$merge") => {
                return refused(format!(
                    "The aggregation stage {name} in location {at} of the pipeline cannot be used in the view definition of {} because it writes to disk",
                    view.namespace
                ));
            }
            "$changeStream" => {
                return refused("$changeStream cannot be used in a view definition".to_owned());
            }
            _ => {}
        }
    }
    let mut scope = Scope::new(None, now_ms())?.with_cluster_time(context.shared.store.last());
    let mut around = pipeline::Context::new(&mut scope, context.db, Some(&view.on));
    match Pipeline::parse(view.stages(), &mut around) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.with_prefix(prefix)),
    }
}

/// Makes the view, or does nothing if it is there already.
///
/// # Errors
/// `NamespaceExists` (48); those of [`Catalog::check_view`] and of the store.
pub(super) fn create(guard: &mut WriteGuard<'_>, view: View) -> Result<()> {
    let catalog = guard.catalog();
    if let Some(existing) = catalog.view(view.namespace.db(), view.namespace.collection()) {
        return match difference(existing, &view) {
            None => Ok(()),
            Some(why) => {
                let message = format!("namespace '{}' already exists, but {why}", view.namespace);
                Err(Error::new(Code::NAMESPACE_EXISTS, message))
            }
        };
    }
    if catalog.collection(view.namespace.db(), view.namespace.collection()).is_some() {
        let message = format!(
            "namespace '{}' already exists, but is a collection rather than a view",
            view.namespace
        );
        return Err(Error::new(Code::NAMESPACE_EXISTS, message));
    }
    super::check_case(&catalog, view.namespace.db())?;
    store(guard, &catalog, view, Kind::Create, None)
}

/// Stores a view that is new or has changed, with its event.
///
/// # Errors
/// Those of [`Catalog::check_view`] and of the store.
pub(in crate::commands) fn store(
    guard: &mut WriteGuard<'_>,
    catalog: &Catalog,
    view: View,
    kind: Kind,
    detail: Option<Doc<'_>>,
) -> Result<()> {
    catalog.check_view(&view)?;
    let mut event = EventWriter::new(kind, &view.namespace, None, now_ms());
    match detail {
        Some(detail) => event.detail(detail),
        None => event.detail(view.options().as_doc()),
    }
    guard.operation(&mut None, 0, Default::default(), event, |op| store_view(op, &view))?;
    guard.set_catalog(catalog.with_view(view));
    Ok(())
}

/// In what an existing view differs from a wanted one.
fn difference(existing: &View, wanted: &View) -> Option<String> {
    let db = wanted.namespace.db();
    if existing.on != wanted.on {
        return Some(format!(
            "is a view on '{db}.{}' rather than '{db}.{}'",
            existing.on, wanted.on
        ));
    }
    if existing.pipeline != wanted.pipeline {
        let shown = |view: &View| document_text(Doc::trusted(&view.pipeline));
        return Some(format!("with pipeline {} rather than {}", shown(existing), shown(wanted)));
    }
    if existing.collation != wanted.collation {
        let shown = |view: &View| {
            let collation = view.collation.as_ref().map(|collation| collation.as_doc());
            document_text(collation.unwrap_or(Doc::EMPTY))
        };
        return Some(format!("with collation: {} rather than {}", shown(existing), shown(wanted)));
    }
    None
}
