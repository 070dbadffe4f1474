//! All that a host says and hears on NATS, as one AsyncAPI 3 document: made of the same schemas
//! that discovery tells, for generators, for browsers, and for a diff that shows what breaks.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use schemars::JsonSchema;

use super::{
    Described, Schema,
    schema::given,
    shapes::{commit, problem, reply_headers, request_headers, runtime_error},
};
use crate::{
    model::actor::Actor,
    projection::{Projection, query_schemas},
    wire::subject,
};

const ASKED_WITH: &str = "runtime.request_headers";
const ANSWERED_WITH: &str = "runtime.reply_headers";

const ABOUT: &str = "Commands by request and reply, the same as tells, queries on rows, and the \
                     commits that each command left. A client sends where the action is `receive`, \
                     and follows where it is `send`.";

/// The document while it is written.
///
/// ```ignore
/// AsyncApi::new("Lamps").kind::<Lamp>().rows::<LampRow>().document()
/// ```
#[derive(Debug, Default)]
pub struct AsyncApi {
    title: String,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    schemas: BTreeMap<String, Value>,
}

/// What can be asked under one name.
struct Endpoint<'a> {
    /// As other names in the document begin.
    of: String,
    address: String,
    parameters: &'a [&'a str],
    schema: &'a Schema,
    /// The message of its refusals.
    refused: String,
}

impl AsyncApi {
    /// Of the system called `title`.
    #[must_use]
    pub fn new(title: &str) -> Self {
        let mut paper = Self { title: title.to_owned(), ..Self::default() };
        for (name, schema) in [
            ("runtime.error", runtime_error()),
            (ASKED_WITH, request_headers()),
            (ANSWERED_WITH, reply_headers()),
        ] {
            paper.schemas.insert(name.to_owned(), schema);
        }
        paper.message("refused", "Why not.", problem(None), Some(ANSWERED_WITH));
        paper
    }

    /// With the kind `A`: its commands, also as tells, their replies and refusals, and its commits.
    #[must_use]
    pub fn kind<A: Actor<Event: JsonSchema, Error: JsonSchema>>(mut self) -> Self
    where
        A::Commands: Described<A>,
    {
        let name = A::KIND;
        let event = self.schema(&format!("{name}.event"), &given::<A::Event>());
        let error = self.schema(&format!("{name}.error"), &given::<A::Error>());
        self.message(&format!("{name}.commit"), "What one command left.", commit(&event), None);
        let (refused, refusal) = (format!("{name}.refused"), problem(Some(&error)));
        self.message(&refused, "Why not.", refusal, Some(ANSWERED_WITH));
        self.commits(name);
        for (command, schema) in A::Commands::schemas() {
            let (of, refused) = (format!("{name}.{command}"), refused.clone());
            let address = subject::command(name, "{id}", command);
            self.asked(&Endpoint { of, address, parameters: &["id"], schema: &schema, refused });
            self.told(name, command, &subject::tell(name, "{id}", command));
        }
        self
    }

    /// With the rows of the projection `P`: the queries on them.
    #[must_use]
    pub fn rows<P: Projection + JsonSchema>(mut self) -> Self {
        for (query, schema) in &query_schemas::<P>() {
            let of = format!("{}.{query}", subject::view_service(P::NAME));
            let (address, refused) = (subject::view(P::NAME, query), "refused".to_owned());
            self.asked(&Endpoint { of, address, parameters: &[], schema, refused });
        }
        self
    }

