//! The OpenAPI document as one page of HTML: no script, nothing loaded from elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use serde_json::{Map, Value};

const HEAD: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Callboard</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f4f2;padding:.7rem;overflow:auto}
summary{cursor:pointer;padding:.3rem 0}details{border-top:1px solid #ddd}details>div{padding:0 0 1rem 1rem}
table{border-collapse:collapse;width:100%}td{border-top:1px solid #eee;padding:.2rem .7rem .2rem 0;vertical-align:top}
b.method{display:inline-block;width:4.5rem}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#191919}pre{background:#262626}
details{border-color:#444}td{border-color:#333}a{color:#8bf}}
</style>"#;

/// A page that shows `document`.
pub(crate) fn page(document: &Value) -> String {
    let mut html = HEAD.to_owned();
    let (title, about) = (text(&document["info"]["title"]), text(&document["info"]["description"]));
    put(&mut html, &format!("<h1>{title}</h1>{}", prose(&about)));
    put(&mut html, "<p>The same for programs: <a href=\"/openapi.json\">/openapi.json</a></p>");
    let operations = operations(document);
    for tag in document["tags"].as_array().into_iter().flatten() {
        let (name, about) = (text(&tag["name"]), text(&tag["description"]));
        put(&mut html, &format!("<h2>{name}</h2>{}", prose(&about)));
        for (path, method, operation) in &operations {
            if operation["tags"][0] == tag["name"] {
                one(&mut html, document, (path, method.clone(), operation));
            }
        }
    }
    put(&mut html, "<h2>Why something is not done</h2>");
    for (code, places) in codes(document, &operations) {
        let places: Vec<String> = places.into_iter().map(link).collect();
        let code = escape(&code);
        put(&mut html, &format!("<details id=\"{code}\"><summary><code>{code}</code></summary>"));
        put(&mut html, &format!("<div>{}</div></details>", places.join(", ")));
    }
    put(&mut html, "<h2>Shapes</h2>");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        let (name, shape) = (escape(name), json(schema));
        let summary =
            format!("<details id=\"shape-{name}\"><summary><code>{name}</code></summary>");
        put(&mut html, &format!("{summary}<div><pre>{shape}</pre></div></details>"));
    }
    html
}

type Listed<'a> = (&'a str, String, &'a Value);

/// What an operation answers, by status; what is written elsewhere, from there.
fn responses<'a>(document: &'a Value, operation: &'a Value) -> Vec<(&'a String, &'a Value)> {
    let of = |response: &'a Value| {
        let path = response["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
        path.and_then(|path| document.pointer(path)).unwrap_or(response)
    };
    entries(&operation["responses"]).map(|(status, response)| (status, of(response))).collect()
}

fn operations(document: &Value) -> Vec<Listed<'_>> {
    let mut all = Vec::new();
    for (path, item) in entries(&document["paths"]) {
        for (method, operation) in entries(item) {
            all.push((path.as_str(), method.to_uppercase(), operation));
        }
    }
    all
}

fn one(html: &mut String, document: &Value, (path, method, operation): Listed<'_>) {
    let (id, path) = (text(&operation["operationId"]), escape(path));
    let summary = text(&operation["summary"]);
    put(html, &format!("<details id=\"{id}\"><summary><b class=\"method\">{method}</b>"));
    put(html, &format!("<code>{path}</code> {summary}</summary><div>"));
    put(html, &prose(&text(&operation["description"])));
    if operation.get("security").is_some() {
        put(html, "<p>Needs an access token.</p>");
    }
    rows(
        html,
        operation["parameters"].as_array().into_iter().flatten().map(|parameter| {
            let place =
                format!("{} <code>{}</code>", text(&parameter["in"]), text(&parameter["name"]));
            [place, text(&parameter["description"]), shape(&parameter["schema"])]
        }),
    );
    let content = operation["requestBody"]["content"].as_object();
    let body = content.and_then(|content| content.values().next()).unwrap_or(&Value::Null);
    if !body.is_null() {
        put(
            html,
            &format!(
                "<p>Takes {}</p><pre>{}</pre>",
                shape(&body["schema"]),
                json(&body["example"])
            ),
        );
    }
    rows(
        html,
        responses(document, operation).into_iter().map(|(status, response)| {
            let content = entries(&response["content"]).next();
            let told = content.filter(|_| status.starts_with('2'));
            let told = told.map_or_else(String::new, |(_, content)| shape(&content["schema"]));
            [
                format!("<code>{}</code>", escape(status)),
                code_words(&text(&response["description"])),
                told,
            ]
        }),
    );
    put(html, "</div></details>");
}

/// The operations that answer with each code.
fn codes<'a>(
    document: &'a Value,
    operations: &'a [Listed<'a>],
) -> BTreeMap<String, BTreeSet<&'a str>> {
    let mut codes: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (_, _, operation) in operations {
        for (_, response) in responses(document, operation) {
            let schema = &response["content"][crate::error::PROBLEM]["schema"];
            let told = &schema["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"];
            for code in told.as_array().into_iter().flatten().filter_map(Value::as_str) {
                let id = operation["operationId"].as_str().unwrap_or_default();
                codes.entry(code.to_owned()).or_default().insert(id);
            }
        }
    }
    codes
}

fn rows<const N: usize>(html: &mut String, rows: impl Iterator<Item = [String; N]>) {
    put(html, "<table>");
    for row in rows {
        put(html, "<tr>");
        row.iter().for_each(|cell| put(html, &format!("<td>{cell}</td>")));
        put(html, "</tr>");
    }
    put(html, "</table>");
}

fn shape(schema: &Value) -> String {
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit_once('/'));
    match name.map(|(_, name)| escape(name)) {
        Some(name) => format!("<a href=\"#shape-{name}\">{name}</a>"),
        None => format!("<code>{}</code>", escape(&schema.to_string())),
    }
}

fn link(id: &str) -> String {
    let id = escape(id);
    format!("<a href=\"#{id}\">{id}</a>")
}

/// Paragraphs and lists, as descriptions have them.
fn prose(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|text| !text.is_empty());
    let paragraphs = paragraphs.map(|paragraph| match paragraph.strip_prefix("- ") {
        Some(list) => format!("<ul><li>{}</ul>", code_words(&list.replace("\n- ", "<li>"))),
        None => format!("<p>{}</p>", code_words(paragraph)),
    });
    paragraphs.collect()
}

/// Escaped text with `code` in it.
fn code_words(text: &str) -> String {
    let mut parts = text.split('`');
    let mut html = parts.next().unwrap_or_default().to_owned();
    let mut is_code = true;
    for part in parts {
        let mark = if is_code { "<code>" } else { "</code>" };
        let _ = write!(html, "{mark}{part}");
        is_code = !is_code;
    }
    html
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn json(value: &Value) -> String {
    escape(&serde_json::to_string_pretty(value).unwrap_or_default())
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn put(html: &mut String, part: &str) {
    html.push_str(part);
    html.push('\n');
}
