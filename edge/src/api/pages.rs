//! What is written of the routes, for programs and for people.

use std::{borrow::Cow, sync::LazyLock};

use axum::{
    http::{HeaderName, header},
    response::Html,
};
use bus::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::{
    document::openapi,
    reading::page,
    route::{Resource, get},
};

pub(crate) fn routes() -> Resource {
    Resource::new("Documents", "What can be asked, as programs and people read it.")
        .with(
            get("/openapi.json", openapi_json)
                .says("showOpenapi", "This document", "")
                .answers::<Document>(200, "OpenAPI 3.1."),
        )
        .with(
            get("/asyncapi.json", asyncapi_json)
                .says("showAsyncapi", "What is said and heard on NATS", "")
                .answers::<Document>(200, "AsyncAPI 3."),
        )
        .with(get("/docs", docs).says("showDocs", "This document, to be read", "").answers_text(
            200,
            "text/html",
            "A page that needs nothing else.",
        ))
}

type Json = ([(HeaderName, &'static str); 1], &'static str);

/// A document that has a schema of its own elsewhere.
struct Document;

impl JsonSchema for Document {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Document".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

/// A document as it is committed under `docs/`.
pub(crate) fn text_of(document: &Value) -> String {
    // A map of values always has a text.
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    text + "\n"
}

/// `GET /openapi.json`.
async fn openapi_json() -> Json {
    static TEXT: LazyLock<String> = LazyLock::new(|| text_of(openapi()));
    ([(header::CONTENT_TYPE, "application/json")], &TEXT)
}

/// `GET /asyncapi.json`.
async fn asyncapi_json() -> Json {
    static TEXT: LazyLock<String> = LazyLock::new(|| text_of(&actors::asyncapi()));
    ([(header::CONTENT_TYPE, "application/json")], &TEXT)
}

/// `GET /docs`.
async fn docs() -> ([(HeaderName, &'static str); 1], Html<&'static str>) {
    static PAGE: LazyLock<String> = LazyLock::new(|| page(openapi()));
    // Its own style and nothing else: it runs no script and loads nothing.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(&PAGE))
}
