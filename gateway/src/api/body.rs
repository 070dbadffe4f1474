//! JSON bodies: bounded in bytes and in time, and if they are wrong, told which field and why.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::ApiError;
use crate::limits::{BODY_BYTES_MAX, BODY_DISCARD_MAX, BODY_TIMEOUT};

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let too_slow = |_| {
            let message = format!("a body must be sent within {BODY_TIMEOUT:?}");
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
        };
        let bytes = timeout(BODY_TIMEOUT, read(request)).await.map_err(too_slow)??;
        read_json(&bytes).map(Self)
    }
}

async fn read(request: Request) -> Result<Vec<u8>, ApiError> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        discard(&parts.headers, body).await;
        let message = "the body must be JSON: Content-Type: application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ApiError::new(status, "unsupported_media_type", message));
    }
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let unread = |error| ApiError::malformed(format!("the body could not be read: {error}"));
        let chunk = chunk.map_err(unread)?;
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            discard(&parts.headers, Body::from_stream(chunks)).await;
            let message = format!("a body has at most {BODY_BYTES_MAX} bytes");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

/// Reads a body away, up to a bound, so that its sender gets to see the answer. Who waits for
/// permission to send has sent nothing yet.
async fn discard(headers: &HeaderMap, body: Body) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let mut left = BODY_DISCARD_MAX;
    let mut chunks = body.into_data_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        left = left.saturating_sub(chunk.len());
        if left == 0 {
            return;
        }
    }
}

/// Reads JSON, and says which field is wrong.
fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Else a struct would also be read from an array of its fields, without their names.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::malformed("the body must be a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if !cause.is_data() {
            return ApiError::malformed(format!("the body is not JSON: {cause}"));
        }
        let malformed = ApiError::malformed(without_place(&cause.to_string()));
        if path == "." { malformed } else { malformed.at(path) }
    })?;
    let trailing = |error| ApiError::malformed(format!("the body is not one JSON value: {error}"));
    reader.end().map_err(trailing)?;
    Ok(value)
}

/// The message without ` at line 1 column 5`: the field says it better.
fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Amount {
        #[expect(dead_code, reason = "only read")]
        amount: u64,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_named() {
        for (body, field, part) in [
            ("", None, "not JSON"),
            ("{", None, "not JSON"),
            (r#"{"amount":1} x"#, None, "not one JSON value"),
            ("[1]", None, "object"),
            ("{}", None, "amount"),
            (r#"{"amount":1,"colour":1}"#, Some("colour"), "colour"),
            (r#"{"amount":-1}"#, Some("amount"), "-1"),
            (r#"{"amount":1.5}"#, Some("amount"), "1.5"),
            (r#"{"amount":"1"}"#, Some("amount"), "string"),
        ] {
            let error = read_json::<Amount>(body.as_bytes()).map(|_| ()).expect_err(body);
            assert_eq!(error.field(), field, "{body}");
            assert!(format!("{error:?}").contains(part), "{body}: {error:?}");
        }
    }
}
