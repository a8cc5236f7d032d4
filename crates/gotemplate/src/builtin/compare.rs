//! Comparisons.

use std::cmp::Ordering;

use crate::value::{Call, Value};

const DIFFERENT: &str = "values of different sorts cannot be compared";

/// Whether two values of one sort are equal.
fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Missing | Value::Nil, Value::Missing | Value::Nil) => Ok(true),
        (Value::Missing | Value::Nil, _) | (_, Value::Missing | Value::Nil) => Ok(false),
        (Value::Namespace(a), Value::Namespace(b)) => Ok(std::ptr::eq(*a, *b)),
        (Value::List(_) | Value::Map(_), Value::List(_) | Value::Map(_)) => {
            Err("lists and maps cannot be compared".to_owned())
        }
        _ => whole(one, other).map(|order| order == Ordering::Equal).ok_or_else(|| DIFFERENT.to_owned()),
    }
}

/// The order of two whole numbers.
fn whole(one: &Value, other: &Value) -> Option<Ordering> {
    let wide = |value: &Value| match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Uint(number) => Some(i128::from(*number)),
        _ => None,
    };
    Some(wide(one)?.cmp(&wide(other)?))
}

/// Whether the first equals one of the others.
pub fn eq(call: &Call<'_>) -> Result<Value, String> {
    let Some((first, others)) = call.arguments.split_first() else { return Err("nothing to compare".to_owned()) };
    if others.is_empty() {
        return Err("nothing to compare with".to_owned());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Whether two differ.
pub fn ne(call: &Call<'_>) -> Result<Value, String> {
    equal(&call.arguments[0], &call.arguments[1]).map(|same| Value::Bool(!same))
}

fn less(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Text(a), Value::Text(b)) => Ok(a < b),
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        _ => whole(one, other).map(|order| order == Ordering::Less).ok_or_else(|| {
            let sorts = (one.sort(), other.sort());
            match sorts.0 == sorts.1 {
                true => format!("{} has no order", sorts.0),
                false => DIFFERENT.to_owned(),
            }
        }),
    }
}

/// `<`.
pub fn lt(call: &Call<'_>) -> Result<Value, String> {
    less(&call.arguments[0], &call.arguments[1]).map(Value::Bool)
}

/// `<=`.
pub fn le(call: &Call<'_>) -> Result<Value, String> {
    let (one, other) = (&call.arguments[0], &call.arguments[1]);
    Ok(Value::Bool(less(one, other)? || equal(one, other)?))
}

/// `>`.
pub fn gt(call: &Call<'_>) -> Result<Value, String> {
    let (one, other) = (&call.arguments[0], &call.arguments[1]);
    Ok(Value::Bool(!(less(one, other)? || equal(one, other)?)))
}

/// `>=`.
pub fn ge(call: &Call<'_>) -> Result<Value, String> {
    less(&call.arguments[0], &call.arguments[1]).map(|less| Value::Bool(!less))
}
