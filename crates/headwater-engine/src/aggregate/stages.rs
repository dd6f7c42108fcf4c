//! The tables of stages, and what every stage is: a specification that starts runs.
//!
//! Stages know documents and the environment. They know no store and no command.

mod bucket;
mod bucket_auto;
mod coll_stats;
mod count;
mod current_op;
mod densify;
pub mod described;
mod documents;
mod facet;
mod fill;
mod graph_lookup;
mod group;
mod index_stats;
mod inhibit;
mod limit;
mod list_sessions;
mod lookup;
mod matching;
pub(crate) mod merge;
mod nested;
pub(crate) mod out;
mod plan_cache_stats;
mod project;
mod redact;
mod replace_root;
mod sample;
mod skip;
mod sort;
pub(crate) mod split_large_event;
mod transform;
mod union_with;
mod unrecorded;
mod unwind;
mod window;

use std::fmt;
use std::sync::Arc;

pub(in crate::aggregate) use matching::match_of;
pub(in crate::aggregate) use sort::parse_sort_pattern;

use super::expressions::{Metadata, Needs, Scope, bson_text};
use super::pipeline::{Context, Place};
use crate::bson::{Doc, DocBuf, Element, Raw};
use crate::error::{Code, Error, Result};
use crate::query::exec::Stage;
use crate::query::matcher::Matcher;
use crate::query::plan::Wants;

/// The stages that a stage of a command stands for.
pub type Parsed = Vec<Arc<dyn StageSpec>>;

/// A parsed stage.
pub trait StageSpec: fmt::Debug + Send + Sync {
    /// The name with its `$`.
    fn name(&self) -> &'static str;

    /// Starts a run of the stage over the documents of `source`.
    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage>;

    /// Whether it brings documents of its own and must be the first.
    fn is_source(&self) -> bool {
        false
    }

    /// What the planner may know about it.
    fn shape(&self) -> Shape<'_> {
        Shape::Other
    }

    /// The compiled filter of a `$match`.
    fn matcher(&self) -> Option<&Arc<Matcher>> {
        None
    }

    /// What it writes, for a stage that does.
    fn writes(&self) -> Option<Writes<'_>> {
        None
    }

    /// What it looks at of the documents before it. Their fields may come in any order then, with others beside them.
    fn wanted(&self) -> Wants {
        Wants::Documents
    }

    /// What it asks of documents beside their fields.
    fn metadata_needs(&self) -> Needs {
        Needs::default()
    }

    /// What it makes of a document of which more is known; only for a stage with [`StageSpec::metadata_needs`].
    ///
    /// # Errors
    /// What expressions raise.
    fn describe(&self, doc: Doc<'_>, _metadata: &Metadata) -> Result<DocBuf> {
        Ok(doc.to_buf())
    }

    /// Whether a filter on a field at the top that stands behind the stage gives the same when it stands before it.
    fn keeps(&self, _field: &[u8]) -> bool {
        false
    }

    /// Whether it gives one document for each, in their order.
    fn is_one_to_one(&self) -> bool {
        false
    }

    /// The field at the top that it unwinds, if each of its documents has one value of an array there, and nothing else is
    /// different about them.
    fn unwinds(&self) -> Option<&[u8]> {
        None
    }

    /// The stage when nobody asks for joined documents that do not match a filter, if it joins whole documents at that field.
    ///
    /// # Errors
    /// A filter that does not parse.
    fn joined_if(
        &self,
        _field: &[u8],
        _filter: Doc<'_>,
        _scope: &mut Scope,
    ) -> Result<Option<Arc<dyn StageSpec>>> {
        Ok(None)
    }

    /// The stage when only the first `count` documents are asked of it, if it can make use of that.
    fn with_limit(&self, _count: u64) -> Option<Arc<dyn StageSpec>> {
        None
    }
}

