//! Values to numbers.

use archetype_gotemplate::{Value, number};

fn refused(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("a number is needed, not {text:?}"),
        other => format!("a number is needed, not {}", other.sort()),
    }
}

/// A whole number; fractions lose what stands behind the point, texts may have commas.
pub fn integer(value: &Value) -> Result<i64, String> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Uint(number) => i64::try_from(*number).map_err(|_| format!("{number} is too large")),
        Value::Float(number) => Ok(truncated(*number)),
        Value::Bool(truth) => Ok(i64::from(*truth)),
        Value::Text(text) => {
            let bare = text.replace(',', "");
            let whole = number::integer(&bare);
            whole.or_else(|| number::float(&bare).map(truncated)).ok_or_else(|| refused(value))
        }
        _ => Err(refused(value)),
    }
}

/// What 64 bits cannot hold becomes the smallest number, as processors have it.
fn truncated(number: f64) -> i64 {
    const EDGE: f64 = 9_223_372_036_854_775_808.0;
    if (-EDGE..EDGE).contains(&number) { number as i64 } else { i64::MIN }
}

/// A floating point number.
pub fn float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Int(number) => Ok(*number as f64),
        Value::Uint(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number),
        Value::Bool(truth) => Ok(f64::from(u8::from(*truth))),
        Value::Text(text) => {
            let bare = text.replace(',', "");
            let whole = number::integer(&bare).map(|number| number as f64);
            whole.or_else(|| number::float(&bare)).ok_or_else(|| refused(value))
        }
        _ => Err(refused(value)),
    }
}

/// Whether a value is a fraction, or a text that can only be read as one.
pub fn is_float(value: &Value) -> bool {
    match value {
        Value::Float(_) => true,
        Value::Text(text) => number::float(text).is_some() && number::integer(text).is_none(),
        _ => false,
    }
}
