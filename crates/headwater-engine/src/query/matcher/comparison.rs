//! `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`, `$nin`.

use std::cmp::Ordering;

use super::Node;
use super::operand::Operand;
use super::parse::{Field, Parser, bad_value, is_operators};
use super::regex::Regex;
use super::test::Test;
use crate::bson::{Raw, Type};
use crate::error::Result;
use crate::query::path::Path;

/// A comparison with a constant.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) relation: Relation,
    pub(crate) operand: Operand,
}

/// How a value has to stand to the constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Eq,
    Lt,
    Lte,
    Gt,
    Gte,
}

/// The values and regular expressions of `$in`.
#[derive(Debug)]
pub(crate) struct List {
    /// Sorted, without repetitions.
    pub(crate) values: Vec<Operand>,
    pub(crate) regexes: Vec<Regex>,
    has_null: bool,
}

impl Relation {
    fn admits(self, order: Ordering) -> bool {
        match self {
            Relation::Eq => order.is_eq(),
            Relation::Lt => order.is_lt(),
            Relation::Lte => order.is_le(),
            Relation::Gt => order.is_gt(),
            Relation::Gte => order.is_ge(),
        }
    }

    fn admits_equal(self) -> bool {
        matches!(self, Relation::Eq | Relation::Lte | Relation::Gte)
    }
}

impl Comparison {
    /// Its place among other kinds of tests.
    pub(super) fn turn(&self) -> u8 {
        match self.relation {
            Relation::Eq => 5,
            Relation::Lte => 6,
            Relation::Lt => 7,
            Relation::Gt => 8,
            Relation::Gte => 9,
        }
    }

    /// Whether a value passes, arrays unopened; `None` is an absent value.
    #[inline]
    pub(super) fn matches(&self, value: Option<Raw<'_>>) -> bool {
        let Some(value) = value else { return self.matches_absent() };
        if self.relation == Relation::Eq {
            return self.operand.equals(value);
        }
        match self.operand.order(value) {
            Some(order) => self.relation.admits(order),
            None => self.matches_extreme(value.kind),
        }
    }

    /// Whether that value passes by itself.
    pub(crate) fn matches_value(&self, value: Raw<'_>) -> bool {
        self.matches(Some(value))
    }

    fn matches_absent(&self) -> bool {
        match self.operand.raw().kind {
            Type::Null => self.relation.admits_equal(),
            Type::MinKey => matches!(self.relation, Relation::Gt | Relation::Gte),
            Type::MaxKey => matches!(self.relation, Relation::Lt | Relation::Lte),
            _ => false,
        }
    }

    /// MinKey and MaxKey compare with every class.
    #[cold]
    fn matches_extreme(&self, kind: Type) -> bool {
        match (self.operand.raw().kind, self.relation) {
            (Type::MinKey, Relation::Gt | Relation::Gte) => kind != Type::MinKey,
            (Type::MaxKey, Relation::Lt | Relation::Lte) => kind != Type::MaxKey,
            _ => false,
        }
    }
}

impl List {
    pub(super) fn new(mut values: Vec<Operand>, regexes: Vec<Regex>) -> List {
        values.sort_by(|a, b| b.compare(a.raw()));
        values.dedup_by(|a, b| b.compare(a.raw()).is_eq());
        let has_null = values.iter().any(|value| value.raw().kind == Type::Null);
        List { values, regexes, has_null }
    }

    pub(super) fn has_null(&self) -> bool {
        self.has_null
    }

