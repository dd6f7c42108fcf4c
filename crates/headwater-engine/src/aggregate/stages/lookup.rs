//! `$lookup`: to each document an array of documents of another collection, by equality of fields, by a pipeline, or both.
//!
//! A pipeline whose `let` variables it uses is parsed again for every document, with the variables as constants; so a filter
//! on them can use an index. A pipeline that uses none is run once. Without an index on the other field its collection is
//! read once into a hash, if that fits into memory; with one it is too as soon as it turns out to be small beside the
//! number of documents that ask.

mod hash;

use std::sync::Arc;

use super::union_with::begins_with_documents;
use super::{Parsed, StageSpec, nested};
use crate::aggregate::expressions::{Expression, Frame, Path, Scope, check_variable_name};
use crate::aggregate::pipeline::{
    Context, OPTIMIZING, Pipeline, Place, check_objects, conjunction, expect, missing_field,
    survey_at, unknown_field,
};
use crate::bson::{Array, ArrayWriter, Doc, DocBuf, DocWriter, Raw, Type};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::query::exec::{Environment, Ready, Stage};
use crate::query::matcher::Matcher;

use hash::Hash;

#[derive(Debug)]
struct Lookup {
    order: ValueOrder,
    db: Box<str>,
    from: Option<Box<str>>,
    fields: Option<Fields>,
    inner: Inner,
    into: Path,
    /// Whether the collection may be found otherwise than as the stage says.
    rewrites: bool,
    /// What is asked of the joined documents, if others may be left out.
    filter: Option<Arc<Matcher>>,
}

/// The two fields of an equality.
#[derive(Debug, Clone)]
struct Fields {
    local: Path,
    foreign: Box<str>,
}

/// The pipeline inside.
#[derive(Debug)]
struct Inner {
    pipeline: Pipeline,
    correlated: Option<Correlated>,
    /// What evaluating its constants raised: what running it raises.
    failing: Option<Error>,
}

/// What is needed to parse the pipeline again.
#[derive(Debug)]
struct Correlated {
    stages: Vec<u8>,
    variables: Vec<(Box<str>, Expression)>,
    scope: Scope,
    depth: usize,
}

/// The arguments as they are written.
#[derive(Default)]
struct Arguments<'a> {
    from: Option<Box<str>>,
    local: Option<&'a str>,
    foreign: Option<&'a str>,
    variables: Option<Doc<'a>>,
    stages: Option<Array<'a>>,
    into: &'a str,
}

pub(super) fn survey(raw: Raw<'_>, db: &str, depth: usize) -> Result<()> {
    let arguments = Arguments::parse(raw, db)?;
    arguments.stages.map_or(Ok(()), |stages| survey_at(stages, db, depth + 1))
}

