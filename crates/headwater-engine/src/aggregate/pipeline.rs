//! Pipelines: parsed stages in order, the rules for where a stage may stand, and the start of a run.
//!
//! Knows nothing of collections: whoever runs a pipeline gives it a source of documents, or asks the pipeline whether it
//! brings its own ([`Pipeline::has_source`]). Errors of running stages carry no prefix; the command adds it.
//!
//! Views: the pipeline of the view and that of the command are concatenated before they are parsed.

use std::sync::Arc;

use super::depth::{self, Shallow};
use super::expressions::{Offered, Scope};
use super::moves;
use super::stages::{self, Parsed, Shape, StageSpec, Writes};
use crate::bson::{Array, Doc, DocBuf, DocWriter, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::query::exec::Stage;
use crate::query::plan::Wants;

/// Most stages in one pipeline.
pub const STAGES_MAX: usize = 1000;
/// What MongoDB puts before errors of evaluating constants.
pub(crate) const OPTIMIZING: &str = "Failed to optimize pipeline :: caused by :: ";
/// Deepest nesting of sub-pipelines.
pub const SUB_PIPELINES_MAX: usize = 20;

/// The stages whose documents are new ones, of which nothing is known but their fields.
const MAKING: [&str; 5] = ["$bucketAuto", "$facet", "$group", "$redact", "$replaceRoot"];

/// The stages that may ask for more of documents than their fields.
const ASKING: [&str; 3] = ["$addFields", "$project", "$set"];

/// Where a pipeline stands, which decides what stages it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The pipeline of `aggregate` or of a view.
    Command,
    /// Inside `$facet`.
    Facet,
    /// Inside `$lookup`.
    Lookup,
    /// Inside `$unionWith`.
    UnionWith,
    /// The pipeline of an update, which is given whole documents.
    Update,
}

/// What parsing a pipeline needs to know.
#[derive(Debug)]
pub struct Context<'c> {
    /// The variables in sight.
    pub scope: &'c mut Scope,
    /// The database.
    pub db: &'c str,
    /// The collection, `None` for an aggregation on the database.
    pub collection: Option<&'c str>,
    /// Where the pipeline stands.
    pub place: Place,
    /// How many pipelines it stands in.
    pub depth: usize,
}

impl<'c> Context<'c> {
    /// The context of a command's pipeline.
    pub fn new(scope: &'c mut Scope, db: &'c str, collection: Option<&'c str>) -> Context<'c> {
        Context { scope, db, collection, place: Place::Command, depth: 0 }
    }

    /// The context of a pipeline inside this one.
    ///
    /// # Errors
    /// 232 if there are too many levels.
    pub(crate) fn inner<'s>(
        &'s mut self,
        place: Place,
        collection: Option<&'s str>,
    ) -> Result<Context<'s>> {
        if self.depth >= SUB_PIPELINES_MAX {
            let message = format!(
                "Maximum number of nested sub-pipelines exceeded. Limit is {SUB_PIPELINES_MAX}"
            );
            return Err(Error::new(Code(232), message));
        }
        Ok(Context { scope: self.scope, db: self.db, collection, place, depth: self.depth + 1 })
    }
}

/// A parsed pipeline. Cheap to clone; every run is independent.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    stages: Vec<Arc<dyn StageSpec>>,
    /// By stage, the place of the stage in the command that it comes from.
    origins: Vec<usize>,
    /// By stage, how deep the documents behind it may be, where that is looked at.
    depths: Vec<Option<usize>>,
    /// Whether it may run otherwise than as it was written.
    rewrites: bool,
}

/// The head of a pipeline that a find plan can answer.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The filter of the leading `$match` stages.
    pub filter: DocBuf,
    /// The pattern of the `$sort` behind them.
    pub sort: Option<DocBuf>,
    /// How many documents to skip after sorting.
    pub skip: u64,
    /// How many documents are needed at most, after skipping.
    pub limit: Option<u64>,
}

impl Pipeline {
    /// Parses the stages of a pipeline.
    ///
    /// # Errors
    /// 40323 and 14 for what is no stage, 40324 for an unknown one, 40600 to 40602 for one in the wrong place, what the
    /// stages themselves raise, and what evaluating constants raised.
    pub fn parse(stages: Array<'_>, context: &mut Context<'_>) -> Result<Pipeline> {
        let pipeline = Pipeline::parse_without_folding_errors(stages, context)?;
        match context.scope.take_folding_error() {
            Some(error) => Err(error.with_prefix(OPTIMIZING)),
            None => Ok(pipeline),
        }
    }

