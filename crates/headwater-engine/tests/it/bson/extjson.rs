//! Extended JSON beyond the corpus: the two ways of reading, round trips, what is refused.

use headwater_engine::bson::extjson::{self, Style};
use headwater_engine::bson::{Type, key, validate};

use super::generate::Source;

#[test]
fn documents_survive_canonical_text() {
    let mut source = Source::new(21);
    for _ in 0..10_000 {
        let doc = source.document(3);
        let text = extjson::print(doc.as_doc(), Style::Canonical);
        let back = extjson::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        validate(back.as_doc().as_bytes()).unwrap();
        let (a, b) = (key::encode(doc.as_doc().as_raw()), key::encode(back.as_doc().as_raw()));
        assert_eq!(a, b, "{text}");
        // All NaNs are written as one; otherwise the very bytes come back.
        if !text.contains("NaN") {
            assert_eq!(doc, back, "{text}");
        }
    }
}

#[test]
fn relaxed_text_keeps_values() {
    let mut source = Source::new(22);
    for _ in 0..5_000 {
        let doc = source.document(2);
        let text = extjson::print(doc.as_doc(), Style::Relaxed);
        let back = extjson::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let (a, b) = (key::encode(doc.as_doc().as_raw()), key::encode(back.as_doc().as_raw()));
        assert_eq!(a, b, "{text}");
    }
}

#[test]
fn plain_numbers_take_the_type_they_are_written_as() {
    let kind = |text: &str| extjson::parse_value(text).unwrap().kind().unwrap();
    assert_eq!(kind("1"), Type::Int32);
    assert_eq!(kind("-2147483648"), Type::Int32);
    assert_eq!(kind("2147483648"), Type::Int64);
    assert_eq!(kind("9223372036854775808"), Type::Double);
    assert_eq!(kind("1.0"), Type::Double);
    assert_eq!(kind("1e0"), Type::Double);
    assert_eq!(kind("-0.0"), Type::Double);
}

#[test]
fn commands_keep_what_only_resembles_a_type() {
    let texts = [
        r#"{"a":{"$type":"string"}}"#,
        r#"{"a":{"$regex":"^a","$options":"i"}}"#,
        r#"{"a":{"$ref":"c","$id":1}}"#,
        r#"{"a":{"$date":5}}"#,
        r#"{"a":{"$oid":5,"b":[{"$binary":1}]}}"#,
        r#"{"$timestamp":{"t":1,"i":1}}"#,
    ];
    for text in texts {
        let doc = extjson::parse_commands(text).unwrap();
        assert_eq!(extjson::print(doc.as_doc(), Style::Relaxed), text);
    }
    let doc = extjson::parse_commands(
        r#"{"a":{"$regularExpression":{"pattern":"x","options":"mi"}},"b":[{"$numberLong":"5"}]}"#,
    );
    let doc = doc.unwrap();
    assert_eq!(doc.as_doc().get("a").unwrap().kind, Type::Regex);
    let list = doc.as_doc().get("b").unwrap().as_array().unwrap();
    assert_eq!(list.get(0).unwrap().kind, Type::Int64);
}

#[test]
fn bad_text_is_refused() {
    let texts = [
        "",
        "{",
        "{}}",
        "[]",
        "5",
        "{a:1}",
        "{'a':1}",
        r#"{"a":1,}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":+1}"#,
        r#"{"a":.5}"#,
        r#"{"a":NaN}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        "{\"a\":\"\n\"}",
        r#"{"a":1e999}"#,
        r#"{"a":{"$oid":"5"}}"#,
        r#"{"a":{"$numberInt":"2147483648"}}"#,
        r#"{"a":{"$numberDouble":"inf"}}"#,
        r#"{"a":{"$date":"2020-02-30T00:00:00Z"}}"#,
        r#"{"a":{"$binary":{"base64":"A","subType":"0"}}}"#,
        r#"{"a":{"$date":"2020-01-01"}}"#,
    ];
    for text in texts {
        assert!(extjson::parse(text).is_err(), "{text}");
    }
    let deep = |levels: usize| format!("{}{}", "{\"a\":".repeat(levels), "1") + &"}".repeat(levels);
    assert!(extjson::parse(&deep(150)).is_ok());
    assert!(extjson::parse(&deep(100_000)).is_err());
    let error = extjson::parse(r#"{"a": tru}"#).unwrap_err();
    assert_eq!(error.to_string(), "unknown word at byte 6");
}

#[test]
fn cut_or_changed_text_never_panics() {
    let mut source = Source::new(23);
    for _ in 0..3_000 {
        let doc = source.document(3);
        let mut text = extjson::print(doc.as_doc(), Style::Canonical).into_bytes();
        let at = source.below(text.len());
        text[at] = source.pick(b"{}[]\",:\\u0e$");
        text.truncate(text.len() - source.below(2) * source.below(text.len()));
        let text = String::from_utf8_lossy(&text);
        let _ = extjson::parse(&text);
        let _ = extjson::parse_commands(&text);
    }
}

#[test]
fn dates_are_read_with_offsets_and_printed_in_utc() {
    let millis = |text: &str| {
        let value = extjson::parse_value(&format!(r#"{{"$date":"{text}"}}"#)).unwrap();
        extjson::print_value(value.raw().unwrap(), Style::Canonical)
    };
    let of = |n: i64| format!(r#"{{"$date":{{"$numberLong":"{n}"}}}}"#);
    assert_eq!(millis("1970-01-01T01:00:00+01:00"), of(0));
    assert_eq!(millis("1969-12-31T23:59:59.999Z"), of(-1));
    assert_eq!(millis("2000-02-29T00:00:00.5-0030"), of(951_784_200_500));
    assert_eq!(millis("0001-01-01T00:00:00Z"), of(-62_135_596_800_000));
}
