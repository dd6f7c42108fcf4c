//! A description applied to the old document gives the new one.

use headwater_engine::bson::{
    Array, ArrayWriter, Doc, DocBuf, DocWriter, Number, Raw, Type, Value,
};

use super::collection::Collection;

/// Checks every change that the collection went through.
pub(crate) fn check(collection: &Collection) -> Result<(), String> {
    compare(collection, DocBuf::clone)
}

/// As [`check`], whatever the order of fields: a description does not tell that a field was moved.
pub(crate) fn check_unordered(collection: &Collection) -> Result<(), String> {
    compare(collection, |doc| {
        let mut tree = Tree::of(doc.as_doc().as_raw());
        tree.sort();
        tree.value().as_doc().expect("a document").to_buf()
    })
}

fn compare(collection: &Collection, form: impl Fn(&DocBuf) -> DocBuf) -> Result<(), String> {
    for (old, new, description) in &collection.changes {
        let Some(description) = description else { continue };
        let applied = apply(old.as_doc(), description.as_doc());
        if form(&applied) != form(new) {
            return Err(format!("{description:?} makes {old:?} {applied:?}, not {new:?}"));
        }
    }
    Ok(())
}

/// A document or array as a tree, which is all that a test needs.
#[derive(Debug, Clone)]
enum Tree {
    Leaf(Value<'static>),
    Document(Vec<(String, Tree)>),
    Array(Vec<Tree>),
}

impl Tree {
    fn of(value: Raw<'_>) -> Tree {
        match value.kind {
            Type::Document => {
                let doc = Doc::trusted(value.data);
                Tree::Document(
                    doc.iter().map(|e| (e.name_str().to_owned(), Tree::of(e.value))).collect(),
                )
            }
            Type::Array => Tree::Array(Array::trusted(value.data).iter().map(Tree::of).collect()),
            _ => Tree::Leaf(Value::from(value).into_owned()),
        }
    }

    fn sort(&mut self) {
        match self {
            Tree::Leaf(_) => {}
            Tree::Document(fields) => {
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                fields.iter_mut().for_each(|(_, tree)| tree.sort());
            }
            Tree::Array(elements) => elements.iter_mut().for_each(Tree::sort),
        }
    }

    fn value(&self) -> Value<'static> {
        match self {
            Tree::Leaf(value) => value.clone(),
            Tree::Document(fields) => {
                let mut doc = DocWriter::new();
                for (name, tree) in fields {
                    doc.raw(name, tree.value().raw().expect("a value"));
                }
                Value::doc(doc.finish())
            }
            Tree::Array(elements) => {
                let mut array = ArrayWriter::new();
                elements.iter().for_each(|tree| array.raw(tree.value().raw().expect("a value")));
                Value::array(array.into_bytes())
            }
        }
    }

    fn at(&mut self, name: &str) -> &mut Tree {
        match self {
            Tree::Document(fields) => {
                let at = fields.iter().position(|(field, _)| field == name);
                let at = at.unwrap_or_else(|| {
                    fields.push((name.to_owned(), Tree::Document(Vec::new())));
                    fields.len() - 1
                });
                &mut fields[at].1
            }
            Tree::Array(elements) => {
                let at: usize = name.parse().expect("an index");
                while elements.len() <= at {
                    elements.push(Tree::Leaf(Value::NULL));
                }
                &mut elements[at]
            }
            Tree::Leaf(_) => panic!("a description leads through a scalar at {name}"),
        }
    }

    fn remove(&mut self, name: &str) {
        let Tree::Document(fields) = self else { panic!("removes {name} from no document") };
        fields.retain(|(field, _)| field != name);
    }
}

fn apply(old: Doc<'_>, description: Doc<'_>) -> DocBuf {
    let mut tree = Tree::of(old.as_raw());
    let list = |name| description.get(name).and_then(Raw::as_array).expect("a list");
    for removed in list("removedFields").iter() {
        let path = removed.as_str().expect("a path");
        let (front, last) = path.rsplit_once('.').map_or((None, path), |(f, l)| (Some(f), l));
        let place = front.into_iter().flat_map(|front| front.split('.'));
        place.fold(&mut tree, |tree, name| tree.at(name)).remove(last);
    }
    for truncated in list("truncatedArrays").iter() {
        let entry = truncated.as_doc().expect("an entry");
        let path = entry.get("field").and_then(Raw::as_str).expect("a path");
        let size = entry.get("newSize").and_then(Number::from_raw).and_then(Number::to_i64_exact);
        match path.split('.').fold(&mut tree, |tree, name| tree.at(name)) {
            Tree::Array(elements) => elements.truncate(size.expect("a size") as usize),
            other => panic!("truncates {other:?}"),
        }
    }
    let updated = description.get("updatedFields").and_then(Raw::as_doc).expect("fields");
    for element in updated {
        let path = element.name_str();
        *path.split('.').fold(&mut tree, |tree, name| tree.at(name)) = Tree::of(element.value);
    }
    tree.value().as_doc().expect("a document").to_buf()
}
