//! `$group`: groups by the encoded key of `_id`, in the order in which groups first came. What does not fit into memory
//! goes to the disk as documents and is grouped when the others are done.

mod filling;
mod groups;
mod places;
mod rows;
mod team;

use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::accumulators::{self, Statement};
use crate::aggregate::expressions::{Expression, Frame, Operator, Scope};
use crate::aggregate::pipeline::Context;
use crate::aggregate::wanted;
use crate::bson::key::Direction;
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Sum, Type, Value, View};
use crate::collation::ValueOrder;
use crate::error::{Error, Result};
use crate::profile::held;
use crate::query::exec::{Environment, Stage};
use crate::query::plan::Wants;
use filling::Filling;
use groups::{Groups, Spilled};

#[derive(Debug)]
pub(super) struct GroupSpec {
    id: Expression,
    order: ValueOrder,
    statements: Vec<Statement>,
    wanted: Wants,
}

impl GroupSpec {
    pub(super) fn new(id: Expression, statements: Vec<Statement>, scope: &Scope) -> GroupSpec {
        let order = scope.order().clone();
        GroupSpec { id, order, statements, wanted: Wants::Documents }
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
            b"_id" => id = Some(parse_id(element.value, context.scope)?),
            b"$doingMerge" => {
                return Err(Error::location(17030, "$doingMerge should be true if present"));
            }
            _ => statements.push(Statement::parse(element, context.scope)?),
        }
    }
    let Some(id) = id else {
        return Err(Error::location(15955, "a group specification must include an _id"));
    };
    let spec = GroupSpec::new(id, statements, context.scope);
    Ok(vec![Arc::new(GroupSpec { wanted: wanted::by(raw), ..spec })])
}

/// Parses the `_id`: in an object of expressions nothing is included as in a projection.
fn parse_id(raw: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let fields =
        raw.as_doc().filter(|doc| doc.first().is_some_and(|first| !first.name.starts_with(b"$")));
    let includes = |raw: Raw<'_>| raw.kind.is_number() || raw.kind == Type::Bool;
    if fields.is_some_and(|fields| fields.iter().any(|field| includes(field.value))) {
        let message = "$group does not support inclusion-style expressions";
        return Err(Error::location(17390, message));
    }
    Ok(match Expression::parse(raw, scope)? {
        Expression::Document(fields) if fields.len() == 1 => {
            let fields = fields.into_iter().map(|(name, value)| (name, OrNull::of(value)));
            Expression::Document(fields.collect())
        }
        other => other,
    })
}

/// The value of an expression, null where there is none: that of the only field of an `_id`.
#[derive(Debug)]
struct OrNull(Expression);

impl OrNull {
    fn of(expression: Expression) -> Expression {
        match expression {
            Expression::Constant(value) if value.is_missing() => Expression::Constant(Value::NULL),
            Expression::Constant(value) => Expression::Constant(value),
            other => Expression::Special(Box::new(OrNull(other))),
        }
    }
}

impl Operator for OrNull {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let value = self.0.eval(frame)?;
        Ok(if value.is_missing() { Value::NULL } else { value })
    }
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

    fn wanted(&self) -> Wants {
        self.wanted.clone()
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
    /// The groups in memory; the first of those that are spilled comes before them.
    Giving {
        spilled: Option<Box<Spilled>>,
        groups: Groups,
    },
}

impl GroupSpec {
    fn key(&self, id: &Value<'_>, key: &mut Vec<u8>) {
        key.clear();
        self.order.append_key(id.raw().unwrap_or(Raw::NULL), Direction::Ascending, key);
    }

    fn fill(&self, mut source: Box<dyn Stage>, env: &dyn Environment) -> Result<State> {
        if let Some(steps) = self.steps()? {
            return self.count(&steps, source, env);
        }
        if self.is_told_by_fields()
            && let Some(groups) = team::fill(self, &mut *source, env)?
        {
            return Ok(State::Giving { spilled: None, groups });
        }
        let mut filling = Filling::default();
        let ended = filling.take_in(self, &mut *source, env);
        // What waits came before what ended it.
        filling.flush(self)?;
        ended?;
        filling.finish(self)
    }

    /// Whether accumulators are given all that they need by their inputs, and look at no document.
    fn is_told_by_fields(&self) -> bool {
        matches!(self.wanted, Wants::Fields(_) | Wants::Count)
    }
}

impl GroupSpec {
    /// Tells of the memory that each accumulator takes in all groups.
    fn note(&self, states: &[accumulators::State]) {
        for (at, statement) in self.statements.iter().enumerate() {
            let of_it = states.iter().skip(at).step_by(self.statements.len());
            let bytes: usize =
                of_it.map(|state| size_of::<accumulators::State>() + state.bytes()).sum();
            held(&statement.name, bytes);
        }
    }

    /// What each document adds to each sum, if there is one group and nothing of the documents counts but their number.
    fn steps(&self) -> Result<Option<Vec<i32>>> {
        let Some(id) = self.id.as_constant() else { return Ok(None) };
        let id = id.as_doc().unwrap_or(Doc::EMPTY);
        let mut steps = Vec::with_capacity(self.statements.len());
        for statement in &self.statements {
            let step = match statement.spec.input().as_constant().and_then(Value::view) {
                Some(View::Int32(step)) => step,
                _ => return Ok(None),
            };
            if !matches!(statement.spec.start(id)?, accumulators::State::Sum(_)) {
                return Ok(None);
            }
            steps.push(step);
        }
        Ok(Some(steps))
    }

