//! The filters of `$[identifier]` path components.

use crate::aggregate::expressions::Scope;
use crate::bson::{Array, Doc, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::query::matcher::{Matcher, SPECIAL, refuse_special};

/// The array filters of a statement by their identifiers.
#[derive(Debug, Default)]
pub(super) struct ArrayFilters {
    filters: Vec<Filter>,
}

#[derive(Debug)]
struct Filter {
    identifier: String,
    matcher: Matcher,
    used: bool,
}

impl ArrayFilters {
    pub(super) fn parse(filters: Option<Array<'_>>, scope: &mut Scope) -> Result<ArrayFilters> {
        let mut parsed = ArrayFilters::default();
        for filter in filters.into_iter().flat_map(|filters| filters.iter()) {
            // MongoDB leaves out what is null.
            if matches!(filter.kind, Type::Null | Type::Undefined) {
                continue;
            }
            let Some(filter) = filter.as_doc() else {
                return Err(Error::new(
                    Code::TYPE_MISMATCH,
                    format!(
                        "BSON field 'update.updates.arrayFilters.0' is the wrong type '{}', expected type 'object'",
                        filter.kind.alias()
                    ),
                ));
            };
            let filter = Filter::parse(filter, scope)?;
            let identifier = &filter.identifier;
            if parsed.filters.iter().any(|known| known.identifier == *identifier) {
                return Err(Error::new(
                    Code::FAILED_TO_PARSE,
                    format!(
                        "Found multiple array filters with the same top-level field name {identifier}"
                    ),
                ));
            }
            parsed.filters.push(filter);
        }
        Ok(parsed)
    }

    /// Notes that a path names an identifier; whether there is a filter of that name.
    pub(super) fn use_identifier(&mut self, identifier: &str) -> bool {
        match self.filters.iter_mut().find(|filter| filter.identifier == identifier) {
            Some(filter) => {
                filter.used = true;
                true
            }
            None => identifier.is_empty(),
        }
    }

    /// Checks that every filter has been named by a path of `update`.
    pub(super) fn check_used(&self, update: Doc<'_>) -> Result<()> {
        match self.filters.iter().find(|filter| !filter.used) {
            Some(Filter { identifier, .. }) => Err(Error::new(
                Code::FAILED_TO_PARSE,
                format!(
                    "The array filter for identifier '{identifier}' was not used in the update {}",
                    super::text::document(update)
                ),
            )),
            None => Ok(()),
        }
    }

    /// Whether an element is one of those that an identifier stands for.
    pub(super) fn matches(&self, identifier: &str, element: Raw<'_>) -> Result<bool> {
        if identifier.is_empty() {
            return Ok(true);
        }
        match self.filters.iter().find(|filter| filter.identifier == identifier) {
            Some(filter) => filter.matcher.matches_field(identifier, element),
            None => Ok(false),
        }
    }
}

impl Filter {
    fn parse(filter: Doc<'_>, scope: &mut Scope) -> Result<Filter> {
        const PREFIX: &str = "Error parsing array filter :: caused by :: ";
        refuse_special(filter, &SPECIAL).map_err(|error| error.with_prefix(PREFIX))?;
        let matcher = Matcher::parse(filter, scope).map_err(|error| error.with_prefix(PREFIX))?;
        let mut names = Vec::new();
        top_names(filter, &mut names);
        let failed = |what: String| Err(Error::new(Code::FAILED_TO_PARSE, what));
        let Some(identifier) = names.first() else {
            return failed(
                "Cannot use an expression without a top-level field name in arrayFilters"
                    .to_owned(),
            );
        };
        if let Some(other) = names.iter().find(|name| *name != identifier) {
            return failed(format!(
                "{PREFIX}Expected a single top-level field name, found '{identifier}' and '{other}'"
            ));
        }
        let mut letters = identifier.chars();
        let valid = letters.next().is_some_and(|first| first.is_ascii_lowercase())
            && letters.all(|letter| letter.is_ascii_alphanumeric());
        if !valid {
            return Err(Error::new(
                Code::BAD_VALUE,
                format!(
                    "{PREFIX}The top-level field name must be an alphanumeric string beginning with a lowercase \
                     letter, found '{identifier}'"
                ),
            ));
        }
        Ok(Filter { identifier: (*identifier).to_owned(), matcher, used: false })
    }
}

/// Collects the first component of every path of a filter that is known to be valid.
fn top_names<'a>(filter: Doc<'a>, names: &mut Vec<&'a str>) {
    for element in filter {
        let name = element.name_str();
        match name {
            "$and" | "$or" | "$nor" => {
                branches(element.value).for_each(|branch| top_names(branch, names));
            }
            _ if name.starts_with('$') => {}
            _ => names.push(name.split('.').next().unwrap_or(name)),
        }
    }
}

fn branches(value: Raw<'_>) -> impl Iterator<Item = Doc<'_>> {
    value.as_array().into_iter().flat_map(|array| array.iter().filter_map(Raw::as_doc))
}
