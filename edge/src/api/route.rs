//! One route: its handler, and what is written of it.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    handler::Handler,
    routing::{self, MethodRouter},
};
use bus::schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::inputs::Inputs;
use crate::{Edge, conditional::ETAG_HEADER};

pub(crate) use utoipa::openapi::HttpMethod as Method;

/// Makes the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Routes that belong together.
pub(crate) struct Resource {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) routes: Vec<Route>,
}

/// A path and a method, who answers there, and what is written of it.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) handler: MethodRouter<Edge>,
    /// Its name in programs: unique, and for ever.
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) about: &'static str,
    pub(crate) needs_token: bool,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) answers: Vec<Answer>,
    /// The codes of refusals, by their status.
    pub(crate) refusals: BTreeMap<u16, BTreeSet<&'static str>>,
}

/// Where a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

/// Something small that a client may send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) place: Place,
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) schema: SchemaOf,
    pub(crate) example: Option<&'static str>,
}

/// What a client sends.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) media_type: &'static str,
    pub(crate) schema: SchemaOf,
    pub(crate) example: Option<Value>,
    /// Whether a value reads as one.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests hold the example against it"))]
    pub(crate) check: fn(&Value) -> Result<(), String>,
}

/// A header of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
}

/// A success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) schema: Option<SchemaOf>,
    pub(crate) headers: Vec<Header>,
    pub(crate) next: Vec<Next>,
}

/// A route that can be asked next, by its id, with one parameter taken from this answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Next {
    pub(crate) id: &'static str,
    pub(crate) parameter: &'static str,
    pub(crate) from: &'static str,
}

impl Resource {
    pub(crate) fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, routes: Vec::new() }
    }

    pub(crate) fn with(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Route {
    fn new<T: Inputs>(method: Method, path: &'static str, handler: MethodRouter<Edge>) -> Self {
        let mut route = Self {
            method,
            path,
            handler,
            id: "",
            summary: "",
            about: "",
            needs_token: false,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: BTreeMap::new(),
        };
        T::describe(&mut route);
        route
    }

    /// Its name in programs, what it does in a few words, and what else a client has to know.
    pub(crate) fn says(
        mut self,
        id: &'static str,
        summary: &'static str,
        about: &'static str,
    ) -> Self {
        (self.id, self.summary, self.about) = (id, summary, about);
        self
    }

    /// A parameter of the query.
    pub(crate) fn query<T: JsonSchema>(mut self, name: &'static str, about: &'static str) -> Self {
        let (schema, example) = (schema_of::<T> as SchemaOf, None);
        self.parameters.push(Parameter { place: Place::Query, name, about, schema, example });
        self
    }

    /// `limit` and `cursor`.
    pub(crate) fn paged(self) -> Self {
        self.query::<super::shapes::Limit>("limit", "How many rows at most; 50 if it is not said.")
            .query::<super::shapes::Cursor>("cursor", "Where the page begins: `next` of another.")
    }

    /// A body to send, as an example. It must read as one.
    pub(crate) fn example(mut self, example: Value) -> Self {
        if let Some(body) = &mut self.body {
            body.example = Some(example);
        }
        self
    }

    /// A success that tells something.
    pub(crate) fn answers<T: JsonSchema>(self, status: u16, about: &'static str) -> Self {
        self.answer(status, about, "application/json", Some(schema_of::<T>))
    }

    /// A success that tells nothing.
    pub(crate) fn answers_nothing(self, status: u16, about: &'static str) -> Self {
        self.answer(status, about, "", None)
    }

    /// A success that is no JSON.
    pub(crate) fn answers_text(
        self,
        status: u16,
        media_type: &'static str,
        about: &'static str,
    ) -> Self {
        self.answer(status, about, media_type, Some(schema_of::<String>))
    }

    fn answer(
        mut self,
        status: u16,
        about: &'static str,
        media_type: &'static str,
        schema: Option<SchemaOf>,
    ) -> Self {
        let (headers, next) = (Vec::new(), Vec::new());
        self.answers.push(Answer { status, about, media_type, schema, headers, next });
        self
    }

    /// Headers of the last answer.
    pub(crate) fn headers(mut self, headers: &[Header]) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.extend(headers);
        }
        self
    }

    /// The last answer has a version: whoever has it already is told just that.
    pub(crate) fn versioned(self) -> Self {
        let tagged = self.headers(&[ETAG_HEADER]);
        tagged.answers_nothing(304, "It is as the client has it.").headers(&[ETAG_HEADER])
    }

    /// What can be asked after the last answer.
    pub(crate) fn then(
        mut self,
        id: &'static str,
        parameter: &'static str,
        from: &'static str,
    ) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.next.push(Next { id, parameter, from });
        }
        self
    }

    /// How it may say no, besides what its arguments do.
    pub(crate) fn refuses(mut self, status: u16, codes: &[&'static str]) -> Self {
        for code in codes {
            self.may_refuse(status, code);
        }
        self
    }

    /// The same for what a handler takes.
    pub(crate) fn may_refuse(&mut self, status: u16, code: &'static str) {
        self.refusals.entry(status).or_default().insert(code);
    }

    /// The request has a body that reads as a `T`.
    pub(crate) fn takes_body<T: JsonSchema + DeserializeOwned>(&mut self) {
        let check = |value: &Value| {
            serde_json::from_value::<T>(value.clone()).map(drop).map_err(|error| error.to_string())
        };
        let (media_type, schema) = ("application/json", schema_of::<T> as SchemaOf);
        self.body = Some(Body { media_type, schema, example: None, check });
    }

    /// The request has a body that is no JSON.
    pub(crate) fn takes_text(&mut self, media_type: &'static str) {
        self.takes_body::<String>();
        if let Some(body) = &mut self.body {
            body.media_type = media_type;
        }
    }

    /// The request may have a header, or has a place in its path, for a `T`.
    pub(crate) fn takes<T: JsonSchema>(
        &mut self,
        place: Place,
        name: &'static str,
        about: &'static str,
        example: Option<&'static str>,
    ) {
        let schema = schema_of::<T>;
        self.parameters.push(Parameter { place, name, about, schema, example });
    }

    /// The name of the place in the path, as in `/v1/items/{sku}`.
    pub(crate) fn place_in_path(&self) -> &'static str {
        let place = self.path.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
        place.map_or("", |(name, _)| name)
    }
}

macro_rules! methods {
    ($($name:ident $method:ident $words:literal)*) => {$(
        #[doc = $words]
        pub(crate) fn $name<H, T>(path: &'static str, handler: H) -> Route
        where
            H: Handler<T, Edge>,
            T: Inputs + 'static,
        {
            Route::new::<T>(Method::$method, path, routing::$name(handler))
        }
    )*};
}

methods! {
    get Get "Shows what is at `path`."
    post Post "Adds to what is at `path`."
    put Put "Replaces what is at `path`."
    patch Patch "Changes some of what is at `path`."
    delete Delete "Ends what is at `path`."
}
