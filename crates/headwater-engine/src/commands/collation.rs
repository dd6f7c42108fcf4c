//! The `collation` argument of commands and statements, and what they inherit without one.

use std::sync::Arc;

use super::{Context, Fields};
use crate::aggregate::expressions::Scope;
use crate::bson::Doc;
use crate::catalog::Collection;
use crate::collation::{Chosen, Collation, parse};
use crate::engine::now_ms;
use crate::error::Result;
use crate::namespace::Namespace;

/// The `collation` argument as it stands; null and the empty document say nothing.
///
/// # Errors
/// `TypeMismatch` (14).
pub(super) fn argument(fields: Fields<'_>) -> Result<Option<Doc<'_>>> {
    Ok(fields.document("collation")?.filter(|doc| !doc.is_empty()))
}

/// What an argument says.
///
/// # Errors
/// Those of [`parse`].
pub(super) fn chosen(argument: Option<Doc<'_>>) -> Result<Chosen> {
    match argument {
        None => Ok(Chosen::Inherited),
        Some(doc) => parse(doc, "collation").map(Chosen::This),
    }
}

/// The collation that a command on a collection uses: its own argument, else the default of the collection.
///
/// # Errors
/// Those of [`argument`] and [`chosen`].
pub(super) fn collation(
    context: &Context<'_>,
    namespace: &Namespace,
) -> Result<Option<Arc<Collation>>> {
    let chosen = chosen(argument(context.fields())?)?;
    Ok(chosen.or(default_collation(context, namespace).as_ref()))
}

/// The variables of one statement of a write, and the collation that it uses.
///
/// # Errors
/// Those of [`chosen`] and of evaluating the variables.
pub(super) fn scope_of(
    collection: Option<&Collection>,
    said: Option<Doc<'_>>,
    variables: Option<Doc<'_>>,
) -> Result<Scope> {
    let collation = chosen(said)?.or(collection.and_then(|collection| collection.collation()));
    Scope::collated(variables, now_ms(), collation)
}

/// The collation of what is asked of a collection or view without one.
pub(super) fn default_collation(
    context: &Context<'_>,
    namespace: &Namespace,
) -> Option<Arc<Collation>> {
    let catalog = context.shared.catalog();
    let (db, name) = (namespace.db(), namespace.collection());
    if let Some(view) = catalog.view(db, name) {
        return parse(view.collation.as_ref()?.as_doc(), "collation").ok()?;
    }
    catalog.collection(db, name)?.collation().cloned()
}
