//! Accumulators and window functions made up from a seed. Knows no stage but `$setWindowFields`.

use super::made::{Kind, expression};
use crate::query::model::Source;

/// The accumulators that take one expression and give the same for the same documents in the same order.
const PLAIN: &[&str] = &[
    "$sum",
    "$avg",
    "$min",
    "$max",
    "$first",
    "$last",
    "$push",
    "$stdDevPop",
    "$stdDevSamp",
    "$mergeObjects",
];

/// What a group says of its documents.
pub(super) fn accumulator(source: &mut Source, kind: Kind) -> String {
    let input = expression(source, 1, kind);
    let count = 1 + source.below(3);
    match source.below(16) {
        0 => "{\"$sum\": 1}".to_owned(),
        1 => "{\"$count\": {}}".to_owned(),
        2 | 3 => {
            let name = source.pick(&["$topN", "$bottomN"]);
            format!(
                "{{\"{name}\": {{\"n\": {count}, \"sortBy\": {{\"p\": -1, \"_id\": 1}}, \"output\": {input}}}}}"
            )
        }
        4 => {
            let name = source.pick(&["$top", "$bottom"]);
            format!("{{\"{name}\": {{\"sortBy\": {{\"p\": 1, \"_id\": 1}}, \"output\": {input}}}}}")
        }
        5 | 6 => {
            let name = source.pick(&["$firstN", "$lastN", "$minN", "$maxN"]);
            format!("{{\"{name}\": {{\"n\": {count}, \"input\": {input}}}}}")
        }
        7 => "{\"$median\": {\"input\": \"$p\", \"method\": \"approximate\"}}".to_owned(),
        8 => {
            "{\"$percentile\": {\"input\": \"$p\", \"p\": [0.1, 0.9], \"method\": \"approximate\"}}"
                .to_owned()
        }
        // The order of a set is not told.
        9 if kind == Kind::Any => format!("{{\"$addToSet\": {input}}}"),
        _ => format!("{{\"{}\": {input}}}", source.pick(PLAIN)),
    }
}

const BOUNDS: &[&str] = &[
    "{\"documents\": [-1, 1]}",
    "{\"documents\": [-2, 0]}",
    "{\"documents\": [-3, 0]}",
    "{\"documents\": [-5, -2]}",
    "{\"documents\": [\"unbounded\", -2]}",
    "{\"documents\": [1, 3]}",
    "{\"documents\": [\"unbounded\", \"current\"]}",
    "{\"documents\": [\"current\", \"unbounded\"]}",
    "{\"documents\": [\"unbounded\", \"unbounded\"]}",
];

/// A stage of windows over partitions.
pub(super) fn window(source: &mut Source, partition: &str, kind: Kind) -> String {
    let ranges = source.below(3) == 0;
    let bounds = match ranges {
        true => source.pick(&[
            "{\"range\": [-5, 5]}",
            "{\"range\": [\"unbounded\", \"current\"]}",
            "{\"range\": [-10, 0]}",
        ]),
        false => source.pick(BOUNDS),
    };
    let function = match source.below(8) {
        0 => format!("{{\"{}\": {{}}}}", source.pick(&["$documentNumber", "$rank", "$denseRank"])),
        1 => {
            let (by, default) = (source.pick(&["-1", "1", "2"]), expression(source, 0, kind));
            format!(
                "{{\"$shift\": {{\"output\": {}, \"by\": {by}, \"default\": {default}}}}}",
                expression(source, 1, kind)
            )
        }
        2 => format!(
            "{{\"$expMovingAvg\": {{\"input\": \"$k\", \"{}}}}}",
            source.pick(&["N\": 3", "alpha\": 0.5"])
        ),
        3 => format!("{{\"{}\": \"$k\"}}", source.pick(&["$locf", "$linearFill"])),
        4 => format!(
            "{{\"{}\": [\"$k\", \"$p\"], \"window\": {bounds}}}",
            source.pick(&["$covariancePop", "$covarianceSamp"])
        ),
        5 => {
            let name = source.pick(&["$minN", "$maxN", "$firstN", "$lastN"]);
            format!("{{\"{name}\": {{\"n\": 2, \"input\": \"$k\"}}, \"window\": {bounds}}}")
        }
        6 => format!(
            "{{\"{}\": {{\"input\": \"$k\"}}, \"window\": {bounds}}}",
            source.pick(&["$derivative", "$integral"])
        ),
        _ => {
            let name = source.pick(PLAIN);
            format!("{{\"{name}\": {}, \"window\": {bounds}}}", expression(source, 1, kind))
        }
    };
    // Ranges go by one number; documents of the same one may come in any order.
    let sort = if ranges { "\"p\": 1" } else { "\"p\": 1, \"_id\": 1" };
    let sorted = if ranges { "{\"$sort\": {\"k\": 1, \"p\": 1, \"_id\": 1}}, " } else { "" };
    format!(
        "{sorted}{{\"$setWindowFields\": {{\"partitionBy\": \"${partition}\", \"sortBy\": {{{sort}}}, \"output\": {{\"w\": {function}}}}}}}"
    )
}
