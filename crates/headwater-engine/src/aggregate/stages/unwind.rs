//! `$unwind`: one document for every value of an array.

use std::sync::Arc;

use super::{Parsed, StageSpec, nested};
use crate::aggregate::expressions::Path;
use crate::aggregate::pipeline::Context;
use crate::bson::{Array, Doc, DocBuf, DocWriter, Raw, Type, Value};
use crate::error::{Error, Result};
use crate::interrupt::spend;
use crate::query::crew::{Crew, Share, Walk};
use crate::query::exec::{Environment, Flow, Look, Stage};

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

    fn unwinds(&self) -> Option<&[u8]> {
        let mut names = self.path.names();
        let only = names.next().filter(|_| names.next().is_none());
        only.filter(|_| self.index.is_none() && !self.preserve)
    }

    fn keeps(&self, field: &[u8]) -> bool {
        let writes = |path: &Path| path.names().next() == Some(field);
        !writes(&self.path) && !self.index.as_ref().is_some_and(writes)
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Unwinding { spec: self, source, current: None, space: Vec::new() })
    }
}

struct Unwinding {
    spec: Arc<Unwind>,
    source: Box<dyn Stage>,
    current: Option<Current>,
    /// Where documents are written that are only shown.
    space: Vec<u8>,
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

impl Current {
    /// Shows the values that are left.
    fn show(&mut self, spec: &Unwind, show: &mut Look<'_>) -> Result<Flow> {
        while let Some(doc) = self.next(spec) {
            spend(doc.as_doc().as_bytes().len())?;
            if show(doc.as_doc())? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }
}

impl Unwind {
    fn output(&self, doc: Doc<'_>, value: Option<Raw<'_>>, index: Option<i64>) -> DocBuf {
        let replaced = nested::set(doc, &self.path, value);
        let Some(path) = &self.index else { return replaced };
        let index = index.map_or(Value::NULL, Value::i64);
        nested::set(replaced.as_doc(), path, index.raw())
    }

    /// The array to unwind, and the elements before and behind it as they stand in the document; `None` if the values do
    /// not simply take its place.
    fn split<'a>(&self, doc: Doc<'a>) -> Option<(&'a [u8], Array<'a>, &'a [u8])> {
        let mut names = self.path.names();
        let (Some(name), None, None) = (names.next(), names.next(), &self.index) else {
            return None;
        };
        let elements = doc.element_bytes();
        let mut at = 0;
        for element in doc {
            let end = at + element.name.len() + 2 + element.value.data.len();
            if element.name == name {
                let array = element.value.as_array().filter(|array| !array.is_empty())?;
                return Some((elements.get(..at)?, array, elements.get(end..)?));
            }
            at = end;
        }
        None
    }

    /// Shows what becomes of a document, one value after the other; `left` keeps what was not shown.
    fn show(
        &self,
        doc: Doc<'_>,
        space: &mut Vec<u8>,
        left: &mut Option<Current>,
        show: &mut Look<'_>,
    ) -> Result<Flow> {
        let Some((before, array, behind)) = self.split(doc) else {
            return match self.begin(doc.to_buf()) {
                Begun::Nothing => Ok(Flow::Continue),
                Begun::Whole(doc) => show(doc.as_doc()),
                Begun::Array(current) => left.insert(current).show(self, show),
            };
        };
        let name = self.path.names().next().unwrap_or_default();
        let mut offset = 0;
        for (element, index) in Doc::trusted(array.as_bytes()).iter().zip(1..) {
            space.clear();
            let mut out = DocWriter::append_to(std::mem::take(space));
            out.encoded(before);
            out.raw_bytes(name, element.value);
            out.encoded(behind);
            *space = out.into_bytes();
            offset += element.name.len() + 2 + element.value.data.len();
            spend(space.len())?;
            if show(Doc::trusted(space))? == Flow::Stop {
                let array = array.as_bytes().to_vec();
                *left = Some(Current { doc: doc.to_buf(), array, offset, index });
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
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
                    spend(doc.as_doc().as_bytes().len())?;
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

    fn stream(&mut self, env: &dyn Environment, show: &mut Look<'_>) -> Result<()> {
        let Unwinding { spec, source, current, space } = self;
        if let Some(left) = current
            && left.show(spec, show)? == Flow::Stop
        {
            return Ok(());
        }
        *current = None;
        source.stream(env, &mut |doc| spec.show(doc, space, current, show))
    }

    fn share(&mut self, env: &dyn Environment, crew: &dyn Crew) -> Result<bool> {
        match self.current {
            Some(_) => Ok(false),
            None => self.source.share(env, &Behind { spec: &self.spec, crew }),
        }
    }
}

/// A crew that takes in what is unwound.
struct Behind<'c> {
    spec: &'c Unwind,
    crew: &'c dyn Crew,
}

impl Crew for Behind<'_> {
    fn work(&self, share: Share, walk: &mut Walk<'_>) -> bool {
        let mut space = Vec::new();
        self.crew.work(share, &mut |piece, look| {
            walk(piece, &mut |doc| self.spec.show(doc, &mut space, &mut None, look))
        })
    }

    fn give_up(&self) {
        self.crew.give_up();
    }
}
