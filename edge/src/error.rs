//! What a client is told when something is not done: one shape, exact statuses.
//!
//! `{"type","title","status","detail","error":{"code","message","field"?}}`, as RFC 9457 has it;
//! programs read `error`. What the bus says is mapped here, what actors refuse in `refusal`. A
//! fault of ours is told in general words and logged once, in full.

use std::{borrow::Cow, fmt, sync::Arc};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bus::{AskError, Failure, RowError, Status};
use serde::Serialize;

use crate::{conditional::IF_MATCH, position::AFTER};

/// An answer that says no.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    field: Option<String>,
    /// Seconds after which a client may ask again, where more is known than [`RETRY_AFTER`].
    retry_after: Option<u64>,
    /// For the log alone: what went wrong on our side.
    fault: Option<String>,
}

/// What went wrong on our side, for the line that logs the request.
#[derive(Debug, Clone)]
pub(crate) struct Fault(pub(crate) Arc<str>);

/// Seconds after which a client may ask again.
const RETRY_AFTER: u64 = 1;

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (code, message) = (code.into(), message.into());
        Self { status, code, message, field: None, retry_after: None, fault: None }
    }

    /// 400: the field holds something it cannot.
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID", message).at(field)
    }

    /// 401: without a valid token nothing is told.
    pub(crate) fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
    }

    /// 404: there is no such thing, or it is somebody else's.
    pub(crate) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    /// 429: a bound is reached; ask again later.
    pub(crate) fn overloaded(message: &'static str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "OVERLOADED", message)
    }

    /// 429: too many tries; so long there is no other.
    pub(crate) fn throttled(wait: std::time::Duration) -> Self {
        let message = "too many tries; please wait";
        let seconds = wait.as_millis().div_ceil(1_000);
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "THROTTLED", message);
        error.retry_after = u64::try_from(seconds).ok();
        error
    }

    /// 503: something we need is not there now; ask again later.
    pub(crate) fn unavailable(fault: impl fmt::Display) -> Self {
        let message = "the service is not available at the moment; please try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message).because(fault)
    }

    /// 504: no answer in time.
    pub(crate) fn expired(fault: impl fmt::Display) -> Self {
        let message = "there was no answer in time and it may still be carried out; \
                       please try again with the same Idempotency-Key";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "EXPIRED", message).because(fault)
    }

    /// 500: a fault of ours.
    pub(crate) fn internal(fault: impl fmt::Display) -> Self {
        let message = "something went wrong on our side";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message).because(fault)
    }

    /// Names the field that is wrong.
    pub(crate) fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    fn because(mut self, fault: impl fmt::Display) -> Self {
        self.fault = Some(fault.to_string());
        self
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// An actor's refusal: its own code and words.
    pub(crate) fn refused<E: std::error::Error + Serialize>(
        status: StatusCode,
        refusal: &E,
    ) -> Self {
        let code = serde_json::to_value(refusal).ok();
        let code = code.and_then(|map| map["code"].as_str().map(str::to_owned));
        Self {
            status,
            code: code.map_or(Cow::Borrowed("REFUSED"), Cow::Owned),
            message: refusal.to_string().into(),
            field: None,
            retry_after: None,
            fault: None,
        }
    }
}

/// The media type of every "no" (RFC 9457).
pub(crate) const PROBLEM: &str = "application/problem+json";

/// Why something was not done.
#[derive(Serialize)]
struct Problem<'a> {
    /// Names the kind of problem, and leads to what is written about it.
    r#type: String,
    /// The kind of problem in words, the same every time.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What was wrong this time.
    detail: &'a str,
    error: Told<'a>,
}

/// The same for programs.
#[derive(Serialize)]
struct Told<'a> {
    /// The kind of problem.
    code: &'a str,
    /// What was wrong this time.
    message: &'a str,
    /// Which field, header or parameter was wrong, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

/// `OUT_OF_STOCK` is "Out of stock".
fn title(code: &str) -> String {
    let words = code.replace('_', " ").to_ascii_lowercase();
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_ascii_uppercase(), letters.as_str())
    })
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let told = Told { code: &self.code, message: &self.message, field: self.field.as_deref() };
        let problem = Problem {
            r#type: format!("/docs#{}", self.code),
            title: title(&self.code),
            status: self.status.as_u16(),
            detail: &self.message,
            error: told,
        };
        let content_type = [(header::CONTENT_TYPE, PROBLEM)];
        let mut response = (self.status, content_type, Json(problem)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                headers.insert(header::RETRY_AFTER, self.retry_after.unwrap_or(RETRY_AFTER).into());
            }
            _ => {}
        }
        if let Some(fault) = self.fault {
            response.extensions_mut().insert(Fault(fault.into()));
        }
        response
    }
}

impl<E> From<AskError<E>> for ApiError
where
    Self: From<E>,
{
    fn from(error: AskError<E>) -> Self {
        match error {
            AskError::Refused(refusal) => refusal.into(),
            AskError::Failed(failure) => failure.into(),
            AskError::NoReply(after) => Self::expired(format!("no reply within {after:?}")),
            AskError::UnreadableReply(why) => Self::internal(format!("unreadable reply: {why}")),
        }
    }
}

