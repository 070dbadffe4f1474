//! The shapes of queries and of what they bring, for whoever discovers a projection.

use super::{
    Projection,
    progress::Progress,
    selection::{Found, Get, Listed, Selection},
    watch::{WatchQuery, Watched},
};
use crate::discovery::{JsonSchema, Schema, Schemas};

pub(crate) const GET: &str = "get";
pub(crate) const LIST: &str = "list";
pub(crate) const WATCH: &str = "watch";
pub(crate) const PROGRESS: &str = "progress";

/// The queries of every projection.
pub(crate) const QUERIES: [&str; 4] = [GET, LIST, WATCH, PROGRESS];

/// For a projection whose rows nobody described.
pub(crate) fn query_requests() -> Schemas {
    Schemas::from([
        (GET, Schema::of_request::<Get>()),
        (LIST, Schema::of_request::<Selection>()),
        (WATCH, Schema::of_request::<WatchQuery>()),
        (PROGRESS, Schema::of_reply::<Progress>()),
    ])
}

/// For a projection of rows `P`.
pub(crate) fn query_schemas<P: Projection + JsonSchema>() -> Schemas {
    Schemas::from([
        (GET, Schema::of::<Get, Found<P>>()),
        (LIST, Schema::of::<Selection, Listed<P>>()),
        (WATCH, Schema::of::<WatchQuery, Watched<P>>()),
        (PROGRESS, Schema::of_reply::<Progress>()),
    ])
}
