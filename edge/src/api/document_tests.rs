//! What must be true of the document, whatever the routes are.

use std::{collections::HashSet, fs, path::Path};

use super::*;
use crate::api::{pages::text_of, reading::page};

fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = openapi()["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().expect("a path");
        item.iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// Fails unless the file under `docs/` is what the code makes.
pub(crate) fn is_committed(name: &str, document: &Value) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    let text = text_of(document);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, text).expect("docs/ can be written");
        return;
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    let differs = committed.lines().zip(text.lines()).position(|(old, new)| old != new);
    let lines = committed.lines().count().min(text.lines().count());
    assert!(
        committed == text,
        "docs/{name} is not what the code says, from line {} on. Is the change meant, and can \
         clients bear it? Then: UPDATE_DOCS=1 cargo test -p edge --lib committed",
        differs.unwrap_or(lines) + 1,
    );
}

#[test]
fn the_committed_document_is_the_codes() {
    is_committed("openapi.json", openapi());
}

#[test]
fn the_committed_document_of_the_bus_is_the_codes() {
    is_committed("asyncapi.json", &actors::asyncapi());
}

#[test]
fn every_route_is_written_of_in_full() {
    let mut ids = HashSet::new();
    for resource in resources() {
        for route in resource.routes {
            let (path, id) = (route.path, route.id);
            assert!(ids.insert(id) && !id.is_empty(), "{path}: the name `{id}`");
            assert!(!route.summary.is_empty(), "{id}: says nothing");
            assert!(!route.answers.is_empty(), "{id}: answers nothing");
            if let Some(body) = &route.body {
                let example = body.example.as_ref();
                let example = example.unwrap_or_else(|| panic!("{id}: no example of its body"));
                (body.check)(example).unwrap_or_else(|why| panic!("{id}: the example: {why}"));
            }
        }
    }
}

#[test]
fn no_name_has_two_shapes() {
    let mut shapes = Shapes::new();
    for resource in resources() {
        for route in &resource.routes {
            operation(&resource, route, &mut shapes);
        }
    }
    let given = shapes.given.take_definitions(true);
    for (name, taken) in shapes.taken.take_definitions(true) {
        let same = given.get(&name).is_none_or(|given| *given == taken);
        assert!(
            same,
            "{name} is sent in one shape and answered in another: rename one of the types"
        );
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn look(document: &Value, at: &Value) {
        match at {
            Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                    let found = reference.strip_prefix('#').and_then(|path| document.pointer(path));
                    assert!(found.is_some(), "{reference} leads nowhere");
                }
                map.values().for_each(|value| look(document, value));
            }
            Value::Array(values) => values.iter().for_each(|value| look(document, value)),
            _ => {}
        }
    }
    look(openapi(), openapi());
    let named = |id: &Value| operations().find(|(_, _, operation)| operation["operationId"] == *id);
    for (path, method, operation) in operations() {
        for response in operation["responses"].as_object().expect("responses").values() {
            for link in response["links"].as_object().into_iter().flat_map(Map::values) {
                let (_, _, next) = named(&link["operationId"])
                    .unwrap_or_else(|| panic!("{method} {path}: {link} leads nowhere"));
                let parameters = next["parameters"].as_array().expect("parameters");
                for name in link["parameters"].as_object().expect("one").keys() {
                    assert!(parameters.iter().any(|known| known["name"] == *name), "{link}");
                }
            }
        }
    }
}

#[test]
fn a_shape_without_a_name_is_told_as_it_is() {
    let schema = json!({ "type": "string", "pattern": "^[a-z]{1,3}$" });
    let told = serde_json::to_value(model(schema.clone())).expect("JSON");
    assert_eq!(told, schema);
}

#[test]
fn the_page_shows_every_route_and_every_code() {
    let page = page(openapi());
    for (path, method, operation) in operations() {
        let id = operation["operationId"].as_str().expect("a name");
        assert!(page.contains(&format!("<details id=\"{id}\">")), "{method} {path}");
    }
    assert!(page.contains("<details id=\"KEY_REUSED\">"), "where a problem's `type` leads");
    assert!(!page.contains("<script"), "it runs nothing");
}
