//! The gateway over HTTP: [`charges`] has the resource, `terms` and `body` what comes in, `error`
//! how "no" goes out.

mod body;
mod charges;
mod error;
mod extract;
mod terms;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use serde_json::{Value, json};

use crate::gateway::Gateway;

/// All routes, and what surrounds them.
pub(crate) fn router(gateway: Arc<Gateway>) -> Router {
    charges::router()
        .layer(middleware::from_fn_with_state(Arc::clone(&gateway), dawdle))
        .route("/healthz", get(health))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(gateway)
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// What was asked is done; only the answer is late.
async fn dawdle(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    gateway.dawdle().await;
    response
}
