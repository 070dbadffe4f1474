//! Payments, as staff see them: how one stands, what of it went back, and what was told of it and
//! not believed.

use actors::{
    Money,
    payments::{
        DeclineReason, Payment, PaymentError, PaymentStatus, PaymentView, RefundView,
        RefusalReason, RefusedWebhook, Show,
    },
};
use axum::{Json as Answer, extract::State, http::StatusCode};
use bus::{AskError, JsonSchema};
use serde::Serialize;
use serde_json::json;

use crate::{
    Edge,
    api::{Resource, get},
    error::ApiError,
    extract::{PathId, Staff},
    observe::Trace,
};

pub(crate) fn routes() -> Resource {
    let about = "What was asked of cards, and what came of it. A payment has the id of its order.";
    Resource::new("Payments", about).with(
        get("/v1/payments/{id}", show)
            .says("showPayment", "Show a payment", "For staff.")
            .answers::<PaymentShown>(200, "The payment.")
            .refuses(404, &["NOT_REQUESTED"]),
    )
}

/// How a payment stands.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Payment", example = json!({
    "id": "o-1", "order": "o-1", "status": "captured",
    "amount": { "amount": 900, "currency": "EUR" },
    "refunded": { "amount": 400, "currency": "EUR" },
    "charge": "ch_1",
    "refunds": [
        { "number": 1, "amount": { "amount": 400, "currency": "EUR" }, "is_done": true },
    ],
    "refused_webhooks": [
        { "webhook": "wh_7", "reason": "forged", "at": "2026-12-01T12:00:00.000Z" },
    ],
}))]
struct PaymentShown {
    /// Its id: the text of its order's.
    id: String,
    /// What is paid for.
    order: String,
    /// How it stands, in one word.
    status: PaymentStatus,
    /// How much was asked for.
    amount: Money,
    /// How much of it has gone back.
    refunded: Money,
    /// Why it was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<DeclineReason>,
    /// The gateway's number for the charge, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<String>,
    /// What goes back, or has.
    refunds: Vec<RefundShown>,
    /// What was told of it in the gateway's name and refused: the first 20, at most 10 of them
    /// ones that anybody could send.
    refused_webhooks: Vec<RefusedShown>,
}

/// One of a payment's refunds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PaymentRefund")]
struct RefundShown {
    /// Which.
    number: u32,
    /// How much.
    amount: Money,
    /// Whether the gateway has given it back.
    is_done: bool,
}

/// A webhook that was refused.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RefusedWebhook")]
struct RefusedShown {
    /// What it says that its id is.
    webhook: String,
    /// Why.
    reason: RefusalReason,
    /// When it was first refused for this (RFC 3339).
    at: String,
}

/// `GET /v1/payments/{id}`, for staff.
async fn show(
    State(edge): State<Edge>,
    trace: Trace,
    _: Staff,
    PathId(payment): PathId<Payment>,
) -> Result<Answer<PaymentShown>, ApiError> {
    match edge.bus().actor(&payment).ask(Show {}).trace(trace.as_str()).await {
        Ok(view) => Ok(Answer(PaymentShown::of(payment.to_string(), view))),
        Err(AskError::Refused(refusal @ PaymentError::NotRequested)) => {
            Err(ApiError::refused(StatusCode::NOT_FOUND, &refusal))
        }
        Err(error) => Err(error.into()),
    }
}

impl PaymentShown {
    fn of(id: String, view: PaymentView) -> Self {
        Self {
            id,
            order: view.order.to_string(),
            status: view.status,
            amount: view.amount,
            refunded: view.refunded,
            reason: view.reason,
            charge: view.charge.map(|charge| charge.to_string()),
            refunds: view.refunds.into_iter().map(RefundShown::from).collect(),
            refused_webhooks: view.refused_webhooks.into_iter().map(RefusedShown::from).collect(),
        }
    }
}

impl From<RefundView> for RefundShown {
    fn from(RefundView { number, amount, is_done }: RefundView) -> Self {
        Self { number, amount, is_done }
    }
}

impl From<RefusedWebhook> for RefusedShown {
    fn from(RefusedWebhook { webhook, reason, at }: RefusedWebhook) -> Self {
        Self { webhook: webhook.to_string(), reason, at: at.to_string() }
    }
}
