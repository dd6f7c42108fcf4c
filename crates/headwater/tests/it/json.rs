//! R1: every BSON value as JSON, in three forms.

use headwater::mongodb::bson::oid::ObjectId;
use headwater::mongodb::bson::spec::BinarySubtype;
use headwater::mongodb::bson::{
    Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, RawDocumentBuf, Regex,
    Timestamp, Uuid, doc,
};
use headwater::{JsonMode, ToJson};
use proptest::prelude::*;
use serde_json::{Value, json};

const MODES: [JsonMode; 3] = [JsonMode::Plain, JsonMode::Relaxed, JsonMode::Canonical];

fn parsed(value: &impl ToJson, mode: JsonMode) -> Value {
    let text = value.to_json(mode);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn id() -> ObjectId {
    ObjectId::parse_str("65a1b2c3d4e5f60718293a4b").unwrap()
}

fn regex(pattern: &str, options: &str) -> Bson {
    Bson::RegularExpression(Regex {
        pattern: pattern.try_into().unwrap(),
        options: options.try_into().unwrap(),
    })
}

/// A value of a type that no program makes any more, from its bytes.
fn db_pointer() -> Bson {
    let mut bytes = vec![0, 0, 0, 0, 0x0C, b'p', 0, 4, 0, 0, 0, b'd', b'.', b'c', 0];
    bytes.extend_from_slice(&id().bytes());
    bytes.push(0);
    bytes[0] = bytes.len() as u8;
    let document = Document::try_from(RawDocumentBuf::from_bytes(bytes).unwrap()).unwrap();
    document.get("p").unwrap().clone()
}

#[test]
fn r1_every_type_has_its_form_in_every_mode() {
    let date = |millis| Bson::DateTime(DateTime::from_millis(millis));
    let code = |scope: Document| {
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: "f()".to_owned(), scope })
    };
    let binary = |subtype, bytes: &[u8]| Bson::Binary(Binary { subtype, bytes: bytes.to_vec() });
    let uuid = Uuid::parse_str("00112233-4455-6677-8899-aabbccddeeff").unwrap();
    let hex = id().to_hex();
    let decimal: Decimal128 = "1.50".parse().unwrap();
    for (value, plain, relaxed, canonical) in [
        (Bson::Null, json!(null), json!(null), json!(null)),
        (Bson::Int32(7), json!(7), json!(7), json!({"$numberInt": "7"})),
        (
            Bson::Int64(i64::MAX),
            json!(i64::MAX),
            json!(i64::MAX),
            json!({"$numberLong": "9223372036854775807"}),
        ),
        (Bson::Double(-0.0), json!(-0.0), json!(-0.0), json!({"$numberDouble": "-0.0"})),
        (
            Bson::Double(f64::NEG_INFINITY),
            json!("-Infinity"),
            json!({"$numberDouble": "-Infinity"}),
            json!({"$numberDouble": "-Infinity"}),
        ),
        (
            Bson::Double(f64::NAN),
            json!("NaN"),
            json!({"$numberDouble": "NaN"}),
            json!({"$numberDouble": "NaN"}),
        ),
        (
            Bson::Decimal128(decimal),
            json!("1.50"),
            json!({"$numberDecimal": "1.50"}),
            json!({"$numberDecimal": "1.50"}),
        ),
        (Bson::ObjectId(id()), json!(hex), json!({"$oid": hex}), json!({"$oid": hex})),
        (
            date(1_356_351_330_501),
            json!("2012-12-24T12:15:30.501Z"),
            json!({"$date": "2012-12-24T12:15:30.501Z"}),
            json!({"$date": {"$numberLong": "1356351330501"}}),
        ),
        (
            date(-1),
            json!("1969-12-31T23:59:59.999Z"),
            json!({"$date": {"$numberLong": "-1"}}),
            json!({"$date": {"$numberLong": "-1"}}),
        ),
        (
            Bson::Timestamp(Timestamp { time: u32::MAX, increment: 2 }),
            json!({"t": u32::MAX, "i": 2}),
            json!({"$timestamp": {"t": u32::MAX, "i": 2}}),
            json!({"$timestamp": {"t": u32::MAX, "i": 2}}),
        ),
        (
            binary(BinarySubtype::Generic, b"\xff\xff"),
            json!("//8="),
            json!({"$binary": {"base64": "//8=", "subType": "00"}}),
            json!({"$binary": {"base64": "//8=", "subType": "00"}}),
        ),
        (
            Bson::Binary(uuid.into()),
            json!("00112233-4455-6677-8899-aabbccddeeff"),
            json!({"$binary": {"base64": "ABEiM0RVZneImaq7zN3u/w==", "subType": "04"}}),
            json!({"$binary": {"base64": "ABEiM0RVZneImaq7zN3u/w==", "subType": "04"}}),
        ),
        (
            regex("a\"b/", "xi"),
            json!("/a\"b//ix"),
            json!({"$regularExpression": {"pattern": "a\"b/", "options": "ix"}}),
            json!({"$regularExpression": {"pattern": "a\"b/", "options": "ix"}}),
        ),
        (
            Bson::JavaScriptCode("f()".to_owned()),
            json!("f()"),
            json!({"$code": "f()"}),
            json!({"$code": "f()"}),
        ),
        (
            code(doc! { "x": 1 }),
            json!({"code": "f()", "scope": {"x": 1}}),
            json!({"$code": "f()", "$scope": {"x": 1}}),
            json!({"$code": "f()", "$scope": {"x": {"$numberInt": "1"}}}),
        ),
        (
            Bson::Symbol("s".to_owned()),
            json!("s"),
            json!({"$symbol": "s"}),
            json!({"$symbol": "s"}),
        ),
        (Bson::Undefined, json!(null), json!({"$undefined": true}), json!({"$undefined": true})),
        (Bson::MinKey, json!("MinKey"), json!({"$minKey": 1}), json!({"$minKey": 1})),
        (Bson::MaxKey, json!("MaxKey"), json!({"$maxKey": 1}), json!({"$maxKey": 1})),
        (
            db_pointer(),
            json!({"ref": "d.c", "id": hex}),
            json!({"$dbPointer": {"$ref": "d.c", "$id": {"$oid": hex}}}),
            json!({"$dbPointer": {"$ref": "d.c", "$id": {"$oid": hex}}}),
        ),
    ] {
        assert_eq!(parsed(&value, JsonMode::Plain), plain, "{value:?}");
        assert_eq!(parsed(&value, JsonMode::Relaxed), relaxed, "{value:?}");
        assert_eq!(parsed(&value, JsonMode::Canonical), canonical, "{value:?}");
    }
}

