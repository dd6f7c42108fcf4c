//! The update tree: operators compiled into one tree of paths. Building it finds the conflicts between paths.

use super::array_filters::ArrayFilters;
use super::modifier::Modifier;
use super::path::{self, Part, Path};
use crate::error::{Code, Error, Result};

/// The compiled form of an update with operators.
#[derive(Debug)]
pub(super) struct Operators {
    pub(super) root: ObjectNode,
    pub(super) filters: ArrayFilters,
    /// Whether a path has the positional `$`.
    pub(super) positional: bool,
}

/// A place in the tree.
#[derive(Debug)]
pub(super) enum Node {
    /// Fields, or array elements by index.
    Object(ObjectNode),
    /// Array elements by filter.
    Array(ArrayNode),
    /// An operator.
    Leaf(Box<dyn Modifier>),
}

/// The fields below a place, in the order in which they are visited.
#[derive(Debug, Default)]
pub(super) struct ObjectNode {
    pub(super) children: Vec<(Box<str>, Node)>,
    /// The child for the array element that the filter matched.
    pub(super) matched: Option<Box<Node>>,
}

/// The filtered elements of an array.
#[derive(Debug, Default)]
pub(super) struct ArrayNode {
    /// By identifier; the empty one takes all elements.
    pub(super) children: Vec<(Box<str>, Node)>,
}

impl Operators {
    /// A tree without operators.
    pub(super) fn new(filters: ArrayFilters) -> Operators {
        Operators { root: ObjectNode::default(), filters, positional: false }
    }

    /// Puts an operator at the end of a path.
    pub(super) fn insert(&mut self, path: &Path, modifier: Box<dyn Modifier>) -> Result<()> {
        if let Some(Part::Filtered(_)) = path.parts.first() {
            return bad(format!(
                "Cannot have array filter identifier (i.e. '$[<id>]') element in the first position in path '{}'",
                path.text
            ));
        }
        let Operators { root, filters, .. } = self;
        let mut at = 0;
        let mut leaf = Some(Node::Leaf(modifier));
        let mut node = root.child(path, 0, &mut leaf)?;
        while let Some(next) = node {
            at += 1;
            check_identifier(filters, path, at)?;
            node = match next {
                Node::Object(object) => object.child(path, at, &mut leaf)?,
                Node::Array(array) => array.child(path, at, &mut leaf)?,
                Node::Leaf(_) => return Err(conflict(path, at)),
            };
        }
        Ok(())
    }

    /// Checks where a path has its `$`.
    pub(super) fn check_path(&mut self, path: &Path) -> Result<()> {
        let text = &path.text;
        if path.parts.first() == Some(&Part::Matched) {
            return bad(format!(
                "Cannot have positional (i.e. '$') element in the first position in path '{text}'"
            ));
        }
        let positions = path.parts.iter().filter(|part| **part == Part::Matched).count();
        if positions > 1 {
            return bad(format!("Too many positional (i.e. '$') elements found in path '{text}'"));
        }
        self.positional |= positions == 1;
        Ok(())
    }
}

/// Checks that a component that names an array filter has one.
fn check_identifier(filters: &mut ArrayFilters, path: &Path, at: usize) -> Result<()> {
    match path.parts.get(at) {
        Some(Part::Filtered(identifier)) if !filters.use_identifier(identifier) => bad(format!(
            "No array filter found for identifier '{identifier}' in path '{}'",
            path.text
        )),
        _ => Ok(()),
    }
}

#[cold]
fn bad(what: String) -> Result<()> {
    Err(Error::new(Code::BAD_VALUE, what))
}

#[cold]
fn conflict(path: &Path, end: usize) -> Error {
    let Path { text, .. } = path;
    let at = path.prefix(end);
    Error::new(
        Code::CONFLICTING_UPDATE_OPERATORS,
        format!("Updating the path '{text}' would create a conflict at '{at}'"),
    )
}

/// The node that the component after `at` needs its parent to be; the leaf if there is none.
fn make(path: &Path, at: usize, leaf: &mut Option<Node>) -> Option<Node> {
    match path.parts.get(at + 1) {
        None => leaf.take(),
        Some(Part::Filtered(_)) => Some(Node::Array(ArrayNode::default())),
        Some(_) => Some(Node::Object(ObjectNode::default())),
    }
}

/// What inserting at a child led to: the child to go on with, `None` when the leaf has found its place.
type Next<'a> = Option<&'a mut Node>;

/// Goes on in an existing child or fails where it cannot take what the path needs.
fn enter<'a>(node: &'a mut Node, path: &Path, at: usize) -> Result<Next<'a>> {
    let fits = match (path.parts.get(at + 1), &*node) {
        (None, _) | (Some(_), Node::Leaf(_)) => false,
        (Some(Part::Filtered(_)), node) => matches!(node, Node::Array(_)),
        (Some(_), node) => matches!(node, Node::Object(_)),
    };
    if fits { Ok(Some(node)) } else { Err(conflict(path, at + 1)) }
}

impl ObjectNode {
    fn child<'a>(
        &'a mut self,
        path: &Path,
        at: usize,
        leaf: &mut Option<Node>,
    ) -> Result<Next<'a>> {
        let last = at + 1 == path.parts.len();
        let name = match path.parts.get(at) {
            Some(Part::Name(name)) => name,
            Some(Part::Matched) => {
                if self.matched.is_none() {
                    self.matched = make(path, at, leaf).map(Box::new);
                    return Ok(if last { None } else { self.matched.as_deref_mut() });
                }
                return match self.matched.as_deref_mut() {
                    Some(node) => enter(node, path, at),
                    None => Ok(None),
                };
            }
            _ => return Err(conflict(path, at)),
        };
        place(&mut self.children, name, path, at, leaf)
    }
}

impl ArrayNode {
    fn child<'a>(
        &'a mut self,
        path: &Path,
        at: usize,
        leaf: &mut Option<Node>,
    ) -> Result<Next<'a>> {
        match path.parts.get(at) {
            Some(Part::Filtered(identifier)) => {
                place(&mut self.children, identifier, path, at, leaf)
            }
            _ => Err(conflict(path, at)),
        }
    }
}

/// Finds or makes the child of a name, keeping the children in their order.
fn place<'a>(
    children: &'a mut Vec<(Box<str>, Node)>,
    name: &str,
    path: &Path,
    at: usize,
    leaf: &mut Option<Node>,
) -> Result<Next<'a>> {
    let found =
        children.binary_search_by(|(child, _)| path::order(child.as_bytes(), name.as_bytes()));
    let last = at + 1 == path.parts.len();
    let index = match found {
        Ok(index) => {
            return match children.get_mut(index) {
                Some((_, node)) => enter(node, path, at),
                None => Ok(None),
            };
        }
        Err(index) => index,
    };
    if let Some(node) = make(path, at, leaf) {
        children.insert(index, (name.into(), node));
    }
    Ok(if last { None } else { children.get_mut(index).map(|(_, node)| node) })
}
