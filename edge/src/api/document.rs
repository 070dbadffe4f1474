//! The OpenAPI document, made of the declared routes.
//!
//! utoipa has its model; the schemas are schemars', as the actors' are. Keys are in order, so that
//! the same code writes the same text.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use bus::schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use utoipa::openapi::{
    Content, Header as AnswerHeader, InfoBuilder, OpenApiBuilder, Paths, Ref, RefOr, Required,
    Response, ResponseBuilder, Schema, SecurityRequirement, Tag,
    link::Link,
    path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem},
    request_body::{RequestBody, RequestBodyBuilder},
    schema::{AllOfBuilder, ObjectBuilder, Type},
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::TagBuilder,
};

use super::{
    RETRY_AFTER, resources,
    route::{Answer, Body, Header, Parameter, Place, Resource, Route, SchemaOf},
    shapes::Problem,
};
use crate::error::PROBLEM;

const BEARER: &str = "bearer";

const ABOUT: &str = "A shop, over HTTP. What a client may rely on:\n\n\
    - A repeat with the same `Idempotency-Key` has one effect, and gets the first one's answer.\n\
    - `Cb-Seq` says where a change left its actor; a read that sends it as `Cb-After` includes it.\n\
    - An `ETag` is a version: a read with `If-None-Match` is 304 while it is still so, and a change \
      with `If-Match` is 412, and changes nothing, once it is not. Whatever happens to a thing makes \
      another version of it: an item's pieces being held, a user's logging in.\n\
    - What is somebody else's is answered as if it were not there.\n\
    - Every \"no\" is a problem (RFC 9457) with an `error.code` for programs; 429, 503 and 504 say \
      by `Retry-After` when to ask again.\n\
    - Every answer has a `traceparent`: the request's own trace, or a new one.";

const AUTHENTICATE: Header = Header { name: "WWW-Authenticate", about: "`Bearer`." };

/// The OpenAPI 3.1 document of all routes.
pub fn openapi() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| document(&resources()));
    &DOCUMENT
}

/// What the schemas of requests and answers refer to.
struct Shapes {
    taken: SchemaGenerator,
    given: SchemaGenerator,
    /// Answers that say no, by name.
    noes: BTreeMap<String, Response>,
}

impl Shapes {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let (taken, given) = (settings.clone().for_deserialize(), settings.for_serialize());
        let (taken, given) = (SchemaGenerator::new(taken), SchemaGenerator::new(given));
        Self { taken, given, noes: BTreeMap::new() }
    }

    fn taken(&mut self, of: SchemaOf) -> RefOr<Schema> {
        model(of(&mut self.taken).to_value())
    }

    fn given(&mut self, of: SchemaOf) -> RefOr<Schema> {
        model(of(&mut self.given).to_value())
    }

    /// All schemas by name. One that is both sent and answered is the same in both: a test has it.
    fn into_components(mut self) -> Map<String, Value> {
        let mut components = self.given.take_definitions(true);
        for (name, schema) in self.taken.take_definitions(true) {
            components.entry(name).or_insert(schema);
        }
        components
    }
}

/// A schema without a name is small enough for utoipa's model.
fn model(schema: Value) -> RefOr<Schema> {
    let any = RefOr::T(ObjectBuilder::new().build().into());
    serde_json::from_value(schema).unwrap_or(any)
}

fn document(resources: &[Resource]) -> Value {
    let mut shapes = Shapes::new();
    shapes.given.subschema_for::<Problem>();
    let mut items: BTreeMap<&str, PathItem> = BTreeMap::new();
    for resource in resources {
        for route in &resource.routes {
            let item = PathItem::new(route.method.clone(), operation(resource, route, &mut shapes));
            match items.get_mut(route.path) {
                Some(known) => known.merge_operations(item),
                None => drop(items.insert(route.path, item)),
            }
        }
    }
    let paths =
        items.into_iter().fold(Paths::builder(), |paths, (path, item)| paths.path(path, item));
    let info = InfoBuilder::new()
        .title("Callboard")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT));
    let tags = resources.iter().map(tag);
    let model = OpenApiBuilder::new().info(info.build()).paths(paths.build()).tags(Some(tags));
    let mut document = serde_json::to_value(model.build()).unwrap_or_default();
    document["components"] = json!({
        "responses": shapes.noes,
        "schemas": shapes.into_components(),
        "securitySchemes": { BEARER: bearer() },
    });
    document
}

