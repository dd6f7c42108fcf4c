//! An environment of collections and views that live in memory.

use std::collections::HashMap;

use headwater_engine::aggregate::expressions::Scope;
use headwater_engine::aggregate::pipeline::{Context, Pipeline};
use headwater_engine::bson::{Array, Doc, DocBuf, Raw};
use headwater_engine::collation::ValueOrder;
use headwater_engine::query::exec::{Environment, Stage};
use headwater_engine::query::matcher::Matcher;
use headwater_engine::{Error, Result};

/// Milliseconds since 1970 that stand for now.
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

/// Collections and views by name.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    collections: HashMap<String, Vec<DocBuf>>,
    views: HashMap<String, (String, Vec<u8>)>,
}

impl Memory {
    /// Takes what `setup` commands make; `None` if one of them does something that this does not know.
    pub(crate) fn new(setup: Array<'_>) -> Option<Memory> {
        let mut memory = Memory::default();
        for command in setup.iter().filter_map(Raw::as_doc) {
            let first = command.first()?;
            let name = first.value.as_str()?.to_owned();
            match first.name {
                b"insert" => {
                    let docs = command.get("documents")?.as_array()?;
                    let docs = docs.iter().filter_map(Raw::as_doc).map(Doc::to_buf);
                    memory.collections.entry(name).or_default().extend(docs);
                }
                b"create" => {
                    let plain =
                        |name: &[u8]| [&b"create"[..], b"viewOn", b"pipeline"].contains(&name);
                    if command.iter().any(|e| !plain(e.name)) {
                        return None;
                    }
                    match command.get("viewOn").and_then(Raw::as_str) {
                        Some(on) => {
                            let stages = command.get("pipeline")?.as_array()?.as_bytes().to_vec();
                            memory.views.insert(name, (on.to_owned(), stages));
                        }
                        None => drop(memory.collections.entry(name).or_default()),
                    }
                }
                b"createIndexes" => {}
                _ => return None,
            }
        }
        Some(memory)
    }

    fn source(&self, db: &str, name: &str, depth: usize) -> Result<Box<dyn Stage>> {
        if depth > 20 {
            return Err(Error::location(165, "View depth limit exceeded; maximum depth is 20"));
        }
        if let Some((on, stages)) = self.views.get(name) {
            let mut scope = Scope::new(None, NOW_MS)?;
            let mut context = Context::new(&mut scope, db, Some(on));
            let pipeline = Pipeline::parse(Array::trusted(stages), &mut context)?;
            return Ok(pipeline.build(self.source(db, on, depth + 1)?));
        }
        let docs = self.collections.get(name).cloned().unwrap_or_default();
        Ok(Box::new(Given(docs.into_iter())))
    }
}

/// Documents one by one.
pub(crate) struct Given(pub(crate) std::vec::IntoIter<DocBuf>);

impl Stage for Given {
    fn next(&mut self, _: &dyn Environment) -> Result<Option<DocBuf>> {
        Ok(self.0.next())
    }
}

struct Filtered {
    matcher: Matcher,
    source: Box<dyn Stage>,
}

impl Stage for Filtered {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        while let Some(doc) = self.source.next(env)? {
            if self.matcher.matches(doc.as_doc())? {
                return Ok(Some(doc));
            }
        }
        Ok(None)
    }
}

impl Environment for Memory {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn open(
        &self,
        db: &str,
        collection: &str,
        filter: Doc<'_>,
        order: &ValueOrder,
    ) -> Result<Box<dyn Stage>> {
        let source = self.source(db, collection, 0)?;
        if filter.is_empty() {
            return Ok(source);
        }
        let scope = Scope::new(None, NOW_MS)?.with_collation(order.collation().cloned());
        let matcher = Matcher::parse(filter, &mut { scope })?;
        Ok(Box::new(Filtered { matcher, source }))
    }
}
