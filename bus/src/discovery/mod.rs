//! Discovery: this node's kinds and projections as NATS micro services, so that `nats service ls`
//! and any client finds what can be asked, in which shape, and how it does.
//!
//! One subscription per node answers `$SRV.PING`, `.INFO` and `.STATS`, also of one service or
//! one instance only. It is ours and not the NATS client's, because theirs cannot be drained.

mod asyncapi;
mod schema;
mod shapes;
mod tally;

use std::{collections::BTreeMap, sync::Arc};

use async_nats::HeaderMap;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use self::{asyncapi::AsyncApi, schema::Described};
pub(crate) use self::{
    schema::{Schema, Schemas},
    tally::Tally,
};
use crate::{
    asking::{
        bus::Bus,
        transport::{Inbound, Inbox},
    },
    model::time::Timestamp,
    node::kind::AnyKind,
    projection::query_requests,
    wire::{
        encoding::Encoding,
        subject::{self, Asked, Verb},
    },
};
pub(crate) use schemars::JsonSchema;

/// A kind or a projection, as this node serves it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// Of this instance alone.
    pub(crate) id: String,
    pub(crate) description: &'static str,
    pub(crate) metadata: BTreeMap<&'static str, String>,
    /// The kind's or the projection's name, which is its queue group.
    pub(crate) serves: String,
    pub(crate) started: Timestamp,
    pub(crate) schemas: Schemas,
    pub(crate) tally: Arc<Tally>,
    /// The subject of an endpoint.
    pub(crate) subject: fn(&str, &str) -> String,
}

/// The version of every service: what they have in common is the runtime.
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize)]
struct Told<'a, E> {
    r#type: &'static str,
    name: &'a str,
    id: &'a str,
    version: &'static str,
    metadata: &'a BTreeMap<&'static str, String>,
    #[serde(flatten)]
    more: E,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Info<'a> {
    description: &'static str,
    endpoints: Vec<EndpointInfo<'a>>,
}

#[derive(Serialize)]
struct EndpointInfo<'a> {
    name: &'static str,
    subject: String,
    queue_group: &'a str,
    metadata: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
struct Stats<'a> {
    started: String,
    endpoints: Vec<EndpointStats<'a>>,
}

/// Times are in nanoseconds, as the protocol has it.
#[derive(Serialize)]
struct EndpointStats<'a> {
    name: &'static str,
    subject: String,
    queue_group: &'a str,
    num_requests: u64,
    num_errors: u64,
    last_error: String,
    processing_time: u64,
    average_processing_time: u64,
}

impl Service {
    pub(crate) fn of_kind(
        kind: &Arc<dyn AnyKind>,
        bus: &Bus,
        schemas: &mut BTreeMap<String, Schemas>,
    ) -> Self {
        let name = kind.name().to_string();
        Self {
            id: bus.ambient().token(),
            description: "A kind of actors: each has an id, in the place of the `*`",
            metadata: BTreeMap::from([
                ("kind", name.clone()),
                ("shards", kind.homes().len().to_string()),
            ]),
            serves: name.clone(),
            started: bus.ambient().now(),
            schemas: schemas.remove(&name).unwrap_or_default(),
            tally: kind.tally().clone(),
            subject: subject::any_command,
            name,
        }
    }

    pub(crate) fn of_view(
        projection: &str,
        tally: Arc<Tally>,
        bus: &Bus,
        schemas: &mut BTreeMap<String, Schemas>,
    ) -> Self {
        let name = subject::view_service(projection);
        Self {
            id: bus.ambient().token(),
            description: "A projection: rows, folded from commits",
            metadata: BTreeMap::from([("projection", projection.to_owned())]),
            serves: projection.to_owned(),
            started: bus.ambient().now(),
            schemas: schemas.remove(&name).unwrap_or_else(query_requests),
            tally,
            subject: subject::view,
            name,
        }
    }

    /// What the service says of itself.
    fn answer(&self, verb: Verb) -> Vec<u8> {
        match verb {
            Verb::Ping => self.told("io.nats.micro.v1.ping_response", Nothing {}),
            Verb::Info => self.told("io.nats.micro.v1.info_response", self.info()),
            Verb::Stats => self.told("io.nats.micro.v1.stats_response", self.stats()),
        }
    }

    fn told<E: Serialize>(&self, r#type: &'static str, more: E) -> Vec<u8> {
        let Self { name, id, metadata, .. } = self;
        let told = Told { r#type, name, id, version: VERSION, metadata, more };
        Encoding::Json.encode(&told).expect("strings and numbers can be written as JSON")
    }

    fn info(&self) -> Info<'_> {
        let endpoints = self.tally.counted().into_iter().map(|endpoint| EndpointInfo {
            name: endpoint.name,
            subject: (self.subject)(&self.serves, endpoint.name),
            queue_group: &self.serves,
            metadata: self.metadata_of(endpoint.name),
        });
        Info { description: self.description, endpoints: endpoints.collect() }
    }

    fn metadata_of(&self, endpoint: &str) -> BTreeMap<&'static str, &str> {
        let mut metadata =
            BTreeMap::from([("content_types", "application/json, application/msgpack")]);
        if let Some(schema) = self.schemas.get(endpoint) {
            metadata.extend(schema.request.as_deref().map(|text| ("request_schema", text)));
            metadata.extend(schema.reply.as_deref().map(|text| ("reply_schema", text)));
        }
        metadata
    }

    fn stats(&self) -> Stats<'_> {
        let endpoints = self.tally.counted().into_iter().map(|counted| EndpointStats {
            name: counted.name,
            subject: (self.subject)(&self.serves, counted.name),
            queue_group: &self.serves,
            num_requests: counted.requests,
            num_errors: counted.errors,
            last_error: counted.last_error,
            processing_time: counted.nanoseconds,
            average_processing_time: counted.nanoseconds / counted.requests.max(1),
        });
        Stats { started: self.started.to_string(), endpoints: endpoints.collect() }
    }

    fn is_meant(&self, asked: &Asked<'_>) -> bool {
        asked.name.is_none_or(|name| name == self.name) && asked.id.is_none_or(|id| id == self.id)
    }
}

/// Answers whoever looks for services, one after another, until told to stop.
pub(crate) async fn serve(mut inbox: Inbox, services: Vec<Service>, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            inbound = inbox.next() => match inbound {
                Some(inbound) => answer(&inbound, &services).await,
                None => return,
            },
        }
    }
}

async fn answer(inbound: &Inbound, services: &[Service]) {
    let Some(asked) = subject::parse_discovery(&inbound.message.subject) else { return };
    for service in services.iter().filter(|service| service.is_meant(&asked)) {
        inbound.clone().answer(HeaderMap::new(), service.answer(asked.verb)).await;
    }
}
