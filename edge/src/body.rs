//! JSON bodies: bounded, and if they are wrong, told which field and why.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use bus::schemars::JsonSchema;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::{
    api::{Part, Route},
    error::ApiError,
    limits::{BODY_BYTES_MAX, BODY_DISCARD_MAX, IMPORT_BYTES_MAX},
};

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if !is_of_type(&parts.headers, "application/json") {
            discard(&parts.headers, body).await;
            let message = "the body must be JSON: Content-Type: application/json";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(ApiError::new(status, "UNSUPPORTED_MEDIA_TYPE", message));
        }
        read_json(&read(&parts.headers, body, BODY_BYTES_MAX).await?).map(Self)
    }
}

impl<T: DeserializeOwned + JsonSchema> Part for Json<T> {
    fn describe(route: &mut Route) {
        route.takes_body::<T>();
        route.may_refuse(400, "MALFORMED");
        route.may_refuse(413, "TOO_LARGE");
        route.may_refuse(415, "UNSUPPORTED_MEDIA_TYPE");
    }
}

/// A list as CSV, which may be longer than other bodies.
#[derive(Debug)]
pub(crate) struct Csv(pub(crate) Vec<u8>);

impl<S: Sync> FromRequest<S> for Csv {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if !is_of_type(&parts.headers, "text/csv") {
            discard(&parts.headers, body).await;
            let message = "the body must be CSV: Content-Type: text/csv";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(ApiError::new(status, "UNSUPPORTED_MEDIA_TYPE", message));
        }
        read(&parts.headers, body, IMPORT_BYTES_MAX).await.map(Self)
    }
}

impl Part for Csv {
    fn describe(route: &mut Route) {
        route.takes_text("text/csv");
        route.may_refuse(400, "MALFORMED");
        route.may_refuse(413, "TOO_LARGE");
        route.may_refuse(415, "UNSUPPORTED_MEDIA_TYPE");
    }
}

fn is_of_type(headers: &HeaderMap, media_type: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let said = value.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    said.eq_ignore_ascii_case(media_type)
}

pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Vec<u8>, ApiError> {
    let too_large = || {
        let message = format!("a body has at most {bytes_max} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", message)
    };
    if declared_length(headers).is_some_and(|length| length > bytes_max as u64) {
        discard(headers, body).await;
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            let message = format!("the body could not be read: {error}");
            ApiError::new(StatusCode::BAD_REQUEST, "MALFORMED", message)
        })?;
        if bytes.len() + chunk.len() > bytes_max {
            discard(headers, Body::from_stream(chunks)).await;
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
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
pub(crate) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let malformed = |message: String| ApiError::new(StatusCode::BAD_REQUEST, "MALFORMED", message);
    // Else a struct would also be read from an array of its fields, without their names.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(malformed("the body must be a JSON object".to_owned()));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if !cause.is_data() {
            return malformed(format!("the body is not JSON: {cause}"));
        }
        let message = without_place(&cause.to_string());
        if path == "." { malformed(message) } else { malformed(message).at(path) }
    })?;
    reader.end().map_err(|error| malformed(format!("the body is not one JSON value: {error}")))?;
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
    struct Line {
        #[expect(dead_code, reason = "only read")]
        quantity: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "only read")]
        lines: Vec<Line>,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_named() {
        for (body, field, part) in [
            ("", None, "not JSON"),
            ("{", None, "not JSON"),
            (r#"{"lines":[]} x"#, None, "not one JSON value"),
            ("[[]]", None, "object"),
            ("{}", None, "lines"),
            (r#"{"lines":[],"colour":1}"#, Some("colour"), "colour"),
            (r#"{"lines":[{"quantity":1},{"quantity":-1}]}"#, Some("lines[1].quantity"), "-1"),
            (r#"{"lines":[{"quantity":1,"price":0}]}"#, Some("lines[0].price"), "price"),
        ] {
            let error = read_json::<Order>(body.as_bytes()).map(|_| ()).expect_err(body);
            let told = format!("{error:?}");
            assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{body}");
            assert!(told.contains(part), "{body}: {told}");
            assert!(told.contains(&format!("field: {field:?}")), "{body}: {told}");
        }
    }
}
