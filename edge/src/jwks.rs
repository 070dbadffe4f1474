//! The public keys of access tokens, for whoever checks them without asking us (RFC 7517).

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
};
use bus::JsonSchema;
use serde::Serialize;

use crate::{
    Edge,
    api::{Header, Resource, get},
    signing::PublicKey,
};

pub(crate) fn routes() -> Resource {
    let caching = Header { name: "Cache-Control", about: "How long it may be kept." };
    Resource::new("Keys", "For whoever checks access tokens without asking the shop.").with(
        get("/.well-known/jwks.json", show)
            .says("showKeys", "Show the public keys of access tokens", "A JWK Set (RFC 7517).")
            .answers::<Jwks>(200, "All keys that sign or did.")
            .headers(&[caching]),
    )
}

/// A JWK Set.
#[derive(Serialize, JsonSchema)]
struct Jwks {
    /// The keys.
    keys: Vec<PublicKey>,
}

/// `GET /.well-known/jwks.json`. May be kept for a minute: a new key signs later than that.
async fn show(State(edge): State<Edge>) -> ([(HeaderName, &'static str); 1], Json<Jwks>) {
    let keys = edge.tokens().public_keys();
    ([(header::CACHE_CONTROL, "public, max-age=60")], Json(Jwks { keys }))
}