/// A stage that writes the documents before it; it passes them on unchanged, and the command writes them.
#[derive(Debug, Clone, Copy)]
pub enum Writes<'a> {
    /// They take the place of a collection.
    Out(&'a out::Out),
    /// They go into a collection one by one.
    Merge(&'a merge::Merge),
}

/// What a planner may know about a stage.
#[derive(Debug, Clone, Copy)]
pub enum Shape<'a> {
    /// `$match` with its filter.
    Match(Doc<'a>),
    /// `$sort` with its pattern.
    Sort(Doc<'a>),
    /// `$skip` with its number.
    Skip(u64),
    /// `$limit` with its number.
    Limit(u64),
    /// Any other stage.
    Other,
}

/// One stage of the table.
#[derive(Debug)]
pub struct Row {
    /// The name with its `$`.
    pub name: &'static str,
    parse: fn(Raw<'_>, &mut Context<'_>) -> Result<Parsed>,
}

const fn row(name: &'static str, parse: fn(Raw<'_>, &mut Context<'_>) -> Result<Parsed>) -> Row {
    Row { name, parse }
}

/// Every stage, sorted by name.
pub static STAGES: &[Row] = &[
    row("$_internalInhibitOptimization", inhibit::parse),
    row("$addFields", project::add_fields),
    row("$bucket", bucket::parse),
    row("$bucketAuto", bucket_auto::parse),
    row("$changeStreamSplitLargeEvent", split_large_event::parse),
    row("$collStats", coll_stats::parse),
    row("$count", count::parse),
    row("$currentOp", current_op::parse),
    row("$densify", densify::parse),
    row("$documents", documents::parse),
    row("$facet", facet::parse),
    row("$fill", fill::parse),
    row("$graphLookup", graph_lookup::parse),
    row("$group", group::parse),
    row("$indexStats", index_stats::parse),
    row("$limit", limit::parse),
    row("$listLocalSessions", list_sessions::local),
    row("$listSampledQueries", unrecorded::sampled_queries),
    row("$listSessions", list_sessions::all),
    row("$lookup", lookup::parse),
    row("$match", matching::parse),
    row("$merge", merge::parse),
    row("$out", out::parse),
    row("$planCacheStats", plan_cache_stats::parse),
    row("$project", project::project),
    row("$querySettings", unrecorded::query_settings),
    row("$queryStats", unrecorded::query_stats),
    row("$redact", redact::parse),
    row("$replaceRoot", replace_root::replace_root),
    row("$replaceWith", replace_root::replace_with),
    row("$sample", sample::parse),
    row("$set", project::set),
    row("$setWindowFields", window::parse),
    row("$shardedDataDistribution", unrecorded::sharded_data),
    row("$skip", skip::parse),
    row("$sort", sort::parse),
    row("$sortByCount", count::sort_by_count),
    row("$unionWith", union_with::parse),
    row("$unset", project::unset),
    row("$unwind", unwind::parse),
];

/// Stages of MongoDB 8.0 that this version does not have, sorted.
pub static UNSUPPORTED_STAGES: &[&str] = &["$geoNear", "$listCatalog"];

/// Stages that MongoDB itself has only with a search server beside it.
const SEARCH_STAGES: [&str; 5] =
    ["$listSearchIndexes", "$rankFusion", "$search", "$searchMeta", "$vectorSearch"];

const SEARCH_NOT_ENABLED: &str = "Using $search and $vectorSearch aggregation stages requires additional configuration. \
    Please connect to Atlas or an AtlasCLI local deployment to enable.For more information on how to connect, see \
    https://dochub.mongodb.org/core/atlas-cli-deploy-local-reqs.";

/// The one field of a stage, whose name is one that MongoDB has, supported here or not.
///
/// # Errors
/// 40323 for a document that has another number of fields, 40324 for an unknown name.
pub(super) fn named(doc: Doc<'_>) -> Result<Element<'_>> {
    let mut elements = doc.iter();
    let (Some(element), None) = (elements.next(), elements.next()) else {
        let message = "A pipeline stage specification object must contain exactly one field.";
        return Err(Error::location(40323, message));
    };
    let name = element.name_str();
    let known = STAGES.binary_search_by_key(&name, |row| row.name).is_ok()
        || UNSUPPORTED_STAGES.binary_search(&name).is_ok()
        || SEARCH_STAGES.contains(&name)
        || name == "$changeStream";
    match known {
        true => Ok(element),
        false => Err(Error::location(40324, format!("Unrecognized pipeline stage name: '{name}'"))),
    }
}

/// Checks the name of a stage, and what is written of one that names collections or has pipelines inside.
///
/// # Errors
/// Those of [`named`]; those of the stage.
pub(super) fn survey(doc: Doc<'_>, db: &str, depth: usize) -> Result<()> {
    let element = named(doc)?;
    let value = element.value;
    match element.name {
        b"$changeStream" if value.as_doc().is_none() => {
            let shown = bson_text(value);
            let what = "$changeStream must take a nested object but found: $changeStream: ";
            Err(Error::location(6_188_500, format!("{what}{shown}")))
        }
        b"$facet" => facet::survey(value, db, depth),
        b"$graphLookup" => graph_lookup::survey(value),
        b"$lookup" => lookup::survey(value, db, depth),
        b"$merge" => merge::survey(value, db),
        b"$out" => out::survey(value, db),
        b"$unionWith" => union_with::survey(value, db, depth),
        _ => Ok(()),
    }
}

/// Parses one stage, checks that it may stand in the context's place, and appends what it stands for.
///
/// # Errors
/// Those of [`named`]; 40600, 31441, 51047 for a stage that may not stand inside another; what the stage raises.
pub(super) fn parse(doc: Doc<'_>, context: &mut Context<'_>, parsed: &mut Parsed) -> Result<()> {
    let element = named(doc)?;
    let name = element.name_str();
    check_place(name, context.place)?;
    if let Ok(at) = STAGES.binary_search_by_key(&name, |row| row.name) {
        parsed.extend((STAGES[at].parse)(element.value, context)?);
        return Ok(());
    }
    if SEARCH_STAGES.contains(&name) {
        return Err(Error::new(Code(31082), SEARCH_NOT_ENABLED));
    }
    if name == "$changeStream" {
        // The command that opens a stream takes it off before it parses the rest.
        let message = "$changeStream is only valid as the first stage in a pipeline";
        return Err(Error::location(40602, message));
    }
    Err(Error::not_supported(format_args!("The stage {name}")))
}

/// Stages that begin a pipeline of their own.
const FIRST_ONLY: [&str; 13] = [
    "$changeStream",
    "$collStats",
    "$currentOp",
    "$documents",
    "$geoNear",
    "$indexStats",
    "$listCatalog",
    "$listLocalSessions",
    "$listSampledQueries",
    "$listSessions",
    "$planCacheStats",
    "$querySettings",
    "$queryStats",
];

fn check_place(name: &str, place: Place) -> Result<()> {
    let writes = matches!(name, "$merge" | "$out");
    let message = |what| format!("{name} is not allowed {what}");
    match place {
        Place::Facet
            if writes
                || name == "$facet"
                || name == split_large_event::NAME
                || FIRST_ONLY.contains(&name) =>
        {
            Err(Error::location(40600, message("to be used within a $facet stage")))
        }
        Place::Lookup if writes => {
            Err(Error::location(51047, message("within a $lookup's sub-pipeline")))
        }
        Place::UnionWith if writes => {
            Err(Error::location(31441, message("within a $unionWith's sub-pipeline")))
        }
        _ => Ok(()),
    }
}