impl From<RowError> for ApiError {
    fn from(error: RowError) -> Self {
        match error {
            // Positions and the cursor are what of a query comes from the client unchecked.
            RowError::Failed(failure) if failure.status == Status::BadCommand => {
                let is_after = failure.body.field.as_deref() == Some(AFTER);
                let field = if is_after { AFTER } else { "cursor" };
                Self::invalid(field, failure.body.message)
            }
            RowError::Failed(failure) => failure.into(),
            // Nothing was to be carried out: it may simply be asked again.
            RowError::NoReply(after) => Self::unavailable(format!("no rows within {after:?}")),
            RowError::Unreadable(why) => Self::internal(format!("unreadable rows: {why}")),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let own_words = |status, failure: Failure| Self {
            status,
            code: failure.body.code.into(),
            message: failure.body.message.into(),
            field: failure.body.field,
            retry_after: None,
            fault: None,
        };
        match failure.status {
            // What an actor finds malformed is what the edge let through: one code for both.
            Status::BadCommand => {
                let told = own_words(StatusCode::BAD_REQUEST, failure);
                Self { code: "MALFORMED".into(), ..told }
            }
            Status::Refused => own_words(StatusCode::CONFLICT, failure),
            // Where it stands instead, only who may read it is told.
            Status::VersionMismatch => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "VERSION_MISMATCH",
                "it is not as it was at that version: please read it again",
            )
            .at(IF_MATCH),
            Status::TooLarge => own_words(StatusCode::PAYLOAD_TOO_LARGE, failure),
            Status::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "KEY_REUSED",
                "this Idempotency-Key was used before, with another request",
            ),
            Status::Overloaded => {
                // Whole seconds are all that HTTP has.
                let hint = failure
                    .body
                    .retry_after_ms
                    .map(|ms| u64::from(ms.div_ceil(1_000)).max(RETRY_AFTER));
                let told = Self::overloaded("too much is waiting; please try again");
                Self { retry_after: hint, ..told.because(failure) }
            }
            Status::Unavailable => Self::unavailable(failure),
            Status::Expired => Self::expired(failure),
            // The edge asks for nothing that should not be there.
            Status::NotFound | Status::Internal => Self::internal(failure),
        }
    }
}

/// The answer to a path that leads nowhere.
pub(crate) async fn no_such_path() -> ApiError {
    ApiError::not_found("there is nothing at this path")
}

/// The answer to a method the path does not have; the router adds which it has.
pub(crate) async fn no_such_method() -> ApiError {
    let message = "this path does not have this method";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actors::{inventory::ItemError, orders::OrderError};

    use super::*;

    async fn told(error: ApiError) -> (u16, serde_json::Value) {
        let response = error.into_response();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn a_fault_is_told_in_general_words() {
        let error = ApiError::from(Failure::new(Status::Internal, "disk /dev/sda1 is full"));
        let (status, body) = told(error).await;
        assert_eq!((status, &body["error"]["code"]), (500, &"INTERNAL".into()));
        assert!(!body.to_string().contains("sda1"), "{body}");
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_code_and_words() {
        let (status, body) = told(AskError::Refused(ItemError::UnknownItem).into()).await;
        assert_eq!((status, &body["error"]["code"]), (404, &"UNKNOWN_ITEM".into()));
        let words = ItemError::UnknownItem.to_string();
        assert_eq!(body["error"]["message"], words);
        let expected = serde_json::json!({
            "type": "/docs#UNKNOWN_ITEM", "title": "Unknown item", "status": 404, "detail": words,
            "error": { "code": "UNKNOWN_ITEM", "message": words },
        });
        assert_eq!(body, expected, "as RFC 9457 has it");
    }

    #[test]
    fn every_failure_of_the_bus_has_its_status() {
        for (status, expected) in [
            (Status::BadCommand, 400),
            (Status::Refused, 409),
            (Status::VersionMismatch, 412),
            (Status::TooLarge, 413),
            (Status::KeyReused, 422),
            (Status::Overloaded, 429),
            (Status::NotFound, 500),
            (Status::Internal, 500),
            (Status::Unavailable, 503),
            (Status::Expired, 504),
        ] {
            let response = ApiError::from(Failure::new(status, "why")).into_response();
            assert_eq!(response.status().as_u16(), expected, "{status:?}");
            let may_retry = matches!(expected, 429 | 503 | 504);
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), may_retry);
        }
        let mut busy = Failure::new(Status::Overloaded, "why");
        busy.body.retry_after_ms = Some(1_200);
        let response = ApiError::from(busy).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "2", "as the actor asks");
        let silent = ApiError::from(AskError::<OrderError>::NoReply(Duration::from_secs(1)));
        assert_eq!(silent.status(), StatusCode::GATEWAY_TIMEOUT);
    }
}
