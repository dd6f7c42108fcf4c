//! Pipelines made up from a seed: every stage that reads, expressions of some depth, wrong types among them. Knows no
//! property: what holds for them is said beside.

use headwater_engine::aggregate::expressions::EXPRESSIONS;

use super::windows::{accumulator, window};
use crate::query::model::Source;

/// What a pipeline is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything goes, `$sample` and `$rand` too.
    Any,
    /// The same documents give the same answer.
    Repeatable,
    /// The answer does not hang on the order in which `$group` gives its groups.
    Ordered,
}

/// Documents of `c` and `other`: what filters are made for, and typed fields that most expressions can use.
pub(super) fn document(source: &mut Source, id: usize) -> String {
    let mut doc = format!("{{\"_id\": {id}");
    if source.below(3) > 0 {
        let filtered = source.document_text(2);
        let inside = filtered.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        let inside = inside.unwrap_or_default().trim();
        if !inside.is_empty() {
            doc += &format!(", {inside}");
        }
    }
    doc += &format!(", \"k\": {}, \"n\": {}", source.below(5), source.pick(NUMBERS));
    if source.below(5) > 0 {
        doc += &format!(", \"s\": \"{}\"", source.pick(&["x", "xy", "", "Größe", "12", "a,b"]));
    }
    let day = 1_700_000_000_000_i64 + 3_600_000 * (source.below(2000) as i64 - 1000);
    doc += &format!(", \"t\": {{\"$date\": {{\"$numberLong\": \"{day}\"}}}}");
    let list: Vec<String> = (0..source.below(4)).map(|_| source.below(6).to_string()).collect();
    doc + &format!(", \"l\": [{}], \"p\": {}}}", list.join(", "), source.below(40))
}

const NUMBERS: &[&str] = &[
    "1",
    "2.5",
    "-3",
    "7",
    "{\"$numberLong\": \"40000000000\"}",
    "{\"$numberDecimal\": \"1.50\"}",
    "{\"$numberDouble\": \"NaN\"}",
    "null",
    "2147483647",
];

const VALUES: &[&str] = &[
    "\"$a\"",
    "\"$a.b\"",
    "\"$b\"",
    "\"$k\"",
    "\"$k\"",
    "\"$n\"",
    "\"$n\"",
    "\"$s\"",
    "\"$s\"",
    "\"$t\"",
    "\"$l\"",
    "\"$l\"",
    "\"$p\"",
    "\"$_id\"",
    "\"$$ROOT\"",
    "\"$$ROOT.a\"",
    "\"$$noted\"",
    "\"$gone\"",
    "0",
    "1",
    "-2",
    "2.5",
    "\"x\"",
    "null",
    "true",
    "[]",
    "[1, 2]",
    "{\"$literal\": {\"q\": 1}}",
    "{\"$numberDecimal\": \"0.1\"}",
];

fn field(source: &mut Source) -> &'static str {
    source.pick(&["k", "n", "s", "t", "p", "a", "b", "l", "_id"])
}

