//! An item: its price, and how many pieces are available, held for orders, and shipped.
//!
//! The one rule: received = available + held + shipped + written off. Only `apply` moves pieces, and each
//! event moves them from one pile to another or brings new ones in. What its keepers do with them is
//! in `stock`; here is what orders do.

use std::collections::{BTreeMap, VecDeque};

use bus::{Actor, Context, Handle, Id};
use serde::{Deserialize, Serialize};

use super::{
    Activate, Adjust, Adjustment, Create, Describe, ItemError, ItemEvent, LackReason, Lapse,
    OnHand, Receive, Release, Reservation, Reserve, Retire, SetLowStock, SetPrice, Ship, Show,
    ShowAdjustments, ShowPrices, Stock, StockCard, Take, TakeBack, listing::Listing,
    shipments::Shipments,
};
use crate::{
    limits::{HOLD_TIME, RETURNS_MAX},
    money::{Currency, Money},
    orders::OrderId,
    quantity::Quantity,
    warehouse::WarehouseId,
};

/// The id of an item: its SKU.
pub type ItemId = Id<Item>;

/// An item.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Item {
    listing: Option<Listing>,
    pub(super) stock: Stock,
    /// Available and held pieces, by where they lie.
    pub(super) on_hand: OnHand,
    /// The stock is low while fewer pieces are available; 0 is never.
    pub(super) low_below: u32,
    /// How the books were set right of late.
    pub(super) adjustments: VecDeque<Adjustment>,
    holds: BTreeMap<OrderId, Hold>,
    shipments: Shipments,
}

/// What one order holds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Hold {
    quantity: Quantity,
    unit_price: Money,
    /// Whether the order is paid, and the pieces are not given back by themselves.
    is_taken: bool,
}

impl Actor for Item {
    const KIND: &'static str = "item";
    const TIMERS: bool = true;
    /// 2: remembers what was shipped to whom. 3: and how it is listed, and its prices.
    /// 4: where its pieces lie, when they are few, and how its books were set right.
    const STATE: u32 = 4;
    type Event = ItemEvent;
    type Error = ItemError;
    type Commands = (
        Create,
        Describe,
        SetPrice,
        Activate,
        Retire,
        ShowPrices,
        Receive,
        Adjust,
        ShowAdjustments,
        SetLowStock,
        Reserve,
        Take,
        Release,
        Lapse,
        Ship,
        TakeBack,
        Show,
    );

    fn apply(&mut self, event: &ItemEvent) {
        match event {
            ItemEvent::Reserved { order, quantity, unit_price } => {
                let (quantity, unit_price) = (*quantity, *unit_price);
                let hold = Hold { quantity, unit_price, is_taken: false };
                self.holds.insert(order.clone(), hold);
            }
            ItemEvent::Taken { order } => {
                if let Some(hold) = self.holds.get_mut(order) {
                    hold.is_taken = true;
                }
            }
            ItemEvent::Released { order, .. } => drop(self.holds.remove(order)),
            ItemEvent::Shipped { order, quantity, .. } => {
                self.lessen_hold(order, *quantity);
                self.shipments.ship(order, *quantity);
            }
            ItemEvent::TakenBack { order, quantity, number, .. } => {
                self.shipments.take_back(order, *quantity, *number);
            }
            ItemEvent::Adjusted { .. } => self.remember(event),
            ItemEvent::LowStockSet { below } => self.low_below = *below,
            ItemEvent::Created { .. }
            | ItemEvent::Described { .. }
            | ItemEvent::Priced { .. }
            | ItemEvent::Activated {}
            | ItemEvent::Retired {}
            | ItemEvent::Received { .. }
            | ItemEvent::StockLow { .. }
            | ItemEvent::Lacked { .. } => {}
        }
        Listing::apply(&mut self.listing, event);
        self.stock.apply(event);
        self.on_hand.apply(event);
    }
}

impl Item {
    pub(super) fn listing(&self) -> Result<&Listing, ItemError> {
        self.listing.as_ref().ok_or(ItemError::UnknownItem)
    }

    /// Takes pieces from what an order holds; it may hold on to the rest.
    fn lessen_hold(&mut self, order: &OrderId, quantity: Quantity) {
        if let Some(hold) = self.holds.get_mut(order) {
            match Quantity::new(hold.quantity.get().saturating_sub(quantity.get())) {
                Ok(rest) => hold.quantity = rest,
                Err(_) => drop(self.holds.remove(order)), // Nothing is left.
            }
        }
    }

    /// Whether `quantity` pieces can be had for `currency`: at what price, or why not.
    fn offer(&self, quantity: Quantity, currency: Currency) -> Result<Money, LackReason> {
        let price = self.listing.as_ref().ok_or(LackReason::UnknownItem)?.offer(currency)?;
        let available = self.stock.available;
        if available < u64::from(quantity) {
            return Err(LackReason::OutOfStock { available });
        }
        Ok(price)
    }
}

