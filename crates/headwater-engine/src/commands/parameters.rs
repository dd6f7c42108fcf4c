//! `getParameter` and `setParameter`: one table of what they know. The words are MongoDB's; a change lasts until the node
//! ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Command, Context, Flow, Needs};
use crate::bson::{DocWriter, Number, Raw};
use crate::engine::Shared;
use crate::error::{Code, Error, Result};

pub(super) const GET: Command = Command {
    name: "getParameter",
    aliases: &[],
    help: "Gives parameters of the node",
    needs: Needs::Nothing,
    fields: &["*"],
    run: get,
};

pub(super) const SET: Command = Command {
    name: "setParameter",
    aliases: &[],
    help: "Sets parameters of the running node",
    needs: Needs::Nothing,
    fields: &["*"],
    run: set,
};

/// A parameter: its name, how it is shown under a name, and how it is set while the node runs, if it can be.
struct Parameter {
    name: &'static str,
    show: fn(&Shared, &str, &mut DocWriter),
    set: Option<fn(&Shared, Raw<'_>) -> Result<()>>,
}

const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "authenticationMechanisms",
        show: |_, name, out| out.array(name, |_| {}),
        set: None,
    },
    Parameter {
        name: "enableTestCommands",
        show: |shared, name, out| out.bool(name, shared.options.test_commands),
        set: None,
    },
    Parameter {
        name: "featureCompatibilityVersion",
        show: |_, name, out| out.document(name, |version| version.str("version", "8.0")),
        set: None,
    },
    Parameter { name: "quiet", show: |_, name, out| out.bool(name, false), set: None },
    Parameter {
        name: "ttlMonitorEnabled",
        show: |shared, name, out| out.bool(name, shared.ttl.enabled.load(Ordering::Relaxed)),
        set: Some(|shared, raw| {
            let number = Number::from_raw(raw).map(|number| number.to_f64() != 0.0);
            let on = raw.as_bool().or(number).ok_or_else(wrong_type)?;
            shared.ttl.enabled.store(on, Ordering::Relaxed);
            Ok(())
        }),
    },
    Parameter {
        name: "ttlMonitorSleepSecs",
        show: |shared, name, out| {
            let seconds = shared.ttl.sleep().as_secs();
            out.i32(name, i32::try_from(seconds).unwrap_or(i32::MAX));
        },
        set: Some(|shared, raw| {
            let seconds = Number::from_raw(raw).ok_or_else(wrong_type)?.to_i64_saturating();
            if seconds <= 0 {
                let message = format!(
                    "Invalid value for parameter ttlMonitorSleepSecs: {seconds} is not greater than 0"
                );
                return Err(Error::new(Code::BAD_VALUE, message));
            }
            let seconds = i32::try_from(seconds).map_err(|_| wrong_type())?;
            shared.ttl.set_sleep(Duration::from_secs(seconds.unsigned_abs().into()));
            Ok(())
        }),
    },
];

#[cold]
fn wrong_type() -> Error {
    Error::new(Code::BAD_VALUE, "Unable to coerce value to correct type")
}

fn only_on_admin(context: &Context<'_>) -> Result<()> {
    if context.db == "admin" {
        return Ok(());
    }
    let message = format!("{} may only be run against the admin database.", context.command.name);
    Err(Error::new(Code::UNAUTHORIZED, message))
}

fn get(context: &mut Context<'_>) -> Result<Flow> {
    only_on_admin(context)?;
    let body = context.request.body;
    let all = context.target().as_str() == Some("*");
    let mut reply = DocWriter::new();
    let wanted = |parameter: &&Parameter| all || body.get(parameter.name).is_some();
    let mut found = PARAMETERS.iter().filter(wanted).peekable();
    if found.peek().is_none() {
        return Err(Error::new(Code::INVALID_OPTIONS, "no option found to get"));
    }
    found.for_each(|parameter| (parameter.show)(context.shared, parameter.name, &mut reply));
    Ok(Flow::Reply(reply))
}

/// Sets one after the other; the reply tells what the first one was.
fn set(context: &mut Context<'_>) -> Result<Flow> {
    only_on_admin(context)?;
    let mut reply = DocWriter::new();
    let mut count = 0;
    let asked = context.request.body.iter().skip(1);
    for field in asked.filter(|field| !super::fields::is_generic(field.name_str())) {
        let name = field.name_str();
        let Some(parameter) = PARAMETERS.iter().find(|parameter| parameter.name == name) else {
            let message = format!(
                "attempted to set unrecognized parameter [{name}], use help:true to see options "
            );
            return Err(Error::new(Code::INVALID_OPTIONS, message));
        };
        let Some(set) = parameter.set else {
            let message = format!("not allowed to change [{name}] at runtime");
            return Err(Error::new(Code::ILLEGAL_OPERATION, message));
        };
        if count == 0 {
            (parameter.show)(context.shared, "was", &mut reply);
        }
        set(context.shared, field.value)?;
        count += 1;
    }
    if count == 0 {
        let message = "no option found to set, use help:true to see options ";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    Ok(Flow::Reply(reply))
}

#[cfg(test)]
mod tests {
    use super::PARAMETERS;

    #[test]
    fn parameters_are_sorted() {
        assert!(PARAMETERS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