/// An expression of at most some depth; any value may stand at any place.
pub(super) fn expression(source: &mut Source, depth: usize, kind: Kind) -> String {
    if depth == 0 || source.below(4) == 0 {
        return source.pick(VALUES).to_owned();
    }
    let inner = |source: &mut Source| expression(source, depth - 1, kind);
    let (one, two, three) = (inner(source), inner(source), inner(source));
    match source.below(26) {
        0 => format!("{{\"$cond\": [{one}, {two}, {three}]}}"),
        1 => format!("{{\"$ifNull\": [{one}, {two}]}}"),
        2 => format!("{{\"$add\": [\"$k\", {one}]}}"),
        3 => "{\"$map\": {\"input\": \"$l\", \"in\": {\"$add\": [\"$$this\", 1]}}}".to_owned(),
        4 => format!("{{\"$filter\": {{\"input\": {one}, \"cond\": {two}, \"as\": \"v\"}}}}"),
        5 => format!(
            "{{\"$reduce\": {{\"input\": \"$l\", \"initialValue\": {one}, \"in\": {{\"$max\": [\"$$value\", \"$$this\"]}}}}}}"
        ),
        6 => format!("{{\"$let\": {{\"vars\": {{\"v\": {one}}}, \"in\": [\"$$v\", {two}]}}}}"),
        7 => format!("{{\"u\": {one}, \"v\": {two}}}"),
        8 => format!(
            "{{\"$switch\": {{\"branches\": [{{\"case\": {one}, \"then\": {two}}}], \"default\": {three}}}}}"
        ),
        9 => format!(
            "{{\"$convert\": {{\"input\": {one}, \"to\": \"{}\", \"onError\": {two}}}}}",
            source.pick(&["int", "string", "double", "date", "bool", "decimal"])
        ),
        10 => format!(
            "{{\"$dateTrunc\": {{\"date\": \"$t\", \"unit\": \"{}\"}}}}",
            source.pick(&["day", "week", "month", "hour"])
        ),
        12 => format!("{{\"$zip\": {{\"inputs\": [\"$l\", {one}], \"useLongestLength\": true}}}}"),
        13 => format!("{{\"$sortArray\": {{\"input\": {one}, \"sortBy\": -1}}}}"),
        14 => format!(
            "{{\"$dateAdd\": {{\"startDate\": \"$t\", \"unit\": \"{}\", \"amount\": \"$k\", \"timezone\": \"Europe/Paris\"}}}}",
            source.pick(&["day", "month", "quarter", "minute"])
        ),
        15 => format!("{{\"$dateToString\": {{\"date\": {one}, \"onNull\": {two}}}}}"),
        16 => format!(
            "{{\"$setField\": {{\"field\": \"{}\", \"input\": \"$$ROOT\", \"value\": {one}}}}}",
            source.pick(&["k", "x", "a.b"])
        ),
        17 => format!(
            "{{\"$regexFind\": {{\"input\": \"$s\", \"regex\": \"{}\"}}}}",
            source.pick(&["x", "^.", "(x)(y)?", "ß"])
        ),
        18 => format!("{{\"$arrayToObject\": {{\"$objectToArray\": {one}}}}}"),
        19 => format!("{{\"$mergeObjects\": [{one}, {{\"q\": {two}}}]}}"),
        11 => format!("{{\"$concat\": [{{\"$toString\": \"$k\"}}, {one}]}}"),
        _ => call(source, &[one, two, three], kind),
    }
}

/// Any operator of the table with one to three arguments, which may be too few, too many or of the wrong type.
fn call(source: &mut Source, args: &[String; 3], kind: Kind) -> String {
    const RANDOM: [&str; 1] = ["$rand"];
    let row = loop {
        let row = &EXPRESSIONS[source.below(EXPRESSIONS.len())];
        if kind == Kind::Any || !RANDOM.contains(&row.name) {
            break row;
        }
    };
    match source.below(4) {
        0 => format!("{{\"{}\": {}}}", row.name, args[0]),
        count => format!("{{\"{}\": [{}]}}", row.name, args[..count].join(", ")),
    }
}

fn group(source: &mut Source, kind: Kind) -> String {
    let id = match source.below(6) {
        0 => "null".to_owned(),
        1 => expression(source, 1, kind),
        2 => "{\"k\": \"$k\", \"s\": \"$s\"}".to_owned(),
        _ => format!("\"${}\"", source.pick(&["k", "k", "s", "n", "p"])),
    };
    let statements: Vec<String> = ["k", "n", "s", "p"][..1 + source.below(3)]
        .iter()
        .map(|name| format!("\"{name}\": {}", accumulator(source, kind)))
        .collect();
    let group = format!("{{\"$group\": {{\"_id\": {id}, {}}}}}", statements.join(", "));
    match kind {
        // Documents compare as wholes, arrays by their smallest element: the order is total only inside a document.
        Kind::Ordered => {
            format!(
                "{group}, {{\"$set\": {{\"_id\": {{\"g\": \"$_id\"}}}}}}, {{\"$sort\": {{\"_id\": 1}}}}"
            )
        }
        _ => group,
    }
}

fn sort(source: &mut Source) -> String {
    let (one, two) = (field(source), field(source));
    let direction = source.pick(&["1", "-1"]);
    match one == two {
        true => format!("{{\"$sort\": {{\"{one}\": {direction}}}}}"),
        false => format!("{{\"$sort\": {{\"{one}\": {direction}, \"{two}\": 1}}}}"),
    }
}

