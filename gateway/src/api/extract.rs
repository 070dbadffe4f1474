//! What handlers take from a request's head: the key and the charge; each or a clear no.

use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};

use super::error::ApiError;
use crate::limits::KEY_BYTES_MAX;

/// The `Idempotency-Key` header.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        match (value.filter(|value| is_key(value)), values.next()) {
            (Some(key), None) => Ok(Self(key.to_owned())),
            _ => Err(ApiError::invalid(
                "Idempotency-Key",
                format!(
                    "this needs one Idempotency-Key of 1 to {KEY_BYTES_MAX} visible ASCII characters"
                ),
            )),
        }
    }
}

fn is_key(text: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The id of the charge in the path.
#[derive(Debug)]
pub(crate) struct ChargeId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for ChargeId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let params = parts.extract::<RawPathParams>().await;
        let params = params.map_err(|error| ApiError::invalid("charge", error.to_string()))?;
        let charge = params.iter().next().map(|(_, charge)| charge.to_owned());
        charge.map(Self).ok_or_else(|| ApiError::invalid("charge", "the path names no charge"))
    }
}
