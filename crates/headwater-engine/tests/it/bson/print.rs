//! Values in messages, as MongoDB 8 was seen to print them.

use headwater_engine::bson::{Value, extjson, print};

/// The value as Extended JSON, its stored and its computed form.
const CASES: &[(&str, &str, &str)] = &[
    (r#"{"$numberDouble":"1.0"}"#, "1.0", "1"),
    (r#"1.5"#, "1.5", "1.5"),
    (r#"1e30"#, "1e+30", "1e+30"),
    (r#"1e-7"#, "1e-07", "1e-07"),
    (r#"0.30000000000000004"#, "0.3", "0.3"),
    (r#"123456789012.0"#, "123456789012.0", "1.23457e+11"),
    (r#"1e16"#, "1e+16", "1e+16"),
    (r#"100000.0"#, "100000.0", "100000"),
    (r#"123456789012345680.0"#, "1.234567890123457e+17", "1.23457e+17"),
    (r#"1234567.0"#, "1234567.0", "1.23457e+06"),
    (r#"0.00001"#, "1e-05", "1e-05"),
    (r#"0.00012345678901234568"#, "0.0001234567890123457", "0.000123457"),
    (r#"999999.5"#, "999999.5", "1e+06"),
    (r#"{"$numberDouble":"-Infinity"}"#, "-inf", "-inf"),
    (r#"{"$numberDouble":"NaN"}"#, "nan", "nan"),
    (r#"-0.0"#, "-0.0", "-0"),
    (r#"5"#, "5", "5"),
    (r#"{"$numberLong":"5"}"#, "5", "5"),
    (r#"{"$numberDecimal":"1.50"}"#, "1.50", "1.50"),
    (r#"{"$numberDecimal":"NaN"}"#, "NaN", "NaN"),
    (r#""a\"b\\c""#, r#""a"b\c""#, r#""a"b\c""#),
    (
        r#"{"a":1,"b c":{},"x-y":[],"":2,"1":3}"#,
        "{ a: 1, b c: {}, x-y: [], : 2, 1: 3 }",
        "{a: 1, b c: {}, x-y: [], : 2, 1: 3}",
    ),
    (r#"[1,[2],{}]"#, "[ 1, [ 2 ], {} ]", "[1, [2], {}]"),
    (
        r#"{"$binary":{"base64":"AQID","subType":"00"}}"#,
        "BinData(0, 010203)",
        r#"BinData(0, "010203")"#,
    ),
    (
        r#"{"$binary":{"base64":"AQID","subType":"02"}}"#,
        "BinData(2, 010203)",
        r#"BinData(2, "03000000010203")"#,
    ),
    (
        r#"{"$uuid":"00010203-0405-0607-0809-0a0b0c0d0e0f"}"#,
        r#"UUID("00010203-0405-0607-0809-0a0b0c0d0e0f")"#,
        r#"BinData(4, "000102030405060708090A0B0C0D0E0F")"#,
    ),
    (
        r#"{"$binary":{"base64":"AQID","subType":"80"}}"#,
        "BinData(128, 010203)",
        r#"BinData(128, "010203")"#,
    ),
    (r#"{"$undefined":true}"#, "undefined", "undefined"),
    (
        r#"{"$oid":"000102030405060708090a0b"}"#,
        "ObjectId('000102030405060708090a0b')",
        "000102030405060708090a0b",
    ),
    (r#"true"#, "true", "true"),
    (r#"{"$date":{"$numberLong":"-1500"}}"#, "new Date(-1500)", "1969-12-31T23:59:58.500Z"),
    (r#"{"$date":{"$numberLong":"253402300800000"}}"#, "new Date(253402300800000)", "illegal date"),
    (
        r#"{"$date":{"$numberLong":"1600000000123"}}"#,
        "new Date(1600000000123)",
        "2020-09-13T12:26:40.123Z",
    ),
    (r#"null"#, "null", "null"),
    (r#"{"$regularExpression":{"pattern":"a/b","options":"im"}}"#, "/a/b/im", "/a/b/im"),
    (
        r#"{"$dbPointer":{"$ref":"db.c","$id":{"$oid":"000102030405060708090a0b"}}}"#,
        "DBRef('db.c',000102030405060708090a0b)",
        r#"DBRef("db.c", 000102030405060708090a0b)"#,
    ),
    (r#"{"$code":"function(){}"}"#, "function(){}", r#"Code("function(){}")"#),
    (r#"{"$symbol":"s"}"#, r#""s""#, r#"Symbol("s")"#),
    (
        r#"{"$code":"f()","$scope":{"a":1}}"#,
        "CodeWScope( f(), { a: 1 })",
        r#"CodeWScope("f()", { a: 1 })"#,
    ),
    (r#"{"$timestamp":{"t":5,"i":6}}"#, "Timestamp(5, 6)", "Timestamp(5, 6)"),
    (r#"{"$minKey":1}"#, "MinKey", "MinKey"),
    (r#"{"$maxKey":1}"#, "MaxKey", "MaxKey"),
];

#[test]
fn values_print_as_mongodb_prints_them() {
    for &(json, stored, computed) in CASES {
        let value = extjson::parse_value(json).unwrap();
        assert_eq!(print::value(value.raw().unwrap()), stored, "{json}");
        assert_eq!(print::computed(&value), computed, "{json}");
    }
    assert_eq!(print::computed(&Value::MISSING), "MISSING");
}

#[test]
fn long_texts_are_cut_in_the_stored_form() {
    let stored = |json: String| print::value(extjson::parse_value(&json).unwrap().raw().unwrap());
    let x = |n: usize| "x".repeat(n);
    assert_eq!(stored(format!("\"{}\"", x(159))), format!("\"{}\"", x(159)));
    assert_eq!(stored(format!("\"{}\"", x(160))), format!("\"{}...\"", x(150)));
    assert_eq!(stored(format!("{{\"$code\":\"{}\"}}", x(79))), x(79));
    assert_eq!(stored(format!("{{\"$code\":\"{}\"}}", x(80))), format!("{}...", x(70)));
    // 81 bytes of zeros.
    let binary =
        format!("{{\"$binary\":{{\"base64\":\"{}\",\"subType\":\"00\"}}}}", "A".repeat(108));
    assert_eq!(stored(binary), format!("BinData(0, {}...)", "00".repeat(70)));
    // A cut never splits a character.
    assert_eq!(stored(format!("\"x{}\"", "é".repeat(100))), format!("\"x{}...\"", "é".repeat(74)));
}

#[test]
fn an_element_prints_its_name() {
    let value = extjson::parse_value(r#"[5, {"b": 1}]"#).unwrap();
    assert_eq!(print::element("a", value.raw().unwrap()), "a: [ 5, { b: 1 } ]");
}
