//! `listIndexes`: the specifications of a collection's indexes.

use super::cursors::reply_rows;
use super::{Command, Context, Flow, Needs};
use crate::error::{Code, Error, Result};

pub(super) const COMMAND: Command = Command {
    name: "listIndexes",
    aliases: &[],
    help: "Lists the indexes of a collection",
    needs: Needs::Read,
    fields: &["cursor", "includeBuildUUIDs", "includeIndexBuildInfo"],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let namespace = context.namespace()?;
    let catalog = context.shared.catalog();
    catalog.refuse_view(&namespace)?;
    let Some(collection) = catalog.collection(namespace.db(), namespace.collection()) else {
        let message = format!("ns does not exist: {namespace}");
        return Err(Error::new(Code::NAMESPACE_NOT_FOUND, message));
    };
    let building = collection.building.iter().map(|building| &building.index);
    let rows = collection
        .indexes
        .iter()
        .chain(building)
        .map(|index| collection.describe_index(index))
        .collect();
    reply_rows(context, namespace.as_str().to_owned(), rows)
}
