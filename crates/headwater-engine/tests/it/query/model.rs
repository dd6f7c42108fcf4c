//! Filters against a plain evaluator: made-up filters over made-up documents, from a seed.
//!
//! The evaluator decodes documents into a tree and says in the simplest way what MongoDB's documentation says. The same
//! cases check the index bounds: whatever matches has a key inside, and what is exact holds nothing else.

use std::cmp::Ordering;

use headwater_engine::aggregate::expressions::Scope;
use headwater_engine::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Raw, View, key};
use headwater_engine::query::bounds::{self, Keys};
use headwater_engine::query::matcher::Matcher;
use headwater_engine::query::path::{KeyPaths, Multikey, Path};

use crate::commands::text_of;

/// splitmix64.
pub(crate) struct Source(pub(crate) u64);

impl Source {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A value as a tree.
#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Null,
    Int(i32),
    Double(f64),
    Text(&'static str),
    Bool(bool),
    List(Vec<Tree>),
    Doc(Vec<(&'static str, Tree)>),
}

use Tree::{Bool, Double, Int, List, Null, Text};

#[derive(Debug, Clone)]
enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    None(Vec<Filter>),
    Field(&'static str, Vec<Test>),
}

#[derive(Debug, Clone)]
enum Test {
    Eq(Tree),
    Ne(Tree),
    Compare(&'static str, Tree),
    In(Vec<Tree>),
    NotIn(Vec<Tree>),
    Exists(bool),
    Size(i32),
    All(Vec<Tree>),
    Type(&'static str),
    Mod(i32, i32),
    Regex(&'static str),
    Not(Vec<Test>),
    Element(Vec<Test>),
    ElementDoc(Vec<Filter>),
}

const NAMES: [&str; 3] = ["a", "b", "0"];
const PATHS: [&str; 7] = ["a", "b", "a.b", "a.a", "a.0", "a.b.a", "a.0.b"];

impl Source {
    fn scalar(&mut self) -> Tree {
        match self.below(8) {
            0 => Null,
            1 | 2 => Int(self.below(4) as i32),
            3 => Double(self.pick(&[0.5, 1.0, 2.0, f64::NAN])),
            4 | 5 => Text(self.pick(&["", "x", "xy", "y"])),
            6 => Bool(self.below(2) == 0),
            _ => Int(1),
        }
    }

    fn value(&mut self, depth: usize) -> Tree {
        match self.below(if depth == 0 { 4 } else { 8 }) {
            4 | 5 => List((0..self.below(4)).map(|_| self.value(depth - 1)).collect()),
            6 | 7 => self.doc(depth - 1),
            _ => self.scalar(),
        }
    }

    fn doc(&mut self, depth: usize) -> Tree {
        let names = NAMES.into_iter().filter(|_| self.below(2) == 0).collect::<Vec<_>>();
        Tree::Doc(names.into_iter().map(|name| (name, self.value(depth))).collect())
    }

    fn values(&mut self) -> Vec<Tree> {
        (0..1 + self.below(3)).map(|_| self.value(1)).collect()
    }

    fn test(&mut self, depth: usize) -> Test {
        match self.below(if depth == 0 { 15 } else { 18 }) {
            0 | 1 => Test::Eq(self.value(2)),
            2 => Test::Ne(self.value(1)),
            3..8 => Test::Compare(self.pick(&["$lt", "$lte", "$gt", "$gte"]), self.value(1)),
            8 => Test::In(self.values()),
            9 => Test::NotIn(self.values()),
            10 => Test::Exists(self.below(2) == 0),
            11 => Test::Size(self.below(3) as i32),
            12 => Test::All(self.values()),
            13 => Test::Type(self.pick(&["null", "int", "number", "string", "array", "object"])),
            14 if self.below(2) == 0 => Test::Mod(2, self.below(2) as i32),
            14 => Test::Regex(self.pick(&["^x", "y", "^xy", "^x*"])),
            15 => Test::Not(self.tests(depth - 1)),
            16 => Test::Element(self.tests(depth - 1)),
            _ => Test::ElementDoc(self.filters(depth - 1)),
        }
    }

    /// Tests that can stand in one document: each operator once.
    fn tests(&mut self, depth: usize) -> Vec<Test> {
        let mut tests: Vec<Test> = Vec::new();
        for _ in 0..1 + self.below(2) {
            let test = self.test(depth);
            if tests.iter().all(|other| other.name() != test.name()) {
                tests.push(test);
            }
        }
        tests
    }

    fn filters(&mut self, depth: usize) -> Vec<Filter> {
        (0..1 + self.below(2)).map(|_| self.filter(depth)).collect()
    }

    fn filter(&mut self, depth: usize) -> Filter {
        match self.below(if depth == 0 { 4 } else { 8 }) {
            5 => Filter::All(self.filters(depth - 1)),
            6 => Filter::Any(self.filters(depth - 1)),
            7 => Filter::None(self.filters(depth - 1)),
            _ => Filter::Field(self.pick(&PATHS), self.tests(depth)),
        }
    }
}

impl Tree {
    fn write(&self, out: &mut ArrayWriter) {
        let mut doc = DocWriter::new();
        self.write_as("", &mut doc);
        out.raw(doc.finish().as_doc().get("").unwrap());
    }

    fn write_as(&self, name: &str, out: &mut DocWriter) {
        match self {
            Null => out.null(name),
            Int(value) => out.i32(name, *value),
            Double(value) => out.f64(name, *value),
            Text(value) => out.str(name, value),
            Bool(value) => out.bool(name, *value),
            List(values) => out.array(name, |out| values.iter().for_each(|v| v.write(out))),
            Tree::Doc(fields) => out.document(name, |out| {
                fields.iter().for_each(|(name, value)| value.write_as(name, out));
            }),
        }
    }

    fn class(&self) -> u8 {
        match self {
            Null => 0,
            Int(_) | Double(_) => 1,
            Text(_) => 2,
            Tree::Doc(_) => 3,
            List(_) => 4,
            Bool(_) => 5,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Int(value) => Some(f64::from(*value)),
            Double(value) => Some(*value),
            _ => None,
        }
    }

    /// The order of all values; NaN is the smallest number.
    fn order(&self, other: &Tree) -> Ordering {
        if let (Some(a), Some(b)) = (self.number(), other.number()) {
            return a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()));
        }
        match (self, other) {
            (Text(a), Text(b)) => a.cmp(b),
            (Bool(a), Bool(b)) => a.cmp(b),
            (List(a), List(b)) => {
                let elements = a.iter().zip(b).map(|(a, b)| a.order(b));
                elements.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
            }
            (Tree::Doc(a), Tree::Doc(b)) => {
                let fields = a.iter().zip(b).map(|((n, a), (m, b))| {
                    a.class().cmp(&b.class()).then(n.cmp(m)).then_with(|| a.order(b))
                });
                fields.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
            }
            _ => self.class().cmp(&other.class()),
        }
    }

    fn field(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Doc(fields) => fields.iter().find(|(n, _)| *n == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

/// What a document shows at a path: values, and `None` wherever a document ends early. The values at the end are given
/// as they stand, with whether arrays there may be opened.
fn reach<'t>(value: &'t Tree, path: &[&str]) -> Vec<(Option<&'t Tree>, bool)> {
    let Some((first, rest)) = path.split_first() else { return vec![(Some(value), true)] };
    match value {
        Tree::Doc(_) => match value.field(first) {
            Some(inner) => reach(inner, rest),
            None => vec![(None, true)],
        },
        List(elements) => {
            let documents = elements.iter().filter(|e| matches!(e, Tree::Doc(_)));
            let mut seen: Vec<_> = documents.flat_map(|element| reach(element, path)).collect();
            let named = first.parse::<usize>().ok().and_then(|at| elements.get(at));
            seen.extend(named.into_iter().flat_map(|element| match element {
                // A position at the end of the path names one element, which is not opened.
                _ if rest.is_empty() => vec![(Some(element), false)],
                Tree::Doc(_) | List(_) => reach(element, rest),
                _ => Vec::new(),
            }));
            seen
        }
        _ => vec![(None, true)],
    }
}

impl Test {
    fn name(&self) -> &'static str {
        match self {
            Test::Eq(_) => "$eq",
            Test::Ne(_) => "$ne",
            Test::Compare(name, _) => name,
            Test::In(_) => "$in",
            Test::NotIn(_) => "$nin",
            Test::Exists(_) => "$exists",
            Test::Size(_) => "$size",
            Test::All(_) => "$all",
            Test::Type(_) => "$type",
            Test::Mod(..) => "$mod",
            Test::Regex(_) => "$regex",
            Test::Not(_) => "$not",
            Test::Element(_) | Test::ElementDoc(_) => "$elemMatch",
        }
    }

    fn write(&self, out: &mut DocWriter) {
        let list =
            |values: &[Tree], out: &mut ArrayWriter| values.iter().for_each(|v| v.write(out));
        let name = self.name();
        match self {
            Test::Eq(value) | Test::Ne(value) | Test::Compare(_, value) => {
                value.write_as(name, out)
            }
            Test::In(values) | Test::NotIn(values) | Test::All(values) => {
                out.array(name, |out| list(values, out));
            }
            Test::Exists(yes) => out.bool(name, *yes),
            Test::Size(size) => out.i32(name, *size),
            Test::Type(alias) => out.str(name, alias),
            Test::Mod(divisor, rest) => out.array(name, |out| {
                out.i32(*divisor);
                out.i32(*rest);
            }),
            Test::Regex(pattern) => out.str(name, pattern),
            Test::Not(tests) | Test::Element(tests) => {
                out.document(name, |out| tests.iter().for_each(|test| test.write(out)));
            }
            Test::ElementDoc(filters) => {
                out.document(name, |out| {
                    out.array("$and", |out| {
                        filters.iter().for_each(|f| out.document(|out| f.write(out)));
                    });
                });
            }
        }
    }

    /// Whether one value passes as it stands; `None` is an absent one.
    fn passes(&self, value: Option<&Tree>) -> bool {
        let equal = |other: &Tree| match value {
            Some(value) => value.order(other).is_eq(),
            None => *other == Null,
        };
        match self {
            Test::Eq(other) => equal(other),
            Test::Ne(other) => !equal(other),
            Test::In(others) => others.iter().any(equal),
            Test::NotIn(others) => !others.iter().any(equal),
            Test::All(others) => others.iter().all(equal),
            Test::Compare(relation, other) => {
                let order = match value {
                    None => (*other == Null).then_some(Ordering::Equal),
                    Some(value) if value.class() != other.class() => None,
                    Some(value) => match (value.number(), other.number()) {
                        (Some(a), Some(b)) if a.is_nan() != b.is_nan() => None,
                        _ => Some(value.order(other)),
                    },
                };
                order.is_some_and(|order| match *relation {
                    "$lt" => order.is_lt(),
                    "$lte" => order.is_le(),
                    "$gt" => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
            Test::Exists(yes) => value.is_some() == *yes,
            Test::Size(size) => matches!(value, Some(List(v)) if v.len() == *size as usize),
            Test::Type(alias) => matches!(
                (value, *alias),
                (Some(Int(_)), "int" | "number")
                    | (Some(Double(_)), "number")
                    | (Some(Null), "null")
                    | (Some(Text(_)), "string")
                    | (Some(List(_)), "array")
                    | (Some(Tree::Doc(_)), "object")
            ),
            Test::Mod(divisor, rest) => value
                .and_then(Tree::number)
                .is_some_and(|n| !n.is_nan() && n as i32 % divisor == *rest),
            Test::Regex(pattern) => {
                let Some(Text(text)) = value else { return false };
                match *pattern {
                    "^x" => text.starts_with('x'),
                    "^xy" => text.starts_with("xy"),
                    "^x*" => true,
                    _ => text.contains('y'),
                }
            }
            Test::Not(tests) => !tests.iter().all(|test| test.passes(value)),
            Test::Element(tests) => matches!(value, Some(List(elements)) if elements.iter().any(
                |element| tests.iter().all(|test| test.passes(Some(element)))
            )),
            Test::ElementDoc(filters) => {
                let Some(List(elements)) = value else { return false };
                elements.iter().any(|element| match element {
                    Tree::Doc(_) => filters.iter().all(|filter| filter.matches(element)),
                    List(values) => {
                        let names = ["0", "1", "2", "3"];
                        let doc = Tree::Doc(names.into_iter().zip(values.clone()).collect());
                        filters.iter().all(|filter| filter.matches(&doc))
                    }
                    _ => false,
                })
            }
        }
    }

    /// Whether a document passes at a path.
    fn holds(&self, doc: &Tree, path: &[&str]) -> bool {
        let some = |test: &Test| {
            reach(doc, path).into_iter().any(|(value, opens)| {
                let elements = match value {
                    Some(List(elements)) if opens && !test.takes_whole_arrays() => {
                        elements.as_slice()
                    }
                    _ => &[],
                };
                elements.iter().any(|element| test.passes(Some(element))) || test.passes(value)
            })
        };
        match self {
            Test::Ne(value) => !some(&Test::Eq(value.clone())),
            Test::NotIn(values) => !some(&Test::In(values.clone())),
            Test::Exists(false) => !some(&Test::Exists(true)),
            Test::Not(tests) => !tests.iter().all(|test| test.holds(doc, path)),
            Test::All(values) => values.iter().all(|value| some(&Test::Eq(value.clone()))),
            _ => some(self),
        }
    }

    fn takes_whole_arrays(&self) -> bool {
        matches!(self, Test::Size(_) | Test::Element(_) | Test::ElementDoc(_))
    }
}

impl Filter {
    fn write(&self, out: &mut DocWriter) {
        let branches = |name, filters: &[Filter], out: &mut DocWriter| {
            out.array(name, |out| {
                filters.iter().for_each(|filter| out.document(|out| filter.write(out)));
            });
        };
        match self {
            Filter::All(all) => branches("$and", all, out),
            Filter::Any(any) => branches("$or", any, out),
            Filter::None(none) => branches("$nor", none, out),
            Filter::Field(path, tests) => {
                out.document(path, |out| tests.iter().for_each(|test| test.write(out)));
            }
        }
    }

    fn matches(&self, doc: &Tree) -> bool {
        match self {
            Filter::All(all) => all.iter().all(|filter| filter.matches(doc)),
            Filter::Any(any) => any.iter().any(|filter| filter.matches(doc)),
            Filter::None(none) => !none.iter().any(|filter| filter.matches(doc)),
            Filter::Field(path, tests) => {
                let path: Vec<&str> = path.split('.').collect();
                tests.iter().all(|test| test.holds(doc, &path))
            }
        }
    }
}

impl Source {
    /// A made-up document as Extended JSON.
    pub(crate) fn document_text(&mut self, depth: usize) -> String {
        text_of(&written(&self.doc(depth)))
    }

    /// A made-up filter as Extended JSON.
    pub(crate) fn filter_text(&mut self, depth: usize) -> String {
        let mut out = DocWriter::new();
        self.filter(depth).write(&mut out);
        text_of(&out.finish())
    }
}

fn written(tree: &Tree) -> DocBuf {
    let mut out = DocWriter::new();
    tree.write_as("", &mut out);
    match out.finish().as_doc().get("").unwrap().view() {
        View::Document(doc) => doc.to_buf(),
        other => panic!("{other:?} is no document"),
    }
}

fn compiled(filter: &Filter) -> Matcher {
    let mut out = DocWriter::new();
    filter.write(&mut out);
    let mut scope = Scope::new(None, 0).unwrap();
    Matcher::parse(out.finish().as_doc(), &mut scope).unwrap()
}

/// Filters of a usual run; each is tried on [`DOCS`] documents. `HEADWATER_LONG=1` tries a million documents.
const CASES: u64 = 4000;
const DOCS: u64 = 12;

fn cases() -> u64 {
    let long = std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1");
    if long { 1_000_000_u64.div_ceil(DOCS) } else { CASES }
}

#[test]
fn a_filter_and_its_negation_part_all_documents() {
    for seed in 0..cases() {
        let mut source = Source(seed << 20 | 3);
        let filter = source.filter(2);
        let negated = compiled(&Filter::None(vec![filter.clone()]));
        let matcher = compiled(&filter);
        for _ in 0..DOCS {
            let doc = written(&source.doc(3));
            let (is, is_not) =
                (matcher.matches(doc.as_doc()).unwrap(), negated.matches(doc.as_doc()).unwrap());
            assert_ne!(is, is_not, "seed {seed}: {:?} on {doc:?}", matcher.filter());
        }
        // What is null, what is there and not null, and what is not there at all are every document too.
        let path = source.pick(&PATHS);
        let parts =
            [Filter::Field(path, vec![Test::Eq(Null)]), Filter::Field(path, vec![Test::Ne(Null)])];
        let parts = parts.map(|part| compiled(&part));
        for _ in 0..DOCS {
            let doc = written(&source.doc(3));
            let held = parts.iter().filter(|part| part.matches(doc.as_doc()).unwrap()).count();
            assert_eq!(held, 1, "seed {seed}: {path} of {doc:?}");
        }
    }
}

#[test]
fn the_matcher_agrees_with_a_plain_evaluator() {
    let mut matched = 0;
    for seed in 0..cases() {
        let mut source = Source(seed << 20);
        let filter = source.filter(2);
        let matcher = compiled(&filter);
        for _ in 0..DOCS {
            let tree = source.doc(3);
            let doc = written(&tree);
            let expected = filter.matches(&tree);
            matched += usize::from(expected);
            let got = matcher.matches(doc.as_doc()).unwrap();
            assert_eq!(got, expected, "seed {seed}: {:?} on {doc:?}", matcher.filter());
            let with_position = matcher.matches_with_position(doc.as_doc()).unwrap();
            assert_eq!(with_position.is_some(), got);
        }
    }
    assert!(matched > 1000, "only {matched} matches: the filters say too little");
}

/// The keys of a document for an index; `None` if it cannot be indexed so.
fn keys(paths: &KeyPaths, doc: Doc<'_>, multikey: &mut Multikey) -> Option<Vec<Vec<Vec<u8>>>> {
    let mut keys = Vec::new();
    paths
        .each_key(doc, multikey, &mut |values: &[Raw<'_>], _| {
            keys.push(values.iter().map(|value| key::encode(*value)).collect());
            Ok(())
        })
        .ok()?;
    Some(keys)
}

fn is_inside(bounds: Option<&bounds::Bounds>, key: &[u8]) -> bool {
    bounds.is_none_or(|bounds| {
        bounds.intervals.iter().any(|i| i.lower.as_slice() <= key && key < i.upper.as_slice())
    })
}

#[test]
fn whatever_matches_has_a_key_inside_the_bounds() {
    let mut bounded = 0;
    for seed in 0..cases() {
        let mut source = Source(seed << 20 | 7);
        let filter = source.filter(2);
        let matcher = compiled(&filter);
        let names = [source.pick(&PATHS), source.pick(&PATHS)];
        let paths: Vec<Path> = names
            .iter()
            .take(1 + source.below(2))
            .filter(|path| !path.contains('0'))
            .map(|path| Path::parse(path).unwrap())
            .collect();
        if paths.is_empty() {
            continue;
        }
        let key_paths = KeyPaths::new(paths.clone());
        let mut multikey = Multikey::default();
        let docs: Vec<DocBuf> = (0..12).map(|_| written(&source.doc(3))).collect();
        let indexed: Vec<_> = docs
            .iter()
            .filter_map(|doc| Some((doc, keys(&key_paths, doc.as_doc(), &mut multikey)?)))
            .collect();
        let found = bounds::for_paths(&matcher, &paths, &multikey, Keys::default());
        let single = match (&filter, paths.as_slice()) {
            (Filter::Field(_, tests), [_]) => {
                tests.len() == 1
                    && !matches!(tests.as_slice(), [Test::All(values)] if values.len() > 1)
            }
            _ => false,
        };
        for (doc, keys) in indexed {
            let inside: Vec<bool> = keys
                .iter()
                .map(|key| key.iter().zip(&found).all(|(key, b)| is_inside(b.as_ref(), key)))
                .collect();
            let matches = matcher.matches(doc.as_doc()).unwrap();
            let what = || format!("seed {seed}: {:?} on {doc:?}, {paths:?}", matcher.filter());
            assert!(!matches || inside.contains(&true), "{}", what());
            if let (true, [Some(bounds)]) = (single, found.as_slice()) {
                bounded += 1;
                let may_match = !bounds.exact || matches == inside.contains(&true);
                assert!(may_match, "{}", what());
            }
        }
    }
    assert!(bounded > 500, "only {bounded} bounds were tried");
}
