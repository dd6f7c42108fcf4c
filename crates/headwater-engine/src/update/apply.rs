//! Applies an update tree to a document in one pass per touched level: finds the children of a level, lets each
//! say what becomes of its value, then copies the level with the changes in place.

use std::borrow::Cow;

use super::delta::Level;
use super::modifier::{Change, Modifier, Place, Unreachable};
use super::replace::dollar_name;
use super::splice::{Edit, Span, Splice};
use super::tree::{ArrayNode, Node, ObjectNode, Operators};
use super::{Now, Outcome, path, text, too_deep};
use crate::bson::{Array, Doc, DocBuf, DocWriter, Raw, Type, Value};
use crate::error::{Code, Error, Result};
use crate::limits::{ARRAY_PADDING_MAX, DEPTH_MAX};

/// Nodes that meet at one place of the document: more than one only where `$` or `$[]` lead to the same element.
#[derive(Debug)]
enum Nodes<'a> {
    One(&'a Node),
    Many(Vec<&'a Node>),
}

/// A child of a level: the field's name, or the array element's index, and what is to be done there.
type Target<'a> = (Cow<'a, str>, Nodes<'a>);

/// Fewer targets than this are looked for one by one.
const LINEAR_SEARCH_MAX: usize = 8;

/// One run of the tree over one document.
struct Run<'a> {
    operators: &'a Operators,
    root: Doc<'a>,
    position: Option<usize>,
    insert: bool,
    now: &'a Now,
    /// The path to where the run is.
    path: String,
    depth: usize,
}

impl Operators {
    /// Applies the operators to a document.
    pub(super) fn apply(
        &self,
        doc: Doc<'_>,
        position: Option<usize>,
        now: &Now,
    ) -> Result<Outcome> {
        let mut level = Level::default();
        let mut run = Run::new(self, doc, now);
        run.position = position;
        Ok(match run.document(&[&self.root], doc, &mut level)? {
            Some(bytes) => Outcome::Changed {
                document: DocBuf::trusted(bytes),
                description: Some(level.finish()),
            },
            None => Outcome::Unchanged,
        })
    }

    /// Applies the operators, `$setOnInsert` too, to what an upsert's filter says of the document.
    pub(super) fn apply_to_new(&self, seed: DocBuf, now: &Now) -> Result<DocBuf> {
        let mut run = Run::new(self, seed.as_doc(), now);
        run.insert = true;
        let changed = run.document(&[&self.root], seed.as_doc(), &mut Level::off())?;
        Ok(changed.map_or_else(|| seed.clone(), DocBuf::trusted))
    }
}

impl<'a> Nodes<'a> {
    fn as_slice(&self) -> &[&'a Node] {
        match self {
            Nodes::One(node) => std::slice::from_ref(node),
            Nodes::Many(nodes) => nodes,
        }
    }

    fn push(&mut self, node: &'a Node) {
        match self {
            Nodes::One(first) => *self = Nodes::Many(vec![first, node]),
            Nodes::Many(nodes) => nodes.push(node),
        }
    }
}

impl<'a> Run<'a> {
    fn new(operators: &'a Operators, root: Doc<'a>, now: &'a Now) -> Run<'a> {
        let path = String::new();
        Run { operators, root, position: None, insert: false, now, path, depth: 0 }
    }

    fn place<'n>(&'n self, name: &'n str) -> Place<'n, 'a> {
        Place { root: self.root, path: &self.path, name, insert: self.insert, now: self.now }
    }

    /// Runs `step` with `name` at the end of the path.
    fn at<T>(&mut self, name: &str, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let len = self.path.len();
        if len > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        self.path.truncate(len);
        result
    }

    /// The index of the array element that the filter matched.
    fn matched_index(&self) -> Result<usize> {
        self.position.ok_or_else(|| {
            bad("The positional operator did not find the match needed from the query.")
        })
    }

