//! Operations from documents `{type, collection, args}`: the allow-list of names and of the arguments of each.

use mongodb::bson::{Bson, Document};
use mongodb::options::{FindOneOptions, FindOptions};

use super::DataOperation;
use crate::error::{Error, Result};

/// A name and the arguments that it takes.
struct Row {
    name: &'static str,
    arguments: &'static [&'static str],
    make: fn(&str, &mut Arguments) -> Result<DataOperation>,
}

const FIND: &[&str] = &["filter", "projection", "sort", "skip"];
const UPDATE: &[&str] = &["filter", "update", "upsert"];

/// Sorted by name.
const ROWS: &[Row] = &[
    Row {
        name: "aggregate",
        arguments: &["pipeline"],
        make: |name, args| Ok(DataOperation::aggregate(name, args.documents("pipeline")?)),
    },
    Row {
        name: "count_documents",
        arguments: &["filter"],
        make: |name, args| Ok(DataOperation::count(name, args.filter()?)),
    },
    Row {
        name: "delete_many",
        arguments: &["filter"],
        make: |name, args| Ok(DataOperation::delete_many(name, args.needed("filter")?)),
    },
    Row {
        name: "delete_one",
        arguments: &["filter"],
        make: |name, args| Ok(DataOperation::delete_one(name, args.needed("filter")?)),
    },
    Row {
        name: "distinct",
        arguments: &["field", "filter"],
        make: |name, args| Ok(DataOperation::distinct(name, args.text("field")?, args.filter()?)),
    },
    Row {
        name: "find_many",
        arguments: &["filter", "projection", "sort", "skip", "limit"],
        make: |name, args| {
            let mut options = FindOptions::default();
            options.projection = args.document("projection")?;
            options.sort = args.document("sort")?;
            options.skip = args.number("skip")?.filter(|skip| *skip > 0);
            options.limit = args.number("limit")?.and_then(|limit| i64::try_from(limit).ok());
            Ok(DataOperation::find_many_with(name, args.filter()?, options))
        },
    },
    Row {
        name: "find_one",
        arguments: FIND,
        make: |name, args| {
            let mut options = FindOneOptions::default();
            options.projection = args.document("projection")?;
            options.sort = args.document("sort")?;
            options.skip = args.number("skip")?.filter(|skip| *skip > 0);
            Ok(DataOperation::find_one_with(name, args.filter()?, options))
        },
    },
    Row {
        name: "insert_many",
        arguments: &["documents", "ordered"],
        make: |name, args| {
            let ordered = args.truth("ordered")?.unwrap_or(true);
            Ok(DataOperation::insert_many(name, args.documents("documents")?, ordered))
        },
    },
    Row {
        name: "insert_one",
        arguments: &["document"],
        make: |name, args| Ok(DataOperation::insert_one(name, args.needed("document")?)),
    },
    Row {
        name: "replace_one",
        arguments: &["filter", "replacement", "upsert"],
        make: |name, args| {
            let upsert = args.truth("upsert")?.unwrap_or(false);
            let (filter, replacement) = (args.needed("filter")?, args.needed("replacement")?);
            Ok(DataOperation::replace_one(name, filter, replacement, upsert))
        },
    },
    Row {
        name: "update_many",
        arguments: UPDATE,
        make: |name, args| {
            let upsert = args.truth("upsert")?.unwrap_or(false);
            let (filter, update) = (args.needed("filter")?, args.needed("update")?);
            Ok(DataOperation::update_many(name, filter, update, upsert))
        },
    },
    Row {
        name: "update_one",
        arguments: UPDATE,
        make: |name, args| {
            let upsert = args.truth("upsert")?.unwrap_or(false);
            let (filter, update) = (args.needed("filter")?, args.needed("update")?);
            Ok(DataOperation::update_one(name, filter, update, upsert))
        },
    },
];

impl TryFrom<Document> for DataOperation {
    type Error = Error;

    /// From `{type, collection, args}`.
    fn try_from(mut document: Document) -> Result<DataOperation> {
        let text = |value: Option<Bson>, name: &str| match value {
            Some(Bson::String(text)) => Ok(text),
            _ => Err(Error::validation(format!("an operation needs `{name}`, a string"))),
        };
        let kind = text(document.remove("type"), "type")?;
        let row = ROWS.iter().find(|row| row.name == kind);
        let row = row.ok_or_else(|| {
            let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            Error::validation(format!("unknown operation `{kind}`: known are {}", names.join(", ")))
        })?;
        let collection = text(document.remove("collection"), "collection")?;
        let mut arguments = match document.remove("args") {
            None | Some(Bson::Null) => Arguments { of: row.name, given: Document::new() },
            Some(Bson::Document(given)) => Arguments { of: row.name, given },
            Some(_) => {
                return Err(Error::validation("`args` of an operation are to be a document"));
            }
        };
        if let Some(name) = document.keys().next() {
            return Err(Error::validation(format!("an operation has no `{name}`")));
        }
        let mut given = arguments.given.keys();
        if let Some(name) = given.find(|name| !row.arguments.contains(&name.as_str())) {
            return Err(Error::validation(format!(
                "{kind} has no argument `{name}`: it takes {}",
                row.arguments.join(", ")
            )));
        }
        (row.make)(&collection, &mut arguments)
    }
}

/// The arguments of an operation.
struct Arguments {
    of: &'static str,
    given: Document,
}

impl Arguments {
    fn wrong(&self, name: &str, expected: &str) -> Error {
        Error::validation(format!("{} needs `{name}`, {expected}", self.of))
    }

    fn document(&mut self, name: &str) -> Result<Option<Document>> {
        match self.given.remove(name) {
            None | Some(Bson::Null) => Ok(None),
            Some(Bson::Document(document)) => Ok(Some(document)),
            Some(_) => Err(self.wrong(name, "a document")),
        }
    }

    fn needed(&mut self, name: &str) -> Result<Document> {
        self.document(name)?.ok_or_else(|| self.wrong(name, "a document"))
    }

    /// Absent means all.
    fn filter(&mut self) -> Result<Document> {
        Ok(self.document("filter")?.unwrap_or_default())
    }

    fn documents(&mut self, name: &str) -> Result<Vec<Document>> {
        let Some(Bson::Array(items)) = self.given.remove(name) else {
            return Err(self.wrong(name, "an array of documents"));
        };
        let documents = items.into_iter().map(|item| match item {
            Bson::Document(document) => Ok(document),
            _ => Err(self.wrong(name, "an array of documents")),
        });
        documents.collect()
    }

    fn text(&mut self, name: &str) -> Result<String> {
        match self.given.remove(name) {
            Some(Bson::String(text)) => Ok(text),
            _ => Err(self.wrong(name, "a string")),
        }
    }

    fn truth(&mut self, name: &str) -> Result<Option<bool>> {
        match self.given.remove(name) {
            None | Some(Bson::Null) => Ok(None),
            Some(Bson::Boolean(truth)) => Ok(Some(truth)),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<u64>> {
        let number = match self.given.remove(name) {
            None | Some(Bson::Null) => return Ok(None),
            Some(Bson::Int32(number)) => u64::try_from(number).ok(),
            Some(Bson::Int64(number)) => u64::try_from(number).ok(),
            Some(_) => None,
        };
        number.map(Some).ok_or_else(|| self.wrong(name, "a whole number, 0 or more"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(ROWS.is_sorted_by(|a, b| a.name < b.name));
    }
}