    /// The document, as JSON.
    #[must_use]
    pub fn document(self) -> Value {
        json!({
            "asyncapi": "3.0.0",
            "info": { "title": self.title, "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
            "defaultContentType": "application/json",
            "channels": self.channels,
            "operations": self.operations,
            "components": {
                "messages": self.messages,
                "parameters": {
                    "id": { "description": "The actor: 1 to 64 of A-Z a-z 0-9 _ -" },
                    "shard": { "description": "Which of the kind's streams the actor is in, from 0." },
                },
                "schemas": self.schemas,
            },
        })
    }

    /// A request, and where its reply goes.
    fn asked(&mut self, endpoint: &Endpoint<'_>) {
        let Endpoint { of, address, parameters, schema, refused } = endpoint;
        let (asks, answers) = (format!("{of}.request"), format!("{of}.reply"));
        let request = self.schema_or_any(&asks, schema.request.as_deref());
        let reply = self.schema_or_any(&answers, schema.reply.as_deref());
        self.message(&asks, "What is asked.", request, Some(ASKED_WITH));
        self.message(&answers, "What is answered.", reply, Some(ANSWERED_WITH));
        self.channel(of, json!(address), parameters, &[&asks]);
        // Where a reply goes is the request's own reply subject, which no document knows.
        self.channel(&answers, Value::Null, &[], &[&answers, refused]);
        let operation = json!({
            "action": "receive",
            "channel": reference("channels", of),
            "messages": [message_of(of, &asks)],
            "reply": {
                "channel": reference("channels", &answers),
                "messages": [message_of(&answers, &answers), message_of(&answers, refused)],
            },
        });
        self.operations.insert(of.clone(), operation);
    }

    fn schema_or_any(&mut self, of: &str, text: Option<&str>) -> Value {
        text.map_or(json!({}), |text| self.schema(of, text))
    }

    /// The same command, to be carried out surely and answered to nobody.
    fn told(&mut self, kind: &str, command: &str, address: &str) {
        let (of, message) = (format!("{kind}.{command}.tell"), format!("{kind}.{command}.request"));
        self.channel(&of, json!(address), &["id"], &[&message]);
        let operation = json!({
            "action": "receive",
            "channel": reference("channels", &of),
            "messages": [message_of(&of, &message)],
        });
        self.operations.insert(of, operation);
    }

    fn commits(&mut self, kind: &str) {
        let (of, message) = (format!("{kind}.commits"), format!("{kind}.commit"));
        let address = subject::any_event(kind);
        self.channel(&of, json!(address), &["shard", "id"], &[&message]);
        let operation = json!({
            "action": "send",
            "channel": reference("channels", &of),
            "messages": [message_of(&of, &message)],
        });
        self.operations.insert(of, operation);
    }

    fn channel(&mut self, name: &str, address: Value, parameters: &[&str], messages: &[&str]) {
        let messages: Map<String, Value> = messages
            .iter()
            .map(|message| ((*message).to_owned(), component("messages", message)))
            .collect();
        let mut channel = json!({ "address": address, "messages": messages });
        if !parameters.is_empty() {
            let of = |name: &&str| ((*name).to_owned(), component("parameters", name));
            channel["parameters"] = parameters.iter().map(of).collect::<Map<_, _>>().into();
        }
        self.channels.insert(name.to_owned(), channel);
    }

    fn message(&mut self, name: &str, about: &str, payload: Value, headers: Option<&str>) {
        let mut message = json!({ "name": name, "summary": about, "payload": payload });
        if let Some(headers) = headers {
            message["headers"] = component("schemas", headers);
        }
        self.messages.insert(name.to_owned(), message);
    }

    /// Takes a schema and all that it is made of into the document, and says where it is. What
    /// several have in common is there once; where two differ under one name, each has its own.
    fn schema(&mut self, of: &str, text: &str) -> Value {
        let mut schema: Value = serde_json::from_str(text).expect("schemas are JSON");
        let mut definitions = Map::new();
        if let Some(root) = schema.as_object_mut() {
            root.remove("$schema");
            root.remove("title");
            if let Some(Value::Object(inner)) = root.remove("$defs") {
                definitions = inner;
            }
        }
        let direction = if of.ends_with(".request") { "in" } else { "out" };
        let shared = |name: &str| format!("{direction}.{name}");
        let moved = |value: &Value, to: &dyn Fn(&str) -> String| {
            let mut value = value.clone();
            refer(&mut value, to);
            value
        };
        let differs = definitions.iter().any(|(name, definition)| {
            self.schemas
                .get(&shared(name))
                .is_some_and(|there| *there != moved(definition, &shared))
        });
        let own = |name: &str| format!("{of}.{name}");
        let to: &dyn Fn(&str) -> String = if differs { &own } else { &shared };
        for (name, definition) in &definitions {
            self.schemas.insert(to(name), moved(definition, to));
        }
        self.schemas.insert(of.to_owned(), moved(&schema, to));
        component("schemas", of)
    }
}

fn reference(place: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/{place}/{name}") })
}

fn component(place: &str, name: &str) -> Value {
    reference(&format!("components/{place}"), name)
}

fn message_of(channel: &str, message: &str) -> Value {
    json!({ "$ref": format!("#/channels/{channel}/messages/{message}") })
}

/// Has every reference to a definition of its own schema lead to where `to` puts it.
fn refer(value: &mut Value, to: &dyn Fn(&str) -> String) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/$defs/")
            {
                *reference = format!("#/components/schemas/{}", to(name));
            }
            object.values_mut().for_each(|inner| refer(inner, to));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| refer(inner, to)),
        _ => {}
    }
}
