//! Accumulators: what `$group`, `$bucket` and windows make of the values of many documents.
//!
//! Knows values and expressions. Knows no stage.

mod collect;
mod extremes;
mod n;
mod numeric;
mod percentile;
mod sliding;
mod top;

use std::fmt;
use std::sync::Arc;

use super::expressions::{Expression, Frame, Scope, bson_text};
use crate::bson::{Doc, DocWriter, Element, Number, Raw, Sum, Type, Value};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};

pub(crate) use n::{Keep, arguments as n_arguments};
pub(crate) use numeric::Deviation;
pub(crate) use percentile::{Quantiles, arguments as percentile_arguments};
pub use sliding::Sliding;
pub(crate) use sliding::Total;

/// The running state of one accumulator over one group.
pub trait Accumulator: Send {
    /// Takes the value of one document.
    ///
    /// # Errors
    /// A value of a type that the accumulator does not take.
    fn add(&mut self, value: Value<'_>, doc: Doc<'_>) -> Result<()>;

    /// The result so far.
    ///
    /// # Errors
    /// A result that does not fit.
    fn finish(&self) -> Result<Value<'static>>;

    /// The bytes that the state keeps, roughly.
    fn bytes(&self) -> usize;

    /// The same over a window that slides, if values can be taken out again.
    fn sliding(&self) -> Option<Sliding> {
        None
    }
}

/// A parsed accumulator.
pub trait AccumulatorSpec: fmt::Debug + Send + Sync {
    /// What is evaluated for every document.
    fn input(&self) -> &Expression;

    /// Starts a group, whose `_id` is `id` where it is a document.
    ///
    /// # Errors
    /// An argument that is invalid for this group.
    fn start(&self, id: Doc<'_>) -> Result<State>;

    /// Whether its states look at the documents beside their inputs.
    fn reads_documents(&self) -> bool {
        false
    }
}

/// One accumulator of the table.
#[derive(Debug)]
pub struct Row {
    /// The name with its `$`.
    pub name: &'static str,
    build: Build,
}

#[derive(Debug)]
enum Build {
    /// Of one expression.
    Simple(fn(&ValueOrder) -> State),
    /// With named arguments.
    Special(fn(&'static str, Raw<'_>, &mut Scope) -> Result<Arc<dyn AccumulatorSpec>>),
}

const fn simple(name: &'static str, start: fn(&ValueOrder) -> State) -> Row {
    Row { name, build: Build::Simple(start) }
}

const fn special(
    name: &'static str,
    parse: fn(&'static str, Raw<'_>, &mut Scope) -> Result<Arc<dyn AccumulatorSpec>>,
) -> Row {
    Row { name, build: Build::Special(parse) }
}

/// Every accumulator, sorted by name.
pub static ACCUMULATORS: &[Row] = &[
    simple("$addToSet", |order| State::other(collect::Set::new(order))),
    simple("$avg", |_| State::Mean(Sum::default())),
    special("$bottom", top::parse),
    special("$bottomN", top::parse),
    special("$count", numeric::count),
    simple("$first", |_| State::other(extremes::First::default())),
    special("$firstN", n::parse),
    simple("$last", |_| State::other(extremes::Last::default())),
    special("$lastN", n::parse),
    simple("$max", |order| State::other(extremes::Extreme::max(order))),
    special("$maxN", n::parse),
    special("$median", percentile::median),
    simple("$mergeObjects", |_| State::other(collect::Merge::default())),
    simple("$min", |order| State::other(extremes::Extreme::min(order))),
    special("$minN", n::parse),
    special("$percentile", percentile::percentile),
    simple("$push", |_| State::other(collect::Push::default())),
    simple("$stdDevPop", |_| State::other(Deviation::population())),
    simple("$stdDevSamp", |_| State::other(Deviation::sample())),
    simple("$sum", |_| State::Sum(Sum::default())),
    special("$top", top::parse),
    special("$topN", top::parse),
];

/// Accumulators of MongoDB 8.0 that this version does not have, sorted.
pub static UNSUPPORTED_ACCUMULATORS: &[&str] = &["$accumulator"];

/// An accumulator of one expression.
#[derive(Debug)]
struct Simple {
    input: Expression,
    order: ValueOrder,
    start: fn(&ValueOrder) -> State,
}

impl AccumulatorSpec for Simple {
    fn input(&self) -> &Expression {
        &self.input
    }

