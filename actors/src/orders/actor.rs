//! An order: the memory of its checkout.
//!
//! Notes come from the checkout saga, at least once and in any order between items. Each one
//! counts in one stage only; elsewhere it came twice or too late and changes nothing.

use std::collections::BTreeSet;

use bus::{Actor, Context, Handle, Id};
use serde::{Deserialize, Serialize};

use super::{
    AcceptReturn, Cancel, CancelReason, Deliver, Expire, NoteDeclined, NoteLacking, NotePaid,
    NoteReserved, OrderError, OrderEvent, OrderLine, OrderStatus, OrderView, Place, Purchase,
    RejectReturn, Return, Ship, Show, purchase::Stage,
};
use crate::limits::{LINES_MAX, UNPAID_TIME};

/// The id of an order.
pub type OrderId = Id<Order>;

/// An order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub enum Order {
    /// Nothing is known of it.
    #[default]
    Unplaced,
    /// Somebody wants to buy something.
    Placed(Box<Purchase>),
}

impl Actor for Order {
    const KIND: &'static str = "order";
    const STATE: u32 = 2;
    const TIMERS: bool = true;
    type Event = OrderEvent;
    type Error = OrderError;
    type Commands = (
        Place,
        NoteReserved,
        NoteLacking,
        NotePaid,
        NoteDeclined,
        Expire,
        Cancel,
        Ship,
        Deliver,
        Return,
        AcceptReturn,
        RejectReturn,
        Show,
    );

    fn apply(&mut self, event: &OrderEvent) {
        match (event, self) {
            (OrderEvent::Placed { buyer, currency, card, lines }, order) => {
                let purchase = Purchase::new(buyer.clone(), *currency, card.clone(), lines);
                *order = Self::Placed(Box::new(purchase));
            }
            (event, Self::Placed(purchase)) => purchase.apply(event),
            // The handlers let nothing else happen to what was never placed.
            (_, Self::Unplaced) => {}
        }
    }
}

impl Order {
    pub(super) fn purchase(&self) -> Result<&Purchase, OrderError> {
        match self {
            Self::Unplaced => Err(OrderError::Unplaced),
            Self::Placed(purchase) => Ok(purchase),
        }
    }
}

impl Handle<Place> for Order {
    const NAME: &'static str = "place";
    type Reply = OrderStatus;

    fn handle(&self, command: Place, ctx: &mut Context<Self>) -> Result<OrderStatus, OrderError> {
        if let Self::Placed(_) = self {
            return Err(OrderError::AlreadyPlaced);
        }
        let Place { buyer, currency, card, lines } = command;
        check(&lines)?;
        ctx.emit(OrderEvent::Placed { buyer, currency, card, lines });
        ctx.after(UNPAID_TIME, Expire {});
        Ok(OrderStatus::Placed)
    }
}

fn check(lines: &[OrderLine]) -> Result<(), OrderError> {
    match lines.len() {
        0 => return Err(OrderError::Empty),
        1..=LINES_MAX => {}
        _ => return Err(OrderError::TooManyLines),
    }
    let mut seen = BTreeSet::new();
    match lines.iter().find(|line| !seen.insert(&line.sku)) {
        Some(repeated) => Err(OrderError::LineRepeated { sku: repeated.sku.clone() }),
        None => Ok(()),
    }
}

impl Handle<NoteReserved> for Order {
    const NAME: &'static str = "note_reserved";
    type Reply = ();

    fn handle(&self, command: NoteReserved, ctx: &mut Context<Self>) -> Result<(), OrderError> {
        let NoteReserved { sku, quantity, unit_price } = command;
        let purchase = self.purchase()?;
        let Some(line) = purchase.line_of(&sku, quantity, unit_price) else {
            return Err(OrderError::NoSuchLine { sku });
        };
        match purchase.stage {
            Stage::Reserving if line.unit_price.is_none() => {}
            // Told twice, or of an order cancelled since: its releases follow its reserves.
            Stage::Reserving
            | Stage::Paying { .. }
            | Stage::Confirmed { .. }
            | Stage::Cancelled { .. }
            | Stage::Revoked { .. } => return Ok(()),
        }
        let surprise = purchase.surprised_by(&sku, unit_price);
        let total = purchase.total_with(&sku, unit_price);
        ctx.emit(OrderEvent::LineReserved { sku: sku.clone(), quantity, unit_price });
        if let Some(expected) = surprise {
            purchase.cancel(CancelReason::PriceChanged { sku, expected, unit_price }, ctx);
            return Ok(());
        }
        match total {
            Ok(None) => {}
            Ok(Some(total)) => {
                ctx.emit(OrderEvent::PaymentDue { total, card: purchase.card.clone() });
            }
            Err(_) => purchase.cancel(CancelReason::TotalTooLarge, ctx),
        }
        Ok(())
    }
}

