//! `$fill`: stands for a `$setWindowFields` for what is filled from other documents and an `$addFields` for constants.

use std::sync::Arc;

use super::densify::check_texts;
use super::window::{WindowFields, WindowFunction, check_order};
use super::{Parsed, project};
use crate::aggregate::expressions::{Expression, Path};
use crate::aggregate::pipeline::{Context, expect, missing_field, unknown_field};
use crate::bson::{Array, DocWriter, Raw, Type};
use crate::error::{Code, Error, Result};

const NAME: &str = "$fill";

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        let message =
            format!("The $fill stage specification must be an object, found {}", raw.kind.alias());
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    };
    let (mut partition, mut fields, mut order, mut output) = (None, None, None, None);
    for element in doc {
        let value = element.value;
        match element.name {
            b"partitionBy" => {
                if value.kind != Type::String && value.kind != Type::Document {
                    let found = value.kind.alias();
                    let message = format!(
                        "BSON field '$fill.partitionBy' is the wrong type '{found}', expected types '[object, string]'"
                    );
                    return Err(Error::new(Code::TYPE_MISMATCH, message));
                }
                partition = Some(value);
            }
            b"partitionByFields" => {
                expect(value, Type::Array, NAME, "partitionByFields")?;
                fields = value.as_array();
                check_texts(fields, NAME)?;
            }
            b"sortBy" => {
                expect(value, Type::Document, NAME, "sortBy")?;
                order = value.as_doc();
            }
            b"output" => {
                expect(value, Type::Document, NAME, "output")?;
                output = value.as_doc();
            }
            _ => return Err(unknown_field(NAME, element.name_str())),
        }
    }
    let output = output.ok_or_else(|| missing_field(NAME, "output"))?;
    if output.is_empty() {
        let message =
            "The output field in '$fill' must contain an object with at least one element";
        return Err(Error::location(6_050_203, message));
    }
    if partition.is_some() && fields.is_some() {
        let message =
            "Maximum one of 'partitionBy' and 'partitionByFields can be specified in '$fill'";
        return Err(Error::location(6_050_204, message));
    }
    let fillings = output.iter().map(|field| Ok((field.name_str(), Filling::parse(field.value)?)));
    let fillings: Vec<_> = fillings.collect::<Result<_>>()?;
    check_order(order, context.scope)?;
    let partition = match (partition, fields) {
        (Some(raw), _) => Some(Expression::parse(raw, context.scope)?),
        (None, Some(fields)) => Some(parse_fields(fields)?),
        (None, None) => None,
    };
    let mut windows = Vec::new();
    let mut constants = DocWriter::new();
    for (name, filling) in fillings {
        match filling {
            Filling::Nothing => {}
            Filling::Value(value) => constants.document(name, |field| {
                field.array("$ifNull", |args| {
                    args.str(&format!("${name}"));
                    args.raw(value);
                });
            }),
            Filling::Method(method) => {
                let mut reference = DocWriter::new();
                reference.str("field", &format!("${name}"));
                let reference = reference.finish();
                let argument = reference.as_doc().get("field").unwrap_or(Raw::NULL);
                let function = WindowFunction::fill(method, argument, order, context.scope)?;
                windows.push((Path::parse(name)?, function));
            }
        }
    }
    let filled = WindowFields::new(partition, order, windows, context.scope)?;
    let mut parsed: Parsed = Vec::new();
    if filled.has_outputs() {
        parsed.push(Arc::new(filled));
    }
    if !constants.is_empty() {
        parsed.extend(project::add_fields(constants.finish().as_doc().as_raw(), context)?);
    }
    Ok(parsed)
}

/// How one field is filled.
enum Filling<'a> {
    Nothing,
    Value(Raw<'a>),
    Method(&'a str),
}

impl<'a> Filling<'a> {
    fn parse(raw: Raw<'a>) -> Result<Filling<'a>> {
        let Some(spec) = raw.as_doc() else {
            let message = "Each fill output specification must be an object with exactly one field";
            return Err(Error::location(6_050_200, message));
        };
        let (mut value, mut method) = (None, None);
        for part in spec {
            match part.name {
                b"value" => value = Some(part.value),
                b"method" => {
                    expect(part.value, Type::String, NAME, "method")?;
                    method = part.value.as_str();
                }
                _ => return Err(unknown_field(NAME, part.name_str())),
            }
        }
        match (value, method) {
            (Some(_), Some(_)) => {
                let message = "Each fill output specification must have exactly one of 'method' or 'value' fields, not both";
                Err(Error::location(6_050_201, message))
            }
            (Some(value), None) => Ok(Filling::Value(value)),
            (None, Some(method @ ("linear" | "locf"))) => Ok(Filling::Method(method)),
            (None, Some(_)) => {
                Err(Error::location(6_050_202, "Method must be either locf or linear"))
            }
            (None, None) => Ok(Filling::Nothing),
        }
    }
}

/// A document of the fields that partition.
fn parse_fields(fields: Array<'_>) -> Result<Expression> {
    let mut key = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        if let Some(name) = field.as_str() {
            key.push((at.to_string().into(), Expression::Field(Path::parse(name)?)));
        }
    }
    Ok(Expression::Document(key))
}