/// A stage, or one with what it needs before or behind it.
fn stage(source: &mut Source, depth: usize, kind: Kind) -> String {
    let inner = |source: &mut Source| match depth {
        0 => String::new(),
        _ => stages(source, depth - 1, kind),
    };
    match source.below(30) {
        0..4 => format!("{{\"$match\": {}}}", source.filter_text(1)),
        4 => format!("{{\"$match\": {{\"$expr\": {}}}}}", expression(source, 2, kind)),
        5..7 => format!("{{\"$project\": {{\"k\": 1, \"n\": {}}}}}", expression(source, 2, kind)),
        7..9 => {
            let name = source.pick(&["k", "n", "s", "x", "a.b", "l"]);
            format!("{{\"$set\": {{\"{name}\": {}}}}}", expression(source, 2, kind))
        }
        9 => format!("{{\"$unset\": \"{}\"}}", source.pick(&["k", "a", "a.b", "l"])),
        10..13 => group(source, kind),
        13..16 => sort(source),
        16 => format!("{{\"$limit\": {}}}", 1 + source.below(20)),
        17 => format!("{{\"$skip\": {}}}", source.below(10)),
        18 if source.below(2) == 0 => joined(source),
        18 => format!("{{\"$unwind\": \"${}\"}}", source.pick(&["l", "a", "s"])),
        19 => format!(
            "{{\"$unwind\": {{\"path\": \"${}\", \"includeArrayIndex\": \"{}\", \"preserveNullAndEmptyArrays\": {}}}}}",
            source.pick(&["l", "a", "a.b"]),
            source.pick(&["i", "k", "a.i"]),
            source.pick(&["true", "false"])
        ),
        20 => match source.below(2) {
            0 => "{\"$count\": \"n\"}".to_owned(),
            // As of groups: arrays are sorted by one of their elements, documents by all that they hold.
            _ => format!(
                "{{\"$sortByCount\": \"${}\"}}, {{\"$set\": {{\"_id\": {{\"g\": \"$_id\"}}}}}}, {{\"$sort\": {{\"count\": 1, \"_id\": 1}}}}",
                source.pick(&["k", "p"])
            ),
        },
        21 => "{\"$bucket\": {\"groupBy\": \"$p\", \"boundaries\": [0, 10, 30], \"default\": \"rest\"}}".to_owned(),
        22 => format!("{{\"$bucketAuto\": {{\"groupBy\": \"$p\", \"buckets\": {}}}}}", 1 + source.below(4)),
        23 => match source.below(2) {
            0 => format!("{{\"$facet\": {{\"one\": [{}], \"two\": [{{\"$limit\": 3}}]}}}}", inner(source)),
            _ => format!("{{\"$facet\": {{\"one\": [{}], \"two\": [{}]}}}}, {{\"$unwind\": \"$one\"}}, {{\"$replaceWith\": {{\"$mergeObjects\": [\"$one\", {{\"n\": {{\"$size\": \"$two\"}}}}]}}}}", inner(source), inner(source)),
        },
        24 | 25 => lookup(source, inner),
        26 => format!("{{\"$unionWith\": {{\"coll\": \"other\", \"pipeline\": [{}]}}}}", inner(source)),
        27 => format!("{{\"$replaceRoot\": {{\"newRoot\": {{\"$mergeObjects\": [\"$$ROOT\", {{\"k\": {}}}]}}}}}}", expression(source, 1, kind)),
        28 => {
            let partition = source.pick(&["k", "s"]);
            window(source, partition, kind)
        }
        _ => rare(source, kind),
    }
}

/// A filter on joined documents and others, behind what joins and unwinds them.
fn joined(source: &mut Source) -> String {
    let one = |source: &mut Source| {
        let value = source.below(6);
        let conditions = [
            format!("\"j.k\": {value}"),
            format!("\"k\": {{\"$gt\": {value}}}"),
            format!("\"j.p\": {{\"$lt\": {}}}", value * 20),
            format!("\"$or\": [{{\"j.k\": {value}}}, {{\"j.s\": {{\"$exists\": true}}}}]"),
            format!("\"$or\": [{{\"j.k\": {value}}}, {{\"p\": {{\"$gt\": 5}}}}]"),
            format!("\"$nor\": [{{\"j.a.b\": {value}}}, {{\"j.l\": {{\"$size\": 2}}}}]"),
            format!(
                "\"$and\": [{{\"j._id\": {{\"$ne\": {value}}}}}, {{\"s\": {{\"$ne\": null}}}}]"
            ),
            "\"j.l\": null".to_owned(),
        ];
        conditions[source.below(8)].clone()
    };
    let filter = match source.below(2) {
        0 => one(source),
        _ => format!("\"$and\": [{{{}}}, {{{}}}]", one(source), one(source)),
    };
    let local = source.pick(&["k", "l", "s"]);
    format!(
        "{{\"$lookup\": {{\"from\": \"other\", \"localField\": \"{local}\", \"foreignField\": \"k\", \"as\": \"j\"}}}}, {{\"$unwind\": \"$j\"}}, {{\"$match\": {{{filter}}}}}, {{\"$project\": {{\"j.a\": 0}}}}"
    )
}

