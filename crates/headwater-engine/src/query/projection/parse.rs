//! Compiling `$project`, `$addFields` and `$unset`, and what `find` shares with them.

use super::tree::{Field, Fields};
use super::{Projection, prefix};
use crate::aggregate::expressions::{
    self, Expression, Needs, Scope, bson_text, document_text, is_known,
};
use crate::bson::{Doc, Number, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::limits::COMMAND_DEPTH_MAX;

/// What a projection is, once its first telling field has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Inclusion,
    Exclusion,
}

/// A projection while it is read.
pub(super) struct Builder<'s> {
    pub(super) scope: &'s mut Scope,
    pub(super) kind: Option<Kind>,
    pub(super) root: Fields,
    /// What `_id: 0` or `_id: 1` said.
    pub(super) id: Option<bool>,
}

/// Whether a value says 'keep' or 'drop'.
pub(super) fn as_flag(value: Raw<'_>) -> Option<bool> {
    match value.kind {
        Type::Bool => value.as_bool(),
        _ => Number::from_raw(value).map(|number| !number.is_zero()),
    }
}

impl Builder<'_> {
    pub(super) fn new(scope: &mut Scope) -> Builder<'_> {
        Builder { scope, kind: None, root: Fields::new(false), id: None }
    }

    pub(super) fn include(&mut self, path: &str, field: Field) -> Result<()> {
        self.root.check_free(path)?;
        if self.kind == Some(Kind::Exclusion) {
            let message = format!("Cannot do inclusion on field {path} in exclusion projection");
            return Err(Error::location(31253, message));
        }
        self.kind = Some(Kind::Inclusion);
        self.root.insert(path, field)
    }

    pub(super) fn exclude(&mut self, path: &str) -> Result<()> {
        self.root.check_free(path)?;
        if self.kind == Some(Kind::Inclusion) {
            let message = format!("Cannot do exclusion on field {path} in inclusion projection");
            return Err(Error::location(31254, message));
        }
        self.kind = Some(Kind::Exclusion);
        self.root.insert(path, Field::Drop)
    }

    pub(super) fn flag(&mut self, path: &str, keep: bool) -> Result<()> {
        if path == "_id" {
            self.root.insert(path, if keep { Field::Keep } else { Field::Drop })?;
            self.id = Some(keep);
            return Ok(());
        }
        if keep { self.include(path, Field::Keep) } else { self.exclude(path) }
    }

    pub(super) fn compute(&mut self, path: &str, value: Raw<'_>) -> Result<()> {
        let operator = |doc: Doc<'_>| doc.first().is_some_and(|e| e.name.starts_with(b"$"));
        if self.kind == Some(Kind::Exclusion) && value.as_doc().is_some_and(operator) {
            let message = "Cannot use expression other than $meta in exclusion projection";
            return Err(Error::location(31252, message));
        }
        if self.kind == Some(Kind::Exclusion) {
            let name = path.rsplit('.').next().unwrap_or(path);
            let text = bson_text(value);
            return Err(Error::location(
                31310,
                format!("Cannot use an expression {name}: {text} in an exclusion projection"),
            ));
        }
        if let Some(first) = value.as_doc().and_then(Doc::first)
            && first.name.starts_with(b"$")
            && !is_known(first.name_str())
        {
            let message = format!("Unknown expression {}", first.name_str());
            return Err(Error::location(31325, message));
        }
        let expression = Expression::parse(value, self.scope)?;
        self.kind = Some(Kind::Inclusion);
        self.root.insert(path, Field::Compute(expression))
    }

    /// Ends the reading: `_id` is kept unless something else was said.
    pub(super) fn finish(mut self, fallback: Kind) -> Projection {
        let kind = self.kind.unwrap_or(match self.id {
            Some(true) => Kind::Inclusion,
            Some(false) => Kind::Exclusion,
            None => fallback,
        });
        let keep_rest = kind == Kind::Exclusion;
        if keep_rest {
            self.root.keep_rest();
        } else if self.root.child(b"_id").is_none() {
            self.root.children.insert(0, ("_id".into(), Field::Keep));
        }
        Projection { root: self.root, positional: false, needs: Needs::default() }
    }
}

impl Fields {
    /// Turns the tree into one that keeps what it does not name.
    fn keep_rest(&mut self) {
        self.keep_rest = true;
        for (_, field) in &mut self.children {
            if let Field::Nested(fields) = field {
                fields.keep_rest();
            }
        }
    }
}

