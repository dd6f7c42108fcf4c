//! Whether a reply is the recorded one. Messages are judged apart from everything else.

use headwater_engine::bson::extjson::{Style, print_value};
use headwater_engine::bson::{Array, Doc, Raw, Type, View};

use crate::recording::ANY_CURSOR;

/// Fields that a reply may carry and no recording has.
const UNRECORDED: &[&str] = &["$clusterTime", "operationTime", "electionId", "opTime", "lsid"];

/// What comparing a reply with its recording gave.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// The first difference outside messages, `None` if there is none.
    pub difference: Option<String>,
    /// What Headwater said it does not support on the way, `None` if it refused nothing.
    pub refused: Option<String>,
    /// Messages that were compared.
    pub messages: usize,
    /// Messages that differ: the recorded one and ours.
    pub wrong_messages: Vec<(String, String)>,
}

/// What the comparison may overlook.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leniency<'a> {
    /// The answered documents may come in any order.
    pub unordered: bool,
    /// Cursor ids that [`ANY_CURSOR`] stands for.
    pub cursors: &'a [i64],
}

/// Compares a reply with the recorded one.
pub fn reply(recorded: Doc<'_>, ours: Doc<'_>, leniency: Leniency<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let failed = is_failure(recorded);
    let keep = |doc: Doc<'_>| -> Vec<(String, Vec<u8>, Type)> {
        let mut fields = doc
            .iter()
            .map(|e| (e.name_str().to_owned(), e.value.data.to_vec(), e.value.kind))
            .filter(|(name, ..)| !UNRECORDED.contains(&name.as_str()))
            .collect::<Vec<_>>();
        if failed {
            // of a failed command the recorder moved the fields
            fields.sort_by(|one, two| one.0.cmp(&two.0));
        }
        fields
    };
    let (recorded_fields, our_fields) = (keep(recorded), keep(ours));
    let names = |fields: &[(String, Vec<u8>, Type)]| {
        fields.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>().join(", ")
    };
    if failed != is_failure(ours) {
        let (what, reply) =
            if failed { ("succeeds, recorded is", recorded) } else { ("fails with", ours) };
        let code =
            reply.get("code").map_or_else(String::new, |code| print_value(code, Style::Relaxed));
        let message = reply.get("errmsg").and_then(Raw::as_str).unwrap_or_default();
        verdict.difference = Some(format!("{what} {code} {message}"));
        return verdict;
    }
    if names(&recorded_fields) != names(&our_fields) {
        verdict.difference = Some(format!(
            "fields are ({}), recorded are ({})",
            names(&our_fields),
            names(&recorded_fields)
        ));
        return verdict;
    }
    for ((name, recorded, kind), (_, ours, our_kind)) in recorded_fields.iter().zip(&our_fields) {
        let recorded = Raw { kind: *kind, data: recorded };
        let ours = Raw { kind: *our_kind, data: ours };
        field(name, recorded, ours, leniency, &mut verdict);
    }
    verdict
}

/// Whether a reply says that its command failed.
pub fn is_failure(reply: Doc<'_>) -> bool {
    !matches!(reply.get("ok").map(Raw::view), Some(View::Double(1.0)))
}

fn field(
    name: &str,
    recorded: Raw<'_>,
    ours: Raw<'_>,
    leniency: Leniency<'_>,
    verdict: &mut Verdict,
) {
    match (name, recorded.view(), ours.view()) {
        ("errmsg", View::String(recorded), View::String(ours)) => {
            compare_message(recorded, ours, leniency.cursors, verdict);
        }
        ("cursor", View::Document(one), View::Document(two)) if leniency.unordered => {
            if shape(one) != shape(two) {
                differ(verdict, name, recorded, ours);
            }
            for element in one {
                let two = two.get_bytes(element.name).unwrap_or(Raw::NULL);
                let name = element.name_str();
                match (name, element.value.as_array(), two.as_array()) {
                    ("firstBatch", Some(one), Some(two)) => multiset(name, one, two, verdict),
                    _ => field(name, element.value, two, leniency, verdict),
                }
            }
        }
        ("values", View::Array(one), View::Array(two)) if leniency.unordered => {
            multiset(name, one, two, verdict);
        }
        ("writeErrors", View::Array(one), View::Array(two)) => {
            if one.len() != two.len() {
                differ(verdict, name, recorded, ours);
            }
            for (one, two) in one.iter().zip(two.iter()) {
                nested(name, one, two, leniency, verdict);
            }
        }
        ("writeConcernError", ..) => nested(name, recorded, ours, leniency, verdict),
        _ if same(recorded, ours, leniency.cursors) => {}
        _ => differ(verdict, name, recorded, ours),
    }
}

