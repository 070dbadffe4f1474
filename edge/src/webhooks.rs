//! What the card gateway tells of its own accord, made commands of the payment it tells of.
//!
//! Anybody may send; only what is signed with the secret that the gateway and the shop share, at
//! a time near ours, is believed. A payment takes each outcome once, whoever tells of it first:
//! this, or the answer to the shop's own call. What comes too early is refused, and the gateway
//! sends it again.

use actors::payments::{
    Capture, ConfirmRefund, Decline, DeclineReason, Payment, PaymentError, PaymentId, Receipt,
};
use axum::{
    extract::{FromRequest, FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode},
};
use bus::{Handle, JsonSchema, Key, Timestamp, Wire};
use gateway::signature::{HEADER, InvalidSignature, WINDOW, verify};
use serde::Deserialize;
use serde_json::json;

use crate::{
    Edge,
    api::{Part, Place, Resource, Route, post},
    body::{self, Json},
    error::ApiError,
    limits::BODY_BYTES_MAX,
    observe::Trace,
};

/// Who asks the payment, in its commits.
const PRINCIPAL: &str = "gateway";

/// Bytes of a webhook's id.
const ID_BYTES_MAX: usize = 64;

pub(crate) fn routes() -> Resource {
    Resource::new("Webhooks", "What others tell the shop of their own accord.").with(
        post("/v1/webhooks/gateway", hear)
            .says(
                "hearGateway",
                "Tell what became of a charge",
                "For the card gateway. The same webhook, sent again, changes nothing. What comes \
                 before its cause is refused: send it again later.",
            )
            .example(json!({
                "id": "wh_1", "type": "charge.captured", "reference": "o-1", "charge": "ch_1",
                "amount": 500, "currency": "EUR", "at": 1_795_000_000_000_u64,
            }))
            .answers_nothing(204, "It is known.")
            .refuses(404, &["NOT_FOUND"])
            .refuses(409, &["NOT_REQUESTED", "ALREADY_SETTLED", "NOT_CAPTURED", "REFUND_NOT_DUE"]),
    )
}

/// What happened to a charge. Fields of other names are passed over.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "GatewayWebhook")]
struct Webhook {
    /// Its own, the same whenever it is sent.
    #[schemars(length(min = 1, max = ID_BYTES_MAX))]
    id: String,
    /// What happened.
    #[serde(rename = "type")]
    kind: WebhookType,
    /// The payment.
    reference: String,
    /// The charge.
    charge: String,
    /// Why it was declined.
    #[serde(default)]
    reason: Option<DeclineReason>,
    /// The key of the refund: the payment and the refund's number, as in `o-1/2`.
    #[serde(default)]
    refund: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
enum WebhookType {
    #[serde(rename = "charge.captured")]
    Captured,
    #[serde(rename = "charge.declined")]
    Declined,
    #[serde(rename = "charge.refunded")]
    Refunded,
    /// What a payment need not be told: the shop asks for it itself.
    #[serde(other)]
    Other,
}

/// A webhook that is the gateway's.
#[derive(Debug)]
struct Signed(Webhook);

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
            // Anybody can have this written, so nothing of it is stored.
            tracing::warn!(%why, bytes = body.len(), %trace, "a webhook is not to be believed");
            return Err(not_believed(why));
        }
        body::read_json(&body).map(Self)
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

/// `POST /v1/webhooks/gateway`: 204 once the payment knows.
async fn hear(
    State(edge): State<Edge>,
    trace: Trace,
    Signed(webhook): Signed,
) -> Result<StatusCode, ApiError> {
    let heard = Heard { edge, trace, payment: payment(&webhook.reference)?, key: key(&webhook)? };
    match webhook.kind {
        WebhookType::Captured => heard.tell(Capture { receipt: receipt(&webhook)? }).await?,
        WebhookType::Declined => {
            let none = || ApiError::invalid("reason", "what was declined has a reason");
            heard.tell(Decline { reason: webhook.reason.ok_or_else(none)? }).await?;
        }
        WebhookType::Refunded => {
            let (receipt, number) = (receipt(&webhook)?, refund_number(&webhook)?);
            heard.tell(ConfirmRefund { receipt, number }).await?;
        }
        WebhookType::Other => {}
    }
    Ok(StatusCode::NO_CONTENT)
}

struct Heard {
    edge: Edge,
    trace: Trace,
    payment: PaymentId,
    key: Key,
}

impl Heard {
    async fn tell<C: Wire>(self, command: C) -> Result<(), ApiError>
    where
        Payment: Handle<C, Reply = (), Error = PaymentError>,
    {
        let asked = self.edge.bus().actor(&self.payment).ask(command).key(self.key);
        Ok(asked.principal(PRINCIPAL).trace(self.trace.as_str()).await?)
    }
}

fn payment(reference: &str) -> Result<PaymentId, ApiError> {
    PaymentId::parse(reference).map_err(|why| ApiError::invalid("reference", why.to_string()))
}

fn key(webhook: &Webhook) -> Result<Key, ApiError> {
    let key = (!webhook.id.is_empty()).then(|| Key::parse(&format!("webhook/{}", webhook.id)));
    let wrong = || ApiError::invalid("id", "an id has 1 to 64 visible ASCII characters");
    key.and_then(Result::ok).filter(|_| webhook.id.len() <= ID_BYTES_MAX).ok_or_else(wrong)
}

fn receipt(webhook: &Webhook) -> Result<Receipt, ApiError> {
    Receipt::parse(&webhook.charge).map_err(|why| ApiError::invalid("charge", why.to_string()))
}

fn refund_number(webhook: &Webhook) -> Result<u32, ApiError> {
    let refund = webhook.refund.as_deref().unwrap_or_default();
    let number = refund.rsplit_once('/').filter(|(payment, _)| *payment == webhook.reference);
    let number = number.and_then(|(_, number)| number.parse().ok());
    number.ok_or_else(|| ApiError::invalid("refund", "`refund` is the payment, `/` and a number"))
}
