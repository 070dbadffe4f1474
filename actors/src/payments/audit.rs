//! Which webhooks of a payment were refused, and why: kept for whoever looks into it, within
//! bounds that nobody can push.

use std::fmt;

use bus::{Context, Handle, JsonSchema, Timestamp};
use serde::{Deserialize, Serialize};

use super::{NoteRefusedWebhook, Payment, PaymentError, PaymentEvent};
use crate::limits::{WEBHOOK_ID_BYTES_MAX, WEBHOOKS_FORGED_MAX, WEBHOOKS_REFUSED_MAX};

/// What a webhook says that its id is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookId(Box<str>);

/// Why a text is no webhook's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 1 to 64 visible ASCII characters")]
pub struct InvalidWebhookId;

impl WebhookId {
    /// Checks `text` and makes it a webhook's id.
    ///
    /// # Errors
    /// [`InvalidWebhookId`] if it is empty, too long, or has other than visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookId> {
        let is_visible = text.bytes().all(|b| b.is_ascii_graphic());
        if (1..=WEBHOOK_ID_BYTES_MAX).contains(&text.len()) && is_visible {
            Ok(Self(text.into()))
        } else {
            Err(InvalidWebhookId)
        }
    }
}

impl TryFrom<String> for WebhookId {
    type Error = InvalidWebhookId;

    fn try_from(text: String) -> Result<Self, InvalidWebhookId> {
        Self::parse(&text)
    }
}

impl From<WebhookId> for String {
    fn from(id: WebhookId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a webhook was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// It bears no signature, or none that can be read.
    Unsigned,
    /// Its signature is not the gateway's.
    Forged,
    /// It was signed too long ago.
    Late,
    /// It is signed for a time that has not come.
    Future,
    /// It tells of another charge, amount or currency than the payment awaits.
    Mismatch,
    /// It tells what cannot be yet.
    OutOfOrder,
    /// It tells the opposite of what is known.
    Contradiction,
}

impl RefusalReason {
    /// Whether anybody can have a webhook refused for this.
    fn is_anybodys(self) -> bool {
        matches!(self, Self::Unsigned | Self::Forged)
    }
}

/// A webhook that was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedWebhook {
    /// What it says that its id is.
    pub webhook: WebhookId,
    /// Why.
    pub reason: RefusalReason,
    /// When it was first refused for this.
    pub at: Timestamp,
}

/// A payment's refused webhooks: the first ones of each.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Refused(Vec<RefusedWebhook>);

impl Refused {
    pub(super) fn shown(&self) -> Vec<RefusedWebhook> {
        self.0.clone()
    }

    pub(super) fn add(&mut self, refused: RefusedWebhook) {
        self.0.push(refused);
    }

    fn is_news(&self, webhook: &WebhookId, reason: RefusalReason) -> bool {
        let is_same = |it: &RefusedWebhook| it.webhook == *webhook && it.reason == reason;
        if self.0.len() >= WEBHOOKS_REFUSED_MAX || self.0.iter().any(is_same) {
            return false;
        }
        let anybodys = self.0.iter().filter(|it| it.reason.is_anybodys()).count();
        !reason.is_anybodys() || anybodys < WEBHOOKS_FORGED_MAX
    }
}

impl Handle<NoteRefusedWebhook> for Payment {
    const NAME: &'static str = "note_refused_webhook";
    type Reply = ();

    fn handle(
        &self,
        command: NoteRefusedWebhook,
        ctx: &mut Context<Self>,
    ) -> Result<(), PaymentError> {
        let NoteRefusedWebhook { webhook, reason } = command;
        if self.asked()?.refused.is_news(&webhook, reason) {
            ctx.emit(PaymentEvent::WebhookRefused { webhook, reason, at: ctx.now() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bus::testing::given;

    use super::*;
    use crate::{money::tests::eur, orders::OrderId, payments::CardToken};

    fn requested() -> PaymentEvent {
        PaymentEvent::Requested {
            order: OrderId::parse("o-1").expect("an id"),
            amount: eur(500),
            card: CardToken::parse("sim-4242").expect("a token"),
        }
    }

    fn note(number: usize, reason: RefusalReason) -> NoteRefusedWebhook {
        let webhook = WebhookId::parse(&format!("wh_{number}")).expect("an id");
        NoteRefusedWebhook { webhook, reason }
    }

    fn noted(number: usize, reason: RefusalReason) -> PaymentEvent {
        let NoteRefusedWebhook { webhook, reason } = note(number, reason);
        PaymentEvent::WebhookRefused { webhook, reason, at: Timestamp::default() }
    }

    fn past(refused: impl IntoIterator<Item = PaymentEvent>) -> Vec<PaymentEvent> {
        [requested()].into_iter().chain(refused).collect()
    }

    #[test]
    fn each_is_kept_once_for_each_reason() {
        use RefusalReason::{Forged, Late};
        let at = Timestamp::default();
        let asked = || given::<Payment>(past([noted(1, Late)])).at(at);
        asked().when(note(1, Late)).replies(()).then([]);
        asked().when(note(2, Late)).replies(()).then([noted(2, Late)]);
        asked().when(note(1, Forged)).replies(()).then([noted(1, Forged)]);
    }

    #[test]
    fn what_anybody_can_send_fills_half_and_no_more() {
        use RefusalReason::{Forged, Late, Unsigned};
        let at = Timestamp::default();
        let forged = || (1..=WEBHOOKS_FORGED_MAX).map(|number| noted(number, Forged));
        let full_of_forged = || given::<Payment>(past(forged())).at(at);
        full_of_forged().when(note(99, Forged)).replies(()).then([]);
        full_of_forged().when(note(99, Unsigned)).replies(()).then([]);
        full_of_forged().when(note(99, Late)).replies(()).then([noted(99, Late)]);
        let signed = (1..=WEBHOOKS_REFUSED_MAX - WEBHOOKS_FORGED_MAX).map(|n| noted(n, Late));
        let full = given::<Payment>(past(forged().chain(signed))).at(at);
        full.when(note(99, Late)).replies(()).then([]);
    }

    #[test]
    fn of_no_payment_none_is_kept() {
        let refused = given::<Payment>([]).when(note(1, RefusalReason::Forged));
        refused.refuses(PaymentError::NotRequested);
    }

    #[test]
    fn an_id_is_visible_and_short() {
        assert_eq!(WebhookId::parse("wh_1").expect("an id").to_string(), "wh_1");
        for bad in ["", "a b", "ä", &"x".repeat(WEBHOOK_ID_BYTES_MAX + 1)] {
            assert_eq!(WebhookId::parse(bad), Err(InvalidWebhookId), "{bad}");
        }
        assert!(InvalidWebhookId.to_string().contains(&WEBHOOK_ID_BYTES_MAX.to_string()));
    }
}