/// Compares an error inside a reply, whose message counts apart as well.
fn nested(
    name: &str,
    recorded: Raw<'_>,
    ours: Raw<'_>,
    leniency: Leniency<'_>,
    verdict: &mut Verdict,
) {
    match (recorded.as_doc(), ours.as_doc()) {
        (Some(one), Some(two)) if shape(one) == shape(two) => {
            for (one, two) in one.iter().zip(two) {
                field(one.name_str(), one.value, two.value, leniency, verdict);
            }
        }
        _ => differ(verdict, name, recorded, ours),
    }
}

fn shape(doc: Doc<'_>) -> Vec<&[u8]> {
    doc.iter().map(|e| e.name).collect()
}

fn multiset(name: &str, recorded: Array<'_>, ours: Array<'_>, verdict: &mut Verdict) {
    let mut left = ours.iter().collect::<Vec<_>>();
    for value in recorded.iter() {
        match left.iter().position(|&other| same(value, other, &[])) {
            Some(at) => drop(left.swap_remove(at)),
            None => return differ(verdict, name, recorded.as_raw(), ours.as_raw()),
        }
    }
    if !left.is_empty() {
        differ(verdict, name, recorded.as_raw(), ours.as_raw());
    }
}

fn differ(verdict: &mut Verdict, name: &str, recorded: Raw<'_>, ours: Raw<'_>) {
    verdict.difference.get_or_insert_with(|| {
        let text = |value| print_value(value, Style::Canonical);
        format!("{name} is\n      {}\n    recorded is\n      {}", text(ours), text(recorded))
    });
}

/// Whether two values are the same, types and order of fields included. All NaN of a type are one value, since the
/// recordings name no payload.
fn same(recorded: Raw<'_>, ours: Raw<'_>, cursors: &[i64]) -> bool {
    match (recorded.view(), ours.view()) {
        (View::Double(one), View::Double(two)) => {
            one.to_bits() == two.to_bits() || (one.is_nan() && two.is_nan())
        }
        (View::Decimal(one), View::Decimal(two)) => {
            one == two || (is_decimal_nan(one) && is_decimal_nan(two))
        }
        (View::Int64(ANY_CURSOR), View::Int64(ours)) => cursors.contains(&ours),
        (View::Document(one), View::Document(two)) => same_elements(one, two, cursors),
        (View::Array(one), View::Array(two)) => {
            same_elements(Doc::trusted(one.as_bytes()), Doc::trusted(two.as_bytes()), cursors)
        }
        _ => recorded.kind == ours.kind && recorded.data == ours.data,
    }
}

fn same_elements(recorded: Doc<'_>, ours: Doc<'_>, cursors: &[i64]) -> bool {
    let (mut one, mut two) = (recorded.iter(), ours.iter());
    loop {
        match (one.next(), two.next()) {
            (None, None) => return true,
            (Some(one), Some(two))
                if one.name == two.name && same(one.value, two.value, cursors) => {}
            _ => return false,
        }
    }
}

/// Bits 57 to 61 of the high half are all set in a NaN.
fn is_decimal_nan(bytes: [u8; 16]) -> bool {
    bytes.last().is_some_and(|top| top & 0x7C == 0x7C)
}

