//! `startSession`, `refreshSessions`, `endSessions`, `killSessions` and its kind: the life of logical sessions.

use super::context::uuid;
use super::{Command, Context, Fields, Flow, Needs};
use crate::bson::{DocWriter, Raw};
use crate::error::{Error, Result};
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

pub(super) const KILL: Command = Command {
    name: "killSessions",
    aliases: &[],
    help: "Closes what sessions have open",
    needs: Needs::Nothing,
    fields: &[],
    run: kill,
};

pub(super) const KILL_ALL: Command = Command {
    name: "killAllSessions",
    aliases: &[],
    help: "Closes what all sessions have open",
    needs: Needs::Nothing,
    fields: &[],
    run: kill_all,
};

pub(super) const KILL_BY_PATTERN: Command = Command {
    name: "killAllSessionsByPattern",
    aliases: &[],
    help: "Closes what the sessions that a pattern fits have open",
    needs: Needs::Nothing,
    fields: &[],
    run: kill_by_pattern,
};

fn start(context: &mut Context<'_>) -> Result<Flow> {
    let id = super::create::new_uuid();
    context.shared.sessions.get(id)?;
    let mut reply = DocWriter::new();
    reply.document("id", |session| session.binary("id", 4, &id));
    reply.i32("timeoutMinutes", SESSION_MINUTES);
    Ok(Flow::Reply(reply))
}

fn refresh(context: &mut Context<'_>) -> Result<Flow> {
    let ids = session_ids(context)?;
    context.shared.sessions.refresh(&ids)?;
    Ok(Flow::Reply(DocWriter::new()))
}

/// Ended sessions lose their cursors. What their retryable writes did is kept until they would have expired: a resend may
/// still be on its way.
fn end(context: &mut Context<'_>) -> Result<Flow> {
    let ids = session_ids(context)?;
    context.shared.cursors.kill_sessions(|id| ids.contains(id));
    context.shared.sessions.end(&ids);
    Ok(Flow::Reply(DocWriter::new()))
}

fn kill(context: &mut Context<'_>) -> Result<Flow> {
    let ids = session_ids(context)?;
    end_work(context, |id| ids.contains(id));
    Ok(Flow::Reply(DocWriter::new()))
}

/// Ends the commands under way and closes the cursors of sessions, but for this command itself.
fn end_work(context: &Context<'_>, belongs: impl Fn(&[u8; 16]) -> bool) {
    let own = context.running.as_ref().map(|running| running.operation().id);
    context.shared.operations.kill_sessions(own, &belongs);
    context.shared.cursors.kill_sessions(belongs);
}

/// Without names of users all sessions are meant. There are no users, so no session belongs to a named one.
fn kill_all(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let users =
        fields.array("killAllSessions")?.ok_or_else(|| fields.missing("killAllSessions"))?;
    for user in users.iter() {
        let Some(user) = user.as_doc() else {
            return Err(fields.wrong_type("killAllSessions", user.kind, &["object"]));
        };
        let user = Fields::new(user, "killAllSessions");
        user.only(&["db", "user"])?;
        user.str("user")?.ok_or_else(|| user.missing("user"))?;
        user.str("db")?.ok_or_else(|| user.missing("db"))?;
    }
    if users.iter().next().is_none() {
        end_work(context, |_| true);
    }
    Ok(Flow::Reply(DocWriter::new()))
}

fn kill_by_pattern(context: &mut Context<'_>) -> Result<Flow> {
    const NAME: &str = "killAllSessionsByPattern";
    let fields = context.fields();
    let patterns = fields.array(NAME)?.ok_or_else(|| fields.missing(NAME))?;
    let mut all = patterns.iter().next().is_none();
    let mut ids = Vec::new();
    for pattern in patterns.iter() {
        let Some(pattern) = pattern.as_doc() else {
            return Err(fields.wrong_type(NAME, pattern.kind, &["object"]));
        };
        let pattern = Fields::new(pattern, NAME);
        pattern.only(&["lsid", "uid", "users", "roles"])?;
        if ["uid", "users", "roles"].iter().any(|name| pattern.get(name).is_some()) {
            return Err(Error::not_supported("a pattern of users or roles"));
        }
        match pattern.document("lsid")? {
            Some(lsid) => ids.push(uuid(Fields::new(lsid, "lsid"), "id")?),
            None => all = true,
        }
    }
    end_work(context, |id| all || ids.contains(id));
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
