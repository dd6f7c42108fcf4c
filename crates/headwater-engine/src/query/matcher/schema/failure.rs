//! Which rules of a schema a value does not keep, in the shape of MongoDB's `errInfo`.

use super::{Additional, Check, Dependency, Encrypted, Rule, Schema, duplicate};
use crate::bson::{ArrayWriter, Doc, DocWriter, Raw};
use crate::error::Result;

impl Schema {
    /// Writes what is wrong with a document: the fields beside `operatorName: "$jsonSchema"`.
    pub(in crate::query::matcher) fn write_failure(
        &self,
        specified: Raw<'_>,
        doc: Doc<'_>,
        out: &mut DocWriter,
    ) -> Result<()> {
        if self.rules.iter().any(|rule| matches!(rule.check, Check::Never)) {
            out.document("specifiedAs", |out| out.raw("$jsonSchema", specified));
            out.str("reason", "expression always evaluates to false");
            return Ok(());
        }
        self.write_notes(out);
        out.array("schemaRulesNotSatisfied", |out| self.write_rules(doc.as_raw(), out))
    }

    fn write_notes(&self, out: &mut DocWriter) {
        let notes = [("title", &self.title), ("description", &self.description)];
        for (name, note) in notes {
            if let Some(note) = note {
                out.str(name, note);
            }
        }
    }

    fn write_rules(&self, value: Raw<'_>, out: &mut ArrayWriter) -> Result<()> {
        for rule in &self.rules {
            if !rule.check.admits(value)? {
                out.document(|out| rule.write_failure(value, out))?;
            }
        }
        Ok(())
    }

    fn write_details(&self, value: Raw<'_>, out: &mut DocWriter) -> Result<()> {
        out.array("details", |out| self.write_rules(value, out))
    }
}

impl Rule {
    fn write_failure(&self, value: Raw<'_>, out: &mut DocWriter) -> Result<()> {
        out.str("operatorName", self.keyword);
        let (considered, doc) =
            (|out: &mut DocWriter| out.raw("consideredValue", value), value.as_doc());
        let simple = |reason: &str, out: &mut DocWriter| {
            out.doc("specifiedAs", self.specified.as_doc());
            out.str("reason", reason);
            considered(out);
        };
        match &self.check {
            Check::Never => {}
            Check::Type(_) => {
                simple("type did not match", out);
                out.str("consideredType", value.kind.alias());
            }
            Check::Encrypted(_) => simple(Encrypted::reason(value), out),
            Check::Enum(_) => simple("value was not found in enum", out),
            Check::MultipleOf(_) => {
                simple("considered value is not a multiple of the specified value", out);
            }
            Check::Maximum { .. } | Check::Minimum { .. } => simple("comparison failed", out),
            Check::MaxLength(_) | Check::MinLength(_) => {
                simple("specified string length was not satisfied", out);
            }
            Check::Pattern(_) => simple("regular expression did not match", out),
            Check::MaxItems(_) | Check::MinItems(_) => {
                simple("array did not match specified length", out);
                out.i32("numberOfItems", len(Doc::trusted(value.data)));
            }
            Check::UniqueItems => {
                simple("found a duplicate item", out);
                if let Some(duplicate) = duplicate(value) {
                    out.raw("duplicatedValue", duplicate);
                }
            }
            Check::Items(schema) => {
                let reason = "At least one item did not match the sub-schema";
                write_first_item(schema, 0, reason, value, out)?;
            }
            Check::AdditionalItems(known, Additional::Schema(schema)) => {
                let reason = "At least one additional item did not match the sub-schema";
                write_first_item(schema, *known, reason, value, out)?;
            }
            Check::ItemList(schemas) => {
                let items = value.as_array().into_iter().flat_map(|array| array.iter());
                out.array("details", |out| -> Result<()> {
                    for ((item, schema), at) in items.zip(schemas).zip(0..) {
                        if !schema.admits(item)? {
                            out.document(|out| {
                                out.i64("itemIndex", at);
                                schema.write_details(item, out)
                            })?;
                        }
                    }
                    Ok(())
                })?;
            }
            Check::AdditionalItems(known, Additional::Nothing) => {
                out.doc("specifiedAs", self.specified.as_doc());
                out.str("reason", "found additional items");
                let items = value.as_array().into_iter().flat_map(|array| array.iter());
                out.array("additionalItems", |out| {
                    items.skip(*known).for_each(|item| out.raw(item));
                });
            }
            Check::MaxProperties(_) | Check::MinProperties(_) => {
                out.doc("specifiedAs", self.specified.as_doc());
                out.str("reason", "specified number of properties was not satisfied");
                out.i32("numberOfProperties", len(doc.unwrap_or(Doc::EMPTY)));
            }
            Check::AllOf(schemas) | Check::AnyOf(schemas) => write_schemas(schemas, value, out)?,
            Check::OneOf(schemas) => write_one_of(schemas, value, out)?,
            Check::Not(_) => out.str("reason", "child expression matched"),
            _ => self.write_fields(doc.unwrap_or(Doc::EMPTY), out)?,
        }
        Ok(())
    }