    pub(super) fn matches(&self, value: Raw<'_>) -> Result<bool> {
        let found = match self.values.as_slice() {
            few if few.len() <= 4 => few.iter().any(|operand| operand.equals(value)),
            many => many.binary_search_by(|operand| operand.compare(value).reverse()).is_ok(),
        };
        if found {
            return Ok(true);
        }
        for regex in &self.regexes {
            if regex.matches(value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// `{path: value}` and `$eq`.
pub(super) fn equality(path: Path, value: Raw<'_>, parser: &Parser<'_>) -> Result<Node> {
    comparison(path, Relation::Eq, value, parser)
}

fn comparison(path: Path, relation: Relation, value: Raw<'_>, parser: &Parser<'_>) -> Result<Node> {
    match value.kind {
        Type::Undefined => return Err(bad_value("cannot compare to undefined")),
        Type::Regex if relation != Relation::Eq => {
            let path = path.as_str();
            return Err(bad_value(format!(
                "Can't have RegEx as arg to non-equality predicate over field '{path}'."
            )));
        }
        _ => {}
    }
    let operand = Operand::new(value, parser.scope.collation());
    let everything = matches!(value.kind, Type::MinKey | Type::MaxKey) && relation != Relation::Eq;
    let test = Test::Compare(Comparison { relation, operand });
    if everything && path.parts().len() > 1 {
        // What is absent is beyond both keys, in an array of the path too.
        let absent = Node::Field { path: path.clone(), test: Test::Exists };
        let whether = Node::Field { path, test };
        let beyond = match value.kind {
            Type::MinKey => matches!(relation, Relation::Gt | Relation::Gte),
            _ => matches!(relation, Relation::Lt | Relation::Lte),
        };
        return Ok(match beyond {
            true => Node::Or(vec![whether, Node::Not(Box::new(absent))]),
            false => whether,
        });
    }
    Ok(Node::Field { path, test })
}

pub(super) fn eq(field: Field<'_, '_>, parser: &mut Parser<'_>) -> Result<Node> {
    equality(field.path.clone(), field.value, parser)
}

pub(super) fn ne(field: Field<'_, '_>, parser: &mut Parser<'_>) -> Result<Node> {
    if field.value.kind == Type::Regex {
        return Err(bad_value("Can't have regex as arg to $ne."));
    }
    Ok(Node::Not(Box::new(equality(field.path.clone(), field.value, parser)?)))
}

pub(super) fn gt(field: Field<'_, '_>, parser: &mut Parser<'_>) -> Result<Node> {
    comparison(field.path.clone(), Relation::Gt, field.value, parser)
}

pub(super) fn gte(field: Field<'_, '_>, parser: &mut Parser<'_>) -> Result<Node> {
    comparison(field.path.clone(), Relation::Gte, field.value, parser)
}

pub(super) fn lt(field: Field<'_, '_>, parser: &mut Parser<'_>) -> Result<Node> {
    comparison(field.path.clone(), Relation::Lt, field.value, parser)
}

pub(super) fn lte(field: Field<'_, '_>, parser: &mut Parser<'_>) -> Result<Node> {
    comparison(field.path.clone(), Relation::Lte, field.value, parser)
}

pub(super) fn is_in(field: Field<'_, '_>, parser: &mut Parser<'_>) -> Result<Node> {
    let Some(array) = field.value.as_array() else {
        return Err(bad_value(format!("{} needs an array", field.name)));
    };
    let (mut values, mut regexes) = (Vec::new(), Vec::new());
    for value in array.iter() {
        match value.kind {
            Type::Undefined => return Err(bad_value("Cannot insert undefined into InListData")),
            Type::Regex => regexes.push(Regex::from_value(value)?),
            Type::Document if is_operators(value, false) => {
                return Err(bad_value(format!("cannot nest $ under {}", field.name)));
            }
            _ => values.push(Operand::new(value, parser.scope.collation())),
        }
    }
    let mut list = List::new(values, regexes);
    if list.regexes.is_empty()
        && list.values.len() == 1
        && let Some(operand) = list.values.pop()
    {
        let test = Test::Compare(Comparison { relation: Relation::Eq, operand });
        return Ok(Node::Field { path: field.path.clone(), test });
    }
    Ok(Node::Field { path: field.path.clone(), test: Test::In(Box::new(list)) })
}

pub(super) fn not_in(field: Field<'_, '_>, parser: &mut Parser<'_>) -> Result<Node> {
    Ok(Node::Not(Box::new(is_in(field, parser)?)))
}
