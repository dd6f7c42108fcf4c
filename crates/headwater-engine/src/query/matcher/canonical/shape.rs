//! The shape of a filter: what is left of it without its values. Queries of one shape may share a plan.

use std::fmt::Write;

use super::{Canonical, Condition, Test};

impl Canonical<'_> {
    /// The shape as text: kinds and paths, no values. Equal for filters that differ in values alone.
    pub fn shape(&self) -> String {
        let mut shape = String::new();
        self.root.shape(&mut shape);
        shape
    }
}

/// The hash by which shapes are shown: eight hexadecimal digits, the same in every run.
pub fn hash(shape: &str) -> String {
    // FNV-1a of 32 bits.
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    format!("{:08X}", shape.bytes().fold(0x811C_9DC5, step))
}

impl Condition<'_> {
    fn shape(&self, out: &mut String) {
        let (name, inner) = match self {
            Condition::And(inner) => ("and", inner.as_slice()),
            Condition::Or(inner) => ("or", inner.as_slice()),
            Condition::Nor(inner) => ("nor", inner.as_slice()),
            Condition::Not(inner) => ("not", std::slice::from_ref(&**inner)),
            Condition::Field { path, test } => {
                // Names are bounded by a character that no path holds.
                let _ = write!(out, "{}:{path}\0", test.shape_name());
                if let Test::ElementDoc(inner) | Test::Element(inner) = test {
                    inner.shape(out);
                }
                return;
            }
            Condition::Always(yes) => {
                let _ = write!(out, "always:{yes}");
                return;
            }
            Condition::Whole { name, .. } => {
                out.push_str(name);
                return;
            }
        };
        out.push_str(name);
        out.push('[');
        inner.iter().for_each(|condition| {
            condition.shape(out);
            out.push(',');
        });
        out.push(']');
    }
}

impl Test<'_> {
    fn shape_name(&self) -> &str {
        match self {
            Test::Compare { relation, .. } => relation,
            Test::In { regexes, .. } if regexes.is_empty() => "in",
            Test::In { .. } => "in-regex",
            Test::Regex(_) => "regex",
            Test::Exists => "exists",
            Test::Type(_) => "type",
            Test::Mod(..) => "mod",
            Test::Bits { name, .. } => name,
            Test::Size(_) => "size",
            Test::ElementDoc(_) => "element-doc",
            Test::Element(_) => "element",
        }
    }
}
