//! `$push` with its modifiers `$each`, `$position`, `$slice` and `$sort`.

use std::cmp::Ordering;

use super::modifier::{Change, Modifier, Operand, Place, nesting};
use super::splice;
use crate::bson::{Array, ArrayWriter, Doc, Number, Raw, Type, Value};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};

/// `$push`.
#[derive(Debug)]
pub(super) struct Push {
    /// The values to push, as an array.
    each: Vec<u8>,
    depth: usize,
    position: Option<i64>,
    slice: Option<i64>,
    sort: Option<Sort>,
    order: ValueOrder,
}

#[derive(Debug)]
enum Sort {
    /// By the whole elements.
    Whole { descending: bool },
    /// By fields of the elements.
    Fields(Vec<SortField>),
}

#[derive(Debug)]
struct SortField {
    path: Vec<String>,
    descending: bool,
}

#[cold]
fn bad(what: impl Into<String>) -> Error {
    Error::new(Code::BAD_VALUE, what)
}

impl Push {
    pub(super) fn parse(operand: &Operand<'_>) -> Result<Push> {
        let mut push = Push {
            each: Vec::new(),
            depth: 0,
            position: None,
            slice: None,
            sort: None,
            order: operand.order(),
        };
        let clauses = operand.value.as_doc().filter(|doc| doc.get("$each").is_some());
        match clauses {
            Some(clauses) => push.clauses(clauses)?,
            None => {
                let mut one = ArrayWriter::new();
                one.raw(operand.value);
                push.each = one.into_bytes();
            }
        }
        push.depth = nesting(push.each().as_raw());
        Ok(push)
    }

    fn clauses(&mut self, clauses: Doc<'_>) -> Result<()> {
        for clause in clauses {
            let value = clause.value;
            match clause.name {
                b"$each" => match value.as_array() {
                    Some(array) => self.each = array.as_bytes().to_vec(),
                    None => {
                        return Err(bad(format!(
                            "The argument to $each in $push must be an array but it was of type: {}",
                            value.kind.alias()
                        )));
                    }
                },
                b"$slice" => {
                    self.slice = Some(integer(value).ok_or_else(|| {
                        bad(format!(
                            "The value for $slice must be an integer value but was given type: {}",
                            value.kind.alias()
                        ))
                    })?);
                }
                b"$position" => {
                    self.position = Some(integer(value).ok_or_else(|| {
                        bad(format!(
                            "The value for $position must be an integer value, not of type: {}",
                            value.kind.alias()
                        ))
                    })?);
                }
                b"$sort" => self.sort = Some(Sort::parse(value)?),
                _ => {
                    return Err(bad(format!(
                        "Unrecognized clause in $push: {}",
                        clause.name_str()
                    )));
                }
            }
        }
        Ok(())
    }

    fn each(&self) -> Array<'_> {
        Array::trusted(&self.each)
    }

    /// The old elements with the new ones put in, sorted and cut.
    fn result<'a>(&'a self, old: Vec<Raw<'a>>) -> Vec<Raw<'a>> {
        let mut all = old;
        let at = insertion_point(self.position, all.len());
        all.splice(at..at, self.each().iter());
        if let Some(sort) = &self.sort {
            all.sort_by(|a, b| sort.compare(*a, *b, &self.order));
        }
        if let Some(slice) = self.slice {
            let keep = usize::try_from(slice.unsigned_abs()).unwrap_or(usize::MAX).min(all.len());
            if slice < 0 {
                all.drain(..all.len() - keep);
            } else {
                all.truncate(keep);
            }
        }
        all
    }

    /// Whether the values just go to the end of a non-empty array, which is cheaper and described more shortly.
    fn appends_to(&self, old: Array<'_>) -> bool {
        self.sort.is_none()
            && self.slice.is_none()
            && !old.is_empty()
            && self.position.is_none_or(|p| usize::try_from(p).is_ok_and(|p| p > old.len()))
    }
}

fn integer(value: Raw<'_>) -> Option<i64> {
    Number::from_raw(value)?.to_i64_exact()
}

