//! What a filter takes a value for, as liquidjs does it: what is not there is an empty text, what is not a number is 0.

use liquid_core::model::{KString, Object, Value, ValueView};

use crate::segment::value::number_text;

/// A number; one without a fraction is written without a point.
pub fn number(value: f64) -> Value {
    #[allow(clippy::cast_possible_truncation)] // what is below 2^53 and has no fraction is an i64
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        Value::scalar(value as i64)
    } else if value.is_finite() {
        Value::scalar(value)
    } else {
        Value::scalar(number_text(value))
    }
}

pub fn text(text: String) -> Value {
    Value::scalar(text)
}

/// liquidjs's `stringify`: nothing is an empty text, arrays are their items one after the other.
pub fn to_text(value: &Value) -> String {
    match value {
        Value::Scalar(scalar) => match scalar.to_integer().is_none().then(|| scalar.to_float()).flatten() {
            Some(float) if scalar.to_kstr() == float.to_string().as_str() => number_text(float),
            _ => scalar.to_kstr().into_string(),
        },
        Value::Array(items) => items.iter().map(to_text).collect(),
        Value::Object(_) => "[object Object]".to_owned(),
        _ => String::new(),
    }
}

/// JavaScript's `join`: arrays inside are joined by commas.
pub fn joined(items: &[Value], separator: &str) -> String {
    let items = items.iter().map(|item| match item {
        Value::Array(inner) => joined(inner, ","),
        item => to_text(item),
    });
    items.collect::<Vec<_>>().join(separator)
}

/// liquidjs's `toNumber`: what is not a number is 0.
pub fn to_number(value: &Value) -> f64 {
    let Some(scalar) = value.as_scalar() else { return 0.0 };
    if let Some(value) = scalar.to_bool() {
        return f64::from(u8::from(value));
    }
    let number = scalar.to_kstr().trim().parse().unwrap_or(0.0);
    if f64::is_finite(number) { number } else { 0.0 }
}

pub fn to_array(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        value if value.is_nil() => Vec::new(),
        value => vec![value.clone()],
    }
}

pub fn argument_text(arguments: &[Value], at: usize) -> String {
    arguments.get(at).map(to_text).unwrap_or_default()
}

pub fn argument_number(arguments: &[Value], at: usize) -> f64 {
    arguments.get(at).map(to_number).unwrap_or_default()
}

/// A count given as a number; what is negative counts as 0.
pub fn count(number: f64) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a cast of floats saturates
    let count = number.max(0.0) as usize;
    count
}

pub fn is_text(value: &Value) -> bool {
    value.as_scalar().is_some_and(|scalar| scalar.type_name() == "string")
}

pub fn json(value: &Value) -> String {
    fn to_json(value: &Value) -> serde_json::Value {
        match value {
            Value::Array(items) => items.iter().map(to_json).collect(),
            Value::Object(fields) => object(fields),
            Value::Scalar(scalar) if is_text(value) => scalar.to_kstr().as_str().into(),
            Value::Scalar(scalar) => serde_json::from_str(&scalar.to_kstr()).unwrap_or_default(),
            _ => serde_json::Value::Null,
        }
    }
    fn object(fields: &Object) -> serde_json::Value {
        fields.iter().map(|(key, value): (&KString, &Value)| (key.to_string(), to_json(value))).collect()
    }
    to_json(value).to_string()
}
