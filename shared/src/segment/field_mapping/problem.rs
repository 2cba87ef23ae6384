//! What is wrong with a mapping.

use std::fmt;

/// What is wrong with a mapping, and where inside it: `properties.@if: should be an object but it is a string`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The keys that lead there.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.message)
        } else {
            write!(formatter, "{}: {}", self.path, self.message)
        }
    }
}
