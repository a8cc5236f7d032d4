//! The functions that every template has.

mod compare;
mod escape;

use crate::print;
use crate::value::{Call, Function, Functions, Key, Param, Value};

/// The built-in functions.
pub fn functions() -> Functions {
    let mut all = Functions::default();
    let raw = |fixed: &'static [Param], rest, run| Function { fixed, rest, run };
    // These two are evaluated by the caller; the entry makes the names known.
    all.add("and", raw(&[Param::Raw], Some(Param::Raw), last));
    all.add("or", raw(&[Param::Raw], Some(Param::Raw), last));
    all.add("not", raw(&[Param::Raw], None, |call| Ok(Value::Bool(!call.arguments[0].is_true()))));
    all.add("len", raw(&[Param::Raw], None, len));
    all.add("index", raw(&[Param::Raw], Some(Param::Raw), index));
    all.add("slice", raw(&[Param::Raw], Some(Param::Raw), slice));
    all.add("call", raw(&[Param::Raw], Some(Param::Raw), |_| Err("the first argument is no function".to_owned())));
    all.add("eq", raw(&[Param::Raw], Some(Param::Raw), compare::eq));
    for (name, run) in [
        ("ne", compare::ne as fn(&Call<'_>) -> Result<Value, String>),
        ("lt", compare::lt),
        ("le", compare::le),
        ("gt", compare::gt),
        ("ge", compare::ge),
    ] {
        all.add(name, raw(&[Param::Raw, Param::Raw], None, run));
    }
    all.add("print", raw(&[], Some(Param::Any), |call| print::print(call.arguments, call.room).map(Value::text)));
    all.add("println", raw(&[], Some(Param::Any), |call| print::println(call.arguments, call.room).map(Value::text)));
    all.add("printf", raw(&[Param::Text], Some(Param::Any), printf));
    all.add("html", raw(&[], Some(Param::Any), |call| escape::escaped(call, escape::html)));
    all.add("js", raw(&[], Some(Param::Any), |call| escape::escaped(call, escape::js)));
    all.add("urlquery", raw(&[], Some(Param::Any), |call| escape::escaped(call, escape::url)));
    all
}

fn last(call: &Call<'_>) -> Result<Value, String> {
    Ok(call.arguments.last().cloned().unwrap_or(Value::Missing))
}

fn printf(call: &Call<'_>) -> Result<Value, String> {
    match call.arguments.split_first() {
        Some((Value::Text(form), rest)) => print::printf(form, rest, call.room).map(Value::text),
        _ => Err("the format must be a text".to_owned()),
    }
}

fn len(call: &Call<'_>) -> Result<Value, String> {
    let length = match &call.arguments[0] {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.entries().len(),
        other => return Err(format!("{} has no length", other.sort())),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// A whole number that is an index; `end` is the first that is too large.
fn position(value: &Value, end: usize) -> Result<usize, String> {
    let wanted = match value {
        Value::Int(number) => usize::try_from(*number).ok(),
        Value::Uint(number) => usize::try_from(*number).ok(),
        other => return Err(format!("an index must be a whole number, not {}", other.sort())),
    };
    wanted.filter(|at| *at < end).ok_or_else(|| match value {
        Value::Int(number) => format!("index {number} is out of range: there are {end}"),
        _ => format!("the index is out of range: there are {end}"),
    })
}

fn index(call: &Call<'_>) -> Result<Value, String> {
    let Some((first, indexes)) = call.arguments.split_first() else { return Err("nothing to index".to_owned()) };
    let mut item = first.clone();
    if matches!(item, Value::Missing | Value::Nil) {
        return Err("nil has no entries".to_owned());
    }
    for index in indexes {
        item = match &item {
            Value::List(list) => list.items()[position(index, list.items().len())?].clone(),
            Value::Text(text) => Value::Uint(u64::from(text.as_bytes()[position(index, text.len())?])),
            Value::Map(map) => match (index, map.has_text_keys) {
                (Value::Text(_), _) | (_, false) => {
                    let key = Key::of(index).ok_or_else(|| format!("{} cannot be a key", index.sort()))?;
                    map.entries().get(&key).cloned().unwrap_or(Value::Nil)
                }
                (other, true) => return Err(format!("the keys are texts, not {}", other.sort())),
            },
            other => return Err(format!("{} has no entries", other.sort())),
        };
    }
    Ok(item)
}

fn slice(call: &Call<'_>) -> Result<Value, String> {
    let Some((item, indexes)) = call.arguments.split_first() else { return Err("nothing to slice".to_owned()) };
    let length = match item {
        Value::Text(_) if indexes.len() == 3 => return Err("a text takes two indexes at most".to_owned()),
        Value::Text(text) => text.len(),
        Value::List(list) => list.items().len(),
        other => return Err(format!("{} cannot be sliced", other.sort())),
    };
    if indexes.len() > 3 {
        return Err("at most three indexes can be given".to_owned());
    }
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(index, length + 1)?;
    }
    let [from, to, most] = bounds;
    if from > to || to > most {
        return Err(format!("the indexes {from} and {to} are in the wrong order"));
    }
    match item {
        Value::Text(text) => Ok(Value::text(String::from_utf8_lossy(&text.as_bytes()[from..to]))),
        Value::List(list) => Value::list(list.items()[from..to].to_vec()),
        _ => Err("it cannot be sliced".to_owned()),
    }
}