/// How one field is read: its whole dotted path and its value, none where a nested document begins.
pub(super) type Read<'r> = &'r mut dyn FnMut(&str, Option<Raw<'_>>) -> Result<()>;

/// Walks a specification: nested documents that are no operators are walked into.
pub(super) fn each_field(spec: Doc<'_>, prefix: &str, depth: usize, read: Read<'_>) -> Result<()> {
    if depth > COMMAND_DEPTH_MAX {
        return Err(Error::new(Code::OVERFLOW, "A projection is nested too deeply"));
    }
    for element in spec {
        let path = format!("{prefix}{}", element.name_str());
        match element.value.as_doc() {
            Some(below) if !is_operator(below) => {
                if below.is_empty() {
                    let message = format!("Invalid empty sub-projection: {path}");
                    return Err(Error::location(51270, message));
                }
                read(&path, None)?;
                each_field(below, &format!("{path}."), depth + 1, read)?;
            }
            _ => read(&path, Some(element.value))?,
        }
    }
    Ok(())
}

/// Refuses a positional `$` that ends no path.
///
/// # Errors
/// 31394.
pub(super) fn refuse_inner_position(path: &str) -> Result<()> {
    if !path.contains(".$.") {
        return Ok(());
    }
    Err(Error::location(
        31394,
        "As of 4.4, it's illegal to specify positional operator in the middle of a path.Positional projection may only \
         be used at the end, for example: a.b.$. If the query previously used a form like a.b.$.d, remove the parts \
         following the '$' and the results will be equivalent.",
    ))
}

/// Whether a document is one operator: `{$name: ..}`.
pub(super) fn is_operator(doc: Doc<'_>) -> bool {
    let mut names = doc.iter().map(|element| element.name);
    matches!((names.next(), names.next()), (Some([b'$', ..]), None))
}

/// Compiles `$project`.
pub(super) fn project(spec: Doc<'_>, scope: &mut Scope) -> Result<Projection> {
    if spec.is_empty() {
        let message = "projection specification must have at least one field";
        return Err(Error::location(51272, message));
    }
    let mut builder = Builder::new(scope);
    each_field(spec, "", 0, &mut |path, value| {
        if path.ends_with(".$") {
            let message = "Cannot use positional projection in aggregation projection";
            return Err(Error::location(31324, message));
        }
        refuse_inner_position(path)?;
        expressions::Path::parse(path)?;
        let Some(value) = value else { return builder.root.check_open(path) };
        if value.as_doc().is_some_and(|doc| doc.get("$elemMatch").is_some()) {
            let message = "Cannot use $elemMatch in this context";
            return Err(Error::new(Code::INVALID_PIPELINE_OPERATOR, message));
        }
        match as_flag(value) {
            Some(keep) => builder.flag(path, keep),
            None => builder.compute(path, value),
        }
    })?;
    Ok(builder.finish(Kind::Inclusion))
}

/// Compiles `$addFields`.
pub(super) fn add_fields(spec: Doc<'_>, scope: &mut Scope) -> Result<Projection> {
    let mut root = Fields::new(true);
    add_level(spec, spec, "", 0, &mut root, scope)?;
    Ok(Projection { root, positional: false, needs: Needs::default() })
}

fn add_level(
    whole: Doc<'_>,
    spec: Doc<'_>,
    prefix: &str,
    depth: usize,
    root: &mut Fields,
    scope: &mut Scope,
) -> Result<()> {
    if depth > COMMAND_DEPTH_MAX {
        return Err(Error::new(Code::OVERFLOW, "A specification is nested too deeply"));
    }
    for element in spec {
        let path = format!("{prefix}{}", element.name_str());
        expressions::Path::parse(&path)?;
        if let Some(below) = element.value.as_doc()
            && let Some(first) = below.first()
        {
            if first.name.first() != Some(&b'$') {
                add_level(whole, below, &format!("{path}."), depth + 1, root, scope)?;
                continue;
            }
            let count = below.iter().count();
            if count > 1 {
                let (below, whole) = (document_text(below), document_text(whole));
                return Err(Error::location(
                    40181,
                    format!(
                        "an expression specification must contain exactly one field, the name of the expression. \
                         Found {count} fields in {below}, while parsing object {whole}"
                    ),
                ));
            }
        }
        let expression = Expression::parse(element.value, scope)?;
        root.insert(&path, Field::Compute(expression)).map_err(|_| {
            let other = root.conflict(&path);
            let whole = document_text(whole);
            Error::location(
                40176,
                format!(
                    "specification contains two conflicting paths. Cannot specify both '{path}' and '{other}': {whole}"
                ),
            )
        })?;
    }
    Ok(())
}

impl Fields {
    /// The path that stands in the way of `path`.
    fn conflict(&self, path: &str) -> String {
        let mut fields = self;
        let mut met = Vec::new();
        for name in path.split('.') {
            met.push(name);
            match fields.child(name.as_bytes()) {
                Some((_, Field::Nested(below))) => fields = below,
                _ => return met.join("."),
            }
        }
        while let Some((name, field)) = fields.children.first() {
            met.push(name);
            match field {
                Field::Nested(below) => fields = below,
                _ => break,
            }
        }
        met.join(".")
    }
}

/// Compiles `$unset`.
pub(super) fn unset(spec: Raw<'_>) -> Result<Projection> {
    let mut root = Fields::new(true);
    let mut drop = |path: &str| -> Result<()> {
        expressions::Path::parse(path)?;
        root.insert(path, Field::Drop)
    };
    let invalid = |error: Error| error.with_prefix(prefix("$unset"));
    match spec.kind {
        Type::String => drop(spec.as_str().unwrap_or_default()).map_err(invalid)?,
        Type::Array => {
            let mut empty = true;
            for path in spec.as_array().into_iter().flat_map(|array| array.iter()) {
                empty = false;
                let Some(path) = path.as_str() else {
                    let message = "$unset specification must be a string or an array containing only string values";
                    return Err(Error::location(31120, message));
                };
                drop(path).map_err(invalid)?;
            }
            if empty {
                let message =
                    "$unset specification must be a string or an array with at least one field";
                return Err(Error::location(31119, message));
            }
        }
        _ => {
            let message = "$unset specification must be a string or an array";
            return Err(Error::location(31002, message));
        }
    }
    Ok(Projection { root, positional: false, needs: Needs::default() })
}
