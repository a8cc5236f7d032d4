//! Readable pages without anything from elsewhere: the contract, and every problem's code.

use archetype_api::codes::Code;
use archetype_api::{BASE, OPENAPI, Problem, codes};
use axum::response::Html;
use serde_json::Value;

use super::extract::Segments;
use super::failure::Failure;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#222;background:#fff}code{font-family:ui-monospace,monospace;background:#f2f2f2;padding:.1em .3em}\
h2{margin-top:2.5rem;border-bottom:1px solid #ddd}h3 code{font-size:1rem}dt{margin-top:.6rem}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}code{background:#2a2a2a}a{color:#8bf}}";

/// The contract, made from the OpenAPI document.
pub(super) async fn contract() -> Html<String> {
    let document: Value = serde_json::from_str(OPENAPI).unwrap_or_default();
    let mut body = format!(
        "<h1>The API of Archetype</h1><p>{} As a document for programs: <a href=\"{BASE}/openapi.json\">\
         openapi.json</a>. Every code of a problem: <a href=\"/docs/problems\">problems</a>.</p>",
        escape(text(&document["info"]["description"]))
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(&tag["name"]);
        body.push_str(&format!("<h2 id=\"{0}\">{0}</h2><p>{1}</p>", escape(name), escape(text(&tag["description"]))));
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                if operation["tags"][0].as_str() == Some(name) {
                    self::operation(&mut body, path, method, operation);
                }
            }
        }
    }
    body.push_str("<h2 id=\"schemas\">Documents</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        self::schema(&mut body, name, schema);
    }
    Html(page("The API of Archetype", &body))
}

fn operation(body: &mut String, path: &str, method: &str, operation: &Value) {
    body.push_str(&format!("<h3><code>{} {}</code></h3>", method.to_uppercase(), escape(path)));
    for key in ["summary", "description"] {
        body.push_str(&format!("<p>{}</p>", escape(text(&operation[key]))));
    }
    body.push_str("<ul>");
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
        let what = escape(text(&parameter["description"]));
        body.push_str(&format!("<li><code>{}</code> in the {} {what}</li>", escape(name), escape(place)));
    }
    contents(body, "takes", &operation["requestBody"]);
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        contents(body, status, response);
    }
    body.push_str("</ul>");
}

fn contents(body: &mut String, what: &str, holder: &Value) {
    for (media, content) in holder["content"].as_object().into_iter().flatten() {
        let kind = text(&content["schema"]["$ref"]).rsplit('/').next().unwrap_or_default();
        let link = match kind {
            "" => String::new(),
            kind => format!("<a href=\"#schema-{0}\">{0}</a>", escape(kind)),
        };
        body.push_str(&format!("<li>{}: {link} <code>{}</code></li>", escape(what), escape(media)));
    }
}

fn schema(body: &mut String, name: &str, schema: &Value) {
    let what = escape(text(&schema["description"]));
    body.push_str(&format!("<h3 id=\"schema-{0}\">{0}</h3><p>{what}</p><dl>", escape(name)));
    for (field, of) in schema["properties"].as_object().into_iter().flatten() {
        body.push_str(&format!("<dt><code>{}</code> {}</dt>", escape(field), escape(&kind_of(of))));
        body.push_str(&format!("<dd>{}</dd>", escape(text(&of["description"]))));
    }
    body.push_str("</dl>");
}

fn kind_of(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_string();
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(text).collect::<Vec<_>>().join(" | ");
    }
    if let Some(one_of) = schema["oneOf"].as_array() {
        return one_of.iter().map(kind_of).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", kind_of(&schema["items"])),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    }
}

/// Every code with its meaning.
pub(super) async fn problems() -> Html<String> {
    let mut all: Vec<&Code> = every_code().collect();
    all.sort_unstable_by_key(|known| known.code);
    all.dedup_by_key(|known| known.code);
    let mut body = String::from("<h1>Problems and findings</h1><dl>");
    for Code { code, meaning, .. } in all {
        let meaning = prose(meaning);
        body.push_str(&format!("<dt><a href=\"/docs/problems/{code}\"><code>{code}</code></a></dt><dd>{meaning}</dd>"));
    }
    body.push_str("</dl>");
    Html(page("Problems and findings", &body))
}

/// One code.
pub(super) async fn problem(Segments(code): Segments<String>) -> Result<Html<String>, Failure> {
    let Some(known) = every_code().find(|known| known.code == code) else {
        let detail = format!("there is no problem {code}");
        return Err(Problem::new(404, codes::PATH_UNKNOWN, detail).hint("all are under /docs/problems").into());
    };
    let body = format!(
        "<h1><code>{}</code></h1><p>{}</p><p>{}</p><p>What happened in your case stands in the message that came \
         with the code.</p><p><a href=\"/docs/problems\">All codes</a></p>",
        known.code,
        prose(known.meaning),
        prose(known.remedy)
    );
    Ok(Html(page(&code, &body)))
}

fn every_code() -> impl Iterator<Item = &'static Code> {
    codes::all().chain(archetype_plan::codes::CODES)
}

/// Text with `code` in it.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for (index, piece) in escape(text).split('`').enumerate() {
        match index % 2 {
            0 => html.push_str(piece),
            _ => html.push_str(&format!("<code>{piece}</code>")),
        }
    }
    html
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{}</title><style>{STYLE}</style></head><body>{body}</body></html>",
        escape(title)
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
