//! All that is known of an order on one page, as far as those who know it answer.
//!
//! ```text
//! order, shipments   the order's row; if that does not come, the order itself
//! buyer              the user
//! payment            the payment
//! ```
//!
//! All are asked at the same time and each has [`PART_TIMEOUT`]: what does not come is left out,
//! and the page says so. But a customer is shown nothing before it is known whose the order is.

use std::pin::pin;

use actors::{
    Money,
    orders::{Order, OrderCard, OrderId, OrderView, Returned, Shipment, Show as ShowOrder},
    payments::{
        DeclineReason, PaymentError, PaymentId, PaymentStatus, PaymentView, Show as ShowPayment,
    },
    users::{PostalAddress, Profile, Show as ShowUser, User, UserError, UserId},
};
use axum::{Json as Answer, extract::State};
use bus::{AskError, GetRow, JsonSchema, Position, RowError, Status};
use futures_util::future::{Either, select};
use serde::Serialize;
use serde_json::json;

use crate::{
    Edge,
    api::{Route, get},
    error::ApiError,
    extract::{CurrentUser, PathId},
    limits::PART_TIMEOUT,
    observe::Trace,
    orders::{OrderShown, no_such_order, own},
    position::After,
};

pub(crate) fn route() -> Route {
    get("/v1/orders/{id}/page", page)
        .says(
            "showOrderPage",
            "Show an order, its buyer, payment and shipments",
            "A part that does not come within a second is `unavailable`, and the others are shown.",
        )
        .answers::<PageShown>(200, "The page, as far as it is known.")
        .refuses(404, &["NOT_FOUND"])
}

/// An order and all that belongs to it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderPage", example = json!({
    "order": { "status": "available", "value": {
        "id": "o-b3d2fcd7a08dc495937df25b793f223a", "status": "placed", "currency": "EUR",
        "lines": [{ "sku": "TEA", "quantity": 2 }], "placed_at": "2026-11-21T05:16:57.215Z",
    } },
    "buyer": { "status": "unavailable", "reason": "no_answer" },
    "payment": { "status": "none" },
    "shipments": { "status": "available", "value": { "shipments": [], "returns": [] } },
}))]
struct PageShown {
    /// The order. Its shipments and returns are a part of their own.
    order: Part<OrderShown>,
    /// Who buys.
    buyer: Part<BuyerShown>,
    /// How it is paid.
    payment: Part<PaymentShown>,
    /// What left the house, and what comes back.
    shipments: Part<ShipmentsShown>,
}

/// A part of a page.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PartOf{T}")]
#[serde(tag = "status", rename_all = "snake_case")]
enum Part<T> {
    /// It is known.
    Available {
        /// The part.
        value: T,
    },
    /// There is none.
    None,
    /// Whoever knows it did not say. Asking again may help.
    Unavailable {
        /// Why not.
        reason: Missing,
    },
}

/// Why a part of a page is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "WhyMissing")]
#[serde(rename_all = "snake_case")]
enum Missing {
    /// Nobody was there to answer, or not in time.
    NoAnswer,
    /// Too much was waiting there.
    Overloaded,
    /// Something went wrong on our side.
    Failed,
    /// It is found by another part, which is missing.
    Unknown,
}

/// Who buys, as far as it matters to an order.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Buyer")]
struct BuyerShown {
    /// The user.
    id: UserId,
    /// What the user is called.
    name: String,
    /// Where parcels reach the user, if that is known.
    address: Option<PostalAddress>,
}

/// How an order's payment stands.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderPayment")]
struct PaymentShown {
    /// In one word.
    status: PaymentStatus,
    /// How much was asked for.
    amount: Money,
    /// How much of it has gone back.
    refunded: Money,
    /// Why it was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<DeclineReason>,
}

/// What of an order left the house, and what comes back.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Shipments")]
struct ShipmentsShown {
    /// What left.
    shipments: Vec<Shipment>,
    /// What comes back.
    returns: Vec<Returned>,
}

/// `GET /v1/orders/{id}/page`: of one's own order; anybody else's is 404, but for staff.
async fn page(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
    after: After,
    PathId(order): PathId<Order>,
) -> Result<Answer<PageShown>, ApiError> {
    let asking = Asking { edge, trace, user, order };
    let payment = asking.payment();
    let (found, buyer, payment) = match asking.user.unless_staff() {
        Some(own) => tokio::join!(asking.order(&after), asking.buyer(&own), payment),
        None => {
            let with_buyer = async {
                let found = asking.order(&after).await;
                let buyer = match &found {
                    Ok(Ok((buyer, _))) => asking.buyer(buyer).await,
                    Ok(Err(_)) | Err(_) => Part::Unavailable { reason: Missing::Unknown },
                };
                (found, buyer)
            };
            let ((found, buyer), payment) = tokio::join!(with_buyer, payment);
            (found, buyer, payment)
        }
    };
    let (order, shipments) = match found? {
        Ok((_, mut order)) => {
            let (shipments, returns) = order.take_shipments();
            let shipments = ShipmentsShown { shipments, returns };
            (Part::Available { value: order }, Part::Available { value: shipments })
        }
        Err(reason) => (Part::Unavailable { reason }, Part::Unavailable { reason }),
    };
    Ok(Answer(PageShown { order, buyer, payment, shipments }))
}

