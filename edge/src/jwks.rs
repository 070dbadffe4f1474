//! The public keys of access tokens, for whoever checks them without asking us (RFC 7517).

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, header},
    routing::get,
};
use serde::Serialize;

use crate::{Edge, signing::PublicKey};

pub(crate) fn router() -> Router<Edge> {
    Router::new().route("/.well-known/jwks.json", get(show))
}

#[derive(Serialize)]
struct Jwks {
    keys: Vec<PublicKey>,
}

/// `GET /.well-known/jwks.json`. May be kept for a minute: a new key signs later than that.
async fn show(State(edge): State<Edge>) -> ([(HeaderName, &'static str); 1], Json<Jwks>) {
    let keys = edge.tokens().public_keys();
    ([(header::CACHE_CONTROL, "public, max-age=60")], Json(Jwks { keys }))
}
