//! `startSession`, `refreshSessions`, `endSessions`: the life of logical sessions.

use super::context::uuid;
use super::{Command, Context, Fields, Flow, Needs};
use crate::bson::{DocWriter, Raw};
use crate::error::Result;
use crate::limits::SESSION_MINUTES;

pub(super) const START: Command = Command {
    name: "startSession",
    aliases: &[],
    help: "Makes a session",
    needs: Needs::Nothing,
    fields: &[],
    run: start,
};

pub(super) const REFRESH: Command = Command {
    name: "refreshSessions",
    aliases: &[],
    help: "Keeps sessions from ending for being idle",
    needs: Needs::Nothing,
    fields: &[],
    run: refresh,
};

pub(super) const END: Command = Command {
    name: "endSessions",
    aliases: &[],
    help: "Ends sessions",
    needs: Needs::Nothing,
    fields: &[],
    run: end,
};

fn start(_context: &mut Context<'_>) -> Result<Flow> {
    let id = super::create::new_uuid();
    let mut reply = DocWriter::new();
    reply.document("id", |session| session.binary("id", 4, &id));
    reply.i32("timeoutMinutes", SESSION_MINUTES);
    Ok(Flow::Reply(reply))
}

fn refresh(context: &mut Context<'_>) -> Result<Flow> {
    let ids = session_ids(context)?;
    context.shared.sessions.refresh(&ids);
    Ok(Flow::Reply(DocWriter::new()))
}

/// Ended sessions lose their cursors. What their retryable writes did is kept until they would have expired: a resend may
/// still be on its way.
fn end(context: &mut Context<'_>) -> Result<Flow> {
    let ids = session_ids(context)?;
    context.shared.cursors.kill_sessions(|id| ids.contains(id));
    Ok(Flow::Reply(DocWriter::new()))
}

fn session_ids(context: &Context<'_>) -> Result<Vec<[u8; 16]>> {
    let fields = context.fields();
    let name = context.command.name;
    let sessions = fields.array(name)?.ok_or_else(|| fields.missing(name))?;
    let of = |raw: Raw<'_>| match raw.as_doc() {
        Some(doc) => uuid(Fields::new(doc, name), "id"),
        None => Err(fields.wrong_type(name, raw.kind, &["object"])),
    };
    sessions.iter().map(of).collect()
}
