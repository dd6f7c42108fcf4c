//! Why a document does not match a filter, in the shape of MongoDB's `errInfo.details` of a failed validation.
//!
//! Runs after a validator said no, so it may take its time: it goes through the filter as it was written and asks anew.

use std::collections::BTreeSet;

use super::schema::Schema;
use super::{Matcher, parse};
use crate::aggregate::expressions::{Expression, Scope, document_text};
use crate::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Element, Raw, Type};
use crate::error::{Error, Result};
use crate::query::path::{Leaf, Path, Root};

/// One condition of a filter as it was written.
#[derive(Clone, Copy)]
enum Clause<'a> {
    /// `{$name: value}`.
    Top(Element<'a>),
    /// `{path: value}`.
    Equal(Element<'a>),
    /// `{path: {$name: value}}`, with what else stands in the inner document.
    Operator { path: &'a str, operator: Element<'a>, siblings: Doc<'a> },
}

/// What the report is about: a document and which answer is wrong.
struct Report<'r, 'a> {
    doc: Doc<'a>,
    scope: &'r mut Scope,
    /// Whether conditions are reported that hold, because their opposite was asked for.
    inverted: bool,
}

impl Matcher {
    /// Why a document does not match: the `details` of a failed validation. If that cannot be told, why not.
    pub fn failure(&self, doc: Doc<'_>, scope: &mut Scope) -> DocBuf {
        let mut out = DocWriter::new();
        let Err(error) = (Report { doc, scope, inverted: false }).filter(self.filter(), &mut out)
        else {
            return out.finish();
        };
        let mut out = DocWriter::new();
        out.i32("code", error.code().0);
        out.str("codeName", &error.code().name());
        out.str("errmsg", error.message());
        out.finish()
    }
}

/// The conditions of a filter; comments are none.
fn clauses(filter: Doc<'_>) -> Vec<Clause<'_>> {
    let mut clauses = Vec::new();
    for element in filter {
        match element.name {
            b"$comment" => {}
            [b'$', ..] => clauses.push(Clause::Top(element)),
            _ if parse::is_operators(element.value, false) => {
                operators(element.name_str(), element.value, &mut clauses);
            }
            _ => clauses.push(Clause::Equal(element)),
        }
    }
    clauses
}

fn operators<'a>(path: &'a str, value: Raw<'a>, clauses: &mut Vec<Clause<'a>>) {
    let siblings = value.as_doc().unwrap_or(Doc::EMPTY);
    let counted = siblings.iter().filter(|operator| operator.name != b"$options");
    clauses.extend(counted.map(|operator| Clause::Operator { path, operator, siblings }));
}

impl<'a> Clause<'a> {
    fn write(self, out: &mut DocWriter) {
        match self {
            Clause::Top(element) | Clause::Equal(element) => {
                out.raw_bytes(element.name, element.value);
            }
            Clause::Operator { path, operator, siblings } => out.document(path, |out| {
                out.raw_bytes(operator.name, operator.value);
                if operator.name == b"$regex"
                    && let Some(options) = siblings.get("$options")
                {
                    out.raw("$options", options);
                }
            }),
        }
    }

    fn name(self) -> &'a str {
        match self {
            Clause::Top(element) => element.name_str(),
            Clause::Equal(element) if element.value.kind == Type::Regex => "$regex",
            Clause::Equal(_) => "$eq",
            Clause::Operator { operator, .. } => operator.name_str(),
        }
    }
}

impl<'a> Report<'_, 'a> {
    /// Whether the condition is to be reported.
    fn is_wrong(&mut self, clause: Clause<'_>) -> Result<bool> {
        let mut filter = DocWriter::new();
        clause.write(&mut filter);
        let matcher = Matcher::parse(filter.finish().as_doc(), self.scope)?;
        Ok(matcher.matches(self.doc)? == self.inverted)
    }

    fn filter(&mut self, filter: Doc<'_>, out: &mut DocWriter) -> Result<()> {
        self.all("$and", &clauses(filter), out)
    }

    fn all(&mut self, name: &str, clauses: &[Clause<'_>], out: &mut DocWriter) -> Result<()> {
        if let [clause] = clauses {
            return self.clause(*clause, out);
        }
        out.str("operatorName", name);
        let list = if self.inverted { "clausesSatisfied" } else { "clausesNotSatisfied" };
        out.array(list, |out| {
            for (clause, at) in clauses.iter().zip(0..) {
                if self.is_wrong(*clause)? {
                    self.indexed(at, out, |report, out| report.clause(*clause, out))?;
                }
            }
            Ok(())
        })
    }

    fn indexed(
        &mut self,
        at: i32,
        out: &mut ArrayWriter,
        details: impl FnOnce(&mut Self, &mut DocWriter) -> Result<()>,
    ) -> Result<()> {
        out.document(|out| {
            out.i32("index", at);
            out.document("details", |out| details(self, out))
        })
    }

    fn opposite<T>(&mut self, report: impl FnOnce(&mut Self) -> T) -> T {
        self.inverted = !self.inverted;
        let told = report(self);
        self.inverted = !self.inverted;
        told
    }

    fn clause(&mut self, clause: Clause<'_>, out: &mut DocWriter) -> Result<()> {
        match clause {
            Clause::Top(element) => self.top(element, out),
            Clause::Operator { path, operator, .. } if operator.name == b"$not" => {
                out.str("operatorName", "$not");
                let mut inner = Vec::new();
                match operator.value.kind {
                    Type::Regex => inner.push(Clause::Equal(Element {
                        name: path.as_bytes(),
                        value: operator.value,
                    })),
                    _ => operators(path, operator.value, &mut inner),
                }
                out.document("details", |out| {
                    self.opposite(|report| report.all("$and", &inner, out))
                })
            }
            Clause::Equal(Element { name, .. }) => {
                let path = Path::parse(std::str::from_utf8(name).unwrap_or_default())?;
                self.leaf(clause, &path, out)
            }
            Clause::Operator { path, .. } => {
                let path = Path::parse(path)?;
                self.leaf(clause, &path, out)
            }
        }
    }

    fn top(&mut self, element: Element<'_>, out: &mut DocWriter) -> Result<()> {
        let name = element.name_str();
        let branches = element.value.as_array().into_iter().flat_map(|array| array.iter());
        let branches: Vec<Doc<'_>> = branches.filter_map(Raw::as_doc).collect();
        match name {
            "$and" | "$or" | "$nor" => {
                out.str("operatorName", name);
                if name == "$nor" {
                    return self.opposite(|report| report.branches(&branches, out));
                }
                self.branches(&branches, out)
            }
            "$jsonSchema" => {
                out.str("operatorName", name);
                if self.inverted {
                    out.str("reason", "schema matched");
                    return Ok(());
                }
                let schema = Schema::parse(element.value.as_doc().unwrap_or(Doc::EMPTY))?;
                schema.write_failure(element.value, self.doc, out)
            }
            "$expr" => {
                out.str("operatorName", name);
                out.document("specifiedAs", |out| out.raw(name, element.value));
                let reason =
                    if self.inverted { "expression did match" } else { "expression did not match" };
                out.str("reason", reason);
                let expression = Expression::parse(element.value, self.scope)?;
                if let Some(result) = expression.evaluate(self.doc)?.raw() {
                    out.raw("expressionResult", result);
                }
                Ok(())
            }
            _ => {
                let mut specified = DocWriter::new();
                specified.raw(name, element.value);
                let text = document_text(specified.finish().as_doc());
                Err(Error::location(
                    4_994_600,
                    format!(
                        "Cannot generate validation error details: no annotation found for expression {text}"
                    ),
                ))
            }
        }
    }

    fn branches(&mut self, branches: &[Doc<'_>], out: &mut DocWriter) -> Result<()> {
        let list = if self.inverted { "clausesSatisfied" } else { "clausesNotSatisfied" };
        out.array(list, |out| {
            for (branch, at) in branches.iter().zip(0..) {
                let matcher = Matcher::parse(*branch, self.scope)?;
                if matcher.matches(self.doc)? == self.inverted {
                    self.indexed(at, out, |report, out| report.filter(*branch, out))?;
                }
            }
            Ok(())
        })
    }

    fn leaf(&mut self, clause: Clause<'_>, path: &Path, out: &mut DocWriter) -> Result<()> {
        let name = clause.name();
        out.str("operatorName", name);
        out.document("specifiedAs", |out| clause.write(out));
        if let Clause::Operator { operator, .. } = clause
            && name == "$exists"
        {
            let asked = super::element::is_true(operator.value) != self.inverted;
            out.str("reason", if asked { "path does not exist" } else { "path does exist" });
            return Ok(());
        }
        let leaf = match name {
            "$size" | "$elemMatch" | "$all" => Leaf::Whole,
            _ => Leaf::Elements,
        };
        let mut missing = true;
        let mut values = Vec::new();
        path.walk(Root::Doc(self.doc), leaf, &mut |value, position| {
            missing &= value.is_none();
            // An array whose elements were seen is not considered itself.
            let is_opened = leaf == Leaf::Elements
                && position.is_none()
                && value.is_some_and(|value| value.kind == Type::Array);
            values.extend(value.filter(|_| !is_opened));
            Ok(false)
        })?;
        if missing {
            out.str("reason", "field was missing");
            return Ok(());
        }
        let expected = expected_types(name);
        let wrong_types = !expected.is_empty()
            && !values.is_empty()
            && values.iter().all(|value| !expected.contains(&value.kind.alias()));
        let types: BTreeSet<&str> = values.iter().map(|value| value.kind.alias()).collect();
        if wrong_types {
            out.str("reason", "type did not match");
            write_types("consideredType", types.iter().copied(), out);
            write_types("expectedType", expected.iter().copied(), out);
        } else {
            out.str("reason", reason(name, self.inverted));
        }
        match values.as_slice() {
            [value] => out.raw("consideredValue", *value),
            values => out.array("consideredValues", |out| {
                values.iter().for_each(|value| out.raw(*value));
            }),
        }
        if name == "$type" {
            write_types("consideredType", types.into_iter(), out);
        }
        Ok(())
    }
}

/// Writes one type under `name`, or several under its plural.
fn write_types<'t>(name: &str, types: impl ExactSizeIterator<Item = &'t str>, out: &mut DocWriter) {
    let mut types = types;
    if types.len() == 1 {
        if let Some(only) = types.next() {
            out.str(name, only);
        }
        return;
    }
    out.array(&format!("{name}s"), |out| types.for_each(|alias| out.str(alias)));
}

/// The types that an operator looks at, if it does not look at all.
fn expected_types(name: &str) -> &'static [&'static str] {
    match name {
        "$regex" => &["regex", "string", "symbol"],
        "$mod" => &["decimal", "double", "int", "long"],
        "$bitsAllSet" | "$bitsAllClear" | "$bitsAnySet" | "$bitsAnyClear" => {
            &["binData", "decimal", "double", "int", "long"]
        }
        "$size" | "$elemMatch" => &["array"],
        _ => &[],
    }
}

