//! The piles of an item's pieces, and what its keepers do with them: take in, set right, and be
//! told when few are left.

use bus::{Context, Handle, JsonSchema};
use serde::{Deserialize, Serialize};

use super::{
    Adjust, Adjustment, Change, Item, ItemError, ItemEvent, Receive, SetLowStock, ShowAdjustments,
};
use crate::limits::{ADJUSTMENTS_MAX, STOCK_MAX};

/// How many pieces there are: received = available + held + shipped + written off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Stock {
    /// All that ever came in, or were found.
    pub received: u64,
    /// What can be reserved.
    pub available: u64,
    /// What is reserved.
    pub held: u64,
    /// What left the house and did not come back.
    pub shipped: u64,
    /// What came back and cannot be sold again, or was lost in the house.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub written_off: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Stock {
    /// Moves the pieces of `event` from pile to pile. The handlers see to it that they are there.
    pub(super) fn apply(&mut self, event: &ItemEvent) {
        match event {
            ItemEvent::Received { quantity, .. }
            | ItemEvent::Adjusted { by: Change::Up(quantity), .. } => {
                self.received += u64::from(*quantity);
                self.available += u64::from(*quantity);
            }
            ItemEvent::Adjusted { by: Change::Down(quantity), .. } => {
                self.available -= u64::from(*quantity);
                self.written_off += u64::from(*quantity);
            }
            ItemEvent::Reserved { quantity, .. } => {
                self.available -= u64::from(*quantity);
                self.held += u64::from(*quantity);
            }
            ItemEvent::Released { quantity, .. } => {
                self.held -= u64::from(*quantity);
                self.available += u64::from(*quantity);
            }
            ItemEvent::Shipped { quantity, .. } => {
                self.held -= u64::from(*quantity);
                self.shipped += u64::from(*quantity);
            }
            ItemEvent::TakenBack { quantity, sellable, .. } => {
                self.shipped -= u64::from(*quantity);
                let pile = if *sellable { &mut self.available } else { &mut self.written_off };
                *pile += u64::from(*quantity);
            }
            ItemEvent::Created { .. }
            | ItemEvent::Described { .. }
            | ItemEvent::Priced { .. }
            | ItemEvent::Activated {}
            | ItemEvent::Retired {}
            | ItemEvent::LowStockSet { .. }
            | ItemEvent::StockLow { .. }
            | ItemEvent::Lacked { .. }
            | ItemEvent::Taken { .. } => {}
        }
    }
}

impl Item {
    /// Emits `event`, and tells what the stock will be. If it makes that low, this is told in the
    /// same commit: once, for it is not low before, and not again until it has risen.
    pub(super) fn moved(&self, event: ItemEvent, ctx: &mut Context<Self>) -> Stock {
        let mut stock = self.stock;
        stock.apply(&event);
        ctx.emit(event);
        self.tell_of_low(stock.available, self.low_below, ctx);
        stock
    }

    fn tell_of_low(&self, available: u64, below: u32, ctx: &mut Context<Self>) {
        let was_low = self.stock.available < u64::from(self.low_below);
        if !was_low && available < u64::from(below) {
            ctx.emit(ItemEvent::StockLow { available, below });
        }
    }

    /// Remembers an adjustment, and forgets the oldest.
    pub(super) fn remember(&mut self, event: &ItemEvent) {
        let ItemEvent::Adjusted { by, reason, note, warehouse, who, at } = event else { return };
        self.adjustments.push_back(Adjustment {
            by: *by,
            reason: *reason,
            note: note.clone(),
            warehouse: warehouse.clone(),
            who: who.clone(),
            at: *at,
        });
        if self.adjustments.len() > ADJUSTMENTS_MAX {
            self.adjustments.pop_front();
        }
    }

    /// The cap is far below u64, so that no pile overflows.
    fn check_room(&self, more: u64) -> Result<(), ItemError> {
        if self.stock.received + more > STOCK_MAX {
            return Err(ItemError::TooMuchStock);
        }
        Ok(())
    }
}

impl Handle<Receive> for Item {
    const NAME: &'static str = "receive";
    type Reply = Stock;

    fn handle(&self, command: Receive, ctx: &mut Context<Self>) -> Result<Stock, ItemError> {
        let Receive { quantity, warehouse } = command;
        self.listing()?;
        self.check_room(quantity.into())?;
        if !self.on_hand.has_room_for(&warehouse) {
            return Err(ItemError::TooManyWarehouses);
        }
        Ok(self.moved(ItemEvent::Received { quantity, warehouse }, ctx))
    }
}

impl Handle<Adjust> for Item {
    const NAME: &'static str = "adjust";
    type Reply = Stock;

    fn handle(&self, command: Adjust, ctx: &mut Context<Self>) -> Result<Stock, ItemError> {
        let Adjust { by, reason, note, warehouse } = command;
        self.listing()?;
        match by {
            Change::Up(quantity) => {
                self.check_room(quantity.into())?;
                if !self.on_hand.has_room_for(&warehouse) {
                    return Err(ItemError::TooManyWarehouses);
                }
            }
            Change::Down(quantity) => {
                let free = self.stock.available.min(self.on_hand.at(&warehouse));
                if u64::from(quantity) > free {
                    return Err(ItemError::TooFewFree { free, warehouse });
                }
            }
        }
        let (who, at) = (ctx.principal().map(str::to_owned), ctx.now());
        Ok(self.moved(ItemEvent::Adjusted { by, reason, note, warehouse, who, at }, ctx))
    }
}

impl Handle<ShowAdjustments> for Item {
    const NAME: &'static str = "adjustments";
    type Reply = Vec<Adjustment>;

    fn handle(
        &self,
        _: ShowAdjustments,
        _: &mut Context<Self>,
    ) -> Result<Vec<Adjustment>, ItemError> {
        self.listing()?;
        Ok(self.adjustments.iter().rev().cloned().collect())
    }
}

impl Handle<SetLowStock> for Item {
    const NAME: &'static str = "set_low_stock";
    type Reply = ();

    fn handle(&self, command: SetLowStock, ctx: &mut Context<Self>) -> Result<(), ItemError> {
        let SetLowStock { below } = command;
        self.listing()?;
        if below != self.low_below {
            ctx.emit(ItemEvent::LowStockSet { below });
            self.tell_of_low(self.stock.available, below, ctx);
        }
        Ok(())
    }
}