fn tag(resource: &Resource) -> Tag {
    TagBuilder::new().name(resource.name).description(Some(resource.about)).build()
}

fn bearer() -> SecurityScheme {
    let about = "An access token, as `POST /v1/sessions` gives it: a JWT that is good for minutes.";
    let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    SecurityScheme::Http(http.description(Some(about)).build())
}

fn operation(resource: &Resource, route: &Route, shapes: &mut Shapes) -> Operation {
    let mut operation = OperationBuilder::new()
        .tag(resource.name)
        .operation_id(Some(route.id))
        .summary(Some(route.summary))
        .description((!route.about.is_empty()).then_some(route.about));
    for parameter in &route.parameters {
        operation = operation.parameter(described(parameter, shapes));
    }
    if let Some(body) = &route.body {
        operation = operation.request_body(Some(sent(body, shapes)));
    }
    for answer in &route.answers {
        operation = operation.response(answer.status.to_string(), told(answer, shapes));
    }
    for (status, codes) in &route.refusals {
        operation = operation.response(status.to_string(), no(*status, codes, shapes));
    }
    if route.needs_token {
        operation = operation.security(SecurityRequirement::new(BEARER, [""; 0]));
    }
    operation.build()
}

fn described(parameter: &Parameter, shapes: &mut Shapes) -> ParameterBuilder {
    let place = match parameter.place {
        Place::Path => ParameterIn::Path,
        Place::Query => ParameterIn::Query,
        Place::Header => ParameterIn::Header,
    };
    let is_needed = parameter.place == Place::Path;
    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(place)
        .required(if is_needed { Required::True } else { Required::False })
        .description(Some(parameter.about))
        .schema(Some(shapes.taken(parameter.schema)))
        .example(parameter.example.map(Value::from))
}

fn sent(body: &Body, shapes: &mut Shapes) -> RequestBody {
    let mut content = Content::new(Some(shapes.taken(body.schema)));
    content.example.clone_from(&body.example);
    RequestBodyBuilder::new()
        .content(body.media_type, content)
        .required(Some(Required::True))
        .build()
}

fn told(answer: &Answer, shapes: &mut Shapes) -> Response {
    let mut response = ResponseBuilder::new().description(answer.about);
    if let Some(schema) = answer.schema {
        response = response.content(answer.media_type, Content::new(Some(shapes.given(schema))));
    }
    for header in &answer.headers {
        response = response.header(header.name, header_of(header));
    }
    for next in &answer.next {
        let link = Link::builder().operation_id(next.id).parameter(next.parameter, next.from);
        response = response.link(next.id, link.build());
    }
    response.build()
}

fn header_of(header: &Header) -> AnswerHeader {
    let text: RefOr<Schema> =
        RefOr::T(ObjectBuilder::new().schema_type(Type::String).build().into());
    AnswerHeader::builder().schema(Some(text)).description(Some(header.about)).build()
}

/// A problem with one of `codes`. One with a single code is written once, under its name.
fn no(status: u16, codes: &BTreeSet<&'static str>, shapes: &mut Shapes) -> RefOr<Response> {
    let response = refused(status, codes);
    match codes.first() {
        Some(code) if codes.len() == 1 => {
            let name = format!("{status}_{code}");
            let reference = Ref::from_response_name(&name);
            shapes.noes.insert(name, response);
            RefOr::Ref(reference)
        }
        _ => RefOr::T(response),
    }
}

fn refused(status: u16, codes: &BTreeSet<&'static str>) -> Response {
    let codes: Vec<&str> = codes.iter().copied().collect();
    let about = format!("`{}`.", codes.join("`, `"));
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
    let error = ObjectBuilder::new().property("code", code);
    let narrowed = ObjectBuilder::new().property("error", error);
    let problem =
        AllOfBuilder::new().item(Ref::from_schema_name(Problem::schema_name())).item(narrowed);
    let response = ResponseBuilder::new().description(about);
    let response = response.content(PROBLEM, Content::new(Some(Schema::AllOf(problem.build()))));
    match status {
        401 => response.header(AUTHENTICATE.name, header_of(&AUTHENTICATE)),
        429 | 503 | 504 => response.header(RETRY_AFTER.name, header_of(&RETRY_AFTER)),
        _ => response,
    }
    .build()
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
