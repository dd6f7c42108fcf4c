//! Taking dangerous operators out of filters that came from outside. Knows filters only: no connection, no database.

mod operators;
mod walk;

use std::collections::BTreeSet;
use std::fmt;

use mongodb::bson::Document;

use self::walk::Walk;
use crate::error::Error;

const DEPTH_MAX: usize = 32;
/// What the server's own limit of nesting leaves room for.
const DEPTH_LIMIT: usize = 100;
const BYTES_MAX: usize = 64 << 10;

/// Checks filters that users of an application may have written.
///
/// Forbidden are what runs code on the server (`$where`, `$function`, `$accumulator`), regular expressions, which can
/// be made to run for hours (`$regex`, literals such as `/^a/`, also within `$in` and `$not`, and `$regexMatch`,
/// `$regexFind`, `$regexFindAll`), and `$jsonSchema`, which holds patterns too. They are found at any depth: through
/// `$and`, `$or`, `$nor`, `$not`, `$elemMatch`, `$expr` and everything else that holds documents.
///
/// ```
/// use headwater::Sanitizer;
/// use headwater::mongodb::bson::doc;
///
/// let hostile = doc! { "name": "Ada", "$or": [{ "$where": "while (true) {}" }, { "age": { "$gt": 30 } }] };
/// let error = Sanitizer::reject().clean(hostile.clone()).unwrap_err();
/// assert_eq!(error.operator(), Some("$where"));
///
/// let cleaned = Sanitizer::strip().clean(hostile).unwrap();
/// assert_eq!(cleaned.filter, doc! { "name": "Ada", "$or": [{ "age": { "$gt": 30 } }] });
/// assert_eq!(cleaned.removed, ["$or.0.$where"]);
///
/// let allowed = Sanitizer::allow_only(["$gt", "$lt", "$in"]);
/// assert!(allowed.clean(doc! { "age": { "$gt": 30 } }).is_ok());
/// assert!(allowed.clean(doc! { "age": { "$exists": true } }).is_err());
/// ```
#[derive(Debug, Clone)]
pub struct Sanitizer {
    strips: bool,
    rule: Rule,
    depth_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Clone)]
enum Rule {
    /// All but these.
    Forbid(BTreeSet<String>),
    /// None but these.
    Allow(BTreeSet<String>),
}

/// A filter without forbidden operators.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Cleaned {
    /// What is left.
    pub filter: Document,
    /// Where something was taken away: dotted paths that end with the operator. Empty unless stripping.
    pub removed: Vec<String>,
}

impl Cleaned {
    /// True if nothing is left of a filter that held something: it would match every document.
    pub fn matches_everything_now(&self) -> bool {
        self.filter.is_empty() && !self.removed.is_empty()
    }
}

impl Default for Sanitizer {
    fn default() -> Sanitizer {
        Sanitizer::reject()
    }
}

impl Sanitizer {
    /// Refuses a filter that holds a forbidden operator. The default.
    pub fn reject() -> Sanitizer {
        let forbidden = operators::FORBIDDEN.iter().map(|name| (*name).to_owned()).collect();
        Sanitizer {
            strips: false,
            rule: Rule::Forbid(forbidden),
            depth_max: DEPTH_MAX,
            bytes_max: BYTES_MAX,
        }
    }

    /// Takes forbidden operators away and keeps the rest.
    ///
    /// What is emptied by that goes too, so that `{$or: [{$where: …}, …]}` keeps its other branches and no empty branch
    /// that matches everything; an `$expr` with anything forbidden goes as a whole. A filter that loses a condition
    /// matches more than before: do not delete or update by it without a look at [`Cleaned::removed`].
    pub fn strip() -> Sanitizer {
        Sanitizer { strips: true, ..Sanitizer::reject() }
    }

    /// Refuses every operator but these. `$regex` in the list allows regular expression literals as well. Add
    /// [`Sanitizer::stripping`] to take the others away instead.
    pub fn allow_only<I>(operators: I) -> Sanitizer
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let allowed = operators.into_iter().map(Into::into).collect();
        Sanitizer { rule: Rule::Allow(allowed), ..Sanitizer::reject() }
    }

    /// Forbids one more operator.
    #[must_use]
    pub fn forbid(mut self, operator: impl Into<String>) -> Sanitizer {
        match &mut self.rule {
            Rule::Forbid(names) => names.insert(operator.into()),
            Rule::Allow(names) => names.remove(&operator.into()),
        };
        self
    }

    /// Allows an operator that would be forbidden.
    #[must_use]
    pub fn allow(mut self, operator: impl Into<String>) -> Sanitizer {
        match &mut self.rule {
            Rule::Forbid(names) => names.remove(&operator.into()),
            Rule::Allow(names) => names.insert(operator.into()),
        };
        self
    }

    /// Takes away instead of refusing, as [`Sanitizer::strip`] does.
    #[must_use]
    pub fn stripping(mut self) -> Sanitizer {
        self.strips = true;
        self
    }

    /// Most documents and arrays inside each other; 32 unless set, at most 100. Deeper filters are refused in every mode.
    #[must_use]
    pub fn depth_max(mut self, levels: usize) -> Sanitizer {
        self.depth_max = levels.min(DEPTH_LIMIT);
        self
    }

    /// Most bytes of the filter as BSON; 65,536 unless set. Larger filters are refused in every mode.
    #[must_use]
    pub fn bytes_max(mut self, bytes: usize) -> Sanitizer {
        self.bytes_max = bytes;
        self
    }

    /// Checks a filter, and takes away what it may not hold if this one strips.
    ///
    /// # Errors
    /// A forbidden operator (unless stripping), too deep, or too large.
    pub fn clean(&self, filter: Document) -> Result<Cleaned, Refused> {
        let mut walk = Walk::new(self);
        walk.measure(&filter)?;
        let filter = walk.document(filter)?;
        Ok(Cleaned { filter, removed: walk.removed })
    }

    fn forbids(&self, operator: &str) -> bool {
        let operator = if operator == operators::OPTIONS { operators::REGEX } else { operator };
        match &self.rule {
            Rule::Forbid(names) => names.contains(operator),
            Rule::Allow(names) => !names.contains(operator),
        }
    }
}

/// Why a filter was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(Reason);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Operator { operator: String, path: String },
    Depth { max: usize },
    Size { max: usize },
}

impl Refused {
    /// The forbidden operator, `None` if the filter is too deep or too large. `$regex` for a literal.
    pub fn operator(&self) -> Option<&str> {
        match &self.0 {
            Reason::Operator { operator, .. } => Some(operator),
            Reason::Depth { .. } | Reason::Size { .. } => None,
        }
    }

    /// Where the operator stands: a dotted path that ends with it.
    pub fn path(&self) -> Option<&str> {
        match &self.0 {
            Reason::Operator { path, .. } => Some(path),
            Reason::Depth { .. } | Reason::Size { .. } => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Operator { operator, path } => {
                write!(f, "filter operator {operator} is not allowed (at {path})")
            }
            Reason::Depth { max } => write!(f, "filter is nested more than {max} levels deep"),
            Reason::Size { max } => write!(f, "filter is larger than {max} bytes"),
        }
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        Error::validation(refused.to_string()).with_source(refused)
    }
}
