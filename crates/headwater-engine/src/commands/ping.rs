//! `ping`: answers.

use super::{Command, Context, Flow, Needs};
use crate::bson::DocWriter;
use crate::error::Result;

pub(super) const COMMAND: Command = Command {
    name: "ping",
    aliases: &[],
    help: "Answers, which shows that the node is there",
    needs: Needs::Nothing,
    fields: &[],
    run,
};

fn run(_context: &mut Context<'_>) -> Result<Flow> {
    Ok(Flow::Reply(DocWriter::new()))
}
