//! `collMod` on a view: another source or pipeline.

use super::{COMMAND, OF_COLLECTIONS};
use crate::bson::DocWriter;
use crate::catalog::view::View;
use crate::change::event::Kind;
use crate::commands::Context;
use crate::commands::create::view::{check_pipeline, check_source, stages, store};
use crate::engine::WriteGuard;
use crate::error::{Code, Error, Result};

/// Changes a view's definition.
///
/// # Errors
/// `InvalidOptions` (72) for what a view does not have; those of a view's definition.
pub(super) fn change(context: &Context<'_>, guard: &mut WriteGuard<'_>, view: &View) -> Result<()> {
    let fields = context.fields();
    let of_collection = ["index"].iter().chain(OF_COLLECTIONS);
    if let Some(option) = of_collection.into_iter().find(|option| fields.get(option).is_some()) {
        let message = format!("option not supported on a view: {option}");
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    let mut changed = view.clone();
    if let Some(on) = fields.str("viewOn")? {
        check_source(on)?;
        on.clone_into(&mut changed.on);
    }
    if let Some(pipeline) = stages(fields)? {
        changed.pipeline = pipeline.as_bytes().to_vec();
    }
    check_pipeline(context, &changed)?;
    let mut detail = DocWriter::new();
    detail.document("operationDescription", |out| {
        for element in fields.doc().iter().skip(1) {
            if COMMAND.fields.contains(&element.name_str()) {
                out.raw_bytes(element.name, element.value);
            }
        }
    });
    let catalog = guard.catalog();
    store(guard, &catalog, changed, Kind::Modify, Some(detail.finish().as_doc()))
}