    /// The children of nodes that meet at one place, in order.
    fn targets(&self, nodes: &[&'a ObjectNode]) -> Result<Vec<Target<'a>>> {
        let children = |node: &'a ObjectNode| {
            node.children.iter().map(|(name, node)| (Cow::Borrowed(&**name), Nodes::One(node)))
        };
        if let [ObjectNode { matched: None, .. }] = nodes {
            return Ok(nodes.iter().flat_map(|node| children(node)).collect());
        }
        let mut all: Vec<Target<'a>> = Vec::new();
        for node in nodes {
            all.extend(children(node));
            if let Some(matched) = &node.matched {
                let index = self.matched_index()?;
                all.push((Cow::Owned(index.to_string()), Nodes::One(matched)));
            }
        }
        all.sort_by(|a, b| path::order(a.0.as_bytes(), b.0.as_bytes()));
        let mut targets: Vec<Target<'a>> = Vec::new();
        for (name, nodes) in all {
            match targets.last_mut() {
                Some((last, met)) if *last == name => {
                    nodes.as_slice().iter().for_each(|node| met.push(node));
                }
                _ => targets.push((name, nodes)),
            }
        }
        Ok(targets)
    }

    /// Applies nodes to a document; the new bytes, `None` if nothing changed.
    fn document(
        &mut self,
        nodes: &[&'a ObjectNode],
        doc: Doc<'a>,
        level: &mut Level,
    ) -> Result<Option<Vec<u8>>> {
        let targets = self.targets(nodes)?;
        let found = find_fields(&targets, doc);
        let mut splice = Splice::default();
        for ((name, nodes), span) in targets.iter().zip(found) {
            let nodes = nodes.as_slice();
            match span {
                Some(span) => {
                    let edit =
                        self.at(name, |run| run.existing(nodes, span.value, name, false, level))?;
                    if self.depth == 0 && !matches!(edit, Edit::Keep) {
                        check_top(name, &edit, self.insert)?;
                    }
                    splice.edit(span, edit);
                }
                None => {
                    let value = self.at(name, |run| {
                        let value = run.missing(nodes, name)?;
                        if let Some(raw) = value.as_ref().and_then(Value::raw) {
                            level.created(&run.path, raw);
                        }
                        Ok(value)
                    })?;
                    if let Some(value) = value {
                        if self.depth == 0 && name.starts_with('$') && !self.insert {
                            return Err(dollar_name(name, name));
                        }
                        splice.append(name.as_bytes(), value);
                    }
                }
            }
        }
        Ok(splice.finish(doc))
    }

    /// Applies nodes to an array by index; the new bytes, `None` if nothing changed.
    fn elements(
        &mut self,
        nodes: &[&'a ObjectNode],
        name: &str,
        array: Array<'a>,
        level: &mut Level,
    ) -> Result<Option<Vec<u8>>> {
        let targets = self.targets(nodes)?;
        let (found, mut len) = find_elements(&targets, array);
        let mut splice = Splice::default();
        for ((child, nodes), span) in targets.iter().zip(found) {
            let nodes = nodes.as_slice();
            let Some(index) = path::index(child.as_bytes()) else {
                if self.unreachable(nodes, child, (name, array.as_raw())).is_err() {
                    // The message shows the array with what was done to its elements so far.
                    let doc = Doc::trusted(array.as_bytes());
                    let bytes = splice.finish(doc).unwrap_or_else(|| doc.as_bytes().to_vec());
                    let shown = Raw { kind: Type::Array, data: &bytes };
                    self.unreachable(nodes, child, (name, shown))?;
                    return Ok(None);
                }
                continue;
            };
            if let Some(span) = span {
                let edit =
                    self.at(child, |run| run.existing(nodes, span.value, child, true, level))?;
                splice.edit(span, edit);
                continue;
            }
            let value = self.at(child, |run| {
                let value = run.missing(nodes, child)?;
                if let Some(raw) = value.as_ref().and_then(Value::raw) {
                    level.created(&run.path, raw);
                }
                Ok(value)
            })?;
            let Some(value) = value else { continue };
            if index.saturating_sub(len) > ARRAY_PADDING_MAX {
                return Err(Error::new(
                    Code::CANNOT_BACKFILL_ARRAY,
                    format!("can't backfill more than {ARRAY_PADDING_MAX} elements"),
                ));
            }
            for gap in len..index {
                splice.append(gap.to_string().as_bytes(), Value::NULL);
            }
            splice.append(index.to_string().as_bytes(), value);
            len = index + 1;
        }
        Ok(splice.finish(Doc::trusted(array.as_bytes())))
    }

    /// Applies nodes to those elements of an array that their filters match.
    fn filtered(
        &mut self,
        nodes: &[&'a ArrayNode],
        name: &str,
        value: Raw<'a>,
        level: &mut Level,
    ) -> Result<Edit<'a>> {
        let Some(array) = value.as_array() else {
            return Err(bad(format!(
                "Cannot apply array updates to non-array element {}",
                text::element(name, value)
            )));
        };
        let mut splice = Splice::default();
        let mut changed = 0;
        let mut last = None;
        for (index, span) in Span::all(Doc::trusted(array.as_bytes())).enumerate() {
            let mut met: Vec<&'a Node> = Vec::new();
            for (identifier, node) in nodes.iter().flat_map(|node| &node.children) {
                if self.operators.filters.matches(identifier, span.value)? {
                    met.push(node);
                }
            }
            if met.is_empty() {
                continue;
            }
            let index = index.to_string();
            let edit = self.at(&index, |run| {
                run.existing(&met, span.value, &index, true, &mut Level::off())
            })?;
            if !matches!(edit, Edit::Keep) {
                changed += 1;
                last = Some(index.clone());
            }
            splice.edit(span, edit);
        }
        let Some(bytes) = splice.finish(Doc::trusted(array.as_bytes())) else {
            return Ok(Edit::Keep);
        };
        let whole = Value::from_vec(Type::Array, bytes);
        if let (Some(new), Some(last)) = (whole.as_array(), last) {
            match new.get(last.parse().unwrap_or(usize::MAX)).filter(|_| changed == 1) {
                Some(element) => {
                    let mut sub = level.sub(true);
                    sub.updated(&format!("{}.{last}", self.path), element);
                    level.take(sub);
                }
                None => level.updated(&self.path, new.as_raw()),
            }
        }
        Ok(Edit::Set(whole))
    }

    /// Applies nodes to a value that is there.
    fn existing(
        &mut self,
        nodes: &[&'a Node],
        value: Raw<'a>,
        name: &str,
        in_array: bool,
        level: &mut Level,
    ) -> Result<Edit<'a>> {
        if let [Node::Leaf(modifier)] = nodes {
            return self.leaf(&**modifier, value, name, in_array, level);
        }
        if let Some(arrays) = same(nodes, |node| match node {
            Node::Array(array) => Some(array),
            _ => None,
        }) {
            return self.filtered(&arrays, name, value, level);
        }
        let objects = same(nodes, |node| match node {
            Node::Object(object) => Some(object),
            _ => None,
        });
        let objects = objects.ok_or_else(|| self.conflict())?;
        if self.depth >= DEPTH_MAX {
            return Err(too_deep());
        }
        let mut sub = level.sub(value.kind == Type::Array);
        let new = match value.kind {
            Type::Document => self.document(&objects, Doc::trusted(value.data), &mut sub)?,
            Type::Array => self.elements(&objects, name, Array::trusted(value.data), &mut sub)?,
            _ => {
                for (child, nodes) in self.targets(&objects)? {
                    self.unreachable(nodes.as_slice(), &child, (name, value))?;
                }
                None
            }
        };
        level.take(sub);
        Ok(new.map_or(Edit::Keep, |bytes| Edit::Set(Value::from_vec(value.kind, bytes))))
    }

    fn leaf(
        &mut self,
        modifier: &'a dyn Modifier,
        value: Raw<'a>,
        name: &str,
        in_array: bool,
        level: &mut Level,
    ) -> Result<Edit<'a>> {
        let change = modifier.existing(value, &self.place(name))?;
        if matches!(change, Change::Keep) {
            return Ok(Edit::Keep);
        }
        if self.path == "_id" || self.path.starts_with("_id.") {
            return Err(Error::new(
                Code::IMMUTABLE_FIELD,
                format!(
                    "Performing an update on the path '{}' would modify the immutable field '_id'",
                    self.path
                ),
            ));
        }
        if self.depth + modifier.depth() > DEPTH_MAX {
            return Err(too_deep());
        }
        Ok(match change {
            Change::Keep => Edit::Keep,
            Change::Set(new) => {
                if let Some(raw) = new.raw() {
                    level.updated(&self.path, raw);
                }
                Edit::Set(new)
            }
            Change::Append { array, from, new } => {
                let mut sub = level.sub(true);
                for (index, element) in (from..).zip(new.iter()) {
                    sub.created(&format!("{}.{index}", self.path), element);
                }
                level.take(sub);
                Edit::Set(array)
            }
            Change::Remove if in_array => {
                level.updated(&self.path, Raw::NULL);
                Edit::Set(Value::NULL)
            }
            Change::Remove => {
                level.removed(&self.path);
                Edit::Remove
            }
        })
    }

    /// What nodes make of a place where nothing is.
    fn missing(&mut self, nodes: &[&'a Node], name: &str) -> Result<Option<Value<'a>>> {
        if self.depth > DEPTH_MAX {
            return Err(too_deep());
        }
        if let [Node::Leaf(modifier)] = nodes {
            let value = modifier.missing(&self.place(name))?;
            if value.is_some() && self.depth + modifier.depth() > DEPTH_MAX {
                return Err(too_deep());
            }
            return Ok(value);
        }
        if nodes.iter().any(|node| matches!(node, Node::Array(_))) {
            return Err(no_array(&self.path));
        }
        let objects = same(nodes, |node| match node {
            Node::Object(object) => Some(object),
            _ => None,
        });
        let objects = objects.ok_or_else(|| self.conflict())?;
        let mut new = None;
        for (child, nodes) in self.targets(&objects)? {
            let value = self.at(&child, |run| run.missing(nodes.as_slice(), &child))?;
            if let Some(raw) = value.as_ref().and_then(Value::raw) {
                new.get_or_insert_with(DocWriter::new).raw(&child, raw);
            }
        }
        Ok(new.map(|doc| Value::doc(doc.finish())))
    }

    /// Raises what the operators below say of a path that cannot be followed: its component `part` cannot be under
    /// `element`.
    fn unreachable(
        &mut self,
        nodes: &[&'a Node],
        part: &str,
        element: (&str, Raw<'_>),
    ) -> Result<()> {
        let path =
            if self.path.is_empty() { part.to_owned() } else { format!("{}.{part}", self.path) };
        nodes.iter().try_for_each(|node| self.refuse(node, part, &path, element))
    }

    fn refuse(
        &self,
        node: &'a Node,
        part: &str,
        path: &str,
        (name, value): (&str, Raw<'_>),
    ) -> Result<()> {
        match node {
            Node::Array(_) => Err(no_array(path)),
            Node::Object(object) => {
                if let Some(node) = &object.matched {
                    self.matched_index()?;
                    self.refuse(node, part, &format!("{path}.$"), (name, value))?;
                }
                for (child, node) in &object.children {
                    self.refuse(node, part, &format!("{path}.{child}"), (name, value))?;
                }
                Ok(())
            }
            Node::Leaf(modifier) => match modifier.unreachable(&self.place(name))? {
                Unreachable::Ignored => Ok(()),
                Unreachable::CannotCreate => Err(Error::new(
                    Code::PATH_NOT_VIABLE,
                    format!(
                        "Cannot create field '{part}' in element {{{}}}",
                        text::element(name, value)
                    ),
                )),
                Unreachable::CannotTraverse => Err(Error::new(
                    Code::PATH_NOT_VIABLE,
                    format!(
                        "Cannot use the part ({part}) of ({path}) to traverse the element ({{{}}})",
                        text::element(name, value)
                    ),
                )),
            },
        }
    }

    #[cold]
    fn conflict(&self) -> Error {
        Error::new(
            Code::CONFLICTING_UPDATE_OPERATORS,
            format!("Update created a conflict at '{}'", self.path),
        )
    }
}

#[cold]
fn bad(what: impl Into<String>) -> Error {
    Error::new(Code::BAD_VALUE, what)
}

#[cold]
fn no_array(path: &str) -> Error {
    bad(format!("The path '{path}' must exist in the document in order to apply array updates."))
}

/// All nodes as one kind, `None` if one is of another.
fn same<'a, T>(nodes: &[&'a Node], kind: impl Fn(&'a Node) -> Option<&'a T>) -> Option<Vec<&'a T>> {
    nodes.iter().map(|node| kind(node)).collect()
}

/// Checks a change of a top-level field: nothing may be created inside `_id` (a change of a value that is there has
/// failed before), and no name of a stored document may start with `$`.
fn check_top(name: &str, edit: &Edit<'_>, insert: bool) -> Result<()> {
    match edit {
        Edit::Set(value) if name == "_id" => Err(Error::new(
            Code::IMMUTABLE_FIELD,
            format!(
                "Updating the path '_id' to {} would modify the immutable field '_id'",
                value.raw().map_or_else(String::new, |raw| text::element("_id", raw))
            ),
        )),
        Edit::Set(_) if name.starts_with('$') && !insert => Err(dollar_name(name, name)),
        _ => Ok(()),
    }
}

/// Where each target stands in a document.
fn find_fields<'a>(targets: &[Target<'_>], doc: Doc<'a>) -> Vec<Option<Span<'a>>> {
    let mut found = vec![None; targets.len()];
    let mut left = targets.len();
    for span in Span::all(doc) {
        if left == 0 {
            break;
        }
        let target = if targets.len() <= LINEAR_SEARCH_MAX {
            targets.iter().position(|(name, _)| name.as_bytes() == span.name)
        } else {
            targets.binary_search_by(|(name, _)| path::order(name.as_bytes(), span.name)).ok()
        };
        if let Some(slot @ None) = target.and_then(|target| found.get_mut(target)) {
            *slot = Some(span);
            left -= 1;
        }
    }
    found
}

/// Where each target stands in an array, and the array's length if one does not.
fn find_elements<'a>(targets: &[Target<'_>], array: Array<'a>) -> (Vec<Option<Span<'a>>>, usize) {
    let mut found = vec![None; targets.len()];
    let mut indexes: Vec<(usize, usize)> = targets
        .iter()
        .enumerate()
        .filter_map(|(target, (name, _))| Some((path::index(name.as_bytes())?, target)))
        .collect();
    indexes.sort_unstable();
    let mut next = indexes.into_iter().peekable();
    let mut len = 0;
    for span in Span::all(Doc::trusted(array.as_bytes())) {
        if next.peek().is_none() {
            break;
        }
        while let Some((_, target)) = next.next_if(|(index, _)| *index == len) {
            if let Some(slot) = found.get_mut(target) {
                *slot = Some(span);
            }
        }
        len += 1;
    }
    (found, len)
}