fn compare_message(recorded: &str, ours: &str, cursors: &[i64], verdict: &mut Verdict) {
    verdict.messages += 1;
    let mut plain = ours.to_owned();
    for cursor in cursors {
        plain = plain.replace(&cursor.to_string(), "<cursor>");
    }
    if !same_message(recorded, &plain) {
        verdict.wrong_messages.push((recorded.to_owned(), ours.to_owned()));
    }
}

/// The recording engine's words before a runtime error, which a namespace follows, and 8.0's.
const PREFIXES: [(&str, &str); 2] = [
    (
        "Executor error during aggregate command on namespace: ",
        "PlanExecutor error during aggregation :: caused by :: ",
    ),
    ("Executor error during find command: ", "Executor error during find command :: caused by :: "),
];
const CAUSE: &str = " :: caused by :: ";

fn same_message(recorded: &str, ours: &str) -> bool {
    if PREFIXES.iter().any(|(newer, _)| ours.starts_with(newer)) {
        return false;
    }
    let in_old_words = |message: &str| {
        PREFIXES.iter().find_map(|(newer, older)| {
            let (_, cause) = message.strip_prefix(newer)?.split_once(CAUSE)?;
            Some(format!("{older}{cause}"))
        })
    };
    let recorded = in_old_words(recorded).unwrap_or_else(|| recorded.to_owned());
    normal(&recorded) == normal(ours)
}

/// A message with what may differ taken out: UUIDs are zero, durations zero, lists of types sorted.
fn normal(message: &str) -> String {
    sorted_types(&zeroed_durations(&zeroed_uuids(&message.replace("<uuid>", UUID))))
}

/// What stands for every UUID; recorded scripts write `<uuid>`.
const UUID: &str = "00000000-0000-0000-0000-000000000000";

fn zeroed_uuids(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(c) = rest.chars().next() {
        let is_uuid = rest.get(..UUID.len()).is_some_and(|head| {
            head.bytes().zip(UUID.bytes()).all(|(b, shape)| match shape {
                b'-' => b == b'-',
                _ => b.is_ascii_hexdigit(),
            })
        });
        let taken = if is_uuid { UUID.len() } else { c.len_utf8() };
        out.push_str(if is_uuid { UUID } else { &rest[..taken] });
        rest = &rest[taken..];
    }
    out
}

fn zeroed_durations(message: &str) -> String {
    let Some((before, after)) = message.split_once("durationMillis: ") else {
        return message.to_owned();
    };
    format!("{before}durationMillis: 0{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn sorted_types(message: &str) -> String {
    let Some((before, list)) = message.split_once("expected types '[") else {
        return message.to_owned();
    };
    let Some((list, after)) = list.split_once(']') else { return message.to_owned() };
    let mut types = list.split(", ").collect::<Vec<_>>();
    types.sort_unstable();
    format!("{before}expected types '[{}]{after}", types.join(", "))
}

#[cfg(test)]
mod tests {
    use super::same_message;

    #[test]
    fn messages_differ_in_prefix_lists_and_masks_only() {
        let cause = "can't $divide by zero";
        let new = format!(
            "Executor error during aggregate command on namespace: test.c :: caused by :: {cause}"
        );
        let old = format!("PlanExecutor error during aggregation :: caused by :: {cause}");
        assert!(same_message(&new, &old));
        assert!(!same_message(&new, &new), "8.0 words the prefix otherwise");
        assert!(!same_message(&new, cause));
        assert!(!same_message(cause, &old));
        assert!(same_message("x, expected types '[long, int]'", "x, expected types '[int, long]'"));
        assert!(!same_message(
            "x, expected types '[long, int]'",
            "x, expected types '[int, bool]'"
        ));
        let uuid = "UUID(\"0b6a6f5e-4a1c-4d5e-9d2f-3f6f2f0c1a2b\")";
        assert!(same_message("UUID(\"00000000-0000-0000-0000-000000000000\")", uuid));
    }
}