    fn start(&self, _: Doc<'_>) -> Result<State> {
        Ok((self.start)(&self.order))
    }
}

/// A field of a group: its name and its accumulator.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The field's name.
    pub name: Box<str>,
    /// The accumulator.
    pub spec: Arc<dyn AccumulatorSpec>,
}

impl Statement {
    /// Parses `name: {$accumulator: argument}`.
    ///
    /// # Errors
    /// 40234 to 40238, 15952; what the accumulator raises.
    pub fn parse(element: Element<'_>, scope: &mut Scope) -> Result<Statement> {
        let name = element.name_str();
        let first = element.value.as_doc().and_then(Doc::first);
        let Some(first) = first.filter(|first| first.name.starts_with(b"$")) else {
            let message = format!("The field '{name}' must be an accumulator object");
            return Err(Error::location(40234, message));
        };
        if name.contains('.') {
            return Err(Error::location(
                40235,
                format!("The field name '{name}' cannot contain '.'"),
            ));
        }
        if name.starts_with('$') {
            let message = format!("The field name '{name}' cannot be an operator name");
            return Err(Error::location(40236, message));
        }
        if element.value.as_doc().is_some_and(|doc| doc.iter().count() > 1) {
            let text = bson_text(element.value);
            let message =
                format!("The field '{name}' must specify one accumulator: {name}: {text}");
            return Err(Error::location(40238, message));
        }
        if first.value.kind == Type::Array {
            let message = format!("The {} accumulator is a unary operator", first.name_str());
            return Err(Error::location(40237, message));
        }
        let spec = parse(first.name_str(), first.value, scope)?;
        Ok(Statement { name: name.into(), spec })
    }
}

/// Parses the accumulator `name` with its argument.
///
/// # Errors
/// 15952 for an unknown one; what the accumulator raises.
pub fn parse(name: &str, argument: Raw<'_>, scope: &mut Scope) -> Result<Arc<dyn AccumulatorSpec>> {
    let Ok(at) = ACCUMULATORS.binary_search_by_key(&name, |row| row.name) else {
        if UNSUPPORTED_ACCUMULATORS.binary_search(&name).is_ok() {
            return Err(Error::not_supported(format_args!("The accumulator {name}")));
        }
        return Err(Error::location(15952, format!("unknown group operator '{name}'")));
    };
    let row = &ACCUMULATORS[at];
    match row.build {
        Build::Special(parse) => parse(row.name, argument, scope),
        Build::Simple(start) => {
            let input = Expression::parse(argument, scope)?;
            Ok(Arc::new(Simple { input, order: scope.order().clone(), start }))
        }
    }
}

/// The running state of an accumulator: in place where it is small, as groups keep many.
pub enum State {
    /// `$sum`: of numbers only; of nothing an int32 0.
    Sum(Sum),
    /// `$avg`: of numbers only; of nothing null.
    Mean(Sum),
    /// Any other.
    Other(Box<dyn Accumulator>),
}

impl State {
    /// The state of an accumulator that has no place of its own here.
    pub fn other(accumulator: impl Accumulator + 'static) -> State {
        State::Other(Box::new(accumulator))
    }

    /// As [`Accumulator::add`].
    ///
    /// # Errors
    /// As [`Accumulator::add`].
    #[inline]
    pub fn add(&mut self, value: Value<'_>, doc: Doc<'_>) -> Result<()> {
        match self {
            State::Sum(sum) | State::Mean(sum) => {
                if let Some(number) = Number::from_value(&value) {
                    sum.add(number);
                }
                Ok(())
            }
            State::Other(other) => other.add(value, doc),
        }
    }

