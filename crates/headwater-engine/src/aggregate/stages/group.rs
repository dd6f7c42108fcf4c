//! `$group`: groups by the encoded key of `_id`, in the order in which groups first came.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::accumulators::{Group, Statement};
use crate::aggregate::expressions::{Expression, Scope};
use crate::aggregate::pipeline::Context;
use crate::bson::key::Direction;
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Value};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::query::exec::{Environment, Stage};

#[derive(Debug)]
pub(super) struct GroupSpec {
    id: Expression,
    order: ValueOrder,
    statements: Vec<Statement>,
}

impl GroupSpec {
    pub(super) fn new(id: Expression, statements: Vec<Statement>, scope: &Scope) -> GroupSpec {
        GroupSpec { id, order: scope.order().clone(), statements }
    }
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        return Err(Error::location(15947, "a group's fields must be specified in an object"));
    };
    let mut id = None;
    let mut statements = Vec::new();
    for element in doc {
        match element.name {
            b"_id" if id.is_some() => {
                return Err(Error::location(15948, "a group's _id may only be specified once"));
            }
            b"_id" => id = Some(Expression::parse(element.value, context.scope)?),
            b"$doingMerge" => {
                return Err(Error::location(17030, "$doingMerge should be true if present"));
            }
            _ => statements.push(Statement::parse(element, context.scope)?),
        }
    }
    let Some(id) = id else {
        return Err(Error::location(15955, "a group specification must include an _id"));
    };
    Ok(vec![Arc::new(GroupSpec::new(id, statements, context.scope))])
}

/// Parses the `output` of `$bucket` and `$bucketAuto`; without one it is a count.
pub(super) fn parse_output(output: Option<Doc<'_>>, scope: &mut Scope) -> Result<Vec<Statement>> {
    let mut count = DocWriter::new();
    count.document("count", |sum| sum.i32("$sum", 1));
    let count = count.finish();
    let output = output.unwrap_or(count.as_doc());
    output.iter().map(|element| Statement::parse(element, scope)).collect()
}

impl StageSpec for GroupSpec {
    fn name(&self) -> &'static str {
        "$group"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Grouping { spec: self, state: State::Filling(source) })
    }
}

struct Grouping {
    spec: Arc<GroupSpec>,
    state: State,
}

enum State {
    Filling(Box<dyn Stage>),
    Giving(std::vec::IntoIter<(Value<'static>, Group)>),
}

impl GroupSpec {
    fn fill(
        &self,
        mut source: Box<dyn Stage>,
        env: &dyn Environment,
    ) -> Result<Vec<(Value<'static>, Group)>> {
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut groups: Vec<(Value<'static>, Group)> = Vec::new();
        let mut bytes = 0;
        let mut key = Vec::new();
        source.each(env, &mut |doc| {
            let id = self.id.evaluate(doc)?;
            key.clear();
            self.order.append_key(id.raw().unwrap_or(Raw::NULL), Direction::Ascending, &mut key);
            let at = match places.get(&key) {
                Some(&at) => at,
                None => {
                    let id = if id.is_missing() { Value::NULL } else { id.into_owned() };
                    bytes += 2 * key.len()
                        + size_of::<(Value<'_>, Group)>()
                        + size_of::<(Vec<u8>, usize)>();
                    let group = Group::new(&self.statements, id.as_doc().unwrap_or(Doc::EMPTY))?;
                    bytes += group.bytes();
                    groups.push((id, group));
                    places.insert(key.clone(), groups.len() - 1);
                    groups.len() - 1
                }
            };
            let Some((_, group)) = groups.get_mut(at) else { return Ok(()) };
            let before = group.bytes();
            group.add(&self.statements, doc)?;
            bytes = (bytes + group.bytes()).saturating_sub(before);
            if bytes > STAGE_MEMORY_BYTES_MAX {
                let message = "Exceeded memory limit for $group, but didn't allow external sort. Pass \
                               allowDiskUse:true to opt in.";
                return Err(Error::new(Code(292), message));
            }
            Ok(())
        })?;
        Ok(groups)
    }
}

impl Stage for Grouping {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        if let State::Filling(_) = self.state
            && let State::Filling(source) =
                std::mem::replace(&mut self.state, State::Giving(Vec::new().into_iter()))
        {
            self.state = State::Giving(self.spec.fill(source, env)?.into_iter());
        }
        let State::Giving(groups) = &mut self.state else { return Ok(None) };
        let Some((id, group)) = groups.next() else { return Ok(None) };
        let mut doc = DocWriter::new();
        doc.raw("_id", id.raw().unwrap_or(Raw::NULL));
        group.write(&self.spec.statements, &mut doc)?;
        Ok(Some(doc.finish()))
    }

    fn is_done(&self) -> bool {
        matches!(&self.state, State::Giving(groups) if groups.len() == 0)
    }
}