#[test]
fn d18_what_arrays_hold_is_converted_at_any_depth() {
    let document = doc! { "a": [[{ "b": [id()] }], id(), DateTime::from_millis(0)] };
    let expected = json!({"a": [[{"b": [id().to_hex()]}], id().to_hex(), "1970-01-01T00:00:00Z"]});
    assert_eq!(parsed(&document, JsonMode::Plain), expected);
    assert_eq!(
        vec![document.clone(), document].to_json(JsonMode::Plain).matches("65a1").count(),
        4
    );
    assert_eq!(Vec::<Document>::new().to_json(JsonMode::Plain), "[]");
}

#[test]
fn r1_depth_costs_no_stack() {
    let mut value = Bson::Int32(1);
    for level in 0..20_000 {
        value = if level % 2 == 0 {
            Bson::Array(vec![value])
        } else {
            Bson::Document(doc! { "a": value })
        };
    }
    for mode in MODES {
        assert!(value.to_json(mode).len() > 60_000);
    }
    // Dropping it would cost stack.
    std::mem::forget(value);
}

fn anything() -> impl Strategy<Value = Bson> {
    let scalar = prop_oneof![
        any::<f64>().prop_map(Bson::Double),
        any::<String>().prop_map(Bson::String),
        any::<String>().prop_map(Bson::Symbol),
        any::<String>().prop_map(Bson::JavaScriptCode),
        any::<bool>().prop_map(Bson::Boolean),
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<i64>().prop_map(|millis| Bson::DateTime(DateTime::from_millis(millis))),
        any::<(u32, u32)>()
            .prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
        any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
        any::<[u8; 16]>().prop_map(|bytes| Bson::Decimal128(Decimal128::from_bytes(bytes))),
        (any::<u8>(), any::<Vec<u8>>()).prop_map(|(subtype, bytes)| {
            Bson::Binary(Binary { subtype: BinarySubtype::from(subtype), bytes })
        }),
        ("[^\0]*", "[imxlsu]{0,4}").prop_map(|(pattern, options)| regex(&pattern, &options)),
        Just(Bson::Null),
        Just(Bson::Undefined),
        Just(Bson::MinKey),
        Just(Bson::MaxKey),
        Just(db_pointer()),
    ];
    scalar.prop_recursive(6, 64, 8, |inner| {
        let fields = prop::collection::vec((any::<String>(), inner.clone()), 0..8)
            .prop_map(|fields| fields.into_iter().collect::<Document>());
        prop_oneof![
            prop::collection::vec(inner, 0..8).prop_map(Bson::Array),
            fields.clone().prop_map(Bson::Document),
            (any::<String>(), fields).prop_map(|(code, scope)| {
                Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope })
            }),
        ]
    })
}

proptest! {
    #[test]
    fn r1_no_mode_fails_on_any_value(value in anything()) {
        for mode in MODES {
            let text = value.to_json(mode);
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{mode:?}: {text}");
        }
    }

    #[test]
    fn r1_canonical_form_loses_nothing(value in anything()) {
        // Names of Extended JSON within documents are other values by its own rules, and equal names fall together.
        let text = value.to_json(JsonMode::Canonical);
        prop_assume!(!format!("{value:?}").contains("\"$"));
        let back = serde_json::from_str::<Bson>(&text);
        prop_assume!(back.is_ok());
        prop_assert_eq!(back.unwrap().to_json(JsonMode::Canonical), text);
    }
}
