//! What tools and drivers ask a node about itself: host, command line, replica set, connection.

use super::hello::{seconds_ms, write_op_time};
use super::{COMMANDS, Command, Context, Flow, Needs};
use crate::bson::DocWriter;
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};

const fn asks(
    name: &'static str,
    help: &'static str,
    fields: &'static [&'static str],
    run: fn(&mut Context<'_>) -> Result<Flow>,
) -> Command {
    Command { name, aliases: &[], help, needs: Needs::Nothing, fields, run }
}

pub(super) const HOST_INFO: Command = asks("hostInfo", "Describes the machine", &[], host_info);
pub(super) const GET_CMD_LINE_OPTS: Command =
    asks("getCmdLineOpts", "Gives the options that the node was started with", &[], cmd_line);
pub(super) const CONNECTION_STATUS: Command = asks(
    "connectionStatus",
    "Says who is authenticated on this connection",
    &["showPrivileges"],
    connection_status,
);
pub(super) const WHATS_MY_URI: Command =
    asks("whatsmyuri", "Gives the client's address as the node sees it", &[], whats_my_uri);
pub(super) const GET_LOG: Command = asks("getLog", "Gives recent log lines", &[], get_log);
pub(super) const LIST_COMMANDS: Command =
    asks("listCommands", "Lists the commands", &[], list_commands);
pub(super) const REPL_SET_GET_STATUS: Command = asks(
    "replSetGetStatus",
    "Gives the state of the one-member replica set",
    &["initialSync"],
    repl_set_get_status,
);
pub(super) const REPL_SET_GET_CONFIG: Command = asks(
    "replSetGetConfig",
    "Gives the configuration of the one-member replica set",
    &["commitmentStatus"],
    repl_set_get_config,
);

fn host_info(_context: &mut Context<'_>) -> Result<Flow> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory_mb = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<i64>().ok())
        .map_or(0, |kib| kib / 1024);
    let mut reply = DocWriter::new();
    reply.document("system", |system| {
        system.date("currentTime", now_ms());
        system.str("hostname", &crate::status::host_name());
        system.i32("cpuAddrSize", usize::BITS as i32);
        system.i64("memSizeMB", memory_mb);
        system.i64("memLimitMB", memory_mb);
        system.i32("numCores", i32::try_from(cores).unwrap_or(i32::MAX));
        system.str("cpuArch", std::env::consts::ARCH);
        system.bool("numaEnabled", false);
    });
    reply.document("os", |os| {
        os.str("type", std::env::consts::OS);
        os.str("name", std::env::consts::OS);
        os.str("version", kernel.trim());
    });
    reply.document("extra", |_| {});
    Ok(Flow::Reply(reply))
}

fn cmd_line(context: &mut Context<'_>) -> Result<Flow> {
    let mut reply = DocWriter::new();
    reply.array("argv", |argv| argv.str("headwater"));
    reply.document("parsed", |parsed| {
        parsed
            .document("replication", |set| set.str("replSet", &context.shared.options.replica_set));
    });
    Ok(Flow::Reply(reply))
}

fn connection_status(context: &mut Context<'_>) -> Result<Flow> {
    let privileges = context.fields().loose_bool("showPrivileges")?.unwrap_or(false);
    let mut reply = DocWriter::new();
    reply.document("authInfo", |info| {
        info.array("authenticatedUsers", |_| {});
        info.array("authenticatedUserRoles", |_| {});
        if privileges {
            info.array("authenticatedUserPrivileges", |_| {});
        }
    });
    Ok(Flow::Reply(reply))
}

fn whats_my_uri(context: &mut Context<'_>) -> Result<Flow> {
    let mut reply = DocWriter::new();
    reply.str("you", &context.client.peer);
    Ok(Flow::Reply(reply))
}

