//! Expressions: parsed once into a tree with split paths and folded constants, evaluated over raw documents.
//!
//! Knows values and variables. Knows no stage, no collection and no store.
//!
//! [`Expression::parse`] needs a [`Scope`], the variables that may be named; [`Expression::evaluate`] needs a document.
//! Several expressions over one document share a [`Frame`].
//!
//! ```
//! use headwater_engine::aggregate::expressions::{Expression, Scope};
//! use headwater_engine::bson::DocWriter;
//!
//! let mut spec = DocWriter::new();
//! spec.document("e", |e| e.array("$concat", |args| {
//!     args.str("$name.first");
//!     args.str("!");
//! }));
//! let spec = spec.finish();
//! let mut scope = Scope::new(None, 0)?;
//! let expression = Expression::parse(spec.as_doc().get("e").unwrap(), &mut scope)?;
//!
//! let mut doc = DocWriter::new();
//! doc.document("name", |name| name.str("first", "Ada"));
//! let doc = doc.finish();
//! assert_eq!(expression.evaluate(doc.as_doc())?.raw().unwrap().as_str(), Some("Ada!"));
//! # Ok::<(), headwater_engine::Error>(())
//! ```

mod accumulate;
mod arithmetic;
mod array;
mod bind;
mod bitwise;
mod boolean;
mod call;
mod comparison;
mod conditional;
mod convert;
pub(crate) mod date;
mod hashed;
mod iterate;
mod meta;
mod named;
pub(crate) mod number;
mod object;
mod path;
mod random;
mod regex;
mod replace;
mod room;
mod scope;
mod sequence;
mod set;
mod size;
mod sort_array;
mod string;
mod substring;
mod table;
mod trigonometry;
mod variable;

use std::fmt;

pub use crate::bson::print::{
    computed as value_text, document as document_text, value as bson_text,
};
pub use call::Call;
pub use meta::{Metadata, Needs, Offered};
pub(crate) use object::{Fields, not_an_object};
pub use path::Path;
pub(crate) use path::check_field_name;
pub use scope::{Frame, Scope, check_variable_name};
pub use table::{EXPRESSIONS, UNSUPPORTED_EXPRESSIONS};

use crate::bson::{ArrayWriter, Decimal, Doc, DocWriter, Raw, Type, Value};
use crate::error::{Code, Error, Result};

/// A compiled expression.
#[derive(Debug)]
pub enum Expression {
    /// A literal, or whatever was known when the expression was parsed.
    Constant(Value<'static>),
    /// A field path of the current document; the empty path is the document itself.
    Field(Path),
    /// A field path of a variable; the empty path is the variable itself.
    Variable {
        /// Where the variable lives in a [`Frame`].
        slot: usize,
        /// The path below it.
        path: Path,
    },
    /// A document of expressions, in order.
    Document(Vec<(Box<str>, Expression)>),
    /// An array of expressions.
    Array(Vec<Expression>),
    /// An operator that is a function of its evaluated arguments.
    Call(Box<Call>),
    /// An operator with an evaluation of its own.
    Special(Box<dyn Operator>),
}

/// An operator that decides itself what to evaluate and when.
pub trait Operator: fmt::Debug + Send + Sync {
    /// The value for the frame's document and variables.
    ///
    /// # Errors
    /// What evaluating can raise.
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>>;

    /// The expressions that all have to be true for this one to be, if it is that.
    fn conjuncts(&self) -> Option<&[Expression]> {
        None
    }
}

impl Expression {
    /// Compiles an expression. An operator over constants alone is evaluated at once; if that fails, the operator is kept
    /// and [`Scope::take_folding_error`] tells.
    ///
    /// # Errors
    /// MongoDB's code for what is wrong: 168 for an unknown operator, 16020 for a wrong number of arguments, ...
    pub fn parse(raw: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
        match raw.kind {
            Type::String => parse_string(raw, scope),
            Type::Document => scope.nested(|scope| parse_object(Doc::trusted(raw.data), scope)),
            Type::Array => scope.nested(|scope| {
                let array = raw.as_array().into_iter().flat_map(|array| array.iter());
                let items =
                    array.map(|item| Expression::parse(item, scope)).collect::<Result<Vec<_>>>()?;
                Ok(Expression::array(items))
            }),
            kind => Ok(Expression::Constant(Value::owned(kind, raw.data))),
        }
    }

    /// Compiles an object as an operator, or as a document of expressions if its first field is no operator.
    fn array(items: Vec<Expression>) -> Expression {
        let constant = items.iter().all(|item| matches!(item, Expression::Constant(_)));
        let array = Expression::Array(items);
        if constant { array.folded() } else { array }
    }

    /// The value of an expression that needs no document, as a constant; the expression itself if it fails.
    fn folded(self) -> Expression {
        let value = self.eval(&mut Frame::new(Doc::EMPTY)).map(Value::into_owned);
        value.map_or(self, Expression::Constant)
    }

    /// A call, evaluated at once if its arguments are constants.
    pub(crate) fn folding(self, scope: &mut Scope) -> Expression {
        let value = self.eval(&mut Frame::new(Doc::EMPTY)).map(Value::into_owned);
        match value {
            Ok(value) => Expression::Constant(value),
            Err(error) => {
                scope.keep_folding_error(error);
                self
            }
        }
    }

