//! Views: named pipelines over a collection or another view; how a chain of them is resolved, and that there is no circle.

use std::collections::{BTreeMap, BTreeSet};

use super::Catalog;
use crate::bson::{Array, ArrayWriter, Doc, DocBuf, DocWriter, Raw};
use crate::error::{Code, Error, Result};
use crate::limits::COMMAND_DEPTH_MAX;
use crate::namespace::Namespace;

/// Views that may stand on one another.
pub const VIEWS_DEEP_MAX: usize = 20;
/// The collection in which MongoDB keeps the definitions of a database's views.
pub const SYSTEM_VIEWS: &str = "system.views";

/// A view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Where it is found.
    pub namespace: Namespace,
    /// The collection or view, of the same database, that it is on.
    pub on: String,
    /// Its pipeline: the bytes of an array.
    pub pipeline: Vec<u8>,
    /// How texts compare, if not by their bytes: the collation with all its options.
    pub collation: Option<DocBuf>,
}

/// What a view stands for: a pipeline over a collection.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The view.
    pub namespace: Namespace,
    /// The collection at the end of the chain, which need not be there.
    pub base: Namespace,
    /// The views' stages in the order in which they run.
    stages: Vec<DocBuf>,
    collation: Option<DocBuf>,
}

impl View {
    /// Its stages.
    pub fn stages(&self) -> Array<'_> {
        Array::trusted(&self.pipeline)
    }

    /// Its options as `listCollections` shows them.
    pub fn options(&self) -> DocBuf {
        let mut out = DocWriter::new();
        out.str("viewOn", &self.on);
        out.raw("pipeline", self.stages().as_raw());
        if let Some(collation) = &self.collation {
            out.doc("collation", collation.as_doc());
        }
        out.finish()
    }

    /// Its row in `listCollections`.
    pub fn describe(&self, name_only: bool) -> DocBuf {
        let mut row = DocWriter::new();
        row.str("name", self.namespace.collection());
        row.str("type", "view");
        if !name_only {
            row.doc("options", self.options().as_doc());
            row.document("info", |info| info.bool("readOnly", true));
        }
        row.finish()
    }

    /// Its document in `system.views`.
    pub fn definition(&self) -> DocBuf {
        let mut out = DocWriter::new();
        out.str("_id", self.namespace.as_str());
        out.extend(self.options().as_doc());
        out.finish()
    }

    /// The collections and views that it reads.
    fn sources(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::from([self.on.clone()]);
        add_sources(self.stages(), &mut names, COMMAND_DEPTH_MAX);
        names
    }
}

/// The names of what the stages read beside their source.
fn add_sources(stages: Array<'_>, names: &mut BTreeSet<String>, left: usize) {
    let Some(left) = left.checked_sub(1) else { return };
    for stage in stages.iter().filter_map(|stage| stage.as_doc()?.first()) {
        let argument = stage.value.as_doc().unwrap_or(Doc::EMPTY);
        let name = match stage.name {
            b"$lookup" | b"$graphLookup" => argument.get("from").and_then(Raw::as_str),
            b"$unionWith" => {
                stage.value.as_str().or_else(|| argument.get("coll").and_then(Raw::as_str))
            }
            _ => None,
        };
        names.extend(name.map(str::to_owned));
        let inner = match stage.name {
            b"$lookup" | b"$unionWith" => argument.get("pipeline").into_iter().collect(),
            b"$facet" => argument.iter().map(|facet| facet.value).collect(),
            _ => Vec::new(),
        };
        for stages in inner.into_iter().filter_map(Raw::as_array) {
            add_sources(stages, names, left);
        }
    }
}

impl Resolved {
    /// How texts compare in it, if not by their bytes: the collation with all its options.
    pub fn collation(&self) -> Option<Doc<'_>> {
        self.collation.as_ref().map(DocBuf::as_doc)
    }

    /// The bytes of an array: the stages of the views and then `more`.
    pub fn with(&self, more: Array<'_>) -> Vec<u8> {
        let mut out = ArrayWriter::new();
        self.stages.iter().for_each(|stage| out.doc(stage.as_doc()));
        more.iter().for_each(|stage| out.raw(stage));
        out.into_bytes()
    }
}

