//! What the card gateway tells of its own accord, made commands of the payment it tells of.
//!
//! Anybody may send; only what is signed with the secret that the gateway and the shop share, at
//! a time near ours, is believed ([`signed`]), and only of the charge and the amount that the
//! payment awaits. A payment takes each outcome once, whoever tells of it first: this, or the
//! answer to the shop's own call. What comes too early is refused, and the gateway sends it again.
//! What was refused the payment remembers: see `payments`.

mod signed;

use actors::{
    Currency, Money,
    limits::{AMOUNT_MAX, WEBHOOK_ID_BYTES_MAX},
    payments::{
        Authorise, Capture, ConfirmRefund, Decline, DeclineReason, NoteRefusedWebhook, Payment,
        PaymentError, PaymentId, Receipt, RefusalReason, WebhookId,
    },
};
use axum::{extract::State, http::StatusCode};
use bus::{AskError, Handle, JsonSchema, Key, Wire};
use serde::Deserialize;
use serde_json::json;

use self::signed::Signed;
use crate::{
    Edge,
    api::{Resource, post},
    error::ApiError,
    observe::Trace,
};

/// Who asks the payment, in its commits.
const PRINCIPAL: &str = "gateway";

pub(crate) fn routes() -> Resource {
    Resource::new("Webhooks", "What others tell the shop of their own accord.").with(
        post("/v1/webhooks/gateway", hear)
            .says(
                "hearGateway",
                "Tell what became of a charge",
                "For the card gateway. The same webhook, sent again, changes nothing. What comes \
                 before its cause is refused: send it again later. What is of another charge, \
                 amount or currency than is awaited is refused and has no effect.",
            )
            .example(json!({
                "id": "wh_1", "type": "charge.captured", "reference": "o-1", "charge": "ch_1",
                "amount": 500, "currency": "EUR", "at": 1_795_000_000_000_u64,
            }))
            .answers_nothing(204, "It is known.")
            .refuses(404, &["NOT_FOUND"])
            .refuses(409, &["NOT_REQUESTED", "ALREADY_SETTLED", "NOT_CAPTURED", "REFUND_NOT_DUE"])
            .refuses(409, &["OTHER_CHARGE", "OTHER_AMOUNT", "OTHER_CURRENCY"]),
    )
}