    /// As [`Expression::parse`], for what must be constant: what evaluating it raises is raised at once.
    ///
    /// # Errors
    /// As [`Expression::parse`], and what evaluating it raises.
    pub(crate) fn parse_constant(raw: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
        let failed_before = scope.folding_error().is_some();
        let parsed = Expression::parse(raw, scope)?;
        if failed_before || parsed.as_constant().is_some() {
            return Ok(parsed);
        }
        scope.take_folding_error().map_or(Ok(parsed), Err)
    }

    /// The value, if it was known when the expression was parsed.
    pub fn as_constant(&self) -> Option<&Value<'static>> {
        match self {
            Expression::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The value for a document.
    ///
    /// # Errors
    /// What evaluating can raise: the operator's code for a value of a wrong type, an overflow, ...
    pub fn evaluate<'a>(&'a self, root: Doc<'a>) -> Result<Value<'a>> {
        self.eval(&mut Frame::new(root))
    }

    /// The value for the document and the variables of a frame.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        match self {
            Expression::Constant(value) => Ok(value.raw().into()),
            Expression::Field(path) => Ok(path.of_doc(frame.root())),
            Expression::Variable { slot, path } => Ok(path.of_value(frame.get(*slot))),
            Expression::Document(fields) => {
                let mut doc = DocWriter::new();
                for (name, field) in fields {
                    if let Some(value) = field.eval(frame)?.raw() {
                        room::check_room(doc.len() + value.data.len())?;
                        doc.raw(name, value);
                    }
                }
                Ok(Value::doc(doc.finish()))
            }
            Expression::Array(items) => {
                let mut array = ArrayWriter::new();
                for item in items {
                    let value = item.eval(frame)?;
                    let raw = value.raw().unwrap_or(Raw::NULL);
                    room::check_room(array.len() + raw.data.len())?;
                    array.raw(raw);
                }
                Ok(Value::array(array.into_bytes()))
            }
            Expression::Call(call) => call.eval(frame),
            Expression::Special(operator) => operator.eval(frame),
        }
    }
}

fn parse_string(raw: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let text = raw.as_str().unwrap_or_default();
    match text.strip_prefix('$') {
        Some(path) => variable::parse_reference(path, scope),
        None => Ok(Expression::Constant(Value::owned(raw.kind, raw.data))),
    }
}

/// Compiles an object as an operator, or as a document of expressions if its first field is no operator.
fn parse_object(doc: Doc<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(first) = doc.first() else {
        return Ok(Expression::Constant(Value::owned(Type::Document, doc.as_bytes())));
    };
    if first.name.first() == Some(&b'$') {
        if doc.iter().nth(1).is_some() {
            let text = document_text(doc);
            let what = "An object representing an expression must have exactly one field";
            return Err(Error::location(15983, format!("{what}: {text}")));
        }
        return parse_operator(first.name_str(), first.value, scope);
    }
    let mut fields: Vec<(Box<str>, Expression)> = Vec::new();
    for element in doc {
        let name = element.name_str();
        check_field_name(name)?;
        if fields.iter().any(|(known, _)| &**known == name) {
            let message =
                format!("duplicate field name specified in object literal: {}", document_text(doc));
            return Err(Error::location(16406, message));
        }
        fields.push((name.into(), Expression::parse(element.value, scope)?));
    }
    let constant = fields.iter().all(|(_, field)| matches!(field, Expression::Constant(_)));
    let document = Expression::Document(fields);
    Ok(if constant { document.folded() } else { document })
}

/// Whether an operator of that name exists, supported or not.
pub(crate) fn is_known(name: &str) -> bool {
    EXPRESSIONS.binary_search_by_key(&name, |row| row.name).is_ok()
        || UNSUPPORTED_EXPRESSIONS.binary_search(&name).is_ok()
}

/// Compiles the operator `name` with its argument.
///
/// # Errors
/// `InvalidPipelineOperator` (168) for an unknown name; what the operator's parser raises.
pub(crate) fn parse_operator(
    name: &str,
    argument: Raw<'_>,
    scope: &mut Scope,
) -> Result<Expression> {
    if let Ok(at) = EXPRESSIONS.binary_search_by_key(&name, |row| row.name) {
        return EXPRESSIONS[at].parse(argument, scope);
    }
    if UNSUPPORTED_EXPRESSIONS.binary_search(&name).is_ok() {
        return Err(Error::not_supported(format_args!("The expression {name}")));
    }
    Err(Error::new(Code::INVALID_PIPELINE_OPERATOR, format!("Unrecognized expression '{name}'")))
}

/// Whether a value counts as true: everything but missing, null, undefined, false and zero.
pub fn is_true(value: &Value<'_>) -> bool {
    value.raw().is_some_and(raw_is_true)
}

fn raw_is_true(raw: Raw<'_>) -> bool {
    use crate::bson::View;
    match raw.view() {
        View::Null | View::Undefined => false,
        View::Bool(value) => value,
        View::Int32(value) => value != 0,
        View::Int64(value) => value != 0,
        View::Double(value) => value != 0.0,
        View::Decimal(bytes) => !Decimal::from_bytes(bytes).is_zero(),
        _ => true,
    }
}