/// The log goes to standard error; none of it is kept in memory, and there are no start-up warnings.
fn get_log(context: &mut Context<'_>) -> Result<Flow> {
    let target = context.target();
    let mut reply = DocWriter::new();
    match target.as_str() {
        Some("*") => reply.array("names", |names| {
            ["global", "startupWarnings"].into_iter().for_each(|name| names.str(name));
        }),
        Some("global" | "startupWarnings") => {
            reply.i32("totalLinesWritten", 0);
            reply.array("log", |_| {});
        }
        Some(other) => {
            let message = format!("No log named '{other}'");
            return Err(Error::new(Code::OPERATION_FAILED, message));
        }
        None => {
            let found = target.kind.alias();
            let message = format!("Argument to getLog must be of type String; found {found}");
            return Err(Error::new(Code::TYPE_MISMATCH, message));
        }
    }
    Ok(Flow::Reply(reply))
}

fn list_commands(context: &mut Context<'_>) -> Result<Flow> {
    let mut reply = DocWriter::new();
    reply.document("commands", |commands| {
        let tests = context.shared.options.test_commands;
        for command in COMMANDS.iter().filter(|command| tests || !command.is_for_tests()) {
            commands.document(command.name, |row| {
                row.str("help", command.help);
                row.bool("requiresAuth", command.needs != Needs::Nothing);
                row.bool("secondaryOk", command.needs != Needs::Write);
                row.bool("adminOnly", false);
                row.array("apiVersions", |_| {});
                row.array("deprecatedApiVersions", |_| {});
            });
        }
    });
    Ok(Flow::Reply(reply))
}

fn only_as_replica_set(context: &Context<'_>) -> Result<()> {
    if context.shared.options.as_mongos {
        let name = context.command.name;
        return Err(Error::new(Code::COMMAND_NOT_FOUND, format!("no such command: '{name}'")));
    }
    Ok(())
}

fn repl_set_get_status(context: &mut Context<'_>) -> Result<Flow> {
    only_as_replica_set(context)?;
    let shared = context.shared;
    let (term, last, durable) = (shared.node.term, shared.store.last(), shared.store.durable());
    let uptime = i32::try_from(shared.started.elapsed().as_secs()).unwrap_or(i32::MAX);
    let mut reply = DocWriter::new();
    reply.str("set", &shared.options.replica_set);
    reply.date("date", now_ms());
    reply.i32("myState", 1);
    reply.i64("term", term);
    reply.str("syncSourceHost", "");
    reply.i32("syncSourceId", -1);
    reply.i64("heartbeatIntervalMillis", 2000);
    reply.i32("majorityVoteCount", 1);
    reply.i32("writeMajorityCount", 1);
    reply.i32("votingMembersCount", 1);
    reply.i32("writableVotingMembersCount", 1);
    reply.document("optimes", |times| {
        for name in ["lastCommittedOpTime", "readConcernMajorityOpTime"] {
            write_op_time(times, name, durable, term);
        }
        write_op_time(times, "appliedOpTime", last, term);
        write_op_time(times, "durableOpTime", durable, term);
    });
    reply.array("members", |members| {
        members.document(|member| {
            member.i32("_id", 0);
            member.str("name", &context.client.local);
            member.f64("health", 1.0);
            member.i32("state", 1);
            member.str("stateStr", "PRIMARY");
            member.i32("uptime", uptime);
            write_op_time(member, "optime", last, term);
            member.date("optimeDate", seconds_ms(last));
            member.str("syncSourceHost", "");
            member.i32("syncSourceId", -1);
            member.str("infoMessage", "");
            member.i32("configVersion", 1);
            member.i64("configTerm", term);
            member.bool("self", true);
            member.str("lastHeartbeatMessage", "");
        });
    });
    Ok(Flow::Reply(reply))
}

fn repl_set_get_config(context: &mut Context<'_>) -> Result<Flow> {
    only_as_replica_set(context)?;
    let mut reply = DocWriter::new();
    reply.document("config", |config| {
        config.str("_id", &context.shared.options.replica_set);
        config.i32("version", 1);
        config.i64("term", context.shared.node.term);
        config.array("members", |members| {
            members.document(|member| {
                member.i32("_id", 0);
                member.str("host", &context.client.local);
                member.bool("arbiterOnly", false);
                member.bool("buildIndexes", true);
                member.bool("hidden", false);
                member.f64("priority", 1.0);
                member.document("tags", |_| {});
                member.i64("secondaryDelaySecs", 0);
                member.i32("votes", 1);
            });
        });
        config.bool("writeConcernMajorityJournalDefault", true);
    });
    Ok(Flow::Reply(reply))
}