    /// As [`Accumulator::finish`].
    ///
    /// # Errors
    /// As [`Accumulator::finish`].
    pub fn finish(&self) -> Result<Value<'static>> {
        match self {
            State::Sum(sum) => Ok(sum.finish().to_value()),
            State::Mean(sum) => Ok(sum.mean().map_or(Value::NULL, Number::to_value)),
            State::Other(other) => other.finish(),
        }
    }

    /// As [`Accumulator::bytes`].
    #[inline]
    pub fn bytes(&self) -> usize {
        match self {
            State::Sum(_) | State::Mean(_) => size_of::<State>(),
            State::Other(other) => size_of::<State>() + other.bytes(),
        }
    }

    /// As [`Accumulator::sliding`].
    pub fn sliding(&self) -> Option<Sliding> {
        match self {
            State::Sum(_) => Some(Sliding::sum()),
            State::Mean(_) => Some(Sliding::mean()),
            State::Other(other) => other.sliding(),
        }
    }
}

/// The accumulators of one group while it is being built.
pub struct Group {
    states: Vec<State>,
}

impl Group {
    /// Starts a group.
    ///
    /// # Errors
    /// An argument that is invalid for this group.
    pub fn new(statements: &[Statement], id: Doc<'_>) -> Result<Group> {
        let mut states = Vec::with_capacity(statements.len());
        begin(statements, id, &mut states)?;
        Ok(Group { states })
    }

    /// A group of states that were [begun](begin).
    pub(crate) fn of(states: Vec<State>) -> Group {
        Group { states }
    }

    /// Takes one document.
    ///
    /// # Errors
    /// What the expressions and accumulators raise.
    pub fn add(&mut self, statements: &[Statement], doc: Doc<'_>) -> Result<()> {
        let mut frame = Frame::new(doc);
        for (statement, state) in statements.iter().zip(&mut self.states) {
            let value = statement.spec.input().eval(&mut frame)?;
            state.add(value, doc)?;
        }
        Ok(())
    }

    /// Writes the results as fields.
    ///
    /// # Errors
    /// A result that does not fit.
    pub fn write(&self, statements: &[Statement], out: &mut DocWriter) -> Result<()> {
        for (statement, state) in statements.iter().zip(&self.states) {
            if let Some(value) = state.finish()?.raw() {
                out.raw(&statement.name, value);
            }
        }
        Ok(())
    }

    /// The bytes that the states keep, roughly.
    pub fn bytes(&self) -> usize {
        self.states.iter().map(State::bytes).sum()
    }
}

/// Appends the states of a group, whose `_id` is `id` where it is a document.
///
/// # Errors
/// An argument that is invalid for this group.
pub(crate) fn begin(statements: &[Statement], id: Doc<'_>, states: &mut Vec<State>) -> Result<()> {
    for statement in statements {
        states.push(statement.spec.start(id)?);
    }
    Ok(())
}

/// The `n` of `$firstN` and its kin: a positive whole number.
///
/// # Errors
/// 5787902, 5787903, 5787908.
pub(crate) fn check_n(value: &Value<'_>) -> Result<usize> {
    use super::expressions::value_text;
    let Some(number) = Number::from_value(value) else {
        let message =
            format!("Value for 'n' must be of integral type, but found {}", value_text(value));
        return Err(Error::location(5_787_902, message));
    };
    let Some(n) = number.to_i64_truncated() else {
        let message =
            format!("Value for 'n' must be of integral type, but found {}", value_text(value));
        return Err(Error::location(5_787_903, message));
    };
    match usize::try_from(n) {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(Error::location(5_787_908, format!("'n' must be greater than 0, found {n}"))),
    }
}

/// The error of a state that keeps more than it may.
pub(crate) fn memory_exceeded(name: &str) -> Error {
    let message = format!(
        "{name} used too much memory and cannot spill to disk. Memory limit: 104857600 bytes"
    );
    Error::new(Code::EXCEEDED_MEMORY_LIMIT, message)
}
