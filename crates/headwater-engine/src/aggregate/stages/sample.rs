//! `$sample`: so many documents, chosen at random.

use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::pipeline::Context;
use crate::aggregate::random::Random;
use crate::bson::{DocBuf, Number, Raw};
use crate::error::{Code, Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::query::exec::{Environment, Stage};

#[derive(Debug)]
struct Sample(usize);

pub(super) fn parse(raw: Raw<'_>, _: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        return Err(Error::location(28745, "the $sample stage specification must be an object"));
    };
    let mut size = None;
    for element in doc {
        if element.name != b"size" {
            let message = format!("unrecognized option to $sample: {}", element.name_str());
            return Err(Error::location(28748, message));
        }
        let number = Number::from_raw(element.value)
            .ok_or_else(|| Error::location(28746, "size argument to $sample must be a number"))?;
        size = Some(number.to_i64_saturating());
    }
    let size = size.ok_or_else(|| Error::location(28749, "$sample stage must specify a size"))?;
    let size = usize::try_from(size).ok().filter(|&size| size > 0).ok_or_else(|| {
        Error::location(28747, "size argument to $sample must be a positive integer")
    })?;
    Ok(vec![Arc::new(Sample(size))])
}

impl StageSpec for Sample {
    fn name(&self) -> &'static str {
        "$sample"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Sampling { size: self.0, source: Some(source), docs: Vec::new() })
    }
}

struct Sampling {
    size: usize,
    source: Option<Box<dyn Stage>>,
    docs: Vec<DocBuf>,
}

impl Stage for Sampling {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        if let Some(mut source) = self.source.take() {
            let mut random = Random::new();
            let (mut seen, mut bytes) = (0, 0);
            while let Some(doc) = source.next(env)? {
                let len = doc.as_doc().as_bytes().len();
                // The reservoir: each document stays with the same probability, in random order.
                let at = random.below(seen + 1);
                seen += 1;
                if self.docs.len() < self.size {
                    bytes += len;
                    self.docs.push(doc);
                    let last = self.docs.len() - 1;
                    self.docs.swap(at.min(last), last);
                } else if let Some(place) = self.docs.get_mut(at) {
                    bytes = (bytes + len).saturating_sub(place.as_doc().as_bytes().len());
                    *place = doc;
                }
                if bytes > STAGE_MEMORY_BYTES_MAX {
                    let message = "Sort exceeded memory limit of 104857600 bytes, but did not opt in to external sorting.";
                    return Err(Error::new(
                        Code::QUERY_EXCEEDED_MEMORY_LIMIT_NO_DISK_USE_ALLOWED,
                        message,
                    ));
                }
            }
        }
        Ok(self.docs.pop())
    }
}
