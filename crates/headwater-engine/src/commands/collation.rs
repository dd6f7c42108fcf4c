//! The `collation` argument of commands and statements, and what they inherit without one.

use std::sync::Arc;

use super::{Context, Fields};
use crate::bson::Doc;
use crate::collation::{Chosen, Collation, parse};
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