    /// As [`Pipeline::parse`], but what evaluating constants raises is left for the run.
    pub(crate) fn parse_without_folding_errors(
        stages: Array<'_>,
        context: &mut Context<'_>,
    ) -> Result<Pipeline> {
        let mut parsed: Parsed = Vec::new();
        let count = stages.len();
        match context.place {
            Place::Command => survey(stages, context.db)?,
            _ => check_names(stages)?,
        }
        if count > STAGES_MAX {
            let message = format!("Pipeline length must be no longer than {STAGES_MAX} stages.");
            return Err(Error::location(7_749_501, message));
        }
        let mut origins = Vec::with_capacity(count);
        let levels: Vec<usize> = stages.iter().map(depth::levels).collect();
        for (at, doc) in stages.iter().filter_map(Raw::as_doc).enumerate() {
            if parsed.iter().any(|stage| MAKING.contains(&stage.name())) {
                context.scope.offer_metadata(Offered::Nothing);
            } else if context.place == Place::Command
                && doc.first().is_some_and(|stage| ASKING.contains(&stage.name_str()))
                && let Some(head) = whole_head(&parsed)
            {
                context.scope.offer_metadata(Offered::All { sorted: head.sort.is_some() });
            }
            let parsing = stages::parse(doc, context, &mut parsed);
            context.scope.withdraw_metadata();
            parsing?;
            origins.resize(parsed.len(), at);
        }
        check_places(&parsed, context)?;
        let rewrites = context.scope.rewrites();
        if rewrites {
            moves::to_the_front(&mut parsed, &mut origins, context.scope)?;
            moves::into_joins(&mut parsed, context.scope)?;
            optimize(&mut parsed);
        }
        let added: Vec<usize> =
            origins.iter().map(|at| levels.get(*at).copied().unwrap_or(0)).collect();
        Ok(Pipeline { stages: parsed, origins, depths: depth::limits(&added), rewrites })
    }

    /// Parses the value of a command's or stage's `pipeline`.
    ///
    /// # Errors
    /// `TypeMismatch` (14) if it is no array; as [`Pipeline::parse`].
    pub fn parse_value(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Pipeline> {
        match raw.as_array() {
            Some(array) => Pipeline::parse(array, context),
            None => Err(Error::new(Code::TYPE_MISMATCH, "A pipeline must be an array of objects")),
        }
    }

    /// Whether the first stage brings its own documents, such as `$documents`.
    pub fn has_source(&self) -> bool {
        self.stages.first().is_some_and(|stage| stage.is_source())
    }

    /// The names of the stages as they are run, some of which stand for others in the command.
    pub fn stage_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.stages.iter().map(|stage| stage.name())
    }

    /// The stages as they are run.
    pub fn stages(&self) -> &[Arc<dyn StageSpec>] {
        &self.stages
    }

