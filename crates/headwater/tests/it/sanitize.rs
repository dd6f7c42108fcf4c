//! R26: filters from outside, and D29: no depth hides an operator.

use headwater::mongodb::bson::{Bson, Document, Regex, doc};
use headwater::{Refused, Sanitizer};

fn literal(pattern: &str) -> Bson {
    Bson::RegularExpression(Regex {
        pattern: pattern.try_into().unwrap(),
        options: "i".try_into().unwrap(),
    })
}

fn refused(filter: Document) -> Refused {
    Sanitizer::default().clean(filter).unwrap_err()
}

fn stripped(filter: Document) -> Document {
    Sanitizer::strip().clean(filter).unwrap().filter
}

/// Hostile filters, where they hide it, and what stripping leaves.
fn hostile() -> Vec<(Document, &'static str, Document)> {
    vec![
        (doc! { "a": 1, "$where": "x" }, "$where", doc! { "a": 1 }),
        (
            doc! { "a": { "$regex": "^x", "$options": "i", "$ne": 1 } },
            "a.$regex",
            doc! { "a": { "$ne": 1 } },
        ),
        (doc! { "a": 1, "b": literal("x") }, "b.$regex", doc! { "a": 1 }),
        (
            doc! { "a": { "$in": ["x", literal("y")] } },
            "a.$in.1.$regex",
            doc! { "a": { "$in": ["x"] } },
        ),
        (doc! { "a": { "$not": literal("y") }, "b": 2 }, "a.$not.$regex", doc! { "b": 2 }),
        (doc! { "a": { "$not": { "$regex": "y" } }, "b": 2 }, "a.$not.$regex", doc! { "b": 2 }),
        (
            doc! { "$and": [{ "a": 1 }, { "$where": "x" }] },
            "$and.1.$where",
            doc! { "$and": [{ "a": 1 }] },
        ),
        (
            doc! { "$or": [{ "$where": "x" }, { "a": 1 }] },
            "$or.0.$where",
            doc! { "$or": [{ "a": 1 }] },
        ),
        (doc! { "$nor": [{ "$where": "x" }], "a": 1 }, "$nor.0.$where", doc! { "a": 1 }),
        (
            doc! { "a": { "$elemMatch": { "b": 1, "c": { "$regex": "x" } } } },
            "a.$elemMatch.c.$regex",
            doc! { "a": { "$elemMatch": { "b": 1 } } },
        ),
        (
            doc! { "a": 1, "$expr": { "$gt": [{ "$function": { "body": "f", "args": [], "lang": "js" } }, 1] } },
            "$expr.$gt.0.$function",
            doc! { "a": 1 },
        ),
        (
            doc! { "a": 1, "$expr": { "$and": [true, { "$regexMatch": { "input": "$a", "regex": "x" } }] } },
            "$expr.$and.1.$regexMatch",
            doc! { "a": 1 },
        ),
        (doc! { "a": 1, "$expr": { "$accumulator": {} } }, "$expr.$accumulator", doc! { "a": 1 }),
        (doc! { "a": 1, "$jsonSchema": { "required": ["b"] } }, "$jsonSchema", doc! { "a": 1 }),
        (
            doc! { "a": 1, "b": { "c": { "d": [[{ "e": { "$where": "x" } }]] } } },
            "b.c.d.0.0.e.$where",
            doc! { "a": 1 },
        ),
    ]
}

#[test]
fn r26_forbidden_operators_are_refused_and_named() {
    for (filter, path, _) in hostile() {
        let error = refused(filter.clone());
        assert_eq!(error.path(), Some(path), "{filter}");
        assert!(path.ends_with(error.operator().unwrap()), "{filter}: {error}");
        assert!(error.to_string().contains(path), "{error}");
        assert_eq!(headwater::Error::from(error).kind(), headwater::ErrorKind::Validation);
    }
}

