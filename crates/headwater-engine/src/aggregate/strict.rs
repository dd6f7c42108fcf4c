//! Which stages the Stable API leaves out: what `apiStrict` refuses in a pipeline. Source: recorded answers, and for stages
//! that the recording engine could not run MongoDB's documentation.

use super::pipeline::check_names;
use crate::bson::{Array, Raw};
use crate::error::{Code, Error, Result};

/// The stages that version 1 does not have, sorted.
const UNSTABLE: &[&str] = &[
    "$_internalInhibitOptimization",
    "$changeStreamSplitLargeEvent",
    "$currentOp",
    "$fill",
    "$indexStats",
    "$listCatalog",
    "$listLocalSessions",
    "$listSampledQueries",
    "$listSearchIndexes",
    "$listSessions",
    "$planCacheStats",
    "$querySettings",
    "$queryStats",
    "$rankFusion",
    "$search",
    "$searchMeta",
    "$shardedDataDistribution",
    "$vectorSearch",
];

/// Checks that a pipeline and the pipelines inside it have only stages of version 1.
///
/// # Errors
/// Those of [`check_names`], `APIStrictError` (323).
pub fn check_pipeline(stages: Array<'_>) -> Result<()> {
    check_names(stages)?;
    for stage in stages.iter().filter_map(|stage| stage.as_doc()?.first()) {
        let name = stage.name_str();
        if UNSTABLE.binary_search(&name).is_ok() {
            let message = format!("{name} is not allowed with 'apiStrict: true' in API Version 1");
            return Err(Error::new(Code::API_STRICT_ERROR, message));
        }
        let Some(spec) = stage.value.as_doc() else { continue };
        match name {
            "$collStats" if spec.iter().any(|field| field.name != b"count") => {
                let message = "only the 'count' option to $collStats is supported in API Version 1";
                return Err(Error::new(Code::API_STRICT_ERROR, message));
            }
            "$facet" => {
                spec.iter()
                    .filter_map(|facet| facet.value.as_array())
                    .try_for_each(check_pipeline)?;
            }
            "$lookup" | "$unionWith" => {
                spec.get("pipeline").and_then(Raw::as_array).map_or(Ok(()), check_pipeline)?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(UNSTABLE.is_sorted());
    }
}
