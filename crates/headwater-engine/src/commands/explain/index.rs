//! What a scan tells of its index.

use crate::bson::DocWriter;
use crate::bson::key::Direction;
use crate::index::Index;
use crate::query::plan::tree::IndexScan;

/// Appends what is said of an index wherever it is used.
pub(super) fn write_index(out: &mut DocWriter, scan: &IndexScan) {
    let index = &scan.index;
    match index.wildcard {
        None => out.doc("keyPattern", index.key_pattern()),
        // The keys of such an index hold a path before its values.
        Some(_) => out.document("keyPattern", |out| {
            for field in &scan.fields {
                let descending = field.direction == Direction::Descending;
                out.i32(field.path.as_str(), if descending { -1 } else { 1 });
            }
        }),
    }
    out.str("indexName", &index.name);
    if let Some(collation) = index.order.collation() {
        out.doc("collation", collation.spec());
    }
    let arrays: Vec<(&str, Vec<&str>)> = scan
        .fields
        .iter()
        .enumerate()
        .map(|(at, field)| {
            let path = field.path.as_str();
            (path, arrays(index, at, path))
        })
        .collect();
    let multikey = match index.wildcard {
        None => index.is_multikey(),
        Some(_) => arrays.iter().any(|(_, arrays)| !arrays.is_empty()),
    };
    out.bool("isMultiKey", multikey);
    if index.hashed.is_none() && !index.is_id() {
        out.document("multiKeyPaths", |out| {
            for (path, arrays) in &arrays {
                out.array(path, |out| arrays.iter().for_each(|array| out.str(array)));
            }
        });
    }
    out.bool("isUnique", index.unique);
    out.bool("isSparse", index.sparse);
    out.bool("isPartial", index.partial.is_some());
    out.i32("indexVersion", 2);
}

/// The parts of a field's path, from its first name on, at which some document has or had an array.
fn arrays<'p>(index: &Index, at: usize, path: &'p str) -> Vec<&'p str> {
    let ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
    let parts = ends.filter_map(|end| path.get(..end)).enumerate();
    let is_array = |(name, part): &(usize, &str)| match index.wildcard {
        None => index.arrays.of_path(at).checked_shr(*name as u32).unwrap_or(0) & 1 != 0,
        Some(_) => index.arrays.is_array(part),
    };
    parts.filter(is_array).map(|(_, part)| part).collect()
}
