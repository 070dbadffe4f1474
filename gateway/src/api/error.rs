//! What a client is told when something is not done: `{"error":{"code","message","field"?}}`.

use std::borrow::Cow;

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::refusal::Refusal;

/// An answer that says no.
#[derive(Debug, Serialize)]
pub(crate) struct ApiError {
    #[serde(skip)]
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// Seconds after which a client may ask again.
const RETRY_AFTER: u64 = 1;

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code, message: message.into(), field: None }
    }

    /// 400: the field holds something it cannot.
    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message).at(field)
    }

    /// 400: the body is not what it must be.
    pub(crate) fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// Names the field that is wrong.
    pub(crate) fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    #[cfg(test)]
    pub(crate) fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

#[derive(Serialize)]
struct Told {
    error: ApiError,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, Json(Told { error: self })).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.into());
        }
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        const BUSY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        let (status, code) = match refusal {
            Refusal::UnknownCharge => (StatusCode::NOT_FOUND, "not_found"),
            Refusal::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "key_reused"),
            Refusal::StillPending => (StatusCode::CONFLICT, "still_pending"),
            Refusal::Declined => (StatusCode::CONFLICT, "declined"),
            Refusal::AlreadyCaptured => (StatusCode::CONFLICT, "already_captured"),
            Refusal::Voided => (StatusCode::CONFLICT, "voided"),
            Refusal::NotCaptured => (StatusCode::CONFLICT, "not_captured"),
            Refusal::MoreThanAuthorised { .. } => (StatusCode::CONFLICT, "more_than_authorised"),
            Refusal::MoreThanCaptured { .. } => (StatusCode::CONFLICT, "more_than_captured"),
            Refusal::TooManyRefunds => (StatusCode::CONFLICT, "too_many_refunds"),
            Refusal::TooManyPending
            | Refusal::TooManyWebhooks
            | Refusal::TooMuchUnwritten
            | Refusal::TooManyUnanswered => (BUSY, "overloaded"),
            Refusal::Stopping => (BUSY, "stopping"),
            Refusal::Unanswered => (StatusCode::GATEWAY_TIMEOUT, "unanswered"),
            Refusal::Unwritten => (StatusCode::INTERNAL_SERVER_ERROR, "unwritten"),
        };
        let error = Self::new(status, code, refusal.to_string());
        match refusal {
            Refusal::MoreThanAuthorised { .. } | Refusal::MoreThanCaptured { .. } => {
                error.at("amount")
            }
            _ => error,
        }
    }
}

/// The answer to a path that leads nowhere.
pub(crate) async fn no_such_path() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
}

/// The answer to a method the path does not have; the router adds which it has.
pub(crate) async fn no_such_method() -> ApiError {
    let message = "this path does not have this method";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
