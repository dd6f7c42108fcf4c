//! The writing end of a pipeline: `$out` and `$merge` take its documents a batch at a time, and between batches others
//! may write. Knows how documents are gathered and what is replied; each of the two stages has its own file.

use super::{Opened, PREFIX, merge, out};
use crate::aggregate::expressions::Scope;
use crate::aggregate::stages::Writes;
use crate::bson::{DocBuf, DocWriter};
use crate::catalog::Catalog;
use crate::commands::{Context, Flow};
use crate::error::{Code, Error, Result};
use crate::query::exec::{Environment, Stage};
use crate::query::run::Run;

/// Documents of a batch at most.
const DOCUMENTS: usize = 1000;
/// Bytes of the documents of a batch, the last one excepted.
const BYTES: usize = 4 * 1024 * 1024;

/// Checks what can be said of a writing stage before it runs.
///
/// # Errors
/// `InvalidOptions` (72) for a read concern that it does not go with; those of [`merge::check`].
pub(super) fn check(
    context: &Context<'_>,
    catalog: &Catalog,
    writes: Writes<'_>,
    scope: &Scope,
) -> Result<()> {
    let name = match writes {
        Writes::Out(_) => "$out",
        Writes::Merge(_) => "$merge",
    };
    if context.reads_linearizable() {
        let message = format!("{name} cannot be used with a 'linearizable' read concern level");
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    match writes {
        Writes::Out(_) => Ok(()),
        Writes::Merge(merge) => merge::check(catalog, merge, scope).map(drop),
    }
}

/// Runs a pipeline that ends with a writing stage; the reply has no documents.
///
/// # Errors
/// What the pipeline raises and what writing raises.
pub(super) fn run<'a>(
    context: &mut Context<'a>,
    run: Run<'a>,
    opened: Opened,
    scope: &Scope,
    name: &str,
) -> Result<Flow> {
    let Opened { stage, pipeline } = opened;
    let written = match pipeline.writes() {
        Some(Writes::Out(out)) => out::run(context, run, stage, out),
        Some(Writes::Merge(merge)) => merge::run(context, &run, stage, merge, scope),
        None => Ok(()),
    };
    written.map_err(|error| error.with_prefix(PREFIX))?;
    let mut reply = DocWriter::new();
    reply.document("cursor", |cursor| {
        cursor.array("firstBatch", |_| {});
        cursor.i64("id", 0);
        cursor.str("ns", name);
    });
    Ok(Flow::Written(reply))
}

/// The next documents of a pipeline; none at its end.
///
/// # Errors
/// What the pipeline raises; the interruptions of [`Environment::check`].
pub(super) fn batch(stage: &mut dyn Stage, run: &Run<'_>) -> Result<Vec<DocBuf>> {
    let mut documents = Vec::new();
    let mut bytes = 0;
    while documents.len() < DOCUMENTS && bytes < BYTES && !(stage.is_done() && bytes > 0) {
        run.check()?;
        let Some(document) = stage.next(run)? else { break };
        bytes += document.as_doc().as_bytes().len();
        documents.push(document);
    }
    Ok(documents)
}

/// Counts that others may have written.
pub(super) fn yielded(context: &Context<'_>) {
    if let Some(running) = &context.running {
        running.operation().yielded();
    }
}
