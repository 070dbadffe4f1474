//! What bears the gateway's signature. What claims to and does not is refused, and its payment
//! told of it.

use actors::payments::RefusalReason;
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, StatusCode},
};
use bus::Timestamp;
use gateway::signature::{HEADER, InvalidSignature, WINDOW, verify};

use super::{Heard, Webhook};
use crate::{
    Edge,
    api::{Part, Place, Route},
    body::{self, Json},
    error::ApiError,
    limits::BODY_BYTES_MAX,
    observe::Trace,
};

/// A webhook that is the gateway's.
#[derive(Debug)]
pub(super) struct Signed(pub(super) Webhook);

impl FromRequest<Edge> for Signed {
    type Rejection = ApiError;

    async fn from_request(request: Request, edge: &Edge) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let trace = Trace::from_request_parts(&mut parts, edge).await?;
        let Some(secret) = edge.gateway_secret() else {
            return Err(ApiError::not_found("this shop hears no gateway"));
        };
        let body = body::read(&parts.headers, body, BODY_BYTES_MAX).await?;
        if let Err(why) = check(secret, &parts.headers, &body) {
            tracing::warn!(%why, bytes = body.len(), %trace, "a webhook is not to be believed");
            note(edge, trace, why, &body).await;
            return Err(not_believed(why));
        }
        body::read_json(&body).map(Self)
    }
}

/// Tells the payment of a webhook that claims to be of it. Anybody can have this done, so few at
/// once are, and a payment keeps few of them.
async fn note(edge: &Edge, trace: Trace, why: InvalidSignature, body: &[u8]) {
    let Ok(_place) = edge.forgeries().try_acquire() else { return };
    let Ok(webhook) = body::read_json::<Webhook>(body) else { return };
    if let Ok(heard) = Heard::of(edge.clone(), trace, &webhook) {
        heard.note(reason(why)).await;
    }
}

fn reason(why: InvalidSignature) -> RefusalReason {
    match why {
        InvalidSignature::Malformed => RefusalReason::Unsigned,
        InvalidSignature::Forged => RefusalReason::Forged,
        InvalidSignature::Stale => RefusalReason::Late,
        InvalidSignature::Future => RefusalReason::Future,
    }
}

fn check(secret: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), InvalidSignature> {
    let mut sent = headers.get_all(HEADER).iter();
    let (Some(header), None) = (sent.next(), sent.next()) else {
        return Err(InvalidSignature::Malformed);
    };
    let header = header.to_str().map_err(|_| InvalidSignature::Malformed)?;
    let now = Timestamp::now().as_millis() / 1_000;
    verify(secret.as_bytes(), header, body, now, WINDOW)
}

fn not_believed(why: InvalidSignature) -> ApiError {
    let code = match why {
        InvalidSignature::Malformed => "SIGNATURE_MALFORMED",
        InvalidSignature::Forged => "SIGNATURE_FORGED",
        InvalidSignature::Stale => "SIGNATURE_STALE",
        InvalidSignature::Future => "SIGNATURE_FUTURE",
    };
    ApiError::new(StatusCode::UNAUTHORIZED, code, why.to_string()).at("Gateway-Signature")
}

impl Part for Signed {
    fn describe(route: &mut Route) {
        Json::<Webhook>::describe(route);
        let about = "`t=<unix seconds>,v1=<hex>`: the HMAC-SHA256 of `<t>.<body>` under the \
                     secret. `t` is at most 5 minutes from now.";
        route.takes::<String>(Place::Header, "Gateway-Signature", about, None);
        for code in
            ["SIGNATURE_MALFORMED", "SIGNATURE_FORGED", "SIGNATURE_STALE", "SIGNATURE_FUTURE"]
        {
            route.may_refuse(401, code);
        }
        route.may_refuse(400, "INVALID");
    }
}
