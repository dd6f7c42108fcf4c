//! The canonical form as a filter document: `parsedQuery` and `filter` of `explain`.

use super::normal::sorted;
use super::{Canonical, Condition, Test, TypeName};
use crate::bson::{ArrayWriter, DocBuf, DocWriter, Raw, Type};

impl Canonical<'_> {
    /// The canonical form as a document, which is a filter again.
    pub fn to_document(&self) -> DocBuf {
        let mut out = DocWriter::new();
        self.root.write(&mut out);
        out.finish()
    }
}

impl Condition<'_> {
    fn write(&self, out: &mut DocWriter) {
        match self {
            Condition::And(all) if all.is_empty() => {}
            Condition::And(all) => out.array("$and", |out| each(all, out)),
            Condition::Or(any) => out.array("$or", |out| each(any, out)),
            Condition::Nor(none) => out.array("$nor", |out| each(none, out)),
            Condition::Not(inner) => match &**inner {
                Condition::Field { path, test } => {
                    out.document(path, |out| out.document("$not", |out| test.write(out)));
                }
                other => out.array("$nor", |out| out.document(|out| other.write(out))),
            },
            Condition::Field { path, test } => out.document(path, |out| test.write(out)),
            Condition::Always(true) => out.i32("$alwaysTrue", 1),
            Condition::Always(false) => out.i32("$alwaysFalse", 1),
            Condition::Whole { argument, .. } => out.extend(argument.as_doc()),
        }
    }

    /// Its operators alone, for a condition on an array's elements as values.
    fn write_operators(&self, out: &mut DocWriter) {
        match self {
            Condition::Field { test, .. } => test.write(out),
            Condition::And(all) => all.iter().for_each(|condition| condition.write_operators(out)),
            Condition::Not(inner) => out.document("$not", |out| inner.write_operators(out)),
            other => other.write(out),
        }
    }
}

fn each(conditions: &[Condition<'_>], out: &mut ArrayWriter) {
    conditions.iter().for_each(|condition| out.document(|out| condition.write(out)));
}

impl Test<'_> {
    fn write(&self, out: &mut DocWriter) {
        match self {
            Test::Compare { relation, value } => out.raw(relation, value.0),
            Test::In { values, regexes } => out.array("$in", |out| {
                sorted(values).into_iter().for_each(|value| out.raw(value));
                for regex in regexes {
                    regex.to_value().raw().into_iter().for_each(|regex| out.raw(regex));
                }
            }),
            Test::Regex(regex) => {
                out.str("$regex", &regex.pattern);
                if !regex.options.is_empty() {
                    out.str("$options", &regex.options);
                }
            }
            Test::Exists => out.bool("$exists", true),
            Test::Type(types) => out.array("$type", |out| {
                types.iter().for_each(|name| match name {
                    TypeName::Number => out.str("number"),
                    TypeName::Code(code) => out.i32(*code),
                });
            }),
            Test::Mod(divisor, remainder) => out.array("$mod", |out| {
                for number in [divisor, remainder] {
                    out.raw(Raw { kind: Type::Int64, data: &number.to_le_bytes() });
                }
            }),
            Test::Bits { name, positions } => out.array(name, |out| {
                positions.iter().for_each(|at| out.i32(i32::try_from(*at).unwrap_or(i32::MAX)));
            }),
            Test::Size(len) => match i32::try_from(*len) {
                Ok(len) => out.i32("$size", len),
                Err(_) => out.i64("$size", *len),
            },
            Test::ElementDoc(inner) => out.document("$elemMatch", |out| inner.write(out)),
            Test::Element(inner) => out.document("$elemMatch", |out| inner.write_operators(out)),
        }
    }
}