    /// What the last stage writes, if it does.
    pub fn writes(&self) -> Option<Writes<'_>> {
        self.stages.last()?.writes()
    }

    /// The stages as they are run, each with the place in the command of the stage that it comes from.
    pub fn with_origins(&self) -> impl Iterator<Item = (&Arc<dyn StageSpec>, usize)> {
        self.stages.iter().zip(self.origins.iter().copied())
    }

    /// The filter of the leading `$match` stages, as far as it names no variable: what a collection may be asked for
    /// instead of all its documents. The stages stay.
    pub(crate) fn leading_filter(&self) -> DocBuf {
        let mut filters = Vec::new();
        if !self.rewrites {
            return DocBuf::new();
        }
        for stage in &self.stages {
            let Shape::Match(filter) = stage.shape() else { break };
            if filter.as_bytes().windows(2).any(|pair| pair == b"$$") {
                break;
            }
            filters.push(filter);
        }
        conjunction(&filters)
    }

    /// Splits off what a find plan can answer: leading `$match`, then `$sort`, `$skip` and `$limit`.
    pub fn split_head(&self) -> (Head, Pipeline) {
        let (head, at) = split_head(&self.stages);
        let behind = self.behind(at);
        match self.rewrites || behind.split_described().is_some() {
            true => (head, behind),
            false => (Head::default(), self.clone()),
        }
    }

    /// The pipeline without its first stages.
    pub(crate) fn behind(&self, at: usize) -> Pipeline {
        let stages = self.stages.iter().skip(at).cloned().collect();
        let origins = self.origins.iter().skip(at).copied().collect();
        let depths = self.depths.iter().skip(at).copied().collect();
        Pipeline { stages, origins, depths, rewrites: self.rewrites }
    }

    /// What the pipeline looks at of the documents that it is given: `sorted` says whether they are put in order first.
    pub fn wanted(&self, sorted: bool) -> Wants {
        let tells = |first: &&Arc<dyn StageSpec>| self.rewrites && !first.metadata_needs().any();
        let first = self.stages.first().filter(tells);
        match first.map_or(Wants::Documents, |first| first.wanted()) {
            // Documents without fields have no order.
            Wants::Count if sorted => Wants::Fields(Vec::new()),
            wanted => wanted,
        }
    }

    /// The first stage, if it asks for more of documents than their fields, and the stages behind it.
    pub fn split_described(&self) -> Option<(Arc<dyn StageSpec>, Pipeline)> {
        let first = self.stages.first().filter(|first| first.metadata_needs().any())?;
        Some((Arc::clone(first), self.behind(1)))
    }

    /// Starts a run over the documents of `source`.
    pub fn build(&self, source: Box<dyn Stage>) -> Box<dyn Stage> {
        self.stages.iter().zip(&self.depths).fold(source, |source, (stage, depth)| {
            let stage = Arc::clone(stage).start(source);
            match depth {
                Some(limit) => Box::new(Shallow::new(stage, *limit)),
                None => stage,
            }
        })
    }
}

/// What a find plan can answer of these stages, and how many they are.
fn split_head(stages: &[Arc<dyn StageSpec>]) -> (Head, usize) {
    let shape = |at: usize| stages.get(at).map(|stage| stage.shape());
    let mut head = Head::default();
    let mut filters: Vec<Doc<'_>> = Vec::new();
    let mut at = 0;
    while let Some(Shape::Match(filter)) = shape(at) {
        filters.push(filter);
        at += 1;
    }
    head.filter = conjunction(&filters);
    if let Some(Shape::Sort(pattern)) = shape(at) {
        head.sort = Some(pattern.to_buf());
        at += 1;
    }
    if let Some(Shape::Skip(count)) = shape(at) {
        head.skip = count;
        at += 1;
    }
    if let Some(Shape::Limit(count)) = shape(at) {
        head.limit = Some(count);
        at += 1;
    }
    (head, at)
}

/// The head, if a find plan can answer all of these stages.
fn whole_head(stages: &[Arc<dyn StageSpec>]) -> Option<Head> {
    // Longer heads are not worth the copies of their filters.
    const STAGES: usize = 8;
    if stages.len() > STAGES {
        return None;
    }
    let (head, count) = split_head(stages);
    (count == stages.len()).then_some(head)
}

/// Checks that everything in a pipeline is a stage with a known name.
///
/// # Errors
/// `TypeMismatch` (14), 40323 and 40324.
pub fn check_names(stages: Array<'_>) -> Result<()> {
    check_objects(stages)?;
    stages.iter().filter_map(Raw::as_doc).try_for_each(|doc| stages::named(doc).map(drop))
}

/// Checks that everything in a pipeline is a document.
///
/// # Errors
/// `TypeMismatch` (14).
pub fn check_objects(stages: Array<'_>) -> Result<()> {
    if stages.iter().any(|raw| raw.as_doc().is_none()) {
        let message = "Each element of the 'pipeline' array must be an object";
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    }
    Ok(())
}

/// Checks the names of all stages, and of those that name collections or have pipelines inside what is written of them;
/// MongoDB does so before it looks into any of them.
///
/// # Errors
/// As [`check_names`], and what those stages raise.
pub fn survey(stages: Array<'_>, db: &str) -> Result<()> {
    survey_at(stages, db, 0)
}