/// Who asks for what.
struct Asking {
    edge: Edge,
    trace: Trace,
    user: CurrentUser,
    order: OrderId,
}

/// Whose the order is, and how it stands; or why that is not known.
type Found = Result<(UserId, OrderShown), Missing>;

impl Asking {
    /// The row knows when things happened. The order itself is asked beside it, for when the rows
    /// do not come.
    async fn order(&self, after: &After) -> Result<Found, ApiError> {
        let row = own(&self.edge, &self.user, &self.order).timeout(PART_TIMEOUT);
        let row = pin!(after.of::<Order>().fold(row, GetRow::after).into_future());
        let view = self.edge.bus().actor(&self.order).ask(ShowOrder {}).timeout(PART_TIMEOUT);
        let view = view.principal(self.user.id.as_str()).trace(self.trace.as_str());
        let view = pin!(view.positioned());
        let (row, view) = match select(row, view).await {
            Either::Left((Err(error), view)) => (Err(error), Some(view.await)),
            Either::Left((row, _)) => (row, None),
            Either::Right((view, row)) => (row.await, Some(view)),
        };
        match row {
            Ok(Some(card)) => found_row(card).map(Ok),
            Ok(None) => Err(no_such_order(&self.order)),
            Err(RowError::Failed(failure)) if failure.status == Status::BadCommand => {
                Err(RowError::Failed(failure).into())
            }
            Err(error) => match view {
                Some(Ok((view, position))) => self.found_view(view, &position).map(Ok),
                Some(Err(AskError::Refused(_))) => Err(no_such_order(&self.order)),
                // Without knowing whose it is, a customer is shown nothing.
                Some(Err(_)) | None if self.user.unless_staff().is_some() => Err(error.into()),
                Some(Err(_)) | None => Ok(Err(no_row("order", &error))),
            },
        }
    }

    fn found_view(
        &self,
        view: OrderView,
        position: &Position,
    ) -> Result<(UserId, OrderShown), ApiError> {
        match self.user.unless_staff() {
            Some(own) if own != view.buyer => Err(no_such_order(&self.order)),
            Some(_) | None => Ok((view.buyer.clone(), OrderShown::of(&self.order, view, position))),
        }
    }

    async fn buyer(&self, buyer: &UserId) -> Part<BuyerShown> {
        let asked = self.edge.bus().actor::<User>(buyer).ask(ShowUser {}).timeout(PART_TIMEOUT);
        let asked = asked.principal(self.user.id.as_str()).trace(self.trace.as_str());
        match asked.await {
            Ok(profile) => Part::Available { value: profile.into() },
            Err(AskError::Refused(UserError::UnknownUser)) => Part::None,
            Err(error) => Part::Unavailable { reason: no_answer("buyer", &error) },
        }
    }

    async fn payment(&self) -> Part<PaymentShown> {
        // An order's one payment has its id.
        let Ok(payment) = PaymentId::parse(self.order.as_str()) else { return Part::None };
        let asked = self.edge.bus().actor(&payment).ask(ShowPayment {}).timeout(PART_TIMEOUT);
        let asked = asked.principal(self.user.id.as_str()).trace(self.trace.as_str());
        match asked.await {
            Ok(payment) => Part::Available { value: payment.into() },
            Err(AskError::Refused(PaymentError::NotRequested)) => Part::None,
            Err(error) => Part::Unavailable { reason: no_answer("payment", &error) },
        }
    }
}

fn found_row(card: OrderCard) -> Result<(UserId, OrderShown), ApiError> {
    let buyer = UserId::parse(&card.buyer);
    let buyer = buyer.map_err(|error| ApiError::internal(format!("an order's buyer: {error}")))?;
    Ok((buyer, card.into()))
}

fn no_row(part: &str, error: &RowError) -> Missing {
    tracing::warn!(part, %error, "a part of a page is missing");
    match error {
        RowError::Failed(failure) => why(failure.status),
        RowError::NoReply(_) => Missing::NoAnswer,
        RowError::Unreadable(_) => Missing::Failed,
    }
}

fn no_answer<E: std::error::Error>(part: &str, error: &AskError<E>) -> Missing {
    tracing::warn!(part, %error, "a part of a page is missing");
    match error {
        AskError::Failed(failure) => why(failure.status),
        AskError::NoReply(_) => Missing::NoAnswer,
        AskError::Refused(_) | AskError::UnreadableReply(_) => Missing::Failed,
    }
}

fn why(status: Status) -> Missing {
    match status {
        Status::Unavailable | Status::Expired => Missing::NoAnswer,
        Status::Overloaded => Missing::Overloaded,
        _ => Missing::Failed,
    }
}

impl From<Profile> for BuyerShown {
    fn from(profile: Profile) -> Self {
        let address = profile.addresses.into_iter().next();
        Self { id: profile.id, name: profile.name, address }
    }
}

impl From<PaymentView> for PaymentShown {
    fn from(view: PaymentView) -> Self {
        let PaymentView { status, amount, refunded, reason, .. } = view;
        Self { status, amount, refunded, reason }
    }
}