    /// The one group of as many documents as there are.
    fn count(
        &self,
        steps: &[i32],
        mut source: Box<dyn Stage>,
        env: &dyn Environment,
    ) -> Result<State> {
        let count = team::count(&mut *source, env)?;
        if count == 0 {
            return Filling::default().finish(self);
        }
        let sums = steps.iter().map(|step| {
            let mut sum = Sum::default();
            let mut left = count;
            while left > 0 {
                let times = u32::try_from(left).unwrap_or(u32::MAX);
                sum.add_times(*step, times);
                left -= u64::from(times);
            }
            accumulators::State::Sum(sum)
        });
        let id = owned(self.id.evaluate(Doc::EMPTY)?);
        Filling::of_sums(id, sums.collect()).finish(self)
    }
}

/// The `_id` of a group.
fn owned(id: Value<'_>) -> Value<'static> {
    if id.is_missing() { Value::NULL } else { id.into_owned() }
}

impl Stage for Grouping {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        let nothing = || State::Giving { spilled: None, groups: Groups::default() };
        if let State::Filling(_) = self.state
            && let State::Filling(source) = std::mem::replace(&mut self.state, nothing())
        {
            self.state = self.spec.fill(source, env)?;
        }
        let State::Giving { spilled, groups } = &mut self.state else { return Ok(None) };
        let mut held = match spilled {
            Some(spilled) => spilled.next(&self.spec, env)?,
            None => None,
        };
        if held.is_none()
            && let Some(done) = spilled.take()
        {
            *groups = Groups::of_whole(done.held.into_iter().flatten().collect());
        }
        held = held.or_else(|| groups.next());
        let Some((id, group)) = held else { return Ok(None) };
        let mut doc = DocWriter::new();
        doc.raw("_id", id.raw().unwrap_or(Raw::NULL));
        group.write(&self.spec.statements, &mut doc)?;
        Ok(Some(doc.finish()))
    }

    fn is_done(&self) -> bool {
        match &self.state {
            State::Filling(_) => false,
            State::Giving { spilled, groups } => spilled.is_none() && groups.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::error::Code;
    use crate::query::exec::Ready;

    struct Room<'f> {
        folder: Option<&'f Path>,
        bytes_max: usize,
    }

    impl Environment for Room<'_> {
        fn check(&self) -> Result<()> {
            Ok(())
        }

        fn open(&self, _: &str, _: &str, _: Doc<'_>, _: &ValueOrder) -> Result<Box<dyn Stage>> {
            Err(Error::new(Code::INTERNAL_ERROR, "nothing else is read"))
        }

        fn spill_folder(&self) -> Option<&Path> {
            self.folder
        }

        fn stage_bytes_max(&self) -> usize {
            self.bytes_max
        }
    }

    fn spec(accumulators: &[(&str, &str)]) -> Arc<GroupSpec> {
        let mut scope = Scope::new(None, 0).unwrap();
        let mut fields = DocWriter::new();
        for (name, argument) in accumulators {
            fields.document(&name[1..], |field| field.str(name, argument));
        }
        let fields = fields.finish();
        let statements = fields.as_doc().iter().map(|field| Statement::parse(field, &mut scope));
        let statements = statements.collect::<Result<_>>().unwrap();
        let mut id = DocWriter::new();
        id.str("id", "$k");
        let id = id.finish();
        let id = Expression::parse(id.as_doc().get("id").unwrap(), &mut scope).unwrap();
        Arc::new(GroupSpec::new(id, statements, &scope))
    }

    fn run(spec: Arc<GroupSpec>, room: &Room<'_>) -> Result<BTreeMap<String, String>> {
        let doc = |n: i32| {
            let mut doc = DocWriter::new();
            doc.i32("k", n * 7919 % 400);
            doc.i32("v", n);
            doc.str("s", &format!("{n:040}"));
            doc.finish()
        };
        let mut stage = spec.start(Box::new(Ready::new((0..4000).map(doc).collect())));
        let mut groups = BTreeMap::new();
        while let Some(group) = stage.next(room)? {
            let id = format!("{:?}", group.as_doc().get("_id").unwrap().view());
            let twice = groups.insert(id, format!("{group:?}"));
            assert!(twice.is_none(), "a group came twice: {group:?}");
        }
        Ok(groups)
    }

    #[test]
    fn what_goes_to_the_disk_makes_the_same_groups() {
        let folder = tempfile::tempdir().unwrap();
        let steady: &[_] = &[("$sum", "$v"), ("$avg", "$v"), ("$max", "$v"), ("$first", "$v")];
        let growing: &[_] = &[("$push", "$s"), ("$last", "$v"), ("$addToSet", "$v")];
        for accumulators in [steady, growing] {
            let all = run(spec(accumulators), &Room { folder: None, bytes_max: 1 << 30 }).unwrap();
            assert_eq!(all.len(), 400);
            for bytes_max in [1, 5_000, 50_000, 200_000] {
                let room = Room { folder: Some(folder.path()), bytes_max };
                let spilled = run(spec(accumulators), &room).unwrap();
                assert_eq!(spilled, all, "{bytes_max} bytes");
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
    }

    #[test]
    fn without_the_disk_too_much_is_refused() {
        let error =
            run(spec(&[("$push", "$s")]), &Room { folder: None, bytes_max: 5_000 }).unwrap_err();
        assert_eq!(error.code(), Code::QUERY_EXCEEDED_MEMORY_LIMIT_NO_DISK_USE_ALLOWED);
    }
}
