//! `currentOp` and `killOp`: what is under way, and ending it.

use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::{Scope, bson_text};
use crate::bson::{Doc, DocWriter, Number, Raw};
use crate::engine::now_ms;
use crate::engine::operations::{Wanted, rows};
use crate::error::{Code, Error, Result};
use crate::query::matcher::Matcher;

pub(super) const CURRENT: Command = Command {
    name: "currentOp",
    aliases: &[],
    help: "Lists the commands under way",
    needs: Needs::Nothing,
    fields: &["*"],
    run: current,
};

pub(super) const KILL: Command = Command {
    name: "killOp",
    aliases: &[],
    help: "Ends a command under way",
    needs: Needs::Nothing,
    fields: &["*"],
    run: kill,
};

/// Any field that is no option is a condition on the rows.
fn current(context: &mut Context<'_>) -> Result<Flow> {
    only_on_admin(context)?;
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    let fields = context.fields();
    // There are no users yet: every operation is one's own.
    fields.loose_bool("$ownOps")?;
    let all = fields.loose_bool("$all")?.unwrap_or(false);
    let mut filter = DocWriter::new();
    for field in context.request.body.iter().skip(1) {
        let name = field.name_str();
        if !matches!(name, "$all" | "$ownOps") && !super::fields::is_generic(name) {
            filter.raw_bytes(field.name, field.value);
        }
    }
    let filter = filter.finish();
    let matcher = Matcher::parse(filter.as_doc(), &mut Scope::new(None, now_ms())?)?;
    let wanted = Wanted { idle_connections: all, idle_cursors: false };
    let mut shown = Vec::new();
    for row in rows(context.shared, wanted) {
        if filter.as_doc().is_empty() || matcher.matches(row.as_doc())? {
            shown.push(row);
        }
    }
    let mut reply = DocWriter::new();
    reply.array("inprog", |out| shown.iter().for_each(|row| out.doc(row.as_doc())));
    Ok(Flow::Reply(reply))
}

fn kill(context: &mut Context<'_>) -> Result<Flow> {
    only_on_admin(context)?;
    let id = operation_id(context.request.body)?;
    context.shared.operations.kill(id);
    let mut reply = DocWriter::new();
    reply.str("info", "attempting to kill op");
    Ok(Flow::Reply(reply))
}

fn operation_id(body: Doc<'_>) -> Result<i32> {
    let Some(raw) = body.get("op") else {
        return Err(Error::new(Code::NO_SUCH_KEY, "Missing expected field \"op\""));
    };
    let Some(number) = Number::from_raw(raw) else {
        let found = raw.kind.alias();
        let message = format!("Expected field \"op\" to have numeric type, but found {found}");
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    };
    let Some(id) = number.to_i64_exact() else {
        return Err(not_whole(raw));
    };
    i32::try_from(id).map_err(|_| {
        let message = format!("invalid op : {id}. Op ID cannot be represented with 32 bits");
        Error::location(26823, message)
    })
}

fn not_whole(raw: Raw<'_>) -> Error {
    let shown = bson_text(raw);
    Error::new(
        Code::BAD_VALUE,
        format!(
            "Expected field \"op\" to have a value exactly representable as a 64-bit integer, but found op: {shown}"
        ),
    )
}

fn only_on_admin(context: &Context<'_>) -> Result<()> {
    if context.db == "admin" {
        return Ok(());
    }
    let name = context.command.name;
    let message = format!("{name} may only be run against the admin database.");
    Err(Error::new(Code::UNAUTHORIZED, message))
}
