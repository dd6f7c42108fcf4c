//! Properties of commands that are made up from a seed: none ends in a panic, whatever it is made of, and what is read
//! as Extended JSON, printed and read again is the same command.

use std::panic::{AssertUnwindSafe, catch_unwind};

use headwater_engine::bson::extjson::{Style, parse_commands, print};

use crate::commands::Session;
use crate::query::model::Source;

const SCALARS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2.5",
    "9223372036854775807",
    "-9223372036854775808",
    "null",
    "true",
    "false",
    "\"\"",
    "\"a\"",
    "\"$a\"",
    "\"$$ROOT\"",
    "\"a.b\"",
    "\"a.$[]\"",
    "\"c\"",
    "{\"$numberDouble\": \"NaN\"}",
    "{\"$numberDouble\": \"-Infinity\"}",
    "{\"$numberDecimal\": \"1E+6000\"}",
    "{\"$minKey\": 1}",
    "{\"$maxKey\": 1}",
    "{\"$date\": {\"$numberLong\": \"-62135596800001\"}}",
    "{\"$timestamp\": {\"t\": 4294967295, \"i\": 1}}",
    "{\"$regularExpression\": {\"pattern\": \"^a(\", \"options\": \"ix\"}}",
    "{\"$binary\": {\"base64\": \"AP8=\", \"subType\": \"06\"}}",
    "{\"$oid\": \"000000000000000000000001\"}",
    "{\"$undefined\": true}",
];

const NAMES: &[&str] = &[
    "a",
    "b",
    "_id",
    "a.b",
    "a.0",
    "",
    ".",
    "a.",
    "$",
    "$a",
    "$and",
    "$or",
    "$nor",
    "$not",
    "$expr",
    "$eq",
    "$ne",
    "$gt",
    "$lt",
    "$in",
    "$nin",
    "$all",
    "$elemMatch",
    "$size",
    "$type",
    "$exists",
    "$mod",
    "$regex",
    "$options",
    "$jsonSchema",
    "$bitsAllSet",
    "$set",
    "$unset",
    "$inc",
    "$mul",
    "$min",
    "$max",
    "$push",
    "$each",
    "$slice",
    "$sort",
    "$position",
    "$pull",
    "$addToSet",
    "$rename",
    "$bit",
    "$currentDate",
    "$match",
    "$group",
    "$project",
    "$lookup",
    "$unwind",
    "$facet",
    "$bucket",
    "$densify",
    "$fill",
    "$setWindowFields",
    "$limit",
    "$skip",
    "$meta",
    "$natural",
    "$literal",
    "$cond",
    "$switch",
    "$map",
    "$filter",
    "$reduce",
    "$let",
    "$dateToString",
    "$convert",
    "$substrCP",
    "$range",
    "$zip",
    "$add",
    "$divide",
    "$pow",
    "input",
    "in",
    "as",
    "cond",
    "vars",
    "from",
    "localField",
    "foreignField",
    "pipeline",
    "locale",
    "strength",
    "backwards",
    "bsonType",
    "properties",
    "required",
    "items",
    "minimum",
    "pattern",
    "enum",
    "path",
    "output",
    "sortBy",
    "groupBy",
    "boundaries",
    "range",
    "step",
    "bounds",
    "unit",
    "format",
    "date",
    "timezone",
    "to",
    "onError",
];

const COMMANDS: &[&str] = &[
    "aggregate",
    "collMod",
    "count",
    "create",
    "createIndexes",
    "delete",
    "distinct",
    "drop",
    "dropIndexes",
    "explain",
    "find",
    "findAndModify",
    "getMore",
    "insert",
    "killCursors",
    "listCollections",
    "listIndexes",
    "update",
    "validate",
];

const ARGUMENTS: &[&str] = &[
    "allowDiskUse",
    "arrayFilters",
    "batchSize",
    "collation",
    "cursor",
    "deletes",
    "documents",
    "fields",
    "filter",
    "hint",
    "index",
    "indexes",
    "key",
    "let",
    "limit",
    "max",
    "min",
    "multi",
    "new",
    "ordered",
    "pipeline",
    "projection",
    "query",
    "remove",
    "returnKey",
    "showRecordId",
    "singleBatch",
    "skip",
    "sort",
    "update",
    "updates",
    "upsert",
    "validator",
];