#[test]
fn r26_stripping_leaves_the_other_conditions() {
    for (filter, path, left) in hostile() {
        let cleaned = Sanitizer::strip().clean(filter.clone()).unwrap();
        assert_eq!(cleaned.filter, left, "{filter}");
        assert!(cleaned.removed.iter().any(|removed| removed == path), "{:?}", cleaned.removed);
        // What is clean stays as it is.
        assert_eq!(Sanitizer::default().clean(left.clone()).unwrap().filter, left);
    }
}

#[test]
fn r26_stripping_makes_no_branch_that_matches_everything() {
    // `{$or: [{}, {a: 1}]}` would match every document.
    assert_eq!(
        stripped(doc! { "$or": [{ "b": literal("x") }, { "a": 1 }] }),
        doc! { "$or": [{ "a": 1 }] }
    );
    // What was empty before is the caller's own.
    assert_eq!(stripped(doc! { "a": {}, "b": [] }), doc! { "a": {}, "b": [] });
    let emptied = Sanitizer::strip().clean(doc! { "$where": "x" }).unwrap();
    assert!(emptied.filter.is_empty() && emptied.matches_everything_now());
    assert!(!Sanitizer::strip().clean(doc! {}).unwrap().matches_everything_now());
}

#[test]
fn r26_an_allow_list_allows_nothing_else() {
    let allowed = Sanitizer::allow_only(["$and", "$gt", "$in"]);
    let fine = doc! { "$and": [{ "a": { "$gt": 1 } }, { "b": { "$in": [1, 2] } }], "c": 1 };
    assert_eq!(allowed.clean(fine.clone()).unwrap().filter, fine);
    for filter in [doc! { "a": { "$lt": 1 } }, doc! { "$or": [] }, doc! { "a": literal("x") }] {
        assert!(allowed.clean(filter.clone()).is_err(), "{filter}");
    }
    let cleaned = allowed.stripping().clean(doc! { "a": { "$lt": 1, "$gt": 0 } }).unwrap();
    assert_eq!(cleaned.filter, doc! { "a": { "$gt": 0 } });
    let patterns = Sanitizer::allow_only(["$regex"]);
    assert!(
        patterns.clean(doc! { "a": literal("x"), "b": { "$regex": "y", "$options": "i" } }).is_ok()
    );
}

#[test]
fn r26_single_operators_can_be_allowed_and_forbidden() {
    let patterns = Sanitizer::reject().allow("$regex");
    assert!(
        patterns.clean(doc! { "a": literal("x"), "b": { "$regex": "y", "$options": "i" } }).is_ok()
    );
    assert!(patterns.clean(doc! { "$where": "x" }).is_err());
    let no_near = Sanitizer::reject().forbid("$near");
    assert_eq!(
        no_near.clean(doc! { "a": { "$near": [1, 2] } }).unwrap_err().operator(),
        Some("$near")
    );
}

#[test]
fn r26_depth_and_size_are_limited_in_every_mode() {
    let mut deep = doc! { "a": 1 };
    for _ in 0..40 {
        deep = doc! { "$and": [deep] };
    }
    let wide = doc! { "a": { "$in": (0..20_000).collect::<Vec<i32>>() } };
    let long = doc! { "a": "x".repeat(70_000) };
    for sanitizer in
        [Sanitizer::reject(), Sanitizer::strip(), Sanitizer::allow_only(["$and", "$in"])]
    {
        for filter in [&deep, &wide, &long] {
            let error = sanitizer.clean(filter.clone()).unwrap_err();
            assert_eq!(error.operator(), None, "{error}");
        }
        let generous = sanitizer.depth_max(100).bytes_max(1 << 20);
        for filter in [&deep, &wide, &long] {
            assert_eq!(&generous.clean(filter.clone()).unwrap().filter, filter);
        }
    }
}

#[test]
fn d29_an_operator_below_the_top_level_is_found() {
    let filter = doc! { "$or": [{ "name": { "$not": { "$regex": "(a+)+$" } } }] };
    assert_eq!(refused(filter).operator(), Some("$regex"));
}