fn reason(name: &str, inverted: bool) -> &'static str {
    // What `$ne` and `$nin` ask for is the opposite of what they are named after.
    let holds = inverted != matches!(name, "$ne" | "$nin");
    match (name, holds) {
        ("$in" | "$nin", false) => "no matching value found in array",
        ("$in" | "$nin", true) => "matching value found in array",
        ("$type", false) => "type did not match",
        ("$type", true) => "type did match",
        ("$mod", false) => "$mod did not evaluate to expected remainder",
        ("$mod", true) => "$mod did evaluate to expected remainder",
        ("$regex", false) => "regular expression did not match",
        ("$regex", true) => "regular expression did match",
        ("$size", false) => "array length was not equal to given size",
        ("$size", true) => "array length was equal to given size",
        ("$all", false) => "array did not contain all specified values",
        ("$all", true) => "array did contain all specified values",
        ("$elemMatch", false) => "array did not satisfy the child predicate",
        ("$elemMatch", true) => "array did satisfy the child predicate",
        ("$bitsAllSet" | "$bitsAllClear" | "$bitsAnySet" | "$bitsAnyClear", false) => {
            "bitwise operator failed to match"
        }
        ("$bitsAllSet" | "$bitsAllClear" | "$bitsAnySet" | "$bitsAnyClear", true) => {
            "bitwise operator matched successfully"
        }
        (_, false) => "comparison failed",
        (_, true) => "comparison succeeded",
    }
}
