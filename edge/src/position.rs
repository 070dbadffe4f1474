//! Reading one's own writes: `Cb-Seq` says where a command left its actor, and `Cb-After` has a
//! read wait for that.
//!
//! A client may send all positions it has, of whatever streams: those that the rows it reads are
//! not made of are passed over.

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};
use bus::{
    Actor, Position,
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
};

use crate::{
    api::{Header, Part, Place, Route},
    error::ApiError,
};

/// The header that says what a read has to include.
pub(crate) const AFTER: &str = "Cb-After";
const SEQ: &str = "Cb-Seq";

/// The header that says where a change left its actor.
pub(crate) const SEQ_HEADER: Header =
    Header { name: SEQ, about: "Where it left its actor: for `Cb-After` of a read." };

/// What a read has to include.
#[derive(Debug)]
pub(crate) struct After(Vec<Position>);

impl<S: Sync> FromRequestParts<S> for After {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let bad = || {
            let message = "Cb-After holds one or more of what Cb-Seq said, with commas between: \
                           `EVT_order_0@123`";
            ApiError::invalid(AFTER, message)
        };
        let mut positions = Vec::new();
        for value in parts.headers.get_all(AFTER) {
            for one in value.to_str().map_err(|_| bad())?.split(',') {
                let position: Position = one.trim().parse().map_err(|_| bad())?;
                if position.kind().is_none() || positions.len() == bus::limits::AFTER_MAX {
                    return Err(bad());
                }
                positions.push(position);
            }
        }
        Ok(Self(positions))
    }
}

/// Positions, as they are sent.
struct Positions;

impl JsonSchema for Positions {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Positions".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "What `Cb-Seq` said: one, or several with commas between.",
            "pattern": "^EVT_[a-z]{1,20}_0@[0-9]{1,18}( *, *EVT_[a-z]{1,20}_0@[0-9]{1,18}){0,15}$",
        })
    }
}

impl Part for After {
    fn describe(route: &mut Route) {
        let about = "What the answer has to include: it waits for that, and is 503 if it does not \
                     come.";
        route.takes::<Positions>(Place::Header, AFTER, about, Some("EVT_item_0@1"));
        route.may_refuse(400, "INVALID");
    }
}

impl After {
    /// The positions of commits of `A`.
    pub(crate) fn of<A: Actor>(&self) -> impl Iterator<Item = &Position> {
        self.0.iter().filter(|position| position.kind() == Some(A::KIND))
    }
}

/// Where a command left its actor, for the answer's `Cb-Seq`.
#[derive(Debug, Clone)]
pub(crate) struct Seq(pub(crate) Position);

impl IntoResponseParts for Seq {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        if let Ok(value) = HeaderValue::from_str(&self.0.to_string()) {
            parts.headers_mut().insert(SEQ, value);
        }
        Ok(parts)
    }
}
