//! The JSON of a parameter, which is an object that a person writes.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::raw::trim;

/// Reads a parameter that is a JSON object.
///
/// # Errors
/// With what is wrong in the words of JSON. What is whole and no object is refused before serde, which would read the elements of an
/// array as fields.
pub fn read_parameter<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    if !trim(json).starts_with('{') && serde_json::from_str::<Value>(json).is_ok() {
        return Err("must be a JSON object".to_owned());
    }
    serde_json::from_str(json).map_err(|error| {
        let said = without_value(&error.to_string());
        said.replace("expected a sequence", "expected an array").replace("expected a map", "expected an object")
    })
}

/// What serde says, without a text that stands where none may: it may be a secret that was put there by mistake.
fn without_value(said: &str) -> String {
    let expected =
        said.strip_prefix("invalid type: string ").and_then(|rest| Some(&rest[rest.rfind(", expected ")?..]));
    expected.map_or_else(|| said.to_owned(), |expected| format!("invalid type: string{expected}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn why(json: &str) -> String {
        read_parameter::<BTreeMap<String, Vec<String>>>(json).expect_err("a problem")
    }

    #[test]
    fn what_is_wrong_with_a_parameter_is_said_in_words_of_json() {
        for json in ["[]", " [[],[]]", "7", "null", "\"x\""] {
            assert_eq!(why(json), "must be a JSON object");
        }
        assert!(why(r#"{"a":"b"}"#).contains("expected an array at line 1"));
        assert!(why(r#"{"a":"s3cret, expected "}"#).starts_with("invalid type: string, expected an array at line 1"));
        assert!(why("{").contains("line 1"));
        assert!(why("").contains("line 1"));
    }
}