impl<'a> Arguments<'a> {
    fn parse(raw: Raw<'a>, db: &str) -> Result<Arguments<'a>> {
        let Some(doc) = raw.as_doc() else {
            let what = "the $lookup stage specification must be an object, but found ";
            return Err(invalid(&format!("{what}{}", raw.kind.alias())));
        };
        let mut arguments = Arguments::default();
        let (mut from, mut into) = (None, None);
        for element in doc {
            let value = element.value;
            let name = element.name_str();
            match name {
                "from" => from = Some(value),
                "localField" | "foreignField" | "as" => {
                    expect(value, Type::String, "$lookup", name)?;
                    let place = match name {
                        "localField" => &mut arguments.local,
                        "foreignField" => &mut arguments.foreign,
                        _ => &mut into,
                    };
                    *place = value.as_str();
                }
                "let" => {
                    expect(value, Type::Document, "$lookup", name)?;
                    arguments.variables = value.as_doc();
                }
                "pipeline" => {
                    let message = "A pipeline must be an array of objects";
                    let wrong = || Error::new(Code::TYPE_MISMATCH, message);
                    arguments.stages = Some(value.as_array().ok_or_else(wrong)?);
                }
                "_internalCollation" | "_internalUnwind" => {
                    return Err(Error::not_supported(format_args!("$lookup.{name}")));
                }
                _ => return Err(unknown_field("$lookup", name)),
            }
        }
        arguments.into = into.ok_or_else(|| missing_field("$lookup", "as"))?;
        arguments.from = from.map(parse_from).transpose()?;
        arguments.stages.map_or(Ok(()), check_objects)?;
        if arguments.from.as_deref() == Some("") {
            let message = format!("invalid $lookup namespace: {db}");
            return Err(Error::new(Code::INVALID_NAMESPACE, message));
        }
        match (&arguments.from, arguments.stages) {
            (None, None) => Err(invalid("must specify 'pipeline' when 'from' is empty")),
            (None, stages) if !begins_with_documents(stages) => Err(invalid(
                "$lookup stage without explicit collection must have a pipeline with $documents as first stage",
            )),
            (_, None) if arguments.local.is_none() || arguments.foreign.is_none() => {
                Err(invalid(NEITHER))
            }
            _ => Ok(arguments),
        }
    }
}

const NEITHER: &str =
    "$lookup requires either 'pipeline' or both 'localField' and 'foreignField' to be specified";

/// Whether a field is named: an empty name is none.
fn named(name: &&str) -> bool {
    !name.is_empty()
}

fn invalid(message: &str) -> Error {
    Error::new(Code::FAILED_TO_PARSE, message)
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Arguments { from, local, foreign, variables, stages, into } =
        Arguments::parse(raw, context.db)?;
    if variables.is_some() && stages.is_none() {
        return Err(invalid("$lookup with a 'let' argument must also specify 'pipeline'"));
    }
    let fields = match (local.filter(named), foreign.filter(named)) {
        (Some(local), Some(foreign)) => {
            let local = Path::parse(local)?;
            Path::parse(foreign)?;
            Some(Fields { local, foreign: foreign.into() })
        }
        (None, None) if stages.is_some() => None,
        _ if stages.is_some() => {
            return Err(invalid(
                "$lookup with 'pipeline' may not specify only one of 'localField' or 'foreignField'",
            ));
        }
        _ => return Err(invalid(NEITHER)),
    };
    let into = Path::parse(into)?;
    let db: Box<str> = context.db.into();
    let inner = parse_inner(from.as_deref(), stages, variables, context)?;
    let order = context.scope.order().clone();
    let rewrites = context.scope.rewrites();
    Ok(vec![Arc::new(Lookup { order, db, from, fields, inner, into, rewrites, filter: None })])
}

/// The collection's name.
fn parse_from(value: Raw<'_>) -> Result<Box<str>> {
    if let Some(doc) = value.as_doc() {
        for element in doc {
            let name = element.name_str();
            match name {
                "db" | "coll" => expect(element.value, Type::String, "from", name)?,
                _ => return Err(unknown_field("from", name)),
            }
        }
        let part = |name| doc.get(name).and_then(Raw::as_str).unwrap_or_default();
        let (db, coll) = (part("db"), part("coll"));
        let message = format!(
            "$lookup with syntax {{from: {{db:<>, coll:<>}},..}} is not supported for db: {db} and coll: {coll}"
        );
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    }
    value.as_str().map(Into::into).ok_or_else(|| {
        let message = format!(
            "$lookup 'from' field must be a string or an object, but found {}",
            value.kind.alias()
        );
        Error::new(Code::FAILED_TO_PARSE, message)
    })
}

fn parse_inner(
    from: Option<&str>,
    stages: Option<Array<'_>>,
    variables: Option<Doc<'_>>,
    context: &mut Context<'_>,
) -> Result<Inner> {
    let mut parsed = Vec::new();
    for element in variables.into_iter().flatten() {
        check_variable_name(element.name_str())?;
        let value = Expression::parse(element.value, context.scope)?;
        parsed.push((Box::from(element.name_str()), value));
    }
    let Some(stages) = stages else {
        return Ok(Inner { pipeline: Pipeline::default(), correlated: None, failing: None });
    };
    let mut scope = context.scope.clone();
    scope.take_folding_error();
    let names: Vec<&str> = parsed.iter().map(|(name, _): &(Box<str>, _)| &**name).collect();
    let outer = scope.uses_outer();
    names.iter().for_each(|name| scope.define_outer(name));
    let depth = context.depth;
    let mut inner_context = Context {
        scope: &mut scope,
        db: context.db,
        collection: from,
        place: context.place,
        depth,
    };
    let mut inner_context = inner_context.inner(Place::Lookup, from)?;
    // What evaluating constants raises is raised when the stage runs.
    let pipeline = Pipeline::parse_without_folding_errors(stages, &mut inner_context)?;
    let correlated = scope.uses_outer().then(|| Correlated {
        stages: stages.as_bytes().to_vec(),
        variables: parsed,
        scope: context.scope.clone(),
        depth: depth + 1,
    });
    if outer || correlated.is_some() {
        context.scope.note_outer_use();
    }
    Ok(Inner { pipeline, correlated, failing: scope.take_folding_error() })
}

/// Opens a collection and starts a pipeline over it. Leading filters go into the opening.
pub(super) fn open(
    env: &dyn Environment,
    db: &str,
    collection: &str,
    pipeline: &Pipeline,
    order: &ValueOrder,
) -> Result<Box<dyn Stage>> {
    if pipeline.has_source() {
        return Ok(pipeline.build(Box::new(Empty)));
    }
    let filter = pipeline.leading_filter();
    Ok(pipeline.build(env.open(db, collection, filter.as_doc(), order)?))
}

/// No documents.
pub(super) struct Empty;

impl Stage for Empty {
    fn next(&mut self, _: &dyn Environment) -> Result<Option<DocBuf>> {
        Ok(None)
    }
}

impl StageSpec for Lookup {
    fn name(&self) -> &'static str {
        "$lookup"
    }

