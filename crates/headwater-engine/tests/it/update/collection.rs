//! A list of documents that updates as the `update` command does: filter, update or upsert, write errors.

use headwater_engine::aggregate::expressions::Scope;
use headwater_engine::bson::{Array, Doc, DocBuf, Raw};
use headwater_engine::error::{Error, Result};
use headwater_engine::query::matcher::Matcher;
use headwater_engine::update::{
    Description, Now, Outcome, Update, UpdateOptions, check_upsert_filter,
};

/// The moment of every update here.
pub(crate) const NOW: Now = Now { ms: 1_700_000_000_000, timestamp: (1_700_000_000 << 32) | 1 };

/// The documents.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    pub(crate) docs: Vec<DocBuf>,
    /// The next `_id` to generate.
    pub(crate) new_id: [u8; 12],
    /// What every change of a document said of itself: before, after, description.
    pub(crate) changes: Vec<(DocBuf, DocBuf, Option<Description>)>,
}

/// What an `update` command would answer.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) n: i64,
    pub(crate) modified: i64,
    /// Index of the statement, and its error; the flag tells whether it was raised while running.
    pub(crate) errors: Vec<(usize, Error, bool)>,
}

impl Collection {
    /// Runs an `update` command.
    pub(crate) fn update(&mut self, command: Doc<'_>) -> Reply {
        let mut reply = Reply::default();
        let ordered = command.get("ordered").and_then(Raw::as_bool).unwrap_or(true);
        let variables = command.get("let").and_then(Raw::as_doc);
        let statements = command.get("updates").and_then(Raw::as_array);
        for (index, statement) in statements.into_iter().flat_map(Array::iter).enumerate() {
            let statement = statement.as_doc().unwrap_or(Doc::EMPTY);
            if let Err((error, running)) = self.statement(statement, variables, &mut reply) {
                reply.errors.push((index, error, running));
                if ordered {
                    break;
                }
            }
        }
        reply
    }

    fn statement(
        &mut self,
        statement: Doc<'_>,
        variables: Option<Doc<'_>>,
        reply: &mut Reply,
    ) -> Result<(), (Error, bool)> {
        let parsing = |error| (error, false);
        let running = |error| (error, true);
        let flag = |name| statement.get(name).and_then(Raw::as_bool).unwrap_or(false);
        let mut scope = Scope::new(variables, NOW.ms).map_err(parsing)?;
        let filter = statement.get("q").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
        let options = UpdateOptions {
            multi: flag("multi"),
            upsert: flag("upsert"),
            array_filters: statement.get("arrayFilters").and_then(Raw::as_array),
            scope: Some(&scope.clone()),
            constants: statement.get("c").and_then(Raw::as_doc),
            upsert_supplied: flag("upsertSupplied"),
        };
        if options.upsert {
            check_upsert_filter(filter).map_err(parsing)?;
        }
        let matcher = Matcher::parse(filter, &mut scope).map_err(parsing)?;
        let update = Update::parse(statement.get("u").unwrap_or(Raw::NULL), &options);
        let update = update.map_err(parsing)?;
        let (mut matched, mut modified) = (0, 0);
        for doc in &mut self.docs {
            let details = matcher.matches_with_position(doc.as_doc()).map_err(running)?;
            let Some(details) = details else { continue };
            matched += 1;
            let position = details.position.map(|position| position as usize);
            let outcome = update.apply(doc.as_doc(), position, &NOW).map_err(running)?;
            if let Outcome::Changed { document, description } = outcome {
                modified += 1;
                self.changes.push((doc.clone(), document.clone(), description));
                *doc = document;
            }
            if !options.multi {
                break;
            }
        }
        if matched == 0 && options.upsert {
            let new = update.insert_document(filter, || self.new_id, &NOW).map_err(running)?;
            self.docs.push(new);
            matched = 1;
        }
        reply.n += matched;
        reply.modified += modified;
        Ok(())
    }
}