fn insertion_point(position: Option<i64>, len: usize) -> usize {
    let Some(position) = position else { return len };
    let distance = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    if position >= 0 { distance.min(len) } else { len.saturating_sub(distance) }
}

impl Sort {
    fn parse(spec: Raw<'_>) -> Result<Sort> {
        if let Some(direction) = Number::from_raw(spec) {
            return match direction.to_i64_exact() {
                Some(direction @ (1 | -1)) => Ok(Sort::Whole { descending: direction < 0 }),
                _ => Err(bad("The $sort element value must be either 1 or -1")),
            };
        }
        let Some(fields) = spec.as_doc() else {
            return Err(bad(
                "The $sort is invalid: use 1/-1 to sort the whole element, or {field:1/-1} to sort embedded fields",
            ));
        };
        if fields.is_empty() {
            return Err(bad("The sort pattern is empty when it should be a set of fields."));
        }
        let fields = fields.iter().map(|field| {
            let name = field.name_str();
            let direction = Number::from_raw(field.value).and_then(Number::to_i64_exact);
            let Some(direction @ (1 | -1)) = direction else {
                return Err(bad("The sort element value must be either 1 or -1"));
            };
            if name.is_empty() {
                return Err(bad("The sort field cannot be empty"));
            }
            let path: Vec<String> = name.split('.').map(str::to_owned).collect();
            if path.iter().any(String::is_empty) {
                return Err(bad(format!(
                    "The sort field is a dotted field but has an empty part: {name}"
                )));
            }
            Ok(SortField { path, descending: direction < 0 })
        });
        Ok(Sort::Fields(fields.collect::<Result<_>>()?))
    }

    fn compare(&self, a: Raw<'_>, b: Raw<'_>, order: &ValueOrder) -> Ordering {
        match self {
            Sort::Whole { descending } => directed(order.compare(a, b), *descending),
            Sort::Fields(fields) => fields
                .iter()
                .map(|f| directed(order.compare(f.of(a), f.of(b)), f.descending))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal),
        }
    }
}

fn directed(order: Ordering, descending: bool) -> Ordering {
    if descending { order.reverse() } else { order }
}

impl SortField {
    /// The element's value to sort by; null where it has none, as if it is no document.
    fn of<'a>(&self, element: Raw<'a>) -> Raw<'a> {
        let Some((first, rest)) = self.path.split_first() else { return Raw::NULL };
        let start = element.as_doc().and_then(|doc| doc.get(first));
        let value = rest.iter().try_fold(start, |value, name| {
            let value = value?;
            let inside = matches!(value.kind, Type::Document | Type::Array);
            inside.then(|| Doc::trusted(value.data).get(name))
        });
        value.flatten().unwrap_or(Raw::NULL)
    }
}

fn array_of<'a>(values: impl IntoIterator<Item = Raw<'a>>) -> Value<'static> {
    let mut array = ArrayWriter::new();
    values.into_iter().for_each(|value| array.raw(value));
    Value::array(array.into_bytes())
}

impl Modifier for Push {
    fn existing<'a>(&'a self, value: Raw<'a>, place: &Place<'_, 'a>) -> Result<Change<'a>> {
        let Some(old) = value.as_array() else {
            return Err(bad(format!(
                "The field '{}' must be an array but is of type {} in document {{{}}}",
                place.path,
                value.kind.alias(),
                place.id()
            )));
        };
        if self.appends_to(old) {
            if self.each().is_empty() {
                return Ok(Change::Keep);
            }
            let (from, new) = (old.len(), self.each());
            return Ok(Change::Append { array: splice::append(old, from, new.iter()), from, new });
        }
        let old: Vec<Raw<'_>> = old.iter().collect();
        let len = old.len();
        let new = self.result(old);
        let unchanged = self.each().is_empty() && self.sort.is_none() && new.len() == len;
        Ok(if unchanged { Change::Keep } else { Change::Set(array_of(new)) })
    }

    fn missing<'a>(&'a self, _: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        Ok(Some(array_of(self.result(Vec::new()))))
    }

    fn depth(&self) -> usize {
        self.depth
    }
}