    fn keeps(&self, field: &[u8]) -> bool {
        self.into.names().next() != Some(field)
    }

    fn is_one_to_one(&self) -> bool {
        true
    }

    fn joined_if(
        &self,
        field: &[u8],
        filter: Doc<'_>,
        scope: &mut Scope,
    ) -> Result<Option<Arc<dyn StageSpec>>> {
        let mut names = self.into.names();
        let is_there = names.next() == Some(field) && names.next().is_none();
        if !is_there || !self.joins() || self.filter.is_some() {
            return Ok(None);
        }
        Ok(Some(Arc::new(Lookup {
            order: self.order.clone(),
            db: self.db.clone(),
            from: self.from.clone(),
            fields: self.fields.clone(),
            inner: Inner { pipeline: Pipeline::default(), correlated: None, failing: None },
            into: self.into.clone(),
            rewrites: self.rewrites,
            filter: Some(Arc::new(Matcher::parse(filter, scope)?)),
        })))
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        let (access, cached) = (Access::First, None);
        Box::new(LookingUp { spec: self, source, access, cached, key: Vec::new() })
    }
}

/// How documents of the other collection are found by the value of a field.
#[derive(Default)]
enum Access {
    /// By asking for each; so many were asked for.
    #[default]
    First,
    Second,
    /// By asking for each: there is no room for a hash.
    Each,
    /// By asking an index for each: so many were asked for.
    Index(usize),
    /// In memory.
    Hash(Box<Hash>),
    /// In memory, and by an index where memory does not answer.
    Both(Box<Hash>),
}

/// Questions to an index before its collection is looked at for the first time, and how many more make it worth another
/// look.
const ASKED: (usize, usize) = (500, 4);
/// Documents that are read for each question that was asked.
const READ_EACH: usize = 2;

struct LookingUp {
    spec: Arc<Lookup>,
    source: Box<dyn Stage>,
    access: Access,
    /// The result of a pipeline that is the same for every document, as the bytes of an array.
    cached: Option<Vec<u8>>,
    /// Space for keys.
    key: Vec<u8>,
}

impl Stage for LookingUp {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        let Some(doc) = self.source.next(env)? else { return Ok(None) };
        let spec = Arc::clone(&self.spec);
        if spec.fields.is_none() && spec.inner.correlated.is_none() {
            let found = match self.cached.take() {
                Some(found) => found,
                None => spec.find(doc.as_doc(), &Access::Each, env)?,
            };
            let set = nested::set(doc.as_doc(), &spec.into, Some(Array::trusted(&found).as_raw()));
            self.cached = Some(found);
            return Ok(Some(set));
        }
        self.access = match std::mem::take(&mut self.access) {
            Access::First => Access::Second,
            Access::Second => spec.hash(env)?,
            Access::Index(asked) => spec.hash_beside_index(asked + 1, env)?,
            other => other,
        };
        if let Access::Hash(hash) | Access::Both(hash) = &self.access
            && let Some(found) = spec.join(doc.as_doc(), hash, &mut self.key)
        {
            return found.map(Some);
        }
        let found = spec.find(doc.as_doc(), &self.access, env)?;
        Ok(Some(nested::set(doc.as_doc(), &spec.into, Some(Array::trusted(&found).as_raw()))))
    }
}

