//! Rules of BSON that writers may break and nothing here depends on. Source: MongoDB's description of `checkBSONConformance`.

use std::collections::BTreeSet;

use crate::bson::{Doc, Type, View};

/// Lengths of binary values that hold a UUID or an MD5 sum.
const SUM_BYTES: usize = 16;

/// Whether the fields of a document have names of their own, arrays count their elements, the options of regular expressions are in
/// order, and UUIDs and MD5 sums have their length; and so for `depth` levels of what is in it.
pub(super) fn is_compliant(doc: Doc<'_>, depth: usize) -> bool {
    let mut names = BTreeSet::new();
    doc.iter().all(|field| names.insert(field.name)) && has_compliant_values(doc, depth)
}

fn has_compliant_values(doc: Doc<'_>, depth: usize) -> bool {
    let Some(left) = depth.checked_sub(1) else { return true };
    doc.iter().all(|field| match (field.value.kind, field.value.view()) {
        (Type::Document, _) => is_compliant(Doc::trusted(field.value.data), left),
        (Type::Array, _) => {
            let array = Doc::trusted(field.value.data);
            let counts = (0_usize..)
                .zip(array)
                .all(|(at, element)| element.name == at.to_string().as_bytes());
            counts && has_compliant_values(array, left)
        }
        (_, View::Binary { subtype: 3..=5, bytes }) => bytes.len() == SUM_BYTES,
        (_, View::Regex { options, .. }) => options.as_bytes().is_sorted(),
        _ => true,
    })
}
