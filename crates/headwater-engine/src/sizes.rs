//! The sizes of a collection, as `collStats` and `$collStats` show them. Knows no command and no stage.

use crate::bson::{DocWriter, Number, Raw};
use crate::catalog::{Capped, Collection};
use crate::error::{Code, Error, Result};

/// What is known of a collection's sizes.
#[derive(Debug, Clone)]
pub struct Sizes {
    /// Documents.
    pub documents: i64,
    /// Bytes of all documents.
    pub bytes: i64,
    /// The names of the indexes.
    pub indexes: Vec<String>,
    /// The limits of a capped collection.
    pub capped: Option<Capped>,
}

impl Sizes {
    /// The sizes of a collection whose figures are loaded.
    pub fn of(collection: &Collection) -> Sizes {
        let (documents, bytes) = collection.figures.get();
        let counted = collection.indexes.iter().filter(|index| !index.clustered);
        let indexes = counted.map(|index| index.name.clone()).collect();
        Sizes { documents, bytes, indexes, capped: collection.settings.capped }
    }

    /// Appends the fields in MongoDB's order, sizes divided by `scale`. Index entries are not counted, so that their
    /// sizes are 0.
    pub fn write(&self, out: &mut DocWriter, scale: i64) {
        let size = self.bytes / scale.max(1);
        write_number(out, "size", size);
        write_number(out, "count", self.documents);
        if self.documents > 0 {
            write_number(out, "avgObjSize", self.bytes / self.documents);
        }
        out.i32("numOrphanDocs", 0);
        write_number(out, "storageSize", size);
        out.i32("freeStorageSize", 0);
        out.bool("capped", self.capped.is_some());
        if let Some(capped) = self.capped {
            write_number(out, "max", capped.documents_max.min(i64::from(i32::MAX)));
            write_number(out, "maxSize", capped.bytes_max / scale.max(1));
        }
        out.i32("nindexes", i32::try_from(self.indexes.len()).unwrap_or(i32::MAX));
        out.array("indexBuilds", |_| {});
        out.i32("totalIndexSize", 0);
        out.document("indexSizes", |sizes| {
            self.indexes.iter().for_each(|index| sizes.i32(index, 0));
        });
        write_number(out, "totalSize", size);
        write_number(out, "scaleFactor", scale);
    }
}

/// Appends the fields of a collection that is not there.
pub fn write_missing(out: &mut DocWriter, scale: i64) {
    for name in ["size", "count", "numOrphanDocs", "storageSize", "totalSize", "nindexes"] {
        out.i32(name, 0);
    }
    out.i32("totalIndexSize", 0);
    out.document("indexDetails", |_| {});
    out.document("indexSizes", |_| {});
    write_number(out, "scaleFactor", scale);
}

/// By what sizes are divided: 1 where nothing is said.
///
/// # Errors
/// `TypeMismatch` (14) in the name of `field`, `BadValue` (2) below 1.
pub fn scale(value: Option<Raw<'_>>, field: &str) -> Result<i64> {
    let Some(value) = value else { return Ok(1) };
    match Number::from_raw(value).map(Number::to_i64_saturating) {
        None => {
            let found = value.kind.alias();
            let message = format!(
                "BSON field '{field}' is the wrong type '{found}', expected types '[long, int, decimal, double]'"
            );
            Err(Error::new(Code::TYPE_MISMATCH, message))
        }
        Some(scale) if scale < 1 => Err(Error::new(
            Code::BAD_VALUE,
            format!("BSON field 'scale' value must be >= 1, actual value '{scale}'"),
        )),
        Some(scale) => Ok(scale),
    }
}

fn write_number(out: &mut DocWriter, name: &str, value: i64) {
    match i32::try_from(value) {
        Ok(value) => out.i32(name, value),
        Err(_) => out.i64(name, value),
    }
}
