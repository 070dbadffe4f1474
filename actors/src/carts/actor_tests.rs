//! A cart's rules, one by one.

use bus::testing::given;

use super::{Cart, CartError, CartEvent, CartLine, CartView, CheckOut, Clear, Put, Remove, Show};
use crate::{
    inventory::ItemId,
    limits::{AMOUNT_MAX, LINES_MAX},
    money::{
        Money,
        tests::{eur, usd},
    },
    orders::OrderId,
    payments::CardToken,
    quantity::Quantity,
};

fn line(text: &str, number: u32, unit_price: Money) -> CartLine {
    let sku = ItemId::parse(text).expect("an id");
    CartLine { sku, quantity: Quantity::new(number).expect("a quantity"), unit_price }
}

fn put(text: &str, number: u32, unit_price: Money) -> Put {
    let CartLine { sku, quantity, unit_price } = line(text, number, unit_price);
    Put { sku, quantity, unit_price }
}

fn was_put(text: &str, number: u32, unit_price: Money) -> CartEvent {
    let CartLine { sku, quantity, unit_price } = line(text, number, unit_price);
    CartEvent::LinePut { sku, quantity, unit_price }
}

fn holds(lines: &[CartLine], total: i64) -> CartView {
    CartView { lines: lines.to_vec(), total: Some(eur(total)) }
}

fn check_out() -> CheckOut {
    CheckOut {
        order: OrderId::parse("o-1").expect("an id"),
        card: CardToken::parse("sim-4242").expect("a token"),
    }
}

#[test]
fn a_line_is_put_in_and_replaced() {
    given::<Cart>([])
        .when(put("A1", 2, eur(250)))
        .replies(holds(&[line("A1", 2, eur(250))], 500))
        .then([was_put("A1", 2, eur(250))]);
    let past = || [was_put("A1", 2, eur(250)), was_put("B2", 1, eur(100))];
    given::<Cart>(past())
        .when(put("A1", 3, eur(200)))
        .replies(holds(&[line("A1", 3, eur(200)), line("B2", 1, eur(100))], 700))
        .then([was_put("A1", 3, eur(200))]);
    given::<Cart>(past()).when(put("A1", 2, eur(250))).then([]);
}

#[test]
fn a_line_is_removed_and_a_cart_cleared() {
    let past = || [was_put("A1", 2, eur(250)), was_put("B2", 1, eur(100))];
    let sku = || ItemId::parse("A1").expect("an id");
    given::<Cart>(past())
        .when(Remove { sku: sku() })
        .replies(holds(&[line("B2", 1, eur(100))], 100))
        .then([CartEvent::LineRemoved { sku: sku() }]);
    given::<Cart>([]).when(Remove { sku: sku() }).replies(CartView::default()).then([]);
    given::<Cart>(past()).when(Clear {}).replies(CartView::default()).then([CartEvent::Cleared {}]);
    given::<Cart>([]).when(Clear {}).replies(CartView::default()).then([]);
}

#[test]
fn what_no_order_could_be_made_of_is_refused() {
    given::<Cart>([was_put("A1", 1, eur(1))])
        .when(put("B2", 1, usd(1)))
        .refuses(CartError::OtherCurrency);
    // Alone, it may change its currency.
    given::<Cart>([was_put("A1", 1, eur(1))]).when(put("A1", 1, usd(1))).then([was_put(
        "A1",
        1,
        usd(1),
    )]);
    given::<Cart>([]).when(put("A1", 2, eur(AMOUNT_MAX))).refuses(CartError::TotalTooLarge);
    given::<Cart>([was_put("A1", 1, eur(AMOUNT_MAX))])
        .when(put("B2", 1, eur(1)))
        .refuses(CartError::TotalTooLarge);
    let full: Vec<CartEvent> =
        (0..LINES_MAX).map(|n| was_put(&format!("S{n}"), 1, eur(1))).collect();
    given::<Cart>(full.clone()).when(put("A1", 1, eur(1))).refuses(CartError::CartFull);
    given::<Cart>(full).when(put("S1", 2, eur(1))).then([was_put("S1", 2, eur(1))]);
    assert!(CartError::CartFull.to_string().contains(&LINES_MAX.to_string()));
}

#[test]
fn a_cart_becomes_an_order_and_is_empty() {
    let CheckOut { order, card } = check_out();
    let lines = vec![line("A1", 2, eur(250))];
    let checked_out = CartEvent::CheckedOut { order, card, lines: lines.clone() };
    given::<Cart>([was_put("A1", 2, eur(250))])
        .when(check_out())
        .replies(holds(&lines, 500))
        .then([checked_out.clone()]);
    let past = || [was_put("A1", 2, eur(250)), checked_out.clone()];
    given::<Cart>(past()).when(Show {}).replies(CartView::default()).then([]);
    given::<Cart>(past()).when(check_out()).refuses(CartError::CartEmpty);
}
