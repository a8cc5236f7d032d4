//! The functions that templates of topology files have beyond Go's own: containerlab's. What they
//! take and give is what containerlab 0.79 takes and gives.

mod arithmetic;
mod convert;
mod json;
mod network;

use archetype_gotemplate::value::Call;
use archetype_gotemplate::{Function, Functions, Namespace, Param, Value, print};

const STRINGS: Namespace = Namespace {
    name: "strings",
    functions: &[
        ("Split", Function { fixed: &[Param::Text, Param::Any], rest: None, run: split }),
        ("ReplaceAll", Function { fixed: &[Param::Text, Param::Text, Param::Any], rest: None, run: replace_all }),
    ],
};
const CONV: Namespace = Namespace {
    name: "conv",
    functions: &[
        ("Join", Function { fixed: &[Param::Any, Param::Text], rest: None, run: join }),
        (
            "ToInt",
            Function {
                fixed: &[Param::Any],
                rest: None,
                run: |call| convert::integer(&call.arguments[0]).map(Value::Int),
            },
        ),
    ],
};
const NET: Namespace = Namespace {
    name: "net",
    functions: &[("CIDRHost", Function { fixed: &[Param::Any, Param::Any], rest: None, run: network::host })],
};
static NAMESPACES: [Namespace; 3] = [STRINGS, CONV, NET];

/// All functions that a topology file's template may call.
pub fn functions() -> Functions {
    const TWO: &[Param] = &[Param::Any, Param::Any];
    let mut all = archetype_gotemplate::functions();
    for (name, run) in [
        ("add", arithmetic::add as fn(&Call<'_>) -> Result<Value, String>),
        ("subtract", arithmetic::subtract),
        ("mul", arithmetic::mul),
        ("div", arithmetic::div),
        ("idiv", arithmetic::idiv),
        ("rem", arithmetic::rem),
    ] {
        all.add(name, Function { fixed: TWO, rest: None, run });
    }
    all.add("seq", Function { fixed: &[], rest: Some(Param::Any), run: arithmetic::seq });
    all.add("slice", Function { fixed: &[], rest: Some(Param::Any), run: |call| Value::list(call.arguments.to_vec()) });
    all.add("ToJSON", Function { fixed: &[Param::Any], rest: None, run: json::line });
    let pretty = &[Param::Any, Param::Text, Param::Text];
    all.add("ToJSONPretty", Function { fixed: pretty, rest: None, run: json::pretty });
    NAMESPACES.iter().for_each(|namespace| all.add_namespace(namespace));
    all
}

/// An argument that must be a text, which the parameters have seen to.
fn text_of(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

/// Any value as a text: nothing is `nil`.
fn shown(value: &Value, room: usize) -> Result<String, String> {
    match value {
        Value::Missing | Value::Nil => Ok("nil".to_owned()),
        value => print::print(std::slice::from_ref(value), room),
    }
}

fn split(call: &Call<'_>) -> Result<Value, String> {
    let separator = text_of(&call.arguments[0]);
    let text = shown(&call.arguments[1], call.room)?;
    let parts: Vec<Value> = match separator {
        "" => text.chars().map(|c| Value::text(c.encode_utf8(&mut [0; 4]))).collect(),
        separator => text.split(separator).map(Value::text).collect(),
    };
    Value::list(parts)
}

fn replace_all(call: &Call<'_>) -> Result<Value, String> {
    let [old, new, text] = call.arguments else { return Err("three arguments are needed".to_owned()) };
    let (old, new) = (text_of(old), text_of(new));
    if !old.is_empty() && matches!(text, Value::Nil | Value::Missing) {
        return Ok(Value::text(""));
    }
    let text = shown(text, call.room)?;
    if old.is_empty() {
        return Ok(Value::text(text));
    }
    let longest = text.len() + (text.len() / old.len()).saturating_mul(new.len());
    if longest > call.room && text.matches(old).count().saturating_mul(new.len()) + text.len() > call.room {
        return Err("the text becomes too long".to_owned());
    }
    Ok(Value::text(text.replace(old, new)))
}

fn join(call: &Call<'_>) -> Result<Value, String> {
    let Value::List(list) = &call.arguments[0] else {
        return Err(format!("a list is needed, not {}", call.arguments[0].sort()));
    };
    let separator = text_of(&call.arguments[1]);
    let mut out = String::new();
    for (index, item) in list.items().iter().enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        out.push_str(&shown(item, call.room)?);
        if out.len() > call.room {
            return Err("the text becomes too long".to_owned());
        }
    }
    Ok(Value::text(out))
}
