//! Around every request: its trace, its line in the log, its time limit, the headers of its
//! answer, and what is answered if a handler panics.
//!
//! The line names the route and never the path, the body, a token or an address.

use std::{any::Any, fmt};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::{Instant, timeout};
use tracing::{error, info};

use crate::{
    api::{Part, Place, Route},
    error::{ApiError, Fault},
    limits::REQUEST_TIMEOUT,
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The headers of every answer: nothing here is to be kept, framed, guessed at or run.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// The W3C `traceparent` of a request: the client's trace, or a new one.
#[derive(Debug, Clone)]
pub(crate) struct Trace(String);

impl Trace {
    /// Goes on with the client's trace if its header is valid, else begins one.
    fn of(headers: &HeaderMap) -> Self {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let span = &random[..16];
        let given = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        match given.and_then(parse) {
            Some((trace, flags)) => Self(format!("00-{trace}-{span}-{flags}")),
            None => Self(format!("00-{}-{span}-01", uuid::Uuid::new_v4().simple())),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The trace id and flags of a valid `traceparent` of version 00.
fn parse(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, length| is_hex(part, length) && part.bytes().any(|b| b != b'0');
    let is_valid = version == "00"
        && is_id(trace, 32)
        && is_id(span, 16)
        && is_hex(flags, 2)
        && parts.next().is_none();
    is_valid.then_some((trace, flags))
}

impl<S: Sync> FromRequestParts<S> for Trace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let trace = parts.extensions.get::<Self>().cloned();
        trace.ok_or_else(|| ApiError::internal("a route outside of `observe` takes the trace"))
    }
}

impl Part for Trace {
    fn describe(route: &mut Route) {
        let about = "The W3C trace this belongs to. One that is not valid is replaced.";
        let example = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        route.takes::<String>(Place::Header, "traceparent", about, example);
    }
}

/// Gives the request its trace, and logs it when its answer begins.
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let trace = Trace::of(request.headers());
    request.extensions_mut().insert(trace.clone());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();

    let mut response = next.run(request).await;

    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        // What a handler says of its own answer stands.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(trace.as_str()) {
        headers.insert(TRACEPARENT, value);
    }
    let status = response.status();
    let ms = begun.elapsed().as_millis();
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let fault = response.extensions().get::<Fault>().map_or("", |Fault(fault)| fault);
    if status.is_server_error() {
        error!(%method, route, status = status.as_u16(), ms, %trace, fault, "request");
    } else {
        info!(%method, route, status = status.as_u16(), ms, %trace, fault, "request");
    }
    response
}

/// Answers for a handler that takes too long.
pub(crate) async fn limit_time(request: Request, next: Next) -> Response {
    match timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            ApiError::expired(format!("no answer within {REQUEST_TIMEOUT:?}")).into_response()
        }
    }
}

/// Answers for a handler that panicked.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    ApiError::internal(format!("a handler panicked: {}", text.unwrap_or("?"))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace_of(value: &'static str) -> Trace {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_static(value));
        Trace::of(&headers)
    }

    #[test]
    fn a_clients_trace_goes_on_under_a_new_span() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let trace = trace_of(given);
        assert!(trace.as_str().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(trace.as_str().ends_with("-00"), "its flags are kept");
        assert!(!trace.as_str().contains("00f067aa0ba902b7"));
        assert!(parse(trace.as_str()).is_some());
    }

    #[test]
    fn an_invalid_trace_is_replaced() {
        for bad in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            let trace = trace_of(bad);
            assert!(parse(trace.as_str()).is_some(), "{bad}");
            assert!(!trace.as_str().contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{bad}");
        }
    }
}
