//! Environment variables: how they are read, and how a start that fails names all of those that cannot be used.
//!
//! This knows one variable's name, that of the roots, which every client of a process has in common. A part says beside what it does which ones it reads (`IntakeOptions::read`,
//! `DeliveryOptions::read`, `CollectorAddress::read`), and a program puts its parts together in one place, its environment:
//! `aws::environment` for these functions, a module `environment` in each other program's crate. `docs/settings.md` lists all.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;

/// Every environment variable that is missing or cannot be used; never only the first.
#[derive(Debug, Error, PartialEq, Eq)]
pub struct EnvironmentError {
    /// At least one.
    pub problems: Vec<VariableProblem>,
}

/// An environment variable that is missing or cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableProblem {
    /// The variable.
    pub name: &'static str,
    /// What is wrong and what is expected.
    pub problem: String,
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, VariableProblem { name, problem }) in self.problems.iter().enumerate() {
            write!(formatter, "{}the environment variable {name} {problem}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// The process's environment; a variable that is set to nothing counts as not set, as SAM templates leave them.
#[must_use]
pub fn process(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variable that names a PEM file with other roots than those linked in, as OpenSSL knows it.
pub const ROOTS_FILE: &str = "SSL_CERT_FILE";

/// The file with the roots to trust, where the process's environment names one. All clients of a process trust the same.
pub(crate) fn roots_file() -> Option<String> {
    process(ROOTS_FILE)
}

/// Reads an environment whole.
///
/// # Errors
/// With every variable that is missing or cannot be used.
pub fn read<T>(
    look_up: impl Fn(&str) -> Option<String>,
    parts: impl FnOnce(&mut Variables<'_>) -> T,
) -> Result<T, EnvironmentError> {
    let mut variables = Variables { look_up: &look_up, problems: Vec::new() };
    let whole = parts(&mut variables);
    if variables.problems.is_empty() { Ok(whole) } else { Err(EnvironmentError { problems: variables.problems }) }
}

/// Variables that are being read: the process's environment, or a table in a test. One that cannot be used is noted and read
/// as its default, so that the others are looked at too; [`read`] then gives back no environment.
pub struct Variables<'e> {
    look_up: &'e dyn Fn(&str) -> Option<String>,
    problems: Vec<VariableProblem>,
}

impl fmt::Debug for Variables<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Variables").field("problems", &self.problems).finish_non_exhaustive()
    }
}

impl Variables<'_> {
    /// A text, where there is one.
    pub fn optional(&mut self, name: &'static str) -> Option<String> {
        (self.look_up)(name)
    }

    /// A text that has no default.
    pub fn required(&mut self, name: &'static str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.refuse(name, "is not set; infra/template.yaml sets it");
            String::new()
        })
    }

    /// A text.
    pub fn text(&mut self, name: &'static str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    /// A whole number in a range.
    pub fn number(&mut self, name: &'static str, default: usize, range: RangeInclusive<usize>) -> usize {
        let Some(text) = self.optional(name) else { return default };
        match text.trim().parse() {
            Ok(number) if range.contains(&number) => number,
            Ok(_) => {
                let (from, to) = range.into_inner();
                let expected = match to {
                    usize::MAX => format!("a number from {from} on"),
                    _ => format!("a number from {from} to {to}"),
                };
                self.refuse(name, format!("is {text:?}; {expected} is expected"));
                default
            }
            Err(_) => {
                self.refuse(name, format!("is {text:?}; a whole number is expected"));
                default
            }
        }
    }

    /// A whole number of seconds.
    pub fn seconds(&mut self, name: &'static str, default: u64) -> Duration {
        Duration::from_secs(self.whole(name, default))
    }

    /// A whole number of milliseconds.
    pub fn milliseconds(&mut self, name: &'static str, default: u64) -> Duration {
        Duration::from_millis(self.whole(name, default))
    }

    fn whole(&mut self, name: &'static str, default: u64) -> u64 {
        let number = self.parsed(name, |text| text.trim().parse().map_err(|_| NotANumber(text.to_owned())));
        number.unwrap_or(default)
    }

    /// True or false.
    pub fn flag(&mut self, name: &'static str, default: bool) -> bool {
        match self.optional(name).as_deref().map(str::trim) {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(text) => {
                self.refuse(name, format!("is {text:?}; true or false is expected"));
                default
            }
        }
    }

    /// Texts with commas between them.
    pub fn list(&mut self, name: &'static str) -> Vec<String> {
        let text = self.optional(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    /// What `parse` makes of a text, where there is one that it takes.
    pub fn parsed<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.optional(name)?;
        parse(&text).map_err(|error| self.refuse(name, error.to_string())).ok()
    }

    /// Notes that a variable cannot be used.
    pub fn refuse(&mut self, name: &'static str, problem: impl Into<String>) {
        self.problems.push(VariableProblem { name, problem: problem.into() });
    }
}

/// A text that is not a number.
#[derive(Debug, Error)]
#[error("is {0:?}; a whole number is expected")]
struct NotANumber(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_fails_names_every_variable_that_cannot_be_used() {
        let set = |name: &str| match name {
            "FLAG" => Some("no".to_owned()),
            "NUMBER" => Some("101".to_owned()),
            "SECONDS" => Some("soon".to_owned()),
            _ => None,
        };
        let read = read(set, |variables| {
            variables.flag("FLAG", true);
            variables.number("NUMBER", 8, 1..=100);
            variables.seconds("SECONDS", 300);
            variables.required("MISSING");
            variables.text("TEXT", "default")
        });
        assert_eq!(
            read.expect_err("bad values").to_string(),
            "the environment variable FLAG is \"no\"; true or false is expected; \
             the environment variable NUMBER is \"101\"; a number from 1 to 100 is expected; \
             the environment variable SECONDS is \"soon\"; a whole number is expected; \
             the environment variable MISSING is not set; infra/template.yaml sets it"
        );
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let whole = read(
            |_| None,
            |variables| {
                (
                    variables.flag("FLAG", true),
                    variables.number("NUMBER", 8, 1..=100),
                    variables.milliseconds("TIME_MILLISECONDS", 1000),
                    variables.list("LIST"),
                )
            },
        );
        assert_eq!(whole, Ok((true, 8, Duration::from_secs(1), Vec::new())));
    }
}
