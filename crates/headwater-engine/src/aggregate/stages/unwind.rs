//! `$unwind`: one document for every value of an array.

use std::sync::Arc;

use super::{Parsed, StageSpec, nested};
use crate::aggregate::expressions::Path;
use crate::aggregate::pipeline::Context;
use crate::bson::{Doc, DocBuf, Raw, Type, Value};
use crate::error::{Error, Result};
use crate::query::exec::{Environment, Stage};

#[derive(Debug)]
struct Unwind {
    path: Path,
    index: Option<Path>,
    preserve: bool,
}

pub(super) fn parse(raw: Raw<'_>, _: &mut Context<'_>) -> Result<Parsed> {
    let mut path = None;
    let (mut index, mut preserve) = (None, false);
    match raw.kind {
        Type::String => path = raw.as_str(),
        Type::Document => {
            for element in raw.as_doc().into_iter().flatten() {
                let value = element.value;
                let found = value.kind.alias();
                match element.name {
                    b"path" => {
                        path = Some(value.as_str().ok_or_else(|| {
                            Error::location(
                                28808,
                                format!(
                                    "expected a string as the path for $unwind stage, got {found}"
                                ),
                            )
                        })?);
                    }
                    b"preserveNullAndEmptyArrays" => {
                        preserve = value.as_bool().ok_or_else(|| {
                            let what = "expected a boolean for the preserveNullAndEmptyArrays option to $unwind stage";
                            Error::location(28809, format!("{what}, got {found}"))
                        })?;
                    }
                    b"includeArrayIndex" => {
                        let name = value.as_str().filter(|name| !name.is_empty()).ok_or_else(|| {
                            let what = "expected a non-empty string for the includeArrayIndex  option to $unwind stage";
                            Error::location(28810, format!("{what}, got {found}"))
                        })?;
                        if name.starts_with('$') {
                            let what = "includeArrayIndex option to $unwind stage should not be prefixed with a '$'";
                            return Err(Error::location(28822, format!("{what}: {name}")));
                        }
                        index = Some(Path::parse(name)?);
                    }
                    _ => {
                        let name = element.name_str();
                        return Err(Error::location(
                            28811,
                            format!("unrecognized option to $unwind stage: {name}"),
                        ));
                    }
                }
            }
        }
        kind => {
            let what = "expected either a string or an object as specification for $unwind stage";
            return Err(Error::location(15981, format!("{what}, got {}", kind.alias())));
        }
    }
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        return Err(Error::location(28812, "no path specified to $unwind stage"));
    };
    let Some(name) = path.strip_prefix('$') else {
        let what = "path option to $unwind stage should be prefixed with a '$'";
        return Err(Error::location(28818, format!("{what}: {path}")));
    };
    Ok(vec![Arc::new(Unwind { path: Path::parse(name)?, index, preserve })])
}

impl StageSpec for Unwind {
    fn name(&self) -> &'static str {
        "$unwind"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Unwinding { spec: self, source, current: None })
    }
}

struct Unwinding {
    spec: Arc<Unwind>,
    source: Box<dyn Stage>,
    current: Option<Current>,
}

/// The document whose array is being unwound, and where its next value starts.
struct Current {
    doc: DocBuf,
    array: Vec<u8>,
    offset: usize,
    index: i64,
}

impl Current {
    fn next(&mut self, spec: &Unwind) -> Option<DocBuf> {
        let rest = self.array.get(self.offset..)?;
        let element = Doc::trusted(rest).iter().next()?;
        let taken = 1 + element.name.len() + 1 + element.value.data.len();
        let doc = spec.output(self.doc.as_doc(), Some(element.value), Some(self.index));
        self.offset += taken;
        self.index += 1;
        Some(doc)
    }
}

impl Unwind {
    fn output(&self, doc: Doc<'_>, value: Option<Raw<'_>>, index: Option<i64>) -> DocBuf {
        let replaced = nested::set(doc, &self.path, value);
        let Some(path) = &self.index else { return replaced };
        let index = index.map_or(Value::NULL, Value::i64);
        nested::set(replaced.as_doc(), path, index.raw())
    }

    /// What becomes of a document: it is passed on, dropped, or its array begins.
    fn begin(&self, doc: DocBuf) -> Begun {
        let value = nested::get(doc.as_doc(), &self.path);
        let keep = |doc: &DocBuf| {
            Begun::Whole(match self.index {
                Some(_) => self.output(doc.as_doc(), nested::get(doc.as_doc(), &self.path), None),
                None => doc.clone(),
            })
        };
        match value.map(|raw| (raw.kind, raw.as_array())) {
            None | Some((Type::Null | Type::Undefined, _)) if self.preserve => keep(&doc),
            None | Some((Type::Null | Type::Undefined, _)) => Begun::Nothing,
            Some((_, Some(array))) if array.is_empty() => match self.preserve {
                true => Begun::Whole(self.output(doc.as_doc(), None, None)),
                false => Begun::Nothing,
            },
            Some((_, Some(array))) => {
                let array = array.as_bytes().to_vec();
                Begun::Array(Current { doc, array, offset: 0, index: 0 })
            }
            Some(_) => keep(&doc),
        }
    }
}

enum Begun {
    Nothing,
    Whole(DocBuf),
    Array(Current),
}

impl Stage for Unwinding {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(doc) = current.next(&self.spec) {
                    return Ok(Some(doc));
                }
                self.current = None;
            }
            let Some(doc) = self.source.next(env)? else { return Ok(None) };
            match self.spec.begin(doc) {
                Begun::Nothing => {}
                Begun::Whole(doc) => return Ok(Some(doc)),
                Begun::Array(current) => self.current = Some(current),
            }
        }
    }
}
