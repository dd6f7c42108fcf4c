//! What a scenario says must hold. Collects what does not, so that every line is printed before the scenario fails.

use crate::error::{Error, Result};

/// The expectations of one scenario.
#[derive(Debug, Default)]
pub struct Expectations {
    unmet: Vec<String>,
}

impl Expectations {
    /// Notes what was expected if it does not hold.
    pub fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.unmet.push(what());
        }
    }

    /// The end of the scenario.
    ///
    /// # Errors
    /// Exit code 1 if an expectation does not hold; the message names all of them.
    pub fn met(self) -> Result<()> {
        if self.unmet.is_empty() {
            return Ok(());
        }
        Err(Error::failed(format!("expected, but not so: {}", self.unmet.join("; "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_unmet_expectations_are_named() {
        let mut expectations = Expectations::default();
        expectations.expect(true, || "one".to_owned());
        assert!(expectations.met().is_ok());
        let mut expectations = Expectations::default();
        expectations.expect(false, || "two".to_owned());
        expectations.expect(false, || "three".to_owned());
        let error = expectations.met().unwrap_err();
        assert_eq!(error.to_string(), "Error: expected, but not so: two; three");
        assert_eq!(error.exit_code(), 1);
    }
}
