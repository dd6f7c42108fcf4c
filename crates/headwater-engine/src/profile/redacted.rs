//! A command without what it holds: names of fields and operators stay, values do not.

use std::fmt::Write;

use crate::bson::{Doc, Raw};

/// Bytes of a shown command.
const BYTES_MAX: usize = 1024;
/// Deepest document that is shown.
const DEPTH_MAX: usize = 12;
/// Items of an array that are shown.
const ITEMS_MAX: usize = 4;

/// What a value is replaced by, as in MongoDB's redacted logs.
const HIDDEN: &str = "\"###\"";

/// Fields that hold whole documents, or that say nothing of what is asked for.
const LEFT_OUT: [&str; 8] = [
    "documents",
    "ops",
    "lsid",
    "$clusterTime",
    "$readPreference",
    "$db",
    "txnNumber",
    "signature",
];

/// A command as one line.
pub(super) fn redacted(command: Doc<'_>) -> String {
    let mut out = String::from("{ ");
    for (at, field) in command.iter().enumerate() {
        let name = field.name_str();
        if LEFT_OUT.contains(&name) {
            continue;
        }
        if out.len() > BYTES_MAX {
            out.push_str(", ...");
            break;
        }
        if out.len() > 2 {
            out.push_str(", ");
        }
        match field.value.as_str().filter(|_| at == 0 || name == "collection") {
            Some(target) => {
                let _ = write!(out, "{name}: \"{target}\"");
            }
            None => {
                let _ = write!(out, "{name}: ");
                value(&mut out, field.value, 0);
            }
        }
    }
    out.push_str(" }");
    out
}

fn value(out: &mut String, raw: Raw<'_>, depth: usize) {
    if depth > DEPTH_MAX || out.len() > BYTES_MAX {
        return out.push_str("...");
    }
    if let Some(doc) = raw.as_doc() {
        out.push('{');
        for (at, field) in doc.iter().enumerate() {
            if out.len() > BYTES_MAX {
                out.push_str(" ...");
                break;
            }
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(out, "{comma} {}: ", field.name_str());
            value(out, field.value, depth + 1);
        }
        out.push_str(" }");
    } else if let Some(array) = raw.as_array() {
        out.push('[');
        for (at, item) in array.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            if at == ITEMS_MAX {
                out.push_str(", ...");
                break;
            }
            let _ = write!(out, "{comma} ");
            value(out, item, depth + 1);
        }
        out.push_str(" ]");
    } else {
        out.push_str(HIDDEN);
    }
}

#[cfg(test)]
mod tests {
    use super::redacted;
    use crate::bson::extjson::parse_commands;

    #[test]
    fn names_stay_and_values_go() {
        let command = parse_commands(
            r#"{"find": "c", "filter": {"password": {"$in": ["secret", 5, {"x": true}]}}, "limit": 3, "lsid": {"id": 1}, "$db": "d"}"#,
        );
        assert_eq!(
            redacted(command.unwrap().as_doc()),
            r####"{ find: "c", filter: { password: { $in: [ "###", "###", { x: "###" } ] } }, limit: "###" }"####
        );
        let insert = parse_commands(r#"{"insert": "c", "documents": [{"secret": "secret"}]}"#);
        assert_eq!(redacted(insert.unwrap().as_doc()), r#"{ insert: "c" }"#);
    }

    #[test]
    fn a_shown_command_is_short() {
        let field = r#""name": {"$gt": 1}"#;
        let filter = (0..1000).map(|at| format!(r#"{{"f{at}": {{{field}}}}}"#));
        let filter = filter.collect::<Vec<_>>().join(",");
        let command = format!(r#"{{"find": "c", "filter": {{"$or": [{filter}]}}}}"#);
        let deep = format!("{}1{}", r#"{"a":"#.repeat(90), "}".repeat(90));
        for command in [command, format!(r#"{{"find": "c", "filter": {deep}}}"#)] {
            assert!(redacted(parse_commands(&command).unwrap().as_doc()).len() < 2000);
        }
    }
}