impl Handle<NoteLacking> for Order {
    const NAME: &'static str = "note_lacking";
    type Reply = ();

    fn handle(&self, command: NoteLacking, ctx: &mut Context<Self>) -> Result<(), OrderError> {
        let NoteLacking { sku, reason } = command;
        let purchase = self.purchase()?;
        if purchase.line(&sku).is_none() {
            return Err(OrderError::NoSuchLine { sku });
        }
        if let Stage::Reserving = purchase.stage {
            ctx.emit(OrderEvent::LineLacking { sku: sku.clone(), reason });
            purchase.cancel(CancelReason::Lacking { sku, reason }, ctx);
        }
        Ok(())
    }
}

impl Handle<NotePaid> for Order {
    const NAME: &'static str = "note_paid";
    type Reply = ();

    fn handle(&self, command: NotePaid, ctx: &mut Context<Self>) -> Result<(), OrderError> {
        let NotePaid { receipt } = command;
        let purchase = self.purchase()?;
        match &purchase.stage {
            Stage::Reserving => return Err(OrderError::NotDue),
            Stage::Paying { total } => {
                let (buyer, total, skus) = (purchase.buyer.clone(), *total, purchase.skus());
                ctx.emit(OrderEvent::Confirmed { buyer, total, receipt, skus });
                ctx.disarm(&Expire {});
            }
            Stage::Confirmed { receipt: known, .. } if *known == receipt => {} // Told twice.
            Stage::Revoked { receipt: known, .. } if *known == receipt => {}   // Told twice.
            Stage::Confirmed { .. } | Stage::Cancelled { .. } | Stage::Revoked { .. } => {
                if !purchase.knows_late(&receipt) {
                    ctx.emit(OrderEvent::PaidTooLate { receipt });
                }
            }
        }
        Ok(())
    }
}

impl Handle<NoteDeclined> for Order {
    const NAME: &'static str = "note_declined";
    type Reply = ();

    fn handle(&self, command: NoteDeclined, ctx: &mut Context<Self>) -> Result<(), OrderError> {
        let NoteDeclined { reason } = command;
        let purchase = self.purchase()?;
        match purchase.stage {
            Stage::Reserving => return Err(OrderError::NotDue),
            Stage::Paying { .. } => {
                purchase.cancel(CancelReason::Declined { reason }, ctx);
            }
            // Told twice, or too late.
            Stage::Confirmed { .. } | Stage::Cancelled { .. } | Stage::Revoked { .. } => {}
        }
        Ok(())
    }
}

impl Handle<Expire> for Order {
    const NAME: &'static str = "expire";
    type Reply = ();

    fn handle(&self, _: Expire, ctx: &mut Context<Self>) -> Result<(), OrderError> {
        let purchase = self.purchase()?;
        match purchase.stage {
            // Money that is on its way comes too late, and is given back.
            Stage::Reserving | Stage::Paying { .. } => purchase.cancel(CancelReason::Unpaid, ctx),
            // It was settled just before.
            Stage::Confirmed { .. } | Stage::Cancelled { .. } | Stage::Revoked { .. } => {}
        }
        Ok(())
    }
}

impl Purchase {
    pub(super) fn cancel(&self, reason: CancelReason, ctx: &mut Context<Order>) {
        ctx.emit(self.cancelled(reason));
        ctx.disarm(&Expire {});
    }
}

impl Handle<Show> for Order {
    const NAME: &'static str = "show";
    type Reply = OrderView;

    fn handle(&self, _: Show, _: &mut Context<Self>) -> Result<OrderView, OrderError> {
        Ok(self.purchase()?.view())
    }
}
