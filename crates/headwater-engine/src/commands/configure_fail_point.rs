//! `configureFailPoint`, a test command, and where fail points take effect on the way of a command.

use std::time::Duration;

use super::context::is_retryable;
use super::{Command, Context, Fields, Flow, Needs, find_command};
use crate::bson::{Doc, DocWriter, Raw};
use crate::engine::{Client, Shared};
use crate::error::{Code, Error, Result};
use crate::fail_point::{Asked, Failure, Mode, Point};
use crate::request::{self, Request, Step};

pub(super) const COMMAND: Command = Command {
    name: "configureFailPoint",
    aliases: &[],
    help: "Makes commands fail, for tests of clients; only with test commands",
    needs: Needs::Nothing,
    fields: &["data", "mode"],
    run,
};

const DATA: &[&str] = &[
    "appName",
    "blockConnection",
    "blockTimeMS",
    "closeConnection",
    "errorCode",
    "errorLabels",
    "failCommands",
    "namespace",
    "writeConcernError",
];

fn run(context: &mut Context<'_>) -> Result<Flow> {
    if context.db != "admin" {
        let message = "configureFailPoint may only be run against the admin database.";
        return Err(Error::new(Code::UNAUTHORIZED, message));
    }
    let fields = context.fields();
    let name = fields.str("configureFailPoint")?.unwrap_or_default();
    let point = match name {
        "failCommand" => Point::Command,
        "failGetMoreAfterCursorCheckout" => Point::GetMore,
        "hangAfterIndexBuildDumpsInsertsFromBulk" => Point::BuildFilled,
        "hangAfterStartingIndexBuild" => Point::BuildBegun,
        "maxTimeAlwaysTimeOut" => Point::AlwaysLate,
        "maxTimeNeverTimeOut" => Point::NeverLate,
        "onPrimaryTransactionalWrite" => Point::RetryableWrite,
        _ => return Err(Error::new(Code::FAIL_POINT_SET_FAILED, format!("{name} not found"))),
    };
    let mode = mode(fields)?;
    let data = fields.document("data")?;
    let failure = match (point, data) {
        (Point::RetryableWrite, data) => of_write(data.unwrap_or(Doc::EMPTY))?,
        (_, Some(data)) => failure(data)?,
        (_, None) => Failure::default(),
    };
    let more = failure.closes || failure.delay.is_some() || failure.write_concern_error.is_some();
    let more = more || point != Point::GetMore && failure.code.is_some();
    if !matches!(point, Point::Command | Point::RetryableWrite) && more {
        return Err(Error::not_supported(format!("such data of the fail point {name}")));
    }
    let mut reply = DocWriter::new();
    reply.i32("count", context.shared.fail_points.set(point, mode, failure));
    Ok(Flow::Reply(reply))
}

fn mode(fields: Fields<'_>) -> Result<Mode> {
    let raw = fields.get("mode").ok_or_else(|| fields.missing("mode"))?;
    match raw.as_str() {
        Some("off") => return Ok(Mode::Off),
        Some("alwaysOn") => return Ok(Mode::AlwaysOn),
        Some(other) => {
            return Err(Error::new(Code::BAD_VALUE, format!("unknown mode: {other}")));
        }
        None => {}
    }
    let Some(mode) = raw.as_doc() else {
        return Err(fields.wrong_type("mode", raw.kind, &["string", "object"]));
    };
    let mode = Fields::new(mode, "mode");
    mode.only(&["activationProbability", "skip", "times"])?;
    if mode.get("activationProbability").is_some() {
        return Err(Error::not_supported("the fail point mode 'activationProbability'"));
    }
    match (mode.count("times")?, mode.count("skip")?) {
        (Some(0), None) => Ok(Mode::Off),
        (Some(times), None) => Ok(Mode::Times(times)),
        (None, Some(skip)) => Ok(Mode::Skip(skip)),
        _ => Err(Error::new(Code::BAD_VALUE, "a fail point has one mode: 'times' or 'skip'")),
    }
}

fn check_data(data: Doc<'_>, known: &[&str]) -> Result<()> {
    match data.iter().find(|e| !known.contains(&e.name_str())) {
        None => Ok(()),
        Some(unknown) => {
            let name = unknown.name_str();
            Err(Error::not_supported(format!("'{name}' in the data of a fail point")))
        }
    }
}

