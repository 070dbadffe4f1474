//! A cart: lines of one currency, each of another item.

use bus::{Actor, Context, Handle, Id};
use serde::{Deserialize, Serialize};

use super::{CartError, CartEvent, CartLine, CartView, CheckOut, Clear, Put, Remove, Show};
use crate::{limits::LINES_MAX, money::Money};

/// The id of a cart: the text of its user's id.
pub type CartId = Id<Cart>;

/// A cart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Cart {
    lines: Vec<CartLine>,
}

impl Actor for Cart {
    const KIND: &'static str = "cart";
    type Event = CartEvent;
    type Error = CartError;
    type Commands = (Put, Remove, Clear, CheckOut, Show);

    fn apply(&mut self, event: &CartEvent) {
        match event {
            CartEvent::LinePut { sku, quantity, unit_price } => {
                let (quantity, unit_price) = (*quantity, *unit_price);
                let line = CartLine { sku: sku.clone(), quantity, unit_price };
                match self.lines.iter_mut().find(|known| known.sku == *sku) {
                    Some(known) => *known = line,
                    None => self.lines.push(line),
                }
            }
            CartEvent::LineRemoved { sku } => self.lines.retain(|line| line.sku != *sku),
            CartEvent::Cleared {} | CartEvent::CheckedOut { .. } => self.lines.clear(),
        }
    }
}

/// What the lines cost; none if there are none.
fn total<'a>(lines: impl Iterator<Item = &'a CartLine>) -> Result<Option<Money>, CartError> {
    let mut total: Option<Money> = None;
    for line in lines {
        let price = line.unit_price.times(line.quantity).map_err(|_| CartError::TotalTooLarge)?;
        let sum = match total {
            None => price,
            Some(sum) => sum.checked_add(price).map_err(|_| CartError::TotalTooLarge)?,
        };
        total = Some(sum);
    }
    Ok(total)
}

impl Cart {
    fn view(&self) -> Result<CartView, CartError> {
        Ok(CartView { lines: self.lines.clone(), total: total(self.lines.iter())? })
    }

    /// The cart as it is after `event`.
    fn after(&self, event: &CartEvent) -> Result<CartView, CartError> {
        let mut after = Self { lines: self.lines.clone() };
        after.apply(event);
        after.view()
    }
}

impl Handle<Put> for Cart {
    const NAME: &'static str = "put";
    type Reply = CartView;

    fn handle(&self, command: Put, ctx: &mut Context<Self>) -> Result<CartView, CartError> {
        let Put { sku, quantity, unit_price } = command;
        let mut others = self.lines.iter().filter(|line| line.sku != sku);
        if others.clone().count() >= LINES_MAX {
            return Err(CartError::CartFull);
        }
        if others.any(|line| line.unit_price.currency != unit_price.currency) {
            return Err(CartError::OtherCurrency);
        }
        let line = CartLine { sku, quantity, unit_price };
        if self.lines.contains(&line) {
            return self.view();
        }
        let CartLine { sku, .. } = line;
        let put = CartEvent::LinePut { sku, quantity, unit_price };
        let view = self.after(&put)?;
        ctx.emit(put);
        Ok(view)
    }
}

impl Handle<Remove> for Cart {
    const NAME: &'static str = "remove";
    type Reply = CartView;

    fn handle(
        &self,
        Remove { sku }: Remove,
        ctx: &mut Context<Self>,
    ) -> Result<CartView, CartError> {
        if !self.lines.iter().any(|line| line.sku == sku) {
            return self.view();
        }
        let removed = CartEvent::LineRemoved { sku };
        let view = self.after(&removed)?;
        ctx.emit(removed);
        Ok(view)
    }
}

impl Handle<Clear> for Cart {
    const NAME: &'static str = "clear";
    type Reply = CartView;

    fn handle(&self, _: Clear, ctx: &mut Context<Self>) -> Result<CartView, CartError> {
        if !self.lines.is_empty() {
            ctx.emit(CartEvent::Cleared {});
        }
        Ok(CartView::default())
    }
}

impl Handle<CheckOut> for Cart {
    const NAME: &'static str = "check_out";
    type Reply = CartView;

    fn handle(&self, command: CheckOut, ctx: &mut Context<Self>) -> Result<CartView, CartError> {
        let CheckOut { order, card } = command;
        if self.lines.is_empty() {
            return Err(CartError::CartEmpty);
        }
        ctx.emit(CartEvent::CheckedOut { order, card, lines: self.lines.clone() });
        self.view()
    }
}

impl Handle<Show> for Cart {
    const NAME: &'static str = "show";
    type Reply = CartView;

    fn handle(&self, _: Show, _: &mut Context<Self>) -> Result<CartView, CartError> {
        self.view()
    }
}
