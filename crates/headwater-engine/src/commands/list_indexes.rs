//! `listIndexes`: the specifications of a collection's indexes, those that are being built included.

use super::cursors::{cursor_argument, reply_rows};
use super::{Command, Context, Flow, Needs};
use crate::bson::DocWriter;
use crate::error::{Code, Error, Result};
use crate::index::Index;

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
    let fields = context.fields();
    let uuids = fields.loose_bool("includeBuildUUIDs")?.unwrap_or(false);
    let wrapped = fields.loose_bool("includeIndexBuildInfo")?.unwrap_or(false);
    if uuids && wrapped {
        let message =
            "The includeBuildUUIDs flag and includeBuildIndexInfo flag cannot both be set to true";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    cursor_argument(fields)?;
    let catalog = context.shared.catalog();
    catalog.refuse_view(&namespace)?;
    let Some(collection) = catalog.collection(namespace.db(), namespace.collection()) else {
        let message = format!("ns does not exist: {namespace}");
        return Err(Error::new(Code::NAMESPACE_NOT_FOUND, message));
    };
    let row = |index: &Index, build: Option<&[u8; 16]>| {
        let spec = collection.describe_index(index);
        let is_plain = if build.is_some() { !wrapped && !uuids } else { !wrapped };
        if is_plain {
            return spec;
        }
        let mut row = DocWriter::new();
        row.doc("spec", spec.as_doc());
        if let Some(build) = build {
            match wrapped {
                true => {
                    row.document("indexBuildInfo", |info| info.binary("buildUUID", 4, build));
                }
                false => row.binary("buildUUID", 4, build),
            }
        }
        row.finish()
    };
    let ready = collection.indexes.iter().map(|index| row(index, None));
    // One that is to take the place of another is not listed yet.
    let is_new = |name: &str| collection.indexes.iter().all(|index| index.name != name);
    let building = collection.building.iter().filter(|building| is_new(&building.index.name));
    let building = building.map(|building| row(&building.index, Some(&building.uuid)));
    let rows = ready.chain(building).collect();
    reply_rows(context, namespace.as_str().to_owned(), rows)
}