impl Lookup {
    /// The other collection in memory, unless an index answers, or it does not fit.
    fn hash(&self, env: &dyn Environment) -> Result<Access> {
        let (Some(from), Some(fields)) = (&self.from, &self.fields) else {
            return Ok(Access::Each);
        };
        if env.has_index(&self.db, from, &fields.foreign, &self.order) {
            return Ok(if self.joins() { Access::Index(0) } else { Access::Each });
        }
        let hash = Hash::build(env, (&self.db, from), &fields.foreign, &self.order, usize::MAX)?;
        Ok(hash.map_or(Access::Each, |hash| Access::Hash(Box::new(hash))))
    }

    /// Whether all that is asked for is the documents with a value.
    fn joins(&self) -> bool {
        let inner = &self.inner;
        self.rewrites
            && self.fields.as_ref().is_some_and(|fields| fields.local.names().len() == 1)
            && self.into.names().len() == 1
            && inner.pipeline.stages().is_empty()
            && inner.correlated.is_none()
            && inner.failing.is_none()
    }

    /// The other collection in memory, once so many were asked for that it is worth it.
    fn hash_beside_index(&self, asked: usize, env: &dyn Environment) -> Result<Access> {
        let (Some(from), Some(fields)) = (&self.from, &self.fields) else {
            return Ok(Access::Each);
        };
        let mut look = ASKED.0;
        while look < asked {
            look = look.saturating_mul(ASKED.1);
        }
        if asked < look {
            return Ok(Access::Index(asked));
        }
        let of = (&*self.db, &**from);
        let hash = Hash::build(env, of, &fields.foreign, &self.order, asked * READ_EACH)?;
        Ok(hash.map_or(Access::Index(asked), |hash| Access::Both(Box::new(hash))))
    }

    /// The document with what belongs to it, if nothing but equality with a plain value is asked for.
    fn join(&self, doc: Doc<'_>, hash: &Hash, key: &mut Vec<u8>) -> Option<Result<DocBuf>> {
        if !self.joins() {
            return None;
        }
        let local = self.fields.as_ref()?.local.names().next()?;
        let found = hash.equal(doc.get_bytes(local)?, key, &self.order)?;
        let mut array = ArrayWriter::new();
        for doc in found {
            match self.filter.as_ref().map_or(Ok(true), |filter| filter.matches(doc)) {
                Ok(true) => array.doc(doc),
                Ok(false) => continue,
                Err(error) => return Some(Err(error)),
            }
            if let Err(error) = self.check_size(&array) {
                return Some(Err(error));
            }
        }
        let array = array.into_bytes();
        Some(Ok(nested::set(doc, &self.into, Some(Array::trusted(&array).as_raw()))))
    }

    /// Checks that what was found so far fits into a document.
    ///
    /// # Errors
    /// 4568.
    fn check_size(&self, found: &ArrayWriter) -> Result<()> {
        if found.len() <= STAGE_MEMORY_BYTES_MAX {
            return Ok(());
        }
        let message = format!(
            "Total size of documents in {} matching pipeline's $lookup stage exceeds {STAGE_MEMORY_BYTES_MAX} bytes",
            self.from.as_deref().unwrap_or_default()
        );
        Err(Error::location(4568, message))
    }

    /// What matches a filter, as far as it is in memory.
    fn in_memory(
        &self,
        access: &Access,
        local: &Local,
        filter: Doc<'_>,
    ) -> Result<Option<Box<dyn Stage>>> {
        let Access::Hash(hash) = access else { return Ok(None) };
        let Some(found) = hash.find(local.values(), &self.order) else { return Ok(None) };
        let mut scope = Scope::new(None, 0)?.with_collation(self.order.collation().cloned());
        let matcher = Matcher::parse(filter, &mut scope)?;
        let mut matching = Vec::new();
        for doc in found {
            if matcher.matches(doc)? {
                matching.push(doc.to_buf());
            }
        }
        Ok(Some(Box::new(Ready::new(matching))))
    }

