//! Server-sent events: what happened to one's order, and what happens next.
//!
//! Every recorded event is sent once, under the id `<sequence>-<index>`; who comes back with
//! the last id it saw goes on behind it, without loss or repeat. A stream ends when the edge
//! stops or its token does; the client comes back with its last id.

use std::{
    borrow::Cow, collections::VecDeque, convert::Infallible, fmt, str::FromStr, time::Duration,
};

use actors::orders::{Order, OrderCard, OrderId};
use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, request::Parts},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use bus::{
    AnyCommit, Bus, JsonSchema, Lagged, Live, Timestamp,
    schemars::{Schema, SchemaGenerator, json_schema},
};
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::{
    Edge,
    api::{Part, Place, Resource, Route, get},
    error::ApiError,
    extract::{CurrentUser, PathId},
    limits::KEEP_ALIVE_EVERY,
    orders::no_such_order,
};

const KIND: &str = "order";

/// Fields of events that are no business of a reader of events.
const NOT_SHOWN: [&str; 2] = ["card", "buyer"];

pub(crate) fn routes() -> Resource {
    Resource::new("Events", "What happens to an order, as it happens.").with(
        get("/v1/orders/{id}/events", events)
            .says(
                "followOrder",
                "Follow an order",
                "Server-sent events: each once, under an id, from the beginning or from behind \
                 `Last-Event-ID`. Ends when the token does.",
            )
            .answers_text(200, "text/event-stream", "The order's events, without end.")
            .refuses(404, &["NOT_FOUND"]),
    )
}

/// `GET /v1/orders/{id}/events`: the events of one's own order, from `Last-Event-ID` on.
async fn events(
    State(edge): State<Edge>,
    user: CurrentUser,
    PathId(order): PathId<Order>,
    after: EventId,
) -> Result<Response, ApiError> {
    let row = edge.bus().rows::<OrderCard>().get(order.as_str());
    row.within("buyer", user.id.as_str()).await?.ok_or_else(|| no_such_order(&order))?;
    let place = edge.streams().admit(&user.id)?;
    let source = Source::open(edge.bus().clone(), order, after).await?;

    let token_ends = user.until.as_millis().saturating_sub(Timestamp::now().as_millis());
    let stopping = edge.stopping().clone();
    let end = async move {
        tokio::select! {
            () = stopping.cancelled_owned() => {}
            () = sleep(Duration::from_millis(token_ends)) => {}
        }
    };
    let shown = source.into_stream().take_until(end).map(move |event| {
        let _place = &place;
        Ok::<_, Infallible>(event)
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE_EVERY);
    Ok(Sse::new(shown).keep_alive(keep_alive).into_response())
}

fn last_seen(headers: &HeaderMap) -> Result<EventId, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(EventId::START) };
    let seen = value.to_str().ok().and_then(|text| text.parse().ok());
    seen.ok_or_else(|| {
        let message = "a Last-Event-ID is one that was sent: `<sequence>-<index>`";
        ApiError::invalid("Last-Event-ID", message)
    })
}

impl<S: Sync> FromRequestParts<S> for EventId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        last_seen(&parts.headers)
    }
}

impl Part for EventId {
    fn describe(route: &mut Route) {
        let about = "The last event that was seen: what is sent begins behind it.";
        route.takes::<Self>(Place::Header, "Last-Event-ID", about, Some("12-0"));
        route.may_refuse(400, "INVALID");
    }
}

/// Which event of which commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct EventId {
    sequence: u64,
    index: usize,
}

impl EventId {
    /// Before the first event: the first commit has sequence 1.
    const START: Self = Self { sequence: 0, index: 0 };
}

impl JsonSchema for EventId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "EventId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]{1,18}-[0-9]{1,18}$" })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sequence, self.index)
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (sequence, index) = text.split_once('-').ok_or(())?;
        let (sequence, index) = (sequence.parse().map_err(drop)?, index.parse().map_err(drop)?);
        Ok(Self { sequence, index })
    }
}

/// Where the events come from: the history first, then what is recorded from now on.
struct Source {
    bus: Bus,
    order: OrderId,
    live: Live,
    /// The last event handed out.
    last: EventId,
    waiting: VecDeque<Event>,
}

impl Source {
    async fn open(bus: Bus, order: OrderId, after: EventId) -> Result<Self, ApiError> {
        // Before the history is read, so that nothing falls between the two.
        let live = bus.live(KIND).await.map_err(ApiError::unavailable)?;
        let mut source = Self { bus, order, live, last: after, waiting: VecDeque::new() };
        source.catch_up().await.map_err(ApiError::unavailable)?;
        Ok(source)
    }

    fn into_stream(self) -> impl Stream<Item = Event> + Send {
        stream::unfold(self, |mut source| async move {
            let event = source.next().await?;
            Some((event, source))
        })
    }

    /// The next event; none if the journal cannot be read, and the client must come back.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            match self.live.next().await {
                Ok(commit) if *commit.id == *self.order.as_str() => self.take(&commit),
                Ok(_) => {}
                Err(Lagged) => {
                    if let Err(error) = self.catch_up().await {
                        tracing::warn!(order = %self.order, %error, "an event stream was cut");
                        return None;
                    }
                }
            }
        }
    }

    /// Takes what the journal holds after the last event.
    async fn catch_up(&mut self) -> Result<(), bus::Error> {
        // The commit of the last event may hold more: it is read again.
        let after = self.last.sequence.saturating_sub(1);
        for commit in self.bus.history(KIND, self.order.as_str(), after).await? {
            self.take(&commit);
        }
        Ok(())
    }

    fn take(&mut self, commit: &AnyCommit) {
        let sequence = commit.info.position.sequence;
        for (index, event) in commit.events.iter().enumerate() {
            let id = EventId { sequence, index };
            if id > self.last {
                self.last = id;
                self.waiting.push_back(shown(id, commit.info.at, event));
            }
        }
    }
}

fn shown(id: EventId, at: Timestamp, event: &Value) -> Event {
    let (name, fields) = AnyCommit::named(event);
    let mut data = Map::new();
    data.insert("at".to_owned(), Value::String(at.to_string()));
    if let Value::Object(fields) = fields {
        for (field, value) in fields {
            if !NOT_SHOWN.contains(&field.as_str()) {
                data.insert(field.clone(), value.clone());
            }
        }
    }
    // JSON text has no line breaks, which the format could not carry.
    Event::default().id(id.to_string()).event(name).data(Value::Object(data).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_are_read_as_written_and_in_order() {
        let id = EventId { sequence: 12, index: 3 };
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "12", "-", "a-1", "1-b", "1-2-3", "-1-0"] {
            assert!(bad.parse::<EventId>().is_err(), "{bad:?}");
        }
        assert!(EventId { sequence: 9, index: 7 } < EventId { sequence: 10, index: 0 });
        assert!(EventId::START < EventId { sequence: 1, index: 0 });
    }
}
