//! An order's history: what happened to it, when, and by whom, as far as its commits tell.

use bus::{CommitInfo, JsonSchema, Recorded, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CancelReason, Order, OrderEvent};
use crate::{inventory::ItemId, limits::HISTORY_MAX, money::Money, quantity::Quantity};

/// What happened to an order, from its beginning.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// The first steps, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<HistoryStep>,
    /// How many came after those that are kept.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::number")]
    pub left_out: u32,
}

/// One thing that happened to an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryStep {
    /// What.
    pub step: OrderStep,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: StepBy,
    /// Who that was, if it was a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// Who did something to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepBy {
    /// Who buys.
    Customer,
    /// Somebody else, and so of the shop's staff.
    Staff,
    /// Nobody: it followed from something else, or a time was over.
    Shop,
}

/// What happened to an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum OrderStep {
    /// Somebody wants to buy.
    Placed,
    /// An item is held for it.
    Reserved {
        /// The item.
        sku: ItemId,
        /// How many.
        quantity: Quantity,
    },
    /// Every item is held, and the card is to be charged.
    PaymentDue {
        /// How much.
        total: Money,
    },
    /// It is paid, and so will be.
    Confirmed {
        /// How much was paid.
        total: Money,
    },
    /// It will not be.
    Cancelled {
        /// Why.
        reason: CancelReason,
    },
    /// Money came when it was too late, and goes back.
    PaidTooLate,
    /// It was called off after it was paid; the money goes back.
    Revoked {
        /// How much goes back.
        refund: Money,
    },
    /// Pieces left the house.
    Shipped {
        /// The shipment.
        #[schemars(schema_with = "crate::schema::number")]
        shipment: u32,
    },
    /// They reached the buyer.
    Delivered {
        /// The shipment.
        #[schemars(schema_with = "crate::schema::number")]
        shipment: u32,
    },
    /// Pieces are to be given back.
    ReturnRequested {
        /// The return.
        #[serde(rename = "return")]
        #[schemars(schema_with = "crate::schema::number")]
        number: u32,
        /// Why.
        reason: String,
    },
    /// They were taken back; the money goes back.
    ReturnAccepted {
        /// The return.
        #[serde(rename = "return")]
        #[schemars(schema_with = "crate::schema::number")]
        number: u32,
        /// How much goes back.
        refund: Money,
    },
    /// They were not.
    ReturnRejected {
        /// The return.
        #[serde(rename = "return")]
        #[schemars(schema_with = "crate::schema::number")]
        number: u32,
        /// Why not.
        reason: String,
    },
}

impl OrderStep {
    /// What an event is in the history; none if another event of its commit says the same.
    fn of(event: &OrderEvent) -> Option<Self> {
        Some(match event {
            OrderEvent::Placed { .. } => Self::Placed,
            OrderEvent::LineReserved { sku, quantity, .. } => {
                Self::Reserved { sku: sku.clone(), quantity: *quantity }
            }
            OrderEvent::LineLacking { .. } => return None, // Its cancellation says the same.
            OrderEvent::PaymentDue { total, .. } => Self::PaymentDue { total: *total },
            OrderEvent::Confirmed { total, .. } => Self::Confirmed { total: *total },
            OrderEvent::Cancelled { reason, .. } => Self::Cancelled { reason: reason.clone() },
            OrderEvent::PaidTooLate { .. } => Self::PaidTooLate,
            OrderEvent::Revoked { total, .. } => Self::Revoked { refund: *total },
            OrderEvent::Shipped { number, .. } => Self::Shipped { shipment: *number },
            OrderEvent::Delivered { number, .. } => Self::Delivered { shipment: *number },
            OrderEvent::ReturnRequested { number, reason, .. } => {
                Self::ReturnRequested { number: *number, reason: reason.clone() }
            }
            OrderEvent::ReturnAccepted { number, refund, .. } => {
                Self::ReturnAccepted { number: *number, refund: *refund }
            }
            OrderEvent::ReturnRejected { number, reason, .. } => {
                Self::ReturnRejected { number: *number, reason: reason.clone() }
            }
        })
    }
}