/// The data of `onPrimaryTransactionalWrite`, which closes the connection unless it is told not to.
fn of_write(data: Doc<'_>) -> Result<Failure> {
    check_data(data, &["closeConnection", "failBeforeCommitExceptionCode"])?;
    let fields = Fields::new(data, "data");
    let code = fields.integer("failBeforeCommitExceptionCode")?;
    Ok(Failure {
        code: code.map(|code| i32::try_from(code).unwrap_or(i32::MAX)),
        closes: fields.loose_bool("closeConnection")?.unwrap_or(true),
        ..Failure::default()
    })
}

fn failure(data: Doc<'_>) -> Result<Failure> {
    check_data(data, DATA)?;
    let fields = Fields::new(data, "data");
    let text = |name| fields.str(name).map(|text| text.map(str::to_owned));
    let code = fields.integer("errorCode")?;
    let delay = match fields.loose_bool("blockConnection")?.unwrap_or(false) {
        true => Some(fields.count("blockTimeMS")?.ok_or_else(|| fields.missing("blockTimeMS"))?),
        false => None,
    };
    Ok(Failure {
        commands: texts(fields, "failCommands")?
            .unwrap_or_default()
            .into_iter()
            .map(|name| find_command(&name).map_or(name, |row| row.name.to_owned()))
            .collect(),
        app_name: text("appName")?,
        namespace: text("namespace")?,
        code: code.map(|code| i32::try_from(code).unwrap_or(i32::MAX)),
        labels: texts(fields, "errorLabels")?,
        write_concern_error: fields.document("writeConcernError")?.map(Doc::to_buf),
        closes: fields.loose_bool("closeConnection")?.unwrap_or(false),
        delay: delay.map(|ms| Duration::from_millis(ms.unsigned_abs())),
    })
}

fn texts(fields: Fields<'_>, name: &str) -> Result<Option<Vec<String>>> {
    let Some(array) = fields.array(name)? else { return Ok(None) };
    let text = |raw: Raw<'_>| match raw.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(fields.wrong_type(name, raw.kind, &["string"])),
    };
    array.iter().map(text).collect::<Result<_>>().map(Some)
}

/// What `failCommand` makes of a request before its command runs.
pub(super) fn before(
    shared: &Shared,
    client: &Client,
    request: &Request<'_>,
    mode: request::Mode,
) -> Option<Step> {
    let body = request.body;
    let command = find_command(body.first()?.name_str())?;
    if command.name == COMMAND.name {
        return None;
    }
    // The first greeting of a connection brings the name itself.
    let greets = matches!(command.name, "hello" | "isMaster");
    let brought = body.get("client").filter(|_| greets).and_then(Raw::as_doc);
    let app_name = brought.map_or_else(|| app_name(client), app_name_in);
    let namespace = namespace(command.name, body);
    let asked = Asked { command: command.name, app_name: &app_name, namespace: &namespace };
    if mode == request::Mode::Inline {
        return shared.fail_points.is_on_for(&asked).then_some(Step::Busy);
    }
    let failure = shared.fail_points.before(&asked)?;
    failure.wait();
    if failure.closes {
        return Some(Step::Close);
    }
    let retryable = body.get("txnNumber").is_some() && failure.code.is_some_and(is_retryable);
    let mut reply = DocWriter::new();
    if !failure.write_error(&mut reply, retryable.then_some("RetryableWriteError")) {
        return None;
    }
    shared.write_times(&mut reply, None);
    Some(Step::Done(reply.finish()))
}

/// What `failCommand` puts into the reply to a write that is done.
pub(super) fn in_reply(context: &Context<'_>) -> Option<Failure> {
    if !context.shared.options.test_commands {
        return None;
    }
    let app_name = app_name(context.client);
    let namespace = namespace(context.command.name, context.request.body);
    let command = context.command.name;
    let asked = Asked { command, app_name: &app_name, namespace: &namespace };
    let failure = context.shared.fail_points.in_reply(&asked)?;
    if context.mode == request::Mode::Blocking {
        failure.wait();
    }
    Some(failure)
}

fn app_name(client: &Client) -> String {
    let metadata = client.metadata.lock();
    metadata.as_ref().map(|metadata| app_name_in(metadata.as_doc())).unwrap_or_default()
}

fn app_name_in(metadata: Doc<'_>) -> String {
    let application = metadata.get("application").and_then(Raw::as_doc);
    application.and_then(|a| a.get("name")?.as_str()).unwrap_or_default().to_owned()
}

fn namespace(command: &str, body: Doc<'_>) -> String {
    let db = body.get("$db").and_then(Raw::as_str).unwrap_or_default();
    let target = match command {
        "getMore" => body.get("collection"),
        _ => body.first().map(|e| e.value),
    };
    format!("{db}.{}", target.and_then(Raw::as_str).unwrap_or_default())
}
