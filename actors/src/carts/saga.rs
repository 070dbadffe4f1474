//! From a cart to its order.
//!
//! | when               | then          | undo, if a later step fails |
//! |--------------------|---------------|-----------------------------|
//! | `cart.checked_out` | `order.place` | –                           |
//!
//! The order is held to the prices that its buyer was shown; what then becomes of it, the checkout
//! decides.

use bus::{Recorded, Then};

use super::{Cart, CartEvent, CartLine};
use crate::{
    orders::{OrderLine, Place},
    users::UserId,
};

/// Places the order that a cart became.
pub(crate) fn on_cart(cart: &Recorded<Cart>, then: &mut Then) {
    let CartEvent::CheckedOut { order, card, lines } = &cart.event else { return };
    let Some(first) = lines.first() else { return };
    let buyer =
        UserId::parse(cart.id.as_str()).expect("a cart's id is a token, and so is a user's");
    let line = |CartLine { sku, quantity, unit_price }: &CartLine| OrderLine {
        sku: sku.clone(),
        quantity: *quantity,
        expected_price: Some(*unit_price),
    };
    let lines = lines.iter().map(line).collect();
    let (currency, card) = (first.unit_price.currency, card.clone());
    then.ask(order, &Place { buyer, currency, card, lines });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::ItemId, money::tests::eur, orders::OrderId, payments::CardToken,
        quantity::Quantity, recorded::asked_by,
    };

    #[test]
    fn a_cart_that_is_checked_out_becomes_its_order() {
        let sku = ItemId::parse("A1").expect("an id");
        let quantity = Quantity::new(2).expect("a quantity");
        let checked_out = CartEvent::CheckedOut {
            order: OrderId::parse("o-1").expect("an id"),
            card: CardToken::parse("sim-4242").expect("a token"),
            lines: vec![CartLine { sku: sku.clone(), quantity, unit_price: eur(250) }],
        };
        assert_eq!(asked_by(on_cart, "u-1", checked_out), ["order/o-1/place"]);
        for event in [CartEvent::LineRemoved { sku }, CartEvent::Cleared {}] {
            assert_eq!(asked_by(on_cart, "u-1", event), [""; 0]);
        }
    }
}