impl History {
    /// Adds what happened to the order of `buyer`.
    pub(super) fn add(&mut self, buyer: &str, order: &Recorded<Order>) {
        let Some(step) = OrderStep::of(&order.event) else { return };
        if self.steps.len() >= HISTORY_MAX {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        let (by, user) = by_whom(buyer, &step, &order.commit);
        self.steps.push(HistoryStep { step, at: order.commit.at, by, user });
    }
}

/// Sagas and timers act in the name of whoever set them going, and say which commit did; what
/// they do is done by nobody. But a cart that is checked out becomes its owner's order by a saga.
fn by_whom(buyer: &str, step: &OrderStep, commit: &CommitInfo) -> (StepBy, Option<String>) {
    let is_asked = commit.cause.is_none() || *step == OrderStep::Placed;
    match commit.principal.as_deref().filter(|_| is_asked) {
        None => (StepBy::Shop, None),
        Some(user) if user == buyer => (StepBy::Customer, Some(user.to_owned())),
        Some(user) => (StepBy::Staff, Some(user.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bus::Position;

    use super::*;
    use crate::{
        money::tests::eur, orders::OrderLine, payments::CardToken, recorded::recorded,
        users::UserId,
    };

    fn buyer() -> UserId {
        UserId::parse("u-1").expect("an id")
    }

    fn placed() -> OrderEvent {
        let card = CardToken::parse("sim-4242").expect("a token");
        let line = OrderLine {
            sku: ItemId::parse("A1").expect("an id"),
            quantity: Quantity::new(2).expect("a quantity"),
            expected_price: None,
        };
        OrderEvent::Placed { buyer: buyer(), currency: eur(0).currency, card, lines: vec![line] }
    }

    fn delivered(number: u32) -> OrderEvent {
        OrderEvent::Delivered { number, buyer: buyer() }
    }

    /// The history after `event` came by a command of `principal`, or followed from a commit.
    fn after(event: OrderEvent, principal: Option<&str>, is_caused: bool) -> History {
        let mut order: Recorded<Order> = recorded("o-1", event);
        let commit = Arc::get_mut(&mut order.commit).expect("ours alone");
        commit.principal = principal.map(Into::into);
        let cause = Position { stream: "EVT_item_0".into(), sequence: 1 };
        commit.cause = is_caused.then(|| cause.to_string().into());
        let mut history = History::default();
        history.add("u-1", &order);
        history
    }

    #[test]
    fn a_step_says_who_took_it() {
        let cases = [
            (placed(), Some("u-1"), false, StepBy::Customer),
            // By a saga, of her cart.
            (placed(), Some("u-1"), true, StepBy::Customer),
            (delivered(1), Some("u-staff"), false, StepBy::Staff),
            (delivered(1), Some("u-1"), true, StepBy::Shop),
            (delivered(1), None, false, StepBy::Shop),
        ];
        for (event, principal, is_caused, by) in cases {
            let history = after(event, principal, is_caused);
            let user = principal.filter(|_| by != StepBy::Shop).map(str::to_owned);
            let step = &history.steps[0];
            assert_eq!((step.by, &step.user), (by, &user), "{principal:?} {is_caused}");
            assert_eq!(step.at, Timestamp::from_millis(1_000));
        }
    }

    #[test]
    fn no_more_steps_are_kept_than_can_be_and_the_others_are_counted() {
        let mut history = History::default();
        for number in 0..u32::try_from(HISTORY_MAX).expect("small") + 3 {
            history.add("u-1", &recorded("o-1", delivered(number)));
        }
        assert_eq!((history.steps.len(), history.left_out), (HISTORY_MAX, 3));
        assert_eq!(history.steps[0].step, OrderStep::Delivered { shipment: 0 }, "the first");
    }
}