fn value(random: &mut Source, depth: usize) -> String {
    match random.below(if depth == 0 { 2 } else { 6 }) {
        0 | 1 => random.pick(SCALARS).to_owned(),
        2 => {
            let values: Vec<String> =
                (0..random.below(4)).map(|_| value(random, depth - 1)).collect();
            format!("[{}]", values.join(", "))
        }
        _ => document(random, depth - 1),
    }
}

fn document(random: &mut Source, depth: usize) -> String {
    let fields: Vec<String> = (0..random.below(4))
        .map(|_| format!("\"{}\": {}", random.pick(NAMES), value(random, depth)))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

/// The arguments that a command is of no use without, filled so that its inside is reached.
fn body(random: &mut Source, name: &str) -> String {
    let mut one = |depth| document(random, depth);
    match name {
        "find" => {
            format!("\"filter\": {}, \"projection\": {}, \"sort\": {}", one(3), one(2), one(1))
        }
        "aggregate" => format!("\"pipeline\": [{}, {}], \"cursor\": {{}}", one(4), one(4)),
        "update" => {
            format!("\"updates\": [{{\"q\": {}, \"u\": {}, \"upsert\": true}}]", one(2), one(3))
        }
        "delete" => format!("\"deletes\": [{{\"q\": {}, \"limit\": 1}}]", one(3)),
        "insert" => format!("\"documents\": [{}, {}]", one(3), one(3)),
        "findAndModify" => {
            format!("\"query\": {}, \"update\": {}, \"sort\": {}", one(2), one(3), one(1))
        }
        "count" => format!("\"query\": {}", one(3)),
        "distinct" => format!("\"key\": \"a.b\", \"query\": {}", one(3)),
        "create" => format!("\"validator\": {}, \"collation\": {}", one(3), one(1)),
        "createIndexes" => format!("\"indexes\": [{{\"name\": \"i\", \"key\": {}}}]", one(1)),
        _ => format!("\"{}\": {}", "filter", one(2)),
    }
}

fn command(random: &mut Source) -> String {
    let name = random.pick(COMMANDS);
    let target = if random.below(20) == 0 { value(random, 1) } else { "\"c\"".to_owned() };
    let mut text = format!("{{\"{name}\": {target}");
    if random.below(8) > 0 {
        text += &format!(", {}", body(random, name));
    }
    for _ in 0..random.below(3) {
        text += &format!(", \"{}\": {}", random.pick(ARGUMENTS), value(random, 2));
    }
    text + "}"
}

#[test]
fn no_command_panics_and_all_print_as_they_are_read() {
    let long = std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1");
    let rounds = if long { 1_000_000 } else { 4_000 };
    let mut session = Session::new();
    let mut answered = 0;
    for seed in 0..rounds {
        let text = command(&mut Source(seed << 16));
        let Ok(read) = parse_commands(&text) else { continue };
        let printed = print(read.as_doc(), Style::Canonical);
        let again = parse_commands(&printed).unwrap();
        assert_eq!(again, read, "seed {seed}: {printed}");
        if seed % 500 == 0 {
            session = Session::new();
            session.ok("{\"insert\": \"c\", \"documents\": [{\"_id\": 1, \"a\": [{\"b\": 1}, 2]}, {\"_id\": 2, \"a\": {\"b\": \"x\"}}]}");
        }
        let reply = catch_unwind(AssertUnwindSafe(|| session.run(&text)));
        let reply = reply.unwrap_or_else(|_| panic!("seed {seed}: {text} panicked"));
        let code = reply.as_doc().get("code").map(|code| code.data.to_vec());
        assert_ne!(code, Some(1_i32.to_le_bytes().to_vec()), "seed {seed}: {text}: {reply:?}");
        answered += usize::from(code.is_none());
    }
    assert!(answered > rounds as usize / 20, "only {answered} commands did something");
}