impl Handle<Reserve> for Item {
    const NAME: &'static str = "reserve";
    type Reply = Reservation;

    fn handle(&self, command: Reserve, ctx: &mut Context<Self>) -> Result<Reservation, ItemError> {
        let Reserve { order, quantity, currency } = command;
        if let Some(Hold { quantity, unit_price, .. }) = self.holds.get(&order).copied() {
            return Ok(Reservation::Held { quantity, unit_price }); // Asked twice: same answer.
        }
        match self.offer(quantity, currency) {
            Ok(unit_price) => {
                ctx.after(HOLD_TIME, Lapse { order: order.clone() });
                self.moved(ItemEvent::Reserved { order, quantity, unit_price }, ctx);
                Ok(Reservation::Held { quantity, unit_price })
            }
            Err(reason) => {
                ctx.emit(ItemEvent::Lacked { order, quantity, reason });
                Ok(Reservation::Lacking { reason })
            }
        }
    }
}

impl Handle<Take> for Item {
    const NAME: &'static str = "take";
    type Reply = ();

    fn handle(&self, Take { order }: Take, ctx: &mut Context<Self>) -> Result<(), ItemError> {
        match self.holds.get(&order) {
            Some(Hold { is_taken: false, .. }) => {
                ctx.disarm(&Lapse { order: order.clone() });
                ctx.emit(ItemEvent::Taken { order });
                Ok(())
            }
            Some(Hold { is_taken: true, .. }) => Ok(()), // Told twice.
            // Shipped already, or lapsed.
            None => Err(ItemError::NotHeld),
        }
    }
}

impl Handle<Release> for Item {
    const NAME: &'static str = "release";
    type Reply = ();

    fn handle(&self, Release { order }: Release, ctx: &mut Context<Self>) -> Result<(), ItemError> {
        // A cancelled order releases every line, also those that were lacking.
        if let Some(&Hold { quantity, .. }) = self.holds.get(&order) {
            ctx.disarm(&Lapse { order: order.clone() });
            ctx.emit(ItemEvent::Released { order, quantity });
        }
        Ok(())
    }
}

impl Handle<Lapse> for Item {
    const NAME: &'static str = "lapse";
    type Reply = ();

    fn handle(&self, Lapse { order }: Lapse, ctx: &mut Context<Self>) -> Result<(), ItemError> {
        if let Some(&Hold { quantity, is_taken: false, .. }) = self.holds.get(&order) {
            ctx.emit(ItemEvent::Released { order, quantity });
        }
        Ok(())
    }
}

impl Handle<Ship> for Item {
    const NAME: &'static str = "ship";
    type Reply = Stock;

    fn handle(&self, command: Ship, ctx: &mut Context<Self>) -> Result<Stock, ItemError> {
        let Ship { order, quantity, warehouse } = command;
        let &Hold { quantity: held, .. } = self.holds.get(&order).ok_or(ItemError::NotHeld)?;
        let quantity = quantity.unwrap_or(held);
        if quantity > held {
            return Err(ItemError::TooFewHeld { held: held.into() });
        }
        if quantity == held {
            ctx.disarm(&Lapse { order: order.clone() });
        }
        let mut from = self.on_hand.taken_from(quantity, warehouse.as_ref());
        if from.keys().all(WarehouseId::is_main) {
            from.clear(); // As it was before there were others.
        }
        Ok(self.moved(ItemEvent::Shipped { order, quantity, from }, ctx))
    }
}

impl Handle<TakeBack> for Item {
    const NAME: &'static str = "take_back";
    type Reply = Stock;

    fn handle(&self, command: TakeBack, ctx: &mut Context<Self>) -> Result<Stock, ItemError> {
        let TakeBack { order, quantity, number, sellable } = command;
        if self.shipments.has_returned(&order, number) {
            return Ok(self.stock); // Told twice.
        }
        let out = self.shipments.out(&order);
        if u64::from(quantity) > out {
            return Err(ItemError::NotShipped { out });
        }
        if self.shipments.returns(&order) >= RETURNS_MAX {
            return Err(ItemError::TooManyReturns);
        }
        Ok(self.moved(ItemEvent::TakenBack { order, quantity, number, sellable }, ctx))
    }
}

impl Handle<Show> for Item {
    const NAME: &'static str = "show";
    type Reply = StockCard;

    fn handle(&self, _: Show, ctx: &mut Context<Self>) -> Result<StockCard, ItemError> {
        let listing = self.listing()?;
        let Stock { received, available, held, shipped, written_off } = self.stock;
        Ok(StockCard {
            sku: ctx.id().clone(),
            name: listing.name.clone(),
            description: listing.description.clone(),
            price: listing.price,
            category: listing.category.clone(),
            attributes: listing.attributes.clone(),
            pictures: listing.pictures.clone(),
            status: listing.status,
            received,
            available,
            held,
            shipped,
            written_off,
        })
    }
}