/// What happened to a charge. Fields of other names are passed over.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "GatewayWebhook")]
struct Webhook {
    /// Its own, the same whenever it is sent.
    #[schemars(length(min = 1, max = WEBHOOK_ID_BYTES_MAX))]
    id: String,
    /// What happened.
    #[serde(rename = "type")]
    kind: WebhookType,
    /// The payment.
    reference: String,
    /// The charge.
    charge: String,
    /// Minor units: what was charged, was not, or went back.
    #[schemars(range(min = 0, max = AMOUNT_MAX))]
    amount: i64,
    /// What the units are of.
    currency: Currency,
    /// Why it was declined.
    #[serde(default)]
    reason: Option<DeclineReason>,
    /// The key of the refund: the payment and the refund's number, as in `o-1/2`.
    #[serde(default)]
    refund: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
enum WebhookType {
    #[serde(rename = "charge.authorised")]
    Authorised,
    #[serde(rename = "charge.captured")]
    Captured,
    #[serde(rename = "charge.declined")]
    Declined,
    #[serde(rename = "charge.refunded")]
    Refunded,
    /// What a payment need not be told.
    #[serde(other)]
    Other,
}

/// `POST /v1/webhooks/gateway`: 204 once the payment knows.
async fn hear(
    State(edge): State<Edge>,
    trace: Trace,
    Signed(webhook): Signed,
) -> Result<StatusCode, ApiError> {
    let heard = Heard::of(edge, trace, &webhook)?;
    let (charge, amount) = (webhook.charge()?, webhook.money()?);
    match webhook.kind {
        WebhookType::Authorised => heard.tell(Authorise { charge, amount }).await?,
        WebhookType::Captured => {
            heard.tell(Capture { receipt: charge, amount: Some(amount) }).await?;
        }
        WebhookType::Declined => {
            let none = || ApiError::invalid("reason", "what was declined has a reason");
            let reason = webhook.reason.ok_or_else(none)?;
            heard.tell(Decline { reason, charge: Some(charge), amount: Some(amount) }).await?;
        }
        WebhookType::Refunded => {
            let (receipt, number) = (charge, webhook.refund_number()?);
            heard.tell(ConfirmRefund { receipt, number, amount: Some(amount) }).await?;
        }
        WebhookType::Other => {}
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A webhook on its way to the payment it tells of.
struct Heard {
    edge: Edge,
    trace: Trace,
    payment: PaymentId,
    webhook: WebhookId,
}

impl Heard {
    fn of(edge: Edge, trace: Trace, webhook: &Webhook) -> Result<Self, ApiError> {
        let payment = PaymentId::parse(&webhook.reference);
        let payment = payment.map_err(|why| ApiError::invalid("reference", why.to_string()))?;
        let id = WebhookId::parse(&webhook.id);
        let id = id.map_err(|why| ApiError::invalid("id", why.to_string()))?;
        Ok(Self { edge, trace, payment, webhook: id })
    }

    async fn tell<C: Wire>(&self, command: C) -> Result<(), ApiError>
    where
        Payment: Handle<C, Reply = (), Error = PaymentError>,
    {
        let key = Key::parse(&format!("webhook/{}", self.webhook));
        let key = key.map_err(|why| ApiError::invalid("id", why.to_string()))?;
        let asked = self.edge.bus().actor(&self.payment).ask(command).key(key);
        let answer = asked.principal(PRINCIPAL).trace(self.trace.as_str()).await;
        if let Err(AskError::Refused(refusal)) = &answer
            && let Some(reason) = reason(refusal)
        {
            self.note(reason).await;
        }
        Ok(answer?)
    }

    /// Has the payment remember that this was refused. It is refused even if that fails.
    async fn note(&self, reason: RefusalReason) {
        let (webhook, trace) = (self.webhook.clone(), &self.trace);
        let command = NoteRefusedWebhook { webhook, reason };
        let asked = self.edge.bus().actor(&self.payment).ask(command);
        match asked.principal(PRINCIPAL).trace(trace.as_str()).await {
            Ok(()) | Err(AskError::Refused(PaymentError::NotRequested)) => {}
            Err(error) => tracing::warn!(%error, %trace, "a refused webhook was not noted"),
        }
    }
}

/// Why a webhook was refused with `refusal`; none if there is nobody to remember it.
fn reason(refusal: &PaymentError) -> Option<RefusalReason> {
    match refusal {
        PaymentError::OtherCharge | PaymentError::OtherAmount | PaymentError::OtherCurrency => {
            Some(RefusalReason::Mismatch)
        }
        PaymentError::NotCaptured | PaymentError::RefundNotDue => Some(RefusalReason::OutOfOrder),
        PaymentError::AlreadySettled => Some(RefusalReason::Contradiction),
        // There is no such payment, or no webhook is refused for it.
        PaymentError::NotRequested
        | PaymentError::AlreadyRequested
        | PaymentError::RefundTooLarge { .. }
        | PaymentError::RefundRepeated { .. }
        | PaymentError::TooManyRefunds => None,
    }
}

impl Webhook {
    fn charge(&self) -> Result<Receipt, ApiError> {
        Receipt::parse(&self.charge).map_err(|why| ApiError::invalid("charge", why.to_string()))
    }

    fn money(&self) -> Result<Money, ApiError> {
        if !(0..=AMOUNT_MAX).contains(&self.amount) {
            let message = format!("an amount is from 0 to {AMOUNT_MAX}");
            return Err(ApiError::invalid("amount", message));
        }
        Ok(Money { amount: self.amount, currency: self.currency })
    }

    fn refund_number(&self) -> Result<u32, ApiError> {
        let refund = self.refund.as_deref().unwrap_or_default();
        let number = refund.rsplit_once('/').filter(|(payment, _)| *payment == self.reference);
        let number = number.and_then(|(_, number)| number.parse().ok());
        number
            .ok_or_else(|| ApiError::invalid("refund", "`refund` is the payment, `/` and a number"))
    }
}
