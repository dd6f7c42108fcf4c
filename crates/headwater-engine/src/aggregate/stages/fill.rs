//! `$fill`: stands for a `$setWindowFields` for what is filled from other documents and an `$addFields` for constants.

use std::sync::Arc;

use super::window::{WindowFields, WindowFunction};
use super::{Parsed, project};
use crate::aggregate::expressions::{Expression, Path};
use crate::aggregate::pipeline::{Context, expect, missing_field, unknown_field};
use crate::bson::{Doc, DocWriter, Raw, Type};
use crate::error::{Code, Error, Result};

const NAME: &str = "$fill";

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let invalid = |message: &str| Error::new(Code::FAILED_TO_PARSE, message);
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
    let mut windows = Vec::new();
    let mut constants = DocWriter::new();
    for element in output {
        let name = element.name_str();
        if element.value.as_doc().is_some_and(Doc::is_empty) {
            continue;
        }
        let spec = element.value.as_doc().filter(|spec| spec.iter().count() == 1);
        let Some(part) = spec.and_then(|spec| spec.first()) else {
            let message = "Each fill output specification must be an object with exactly one field";
            return Err(Error::location(6_050_200, message));
        };
        match (part.name, part.value.as_str()) {
            (b"value", _) => constants.document(name, |value| {
                value.array("$ifNull", |args| {
                    args.str(&format!("${name}"));
                    args.raw(part.value);
                });
            }),
            (b"method", Some(method @ ("linear" | "locf"))) => {
                let mut reference = DocWriter::new();
                reference.str("field", &format!("${name}"));
                let reference = reference.finish();
                let argument = reference.as_doc().get("field").unwrap_or(Raw::NULL);
                if order.is_none() && method == "linear" {
                    return Err(Error::location(
                        605_001,
                        "$linearFill must be specified with a top level sortBy expression with exactly one element",
                    ));
                }
                let function = WindowFunction::fill(method, argument, order, context.scope)?;
                windows.push((Path::parse(name)?, function));
            }
            (b"method", _) => return Err(invalid("Method must be either locf or linear")),
            _ => return Err(unknown_field("$fill.output", part.name_str())),
        }
    }
    let mut parsed: Parsed = Vec::new();
    if !windows.is_empty() {
        let partition = match (partition, fields) {
            (Some(raw), _) => Some(Expression::parse(raw, context.scope)?),
            (None, Some(fields)) => {
                let mut key = Vec::new();
                for (at, field) in fields.iter().enumerate() {
                    let name = field.as_str().ok_or_else(|| {
                        Error::new(
                            Code::TYPE_MISMATCH,
                            "BSON field '$fill.partitionByFields' must be an array of strings",
                        )
                    })?;
                    key.push((at.to_string().into(), Expression::Field(Path::parse(name)?)));
                }
                Some(Expression::Document(key))
            }
            (None, None) => None,
        };
        parsed.push(Arc::new(WindowFields::new(partition, order, windows, context.scope)?));
    }
    if !constants.is_empty() {
        parsed.extend(project::add_fields(constants.finish().as_doc().as_raw(), context)?);
    }
    Ok(parsed)
}