impl Catalog {
    /// What a view stands for; `None` if the namespace is none. `system.views` counts as one.
    ///
    /// # Errors
    /// `ViewDepthLimitExceeded` (165).
    pub fn resolve(&self, namespace: &Namespace) -> Result<Option<Resolved>> {
        let db = namespace.db();
        let Some(view) = self.view(db, namespace.collection()) else {
            let is_system =
                namespace.collection() == SYSTEM_VIEWS && self.views(db).next().is_some();
            let (namespace, base) = (namespace.clone(), namespace.clone());
            let system = || Resolved { namespace, base, stages: Vec::new(), collation: None };
            return Ok(is_system.then(system));
        };
        let too_deep = || {
            let message = format!(
                "View depth too deep or view cycle detected; maximum depth is {VIEWS_DEEP_MAX}"
            );
            Error::new(Code::VIEW_DEPTH_LIMIT_EXCEEDED, message)
        };
        // What a view reads beside its source may have grown since it was made.
        let mut path = vec![namespace.collection().to_owned()];
        self.height(view, &mut path, &mut BTreeMap::new()).map_err(|_| too_deep())?;
        let mut stages: Vec<DocBuf> = Vec::new();
        let mut next = view.clone();
        for _ in 1..VIEWS_DEEP_MAX {
            let own = next.stages().iter().filter_map(Raw::as_doc).map(Doc::to_buf);
            stages.splice(0..0, own.collect::<Vec<_>>());
            match self.view(db, &next.on) {
                Some(deeper) => next = deeper.clone(),
                None => {
                    let base = Namespace::new(db, &next.on);
                    let (namespace, collation) = (namespace.clone(), view.collation.clone());
                    return Ok(Some(Resolved { namespace, base, stages, collation }));
                }
            }
        }
        Err(too_deep())
    }

    /// The documents of `system.views`; `None` for any other namespace.
    pub fn definitions(&self, namespace: &Namespace) -> Option<Vec<DocBuf>> {
        let wanted = namespace.collection() == SYSTEM_VIEWS;
        wanted.then(|| self.views(namespace.db()).map(|view| view.definition()).collect())
    }

    /// Fails if a view has that name: what writes and what asks of indexes needs a collection.
    ///
    /// # Errors
    /// `CommandNotSupportedOnView` (166).
    pub fn refuse_view(&self, namespace: &Namespace) -> Result<()> {
        if self.view(namespace.db(), namespace.collection()).is_none() {
            return Ok(());
        }
        Err(Error::new(
            Code::COMMAND_NOT_SUPPORTED_ON_VIEW,
            format!("Namespace {namespace} is a view, not a collection"),
        ))
    }

    /// Checks that a new or changed view closes no circle, does not stand too deep, and compares as what it reads does.
    ///
    /// # Errors
    /// `GraphContainsCycle` (5), `ViewDepthLimitExceeded` (165), `OptionNotSupportedOnView` (167).
    pub fn check_view(&self, view: &View) -> Result<()> {
        let db = view.namespace.db();
        for other in view.sources().iter().filter_map(|name| self.view(db, name)) {
            if other.namespace != view.namespace && other.collation != view.collation {
                return Err(Error::new(
                    Code::OPTION_NOT_SUPPORTED_ON_VIEW,
                    format!(
                        "View {} has conflicting collation with view {}",
                        view.namespace, other.namespace
                    ),
                ));
            }
        }
        let mut path = vec![view.namespace.collection().to_owned()];
        self.height(view, &mut path, &mut BTreeMap::new()).map(drop)
    }

    /// How many views stand on one another up to this one. `path` leads from the view that was asked about to this one,
    /// `known` holds the heights that were found on the way.
    fn height(
        &self,
        view: &View,
        path: &mut Vec<String>,
        known: &mut BTreeMap<String, usize>,
    ) -> Result<usize> {
        let db = view.namespace.db();
        let mut height = 1;
        for name in view.sources() {
            if path.first() == Some(&name) {
                let back = path.iter().rev().map(|name| format!(" => {db}.{name}"));
                let back: String = back.collect();
                let message = format!("View cycle detected: {db}.{name} => {db}.{name}{back}");
                return Err(Error::new(Code::GRAPH_CONTAINS_CYCLE, message));
            }
            let Some(next) = self.view(db, &name) else { continue };
            let below = match known.get(&name) {
                Some(below) => *below,
                None if path.len() >= VIEWS_DEEP_MAX => return Err(too_deep()),
                None => {
                    path.push(name.clone());
                    let below = self.height(next, path, known)?;
                    path.pop();
                    known.insert(name, below);
                    below
                }
            };
            height = height.max(below + 1);
        }
        if height > VIEWS_DEEP_MAX { Err(too_deep()) } else { Ok(height) }
    }
}

fn too_deep() -> Error {
    let message = format!("View depth limit exceeded; maximum depth is {VIEWS_DEEP_MAX}");
    Error::new(Code::VIEW_DEPTH_LIMIT_EXCEEDED, message)
}

/// The row of `system.views` in `listCollections`.
pub fn describe_system_views(name_only: bool) -> DocBuf {
    let mut row = DocWriter::new();
    row.str("name", SYSTEM_VIEWS);
    row.str("type", "collection");
    if !name_only {
        row.doc("options", Doc::EMPTY);
        row.document("info", |info| info.bool("readOnly", false));
    }
    row.finish()
}

/// An array without elements, as bytes.
pub fn no_stages() -> Vec<u8> {
    ArrayWriter::new().into_bytes()
}