fn lookup(source: &mut Source, inner: impl Fn(&mut Source) -> String) -> String {
    match source.below(3) {
        0 => "{\"$lookup\": {\"from\": \"other\", \"localField\": \"k\", \"foreignField\": \"k\", \"as\": \"l\"}}".to_owned(),
        1 => format!(
            "{{\"$lookup\": {{\"from\": \"other\", \"localField\": \"l\", \"foreignField\": \"p\", \"as\": \"a\", \"pipeline\": [{}]}}}}",
            inner(source)
        ),
        _ => "{\"$lookup\": {\"from\": \"other\", \"let\": {\"v\": \"$k\"}, \"as\": \"l\", \"pipeline\": [{\"$match\": {\"$expr\": {\"$eq\": [\"$p\", \"$$v\"]}}}, {\"$limit\": 2}]}}".to_owned(),
    }
}

fn rare(source: &mut Source, kind: Kind) -> String {
    let number = "{\"$match\": {\"p\": {\"$type\": \"number\"}}}";
    match source.below(if kind == Kind::Any { 12 } else { 11 }) {
        0 => format!(
            "{{\"$redact\": {{\"$cond\": [{{\"$gt\": [{}, 1]}}, \"$$PRUNE\", \"{}\"]}}}}",
            expression(source, 1, kind),
            source.pick(&["$$DESCEND", "$$KEEP"])
        ),
        1 => format!("{number}, {{\"$densify\": {{\"field\": \"p\", \"range\": {{\"step\": 7, \"bounds\": \"full\"}}}}}}"),
        2 => format!("{number}, {{\"$densify\": {{\"field\": \"p\", \"partitionByFields\": [\"k\"], \"range\": {{\"step\": 5, \"bounds\": \"partition\"}}}}}}, {{\"$sort\": {{\"k\": 1, \"p\": 1, \"_id\": 1}}}}"),
        3 => "{\"$fill\": {\"sortBy\": {\"p\": 1, \"_id\": 1}, \"output\": {\"s\": {\"method\": \"locf\"}}}}".to_owned(),
        4 => format!("{{\"$fill\": {{\"output\": {{\"s\": {{\"value\": {}}}}}}}}}", expression(source, 1, kind)),
        5 => "{\"$graphLookup\": {\"from\": \"other\", \"startWith\": \"$k\", \"connectFromField\": \"k\", \"connectToField\": \"_id\", \"as\": \"g\", \"maxDepth\": 2}}, {\"$set\": {\"g\": {\"$size\": \"$g\"}}}".to_owned(),
        6 => "{\"$_internalInhibitOptimization\": {}}".to_owned(),
        7 => format!("{{\"$replaceWith\": {{\"$ifNull\": [{}, \"$$ROOT\"]}}}}", expression(source, 1, kind)),
        8 => format!("{{\"$addFields\": {{\"a.b\": {}, \"k\": \"$p\"}}}}", expression(source, 1, kind)),
        9 => "{\"$project\": {\"_id\": 0, \"a\": {\"b\": 1}, \"p\": 1, \"k\": \"$k\"}}".to_owned(),
        10 => format!("{{\"$bucketAuto\": {{\"groupBy\": \"$k\", \"buckets\": 3, \"output\": {{\"v\": {}}}}}}}", accumulator(source, kind)),
        _ => format!("{{\"$sample\": {{\"size\": {}}}}}", 1 + source.below(9)),
    }
}

/// One to three stages.
fn stages(source: &mut Source, depth: usize, kind: Kind) -> String {
    let stages: Vec<String> =
        (0..1 + source.below(3)).map(|_| stage(source, depth, kind)).collect();
    stages.join(", ")
}

/// A pipeline of one to six stages, without its brackets.
pub(super) fn pipeline(source: &mut Source, kind: Kind) -> String {
    let stages: Vec<String> = (0..1 + source.below(6)).map(|_| stage(source, 1, kind)).collect();
    stages.join(", ")
}

/// Stages that change neither the number of documents nor the fields that filters look at.
pub(super) fn keeping(source: &mut Source) -> String {
    let one = |source: &mut Source| {
        match source.below(5) {
        0 => sort(source),
        1 => window(source, "k", Kind::Repeatable),
        2 => "{\"$lookup\": {\"from\": \"other\", \"localField\": \"k\", \"foreignField\": \"k\", \"as\": \"z\"}}".to_owned(),
        3 => "{\"$project\": {\"l\": 0, \"s\": 0}}".to_owned(),
        _ => format!("{{\"$set\": {{\"y\": {}}}}}", expression(source, 2, Kind::Repeatable)),
    }
    };
    let stages: Vec<String> = (0..1 + source.below(3)).map(|_| one(source)).collect();
    stages.join(", ")
}
