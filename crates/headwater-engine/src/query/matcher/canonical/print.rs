//! The canonical form as a tree of lines: what errors of the planner show.

use std::fmt::{self, Display, Formatter};

use super::{Canonical, Condition, Pattern, Test, TypeName};
use crate::bson::print::{computed_document, value as value_text};

const INDENT: usize = 4;

impl Display for Canonical<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.root.print(f, 0)
    }
}

impl Condition<'_> {
    fn print(&self, f: &mut Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = depth * INDENT;
        match self {
            Condition::And(inner) => nested(f, depth, "$and", inner),
            Condition::Or(inner) => nested(f, depth, "$or", inner),
            Condition::Nor(inner) => nested(f, depth, "$nor", inner),
            Condition::Not(inner) => nested(f, depth, "$not", std::slice::from_ref(inner)),
            Condition::Field { path, test } => {
                write!(f, "{:indent$}{path} ", "")?;
                test.print(f, depth)
            }
            Condition::Always(yes) => {
                let name = if *yes { "$alwaysTrue" } else { "$alwaysFalse" };
                write!(f, "{:indent$}{name}: 1", "")
            }
            Condition::Whole { name, argument } => {
                let text = argument.as_doc().first().map(|field| match field.value.as_doc() {
                    Some(doc) => computed_document(doc),
                    None => value_text(field.value),
                });
                write!(f, "{:indent$}{name} {}", "", text.unwrap_or_default())
            }
        }
    }
}

fn nested(f: &mut Formatter<'_>, depth: usize, name: &str, inner: &[Condition<'_>]) -> fmt::Result {
    let indent = depth * INDENT;
    write!(f, "{:indent$}{name}", "")?;
    inner.iter().try_for_each(|condition| {
        f.write_str("\n")?;
        condition.print(f, depth + 1)
    })
}

impl Test<'_> {
    fn print(&self, f: &mut Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Test::Compare { relation, value } => write!(f, "{relation} {}", value_text(value.0)),
            Test::In { values, regexes } => {
                let values: Vec<_> = values.iter().map(|value| value_text(value.0)).collect();
                write!(f, "$in [ {}", values.join(" "))?;
                regexes.iter().try_for_each(|regex| write!(f, "{regex} "))?;
                f.write_str("]")
            }
            Test::Regex(regex) => write!(f, "regex {regex}"),
            Test::Exists => f.write_str("exists"),
            Test::Type(types) => {
                f.write_str("$type: { ")?;
                for (at, name) in types.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    match name {
                        TypeName::Number => write!(f, "{comma}{at}: \"number\"")?,
                        TypeName::Code(code) => write!(f, "{comma}{at}: {code}")?,
                    }
                }
                f.write_str(" }")
            }
            Test::Mod(divisor, remainder) => write!(f, "mod {divisor} % x == {remainder}"),
            Test::Bits { name, positions } => write!(f, "{name}: {positions:?}"),
            Test::Size(len) => write!(f, "$size : {len}"),
            Test::ElementDoc(inner) => {
                f.write_str("$elemMatch (obj)\n")?;
                inner.print(f, depth + 1)
            }
            Test::Element(inner) => {
                f.write_str("$elemMatch (value)\n")?;
                match &**inner {
                    Condition::And(all) => all.iter().enumerate().try_for_each(|(at, inner)| {
                        f.write_str(if at == 0 { "" } else { "\n" })?;
                        inner.print(f, depth + 1)
                    }),
                    other => other.print(f, depth + 1),
                }
            }
        }
    }
}

impl Display for Pattern<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.pattern, self.options)
    }
}