    fn write_fields(&self, doc: Doc<'_>, out: &mut DocWriter) -> Result<()> {
        match &self.check {
            Check::Properties(properties) => {
                out.array("propertiesNotSatisfied", |out| -> Result<()> {
                    for (path, schema) in properties {
                        let Some(value) = path.get(doc) else { continue };
                        if !schema.admits(value)? {
                            out.document(|out| {
                                out.str("propertyName", path.as_str());
                                schema.write_notes(out);
                                schema.write_details(value, out)
                            })?;
                        }
                    }
                    Ok(())
                })?;
            }
            Check::PatternProperties(patterns) => {
                out.array("details", |out| -> Result<()> {
                    for (pattern, schema) in patterns {
                        for field in doc {
                            if pattern.is_match(field.name)? && !schema.admits(field.value)? {
                                out.document(|out| {
                                    out.str("propertyName", field.name_str());
                                    schema.write_notes(out);
                                    out.str("regexMatched", pattern.pattern());
                                    schema.write_details(field.value, out)
                                })?;
                            }
                        }
                    }
                    Ok(())
                })?;
            }
            Check::AdditionalProperties(known, additional) => {
                let mut unknown = Vec::new();
                for field in doc {
                    if !known.has(field.name_str())? && !additional.admits(field.value)? {
                        unknown.push(field);
                    }
                }
                match additional {
                    Additional::Nothing => {
                        out.doc("specifiedAs", self.specified.as_doc());
                        out.array("additionalProperties", |out| {
                            unknown.iter().for_each(|field| out.str(field.name_str()));
                        });
                    }
                    Additional::Schema(schema) => {
                        let reason = "at least one additional property did not match the subschema";
                        out.str("reason", reason);
                        if let Some(field) = unknown.first() {
                            out.str("failingProperty", field.name_str());
                            schema.write_details(field.value, out)?;
                        }
                    }
                }
            }
            Check::Required(paths) => {
                out.doc("specifiedAs", self.specified.as_doc());
                write_missing(paths, doc, out);
            }
            Check::Dependencies(dependencies) => {
                out.array("failingDependencies", |out| -> Result<()> {
                    for (path, dependency) in dependencies {
                        if path.get(doc).is_none() || dependency.admits(doc)? {
                            continue;
                        }
                        out.document(|out| {
                            out.str("conditionalProperty", path.as_str());
                            match dependency {
                                Dependency::Properties(paths) => {
                                    write_missing(paths, doc, out);
                                    Ok(())
                                }
                                Dependency::Schema(schema) => {
                                    schema.write_details(doc.as_raw(), out)
                                }
                            }
                        })?;
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn len(doc: Doc<'_>) -> i32 {
    i32::try_from(doc.iter().count()).unwrap_or(i32::MAX)
}

fn write_missing(paths: &[super::Path], doc: Doc<'_>, out: &mut DocWriter) {
    out.array("missingProperties", |out| {
        let missing = paths.iter().filter(|path| path.get(doc).is_none());
        missing.for_each(|path| out.str(path.as_str()));
    });
}

/// The first item, from one on, that a schema does not admit.
fn write_first_item(
    schema: &Schema,
    from: usize,
    reason: &str,
    array: Raw<'_>,
    out: &mut DocWriter,
) -> Result<()> {
    out.str("reason", reason);
    let items = array.as_array().into_iter().flat_map(|array| array.iter());
    for (item, at) in items.zip(0..).skip(from) {
        if !schema.admits(item)? {
            out.i32("itemIndex", at);
            return schema.write_details(item, out);
        }
    }
    Ok(())
}

fn write_schemas(schemas: &[Schema], value: Raw<'_>, out: &mut DocWriter) -> Result<()> {
    out.array("schemasNotSatisfied", |out| {
        for (schema, at) in schemas.iter().zip(0..) {
            if !schema.admits(value)? {
                out.document(|out| {
                    out.i32("index", at);
                    schema.write_notes(out);
                    schema.write_details(value, out)
                })?;
            }
        }
        Ok(())
    })
}

fn write_one_of(schemas: &[Schema], value: Raw<'_>, out: &mut DocWriter) -> Result<()> {
    let mut matching = Vec::new();
    for (schema, at) in schemas.iter().zip(0..) {
        if schema.admits(value)? {
            matching.push(at);
        }
    }
    if matching.is_empty() {
        return write_schemas(schemas, value, out);
    }
    out.str("reason", "more than one subschema matched");
    out.array("matchingSchemaIndexes", |out| matching.iter().for_each(|at| out.i32(*at)));
    Ok(())
}
