//! The filters of `$[identifier]` path components.

use crate::bson::{Array, Doc, Raw};
use crate::error::{Code, Error, Result};

/// The array filters of a statement by their identifiers.
#[derive(Debug, Default)]
pub(super) struct ArrayFilters {
    filters: Vec<Filter>,
}

#[derive(Debug)]
struct Filter {
    identifier: String,
    used: bool,
}

impl ArrayFilters {
    pub(super) fn parse(filters: Option<Array<'_>>) -> Result<ArrayFilters> {
        match filters {
            Some(filters) if !filters.is_empty() => Err(Error::not_supported("arrayFilters")),
            _ => Ok(ArrayFilters::default()),
        }
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
    pub(super) fn matches(&self, identifier: &str, _element: Raw<'_>) -> Result<bool> {
        Ok(identifier.is_empty())
    }
}