    /// The array of what belongs to a document.
    fn find(&self, doc: Doc<'_>, access: &Access, env: &dyn Environment) -> Result<Vec<u8>> {
        env.check()?;
        let local = self.fields.as_ref().map(|fields| fields.local(doc));
        let filter = match (&self.fields, &local) {
            (Some(fields), Some(local)) => {
                let joined = self.filter.as_ref().map_or(Doc::EMPTY, |filter| filter.filter());
                conjunction(&[fields.filter(local).as_doc(), joined])
            }
            _ => DocBuf::new(),
        };
        let own;
        let pipeline = match &self.inner.correlated {
            Some(correlated) => {
                own = correlated.parse(&self.db, self.from.as_deref(), doc)?;
                &own
            }
            None => match &self.inner.failing {
                Some(error) => return Err(error.clone().with_prefix(OPTIMIZING)),
                None => &self.inner.pipeline,
            },
        };
        let source: Box<dyn Stage> = match &self.from {
            Some(from) if !pipeline.has_source() => {
                let held = match &local {
                    Some(local) => self.in_memory(access, local, filter.as_doc())?,
                    None => None,
                };
                match held {
                    Some(held) => held,
                    None => {
                        let leading = pipeline.leading_filter();
                        let filter = conjunction(&[filter.as_doc(), leading.as_doc()]);
                        env.open(&self.db, from, filter.as_doc(), &self.order)?
                    }
                }
            }
            _ => Box::new(Empty),
        };
        let mut run = pipeline.build(source);
        let mut found = ArrayWriter::new();
        while let Some(doc) = run.next(env)? {
            found.doc(doc.as_doc());
            self.check_size(&found)?;
        }
        Ok(found.into_bytes())
    }
}

impl Correlated {
    fn parse(&self, db: &str, from: Option<&str>, doc: Doc<'_>) -> Result<Pipeline> {
        let mut scope = self.scope.clone();
        let mut frame = Frame::new(doc);
        for (name, value) in &self.variables {
            let value = value.eval(&mut frame)?.into_owned();
            scope.define_constant(name, value);
        }
        let (place, depth) = (Place::Lookup, self.depth);
        let mut context = Context { scope: &mut scope, db, collection: from, place, depth };
        Pipeline::parse(Array::trusted(&self.stages), &mut context)
    }
}

/// The values that a document asks for: the bytes of an array, and whether the document has one there.
struct Local {
    values: Vec<u8>,
    is_array: bool,
}

impl Local {
    fn values(&self) -> impl Iterator<Item = Raw<'_>> {
        Array::trusted(&self.values).iter()
    }
}

impl Fields {
    fn local(&self, doc: Doc<'_>) -> Local {
        let mut values = ArrayWriter::new();
        let names: Vec<&[u8]> = self.local.names().collect();
        let is_array = collect(doc.as_raw(), &names, &mut values);
        if values.is_empty() {
            values.raw(Raw::NULL);
        }
        Local { values: values.into_bytes(), is_array }
    }

    /// The filter on the other collection for a document: equality with the local value, or with any of its values if it is
    /// an array.
    fn filter(&self, local: &Local) -> DocBuf {
        let all = Array::trusted(&local.values);
        let raw = if local.is_array { all.as_raw() } else { all.get(0).unwrap_or(Raw::NULL) };
        let mut filter = DocWriter::new();
        match raw.as_array() {
            Some(values) if values.iter().any(|value| value.kind == Type::Regex) => {
                filter.array("$or", |any| {
                    for value in values.iter() {
                        any.document(|one| one.document(&self.foreign, |eq| eq.raw("$eq", value)));
                    }
                });
            }
            Some(_) => filter.document(&self.foreign, |values| values.raw("$in", raw)),
            None => filter.document(&self.foreign, |eq| eq.raw("$eq", raw)),
        }
        filter.finish()
    }
}

/// Collects what a path leads to, through arrays, the values of an array at its end one by one. Tells whether there was
/// an array.
fn collect(raw: Raw<'_>, names: &[&[u8]], values: &mut ArrayWriter) -> bool {
    match (names.split_first(), raw.kind) {
        (None, Type::Array) => {
            raw.as_array()
                .into_iter()
                .flat_map(|array| array.iter())
                .for_each(|value| values.raw(value));
            true
        }
        (None, _) => {
            values.raw(raw);
            false
        }
        (Some((name, rest)), Type::Document) => {
            let value = raw.as_doc().and_then(|doc| doc.get_bytes(name));
            value.is_some_and(|value| collect(value, rest, values))
        }
        (Some(_), Type::Array) => {
            for value in raw.as_array().into_iter().flat_map(|array| array.iter()) {
                if value.kind == Type::Document {
                    collect(value, names, values);
                }
            }
            true
        }
        (Some(_), _) => false,
    }
}
