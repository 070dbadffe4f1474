//! Whether the process is up, and whether it can do its work.
//!
//! Ready means that the journal takes writes: a shop that can only show things is not ready.
//! However often it is asked, the journal is tried once a second at most.

use axum::{Json, extract::State};
use bus::{Bus, JsonSchema};
use serde::Serialize;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::{
    Edge,
    api::{Resource, get},
    error::ApiError,
    limits::{READINESS_FRESH_FOR, READINESS_TIMEOUT},
};

pub(crate) fn routes() -> Resource {
    Resource::new("Health", "Whether the edge is up, and can do its work.")
        .with(
            get("/healthz", healthz)
                .says("isUp", "Ask whether the process answers", "")
                .answers::<Health>(200, "It does."),
        )
        .with(
            get("/readyz", readyz)
                .says("isReady", "Ask whether the shop takes orders", "The journal takes writes.")
                .answers::<Health>(200, "It does."),
        )
}

/// How the edge is.
#[derive(Debug, Serialize, JsonSchema)]
struct Health {
    /// `up` or `ready`.
    status: &'static str,
}

/// `GET /healthz`: 200 as long as the process answers at all.
async fn healthz() -> Json<Health> {
    Json(Health { status: "up" })
}

/// `GET /readyz`: 200 while NATS answers and the journal takes writes, else 503.
async fn readyz(State(edge): State<Edge>) -> Result<Json<Health>, ApiError> {
    if edge.stopping().is_cancelled() {
        return Err(ApiError::unavailable("the edge stops"));
    }
    edge.readiness().check(edge.bus()).await.map_err(ApiError::unavailable)?;
    Ok(Json(Health { status: "ready" }))
}

/// What was found out last, and when.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Readiness {
    async fn check(&self, bus: &Bus) -> Result<(), String> {
        // Held while finding out, so that all who ask meanwhile get the same answer.
        let mut last = self.last.lock().await;
        if let Some((at, found)) = &*last
            && at.elapsed() < READINESS_FRESH_FOR
        {
            return found.clone();
        }
        let found = match timeout(READINESS_TIMEOUT, bus.check_writes()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the journal did not answer within {READINESS_TIMEOUT:?}")),
        };
        *last = Some((Instant::now(), found.clone()));
        found
    }
}
