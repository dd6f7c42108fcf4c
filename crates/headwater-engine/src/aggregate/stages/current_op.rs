//! `$currentOp`: the commands under way, and on demand idle connections and cursors.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::pipeline::{Context, Place, unknown_field};
use crate::bson::{DocBuf, Raw};
use crate::engine::operations::Wanted;
use crate::error::{Code, Error, Result};
use crate::query::exec::{Environment, Stage};

const NAME: &str = "$currentOp";

#[derive(Debug)]
struct CurrentOp(Wanted);

/// There are no users: all operations are one's own. Operations of other nodes and idle sessions are not there.
pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        let found = raw.kind.alias();
        let message = format!("{NAME} options must be specified in an object, but found: {found}");
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    };
    if context.place == Place::Command && (context.db != "admin" || context.collection.is_some()) {
        let message =
            format!("{NAME} must be run against the 'admin' database with {{aggregate: 1}}");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    let mut wanted = Wanted::default();
    for element in doc {
        let name = element.name_str();
        let on = element.value.as_bool();
        match name {
            "idleConnections" => wanted.idle_connections = on == Some(true),
            "idleCursors" => wanted.idle_cursors = on == Some(true),
            "allUsers" | "backtrace" | "idleSessions" | "localOps" | "targetAllNodes"
            | "truncateOps" => {}
            _ => return Err(unknown_field(NAME, name)),
        }
        if on.is_none() {
            let found = element.value.kind.alias();
            return Err(Error::new(
                Code::TYPE_MISMATCH,
                format!(
                    "The '{name}' parameter of the {NAME} stage must be a boolean value, but found: {found}"
                ),
            ));
        }
    }
    Ok(vec![Arc::new(CurrentOp(wanted))])
}

impl StageSpec for CurrentOp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn start(self: Arc<Self>, _: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Listing { wanted: self.0, rows: None })
    }

    fn is_source(&self) -> bool {
        true
    }
}

struct Listing {
    wanted: Wanted,
    rows: Option<VecDeque<DocBuf>>,
}

impl Stage for Listing {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        env.check()?;
        if self.rows.is_none() {
            self.rows = Some(env.operations(self.wanted)?.into());
        }
        Ok(self.rows.as_mut().and_then(VecDeque::pop_front))
    }
}