/// As [`survey`], inside of so many stages.
pub(crate) fn survey_at(stages: Array<'_>, db: &str, depth: usize) -> Result<()> {
    check_objects(stages)?;
    // What is deeper is refused when it is parsed.
    if depth > SUB_PIPELINES_MAX {
        return Ok(());
    }
    stages.iter().filter_map(Raw::as_doc).try_for_each(|doc| stages::survey(doc, db, depth))
}

/// The conjunction of filters.
pub(crate) fn conjunction(filters: &[Doc<'_>]) -> DocBuf {
    let filters: Vec<_> = filters.iter().filter(|filter| !filter.is_empty()).collect();
    match filters[..] {
        [] => DocBuf::new(),
        [only] => only.to_buf(),
        _ => {
            let mut doc = DocWriter::new();
            doc.array("$and", |all| filters.iter().for_each(|filter| all.doc(**filter)));
            doc.finish()
        }
    }
}

fn check_places(stages: &[Arc<dyn StageSpec>], context: &Context<'_>) -> Result<()> {
    let brings_source = stages.first().is_some_and(|stage| stage.is_source());
    // These read no documents, but they must know of which collection to tell.
    let tells = |first: &Arc<dyn StageSpec>| {
        matches!(first.name(), "$collStats" | "$indexStats" | "$listSessions" | "$planCacheStats")
    };
    let of_collection = |first: &Arc<dyn StageSpec>| !brings_source || tells(first);
    match stages.first() {
        Some(first)
            if context.collection.is_none()
                && of_collection(first)
                && context.place == Place::Command =>
        {
            let name = first.name();
            let message =
                format!("{{aggregate: 1}} is not valid for '{name}'; a collection is required.");
            return Err(Error::new(Code::INVALID_NAMESPACE, message));
        }
        Some(first) if context.collection.is_some() && !of_collection(first) => {
            let name = first.name();
            let message = format!(
                "'{name}' can only be run with database or cluster-level aggregation {{aggregate: 1}}"
            );
            return Err(Error::new(Code::INVALID_NAMESPACE, message));
        }
        _ => {}
    }
    for (at, stage) in stages.iter().enumerate() {
        let name = stage.name();
        if stage.is_source() && at > 0 {
            let message = format!("{name} is only valid as the first stage in a pipeline");
            return Err(Error::location(40602, message));
        }
        if stage.writes().is_some() && at + 1 < stages.len() {
            let message = format!("{name} can only be the final stage in the pipeline");
            return Err(Error::location(40601, message));
        }
    }
    Ok(())
}

/// Tells a `$sort` how many documents a following `$limit` lets through.
fn optimize(stages: &mut [Arc<dyn StageSpec>]) {
    for at in 0..stages.len() {
        let Some(Shape::Sort(_)) = stages.get(at).map(|stage| stage.shape()) else { continue };
        let mut needed: u64 = 0;
        for next in at + 1..stages.len() {
            match stages[next].shape() {
                Shape::Skip(count) => needed = needed.saturating_add(count),
                Shape::Limit(count) => {
                    let needed = needed.saturating_add(count);
                    if let Some(top) = stages[at].with_limit(needed) {
                        stages[at] = top;
                    }
                    break;
                }
                _ => break,
            }
        }
    }
}

/// Checks that a value of a stage's specification is of a type, with the words of MongoDB's interface definitions, which
/// take null and undefined for a value that is not there.
///
/// # Errors
/// `TypeMismatch` (14).
pub(crate) fn expect(raw: Raw<'_>, kind: Type, stage: &str, field: &str) -> Result<()> {
    if raw.kind == kind || matches!(raw.kind, Type::Null | Type::Undefined) {
        return Ok(());
    }
    let (found, expected) = (raw.kind.alias(), kind.alias());
    let message = format!(
        "BSON field '{stage}.{field}' is the wrong type '{found}', expected type '{expected}'"
    );
    Err(Error::new(Code::TYPE_MISMATCH, message))
}

/// The error for a field that a stage's specification does not have.
pub(crate) fn unknown_field(stage: &str, field: &str) -> Error {
    Error::location(40415, format!("BSON field '{stage}.{field}' is an unknown field."))
}

/// The error for a field that a stage's specification must have.
pub(crate) fn missing_field(stage: &str, field: &str) -> Error {
    Error::location(40414, format!("BSON field '{stage}.{field}' is missing but a required field"))
}
