//! Sums, products and sequences.

use archetype_gotemplate::Value;
use archetype_gotemplate::value::Call;

use super::convert::{float, integer, is_float};

/// How many numbers a sequence may have.
const LONGEST: i128 = 1_000_000;

fn either(call: &Call<'_>, whole: fn(i64, i64) -> i64, broken: fn(f64, f64) -> f64) -> Result<Value, String> {
    let [a, b] = call.arguments else { return Err("two numbers are needed".to_owned()) };
    match is_float(a) || is_float(b) {
        true => Ok(Value::Float(broken(float(a)?, float(b)?))),
        false => Ok(Value::Int(whole(integer(a)?, integer(b)?))),
    }
}

/// `a + b`.
pub fn add(call: &Call<'_>) -> Result<Value, String> {
    either(call, i64::wrapping_add, |a, b| a + b)
}

/// `a - b`.
pub fn subtract(call: &Call<'_>) -> Result<Value, String> {
    either(call, i64::wrapping_sub, |a, b| a - b)
}

/// `a * b`.
pub fn mul(call: &Call<'_>) -> Result<Value, String> {
    either(call, i64::wrapping_mul, |a, b| a * b)
}

/// `a / b` with its fraction.
pub fn div(call: &Call<'_>) -> Result<Value, String> {
    let (a, b) = (float(&call.arguments[0])?, float(&call.arguments[1])?);
    match b == 0.0 {
        true => Err("division by 0".to_owned()),
        false => Ok(Value::Float(a / b)),
    }
}

/// `a / b` without its fraction.
pub fn idiv(call: &Call<'_>) -> Result<Value, String> {
    whole(call, i64::wrapping_div)
}

/// What `a / b` leaves.
pub fn rem(call: &Call<'_>) -> Result<Value, String> {
    whole(call, i64::wrapping_rem)
}

fn whole(call: &Call<'_>, divide: fn(i64, i64) -> i64) -> Result<Value, String> {
    match (integer(&call.arguments[0])?, integer(&call.arguments[1])?) {
        (_, 0) => Err("division by 0".to_owned()),
        (a, b) => Ok(Value::Int(divide(a, b))),
    }
}

/// The numbers from start to end by step: `seq END`, `seq START END`, `seq START END STEP`; also
/// downwards.
pub fn seq(call: &Call<'_>) -> Result<Value, String> {
    let numbers = call.arguments.iter().map(integer).collect::<Result<Vec<i64>, String>>();
    let (start, end, step) = match numbers?[..] {
        [end] => (1, end, 1),
        [start, end] => (start, end, 1),
        [start, end, step] => (start, end, step),
        ref other => return Err(format!("1 to 3 numbers are needed, not {}", other.len())),
    };
    let (start, end, step) = (i128::from(start), i128::from(end), i128::from(step).abs());
    if step == 0 {
        return Value::list(Vec::new());
    }
    let count = (end - start).abs() / step;
    if count >= LONGEST {
        return Err(format!("a sequence of {} numbers is too long", count + 1));
    }
    let signed = if end < start { -step } else { step };
    let number = |turn: i128| Value::Int(i64::try_from(start + turn * signed).unwrap_or(end as i64));
    Value::list((0..=count).map(number).collect())
}
