//! Wildcard indexes: which paths they hold and which keys a document has in them. A key is the path, then the value there;
//! of a compound index with the other fields in their places. Source: recorded replies.

use crate::bson::key::{self, Direction};
use crate::bson::{Array, Doc, DocBuf, DocWriter, Raw, Type};
use crate::error::{Error, Result};
use crate::query::path::{KeyPaths, Multikey, Path};
use crate::query::projection::Projection;

/// The name under which a wildcard index's keys hold the path.
pub const PATH_FIELD: &str = "$_path";

/// What a wildcard index holds.
#[derive(Debug)]
pub struct Wildcard {
    /// Which field of the key pattern stands for all paths.
    pub at: usize,
    /// The other fields.
    others: KeyPaths,
    /// Takes away of a document what is not indexed.
    projection: Projection,
    /// The paths below which everything is indexed; none if the index holds all but the excluded ones.
    included: Option<Vec<Path>>,
    /// The paths below which nothing is indexed.
    excluded: Vec<Path>,
}

/// One key of a document.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// The path, `None` if the document has nothing on any path of the index.
    pub(super) path: Option<&'a str>,
    /// The value there.
    pub(super) value: Raw<'a>,
    /// The values of the other fields.
    pub(super) others: &'a [Raw<'a>],
}

const UNDEFINED: Raw<'static> = Raw { kind: Type::Undefined, data: &[] };
const MIN_KEY: Raw<'static> = Raw { kind: Type::MinKey, data: &[] };

impl Wildcard {
    /// The wildcard of a specification that was checked.
    pub(super) fn of_spec(spec: Doc<'_>) -> Option<Wildcard> {
        let key = spec.get("key")?.as_doc()?;
        let is_it = |name: &str| super::spec::is_wildcard(name);
        let at = key.iter().position(|element| is_it(element.name_str()))?;
        let path = key.iter().nth(at)?.name_str();
        let others = key.iter().filter(|element| !is_it(element.name_str()));
        let others: Option<Vec<Path>> = others.map(|e| Path::parse(e.name_str()).ok()).collect();
        let projection = spec.get("wildcardProjection").and_then(Raw::as_doc);
        let wanted = super::spec::wildcard_fields(path, projection)?;
        let projection = wanted.projection()?;
        let paths = |texts: &[String]| -> Option<Vec<Path>> {
            texts.iter().map(|text| Path::parse(text).ok()).collect()
        };
        Some(Wildcard {
            at,
            others: KeyPaths::new(others?),
            projection,
            included: match &wanted.included {
                Some(included) => Some(paths(included)?),
                None => None,
            },
            excluded: paths(&wanted.excluded)?,
        })
    }

    /// Whether a document with anything at or below `path` has keys there.
    pub fn covers(&self, path: &Path) -> bool {
        let below = |head: &Path| path.parts().starts_with(head.parts());
        self.included.as_ref().is_none_or(|included| included.iter().any(below))
            && !self.excluded.iter().any(below)
    }

    /// Whether it has other fields.
    pub fn is_compound(&self) -> bool {
        !self.others.paths().is_empty()
    }

    /// Gives each key of a document to `visit`, and adds the paths of arrays to `arrays`.
    ///
    /// # Errors
    /// 7246301 for an array in another field; those of `visit`.
    pub(super) fn each_key(
        &self,
        doc: Doc<'_>,
        arrays: &mut Vec<String>,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let projected = self.projected(doc)?;
        let mut multikey = Multikey::default();
        let mut result = Ok(());
        self.others.each_key(doc, &mut multikey, &mut |others, _| {
            if result.is_err() {
                return Ok(());
            }
            let mut walk =
                Walk { path: String::new(), names: 0, arrays, others, any: false, visit };
            result = walk.fields(projected.as_doc());
            if result.is_ok() && !walk.any && self.is_compound() {
                let nothing = Entry { path: None, value: MIN_KEY, others };
                result = (walk.visit)(&nothing);
            }
            Ok(())
        })?;
        let array = self.others.paths().iter().zip(&multikey.0).find(|(_, bits)| **bits != 0);
        match array {
            Some((path, _)) => Err(Error::location(
                7_246_301,
                format!("field {} cannot be indexed as an array (multikey)", path.as_str()),
            )),
            None => result,
        }
    }

    fn projected(&self, doc: Doc<'_>) -> Result<DocBuf> {
        let mut out = DocWriter::with_capacity(doc.as_bytes().len());
        self.projection.apply(doc, None, &mut out)?;
        Ok(out.finish())
    }
}

/// A walk over the values of a document that hold neither fields nor elements.
struct Walk<'w, 'o, 'a> {
    path: String,
    /// Names in the path, of which any may be empty.
    names: usize,
    arrays: &'w mut Vec<String>,
    others: &'o [Raw<'a>],
    any: bool,
    visit: &'w mut dyn FnMut(&Entry<'_>) -> Result<()>,
}

impl Walk<'_, '_, '_> {
    fn fields(&mut self, doc: Doc<'_>) -> Result<()> {
        for element in doc {
            let name = element.name_str();
            // No query can name such a field.
            if name.contains('.') {
                continue;
            }
            let before = self.path.len();
            if self.names > 0 {
                self.path.push('.');
            }
            self.path.push_str(name);
            self.names += 1;
            self.value(element.value, false)?;
            self.names -= 1;
            self.path.truncate(before);
        }
        Ok(())
    }

    fn value(&mut self, value: Raw<'_>, in_array: bool) -> Result<()> {
        match value.kind {
            // An array in an array is one value.
            Type::Array if in_array => self.leaf(value),
            Type::Array => {
                self.arrays.push(self.path.clone());
                let array = Array::trusted(value.data);
                if array.is_empty() {
                    return self.leaf(UNDEFINED);
                }
                array.iter().try_for_each(|element| self.value(element, true))
            }
            Type::Document if !Doc::trusted(value.data).is_empty() => {
                self.fields(Doc::trusted(value.data))
            }
            _ => self.leaf(value),
        }
    }

    fn leaf(&mut self, value: Raw<'_>) -> Result<()> {
        self.any = true;
        (self.visit)(&Entry { path: Some(&self.path), value, others: self.others })
    }
}

/// The bytes of a path in a key: a text compared by its bytes, whatever the index's collation; `None` is below all.
pub(crate) fn path_key(path: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    match path {
        None => key::append(&mut out, MIN_KEY),
        Some(path) => {
            let text = crate::bson::Value::str(path);
            let text = text.raw().unwrap_or(MIN_KEY);
            key::append_with(&mut out, text, Direction::Ascending, None);
        }
    }
    out
}
