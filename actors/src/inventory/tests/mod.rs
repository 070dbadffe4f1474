//! An item's rules, one by one, and its invariant under any sequence of commands.

mod holding;
mod keeping;
mod life;
mod listing;

use bus::Timestamp;

use super::{Create, ItemEvent, LackReason, Lapse, Receive, Reservation, Reserve, Ship, TakeBack};
use crate::{money::tests::eur, orders::OrderId, quantity::Quantity, warehouse::WarehouseId};

pub(super) const NOW: Timestamp = Timestamp::from_millis(5_000);

pub(super) fn pieces(number: u32) -> Quantity {
    Quantity::new(number).expect("a quantity")
}

pub(super) fn order(id: &str) -> OrderId {
    OrderId::parse(id).expect("an id")
}

pub(super) fn create() -> Create {
    Create { description: "Red.".to_owned(), ..Create::new("Lamp".to_owned(), eur(250)) }
}

pub(super) fn created() -> ItemEvent {
    created_by(create())
}

pub(super) fn created_by(command: Create) -> ItemEvent {
    let Create { name, description, price, category, attributes, pictures, status } = command;
    let at = Some(NOW);
    ItemEvent::Created { name, description, price, category, attributes, pictures, status, at }
}

/// What creating an item of this name leaves.
pub(in crate::inventory) fn created_as(name: &str) -> ItemEvent {
    created_by(Create { name: name.to_owned(), description: String::new(), ..create() })
}

pub(in crate::inventory) fn received(number: u32) -> ItemEvent {
    ItemEvent::Received { quantity: pieces(number), warehouse: WarehouseId::MAIN }
}

pub(super) fn reserved(id: &str, number: u32) -> ItemEvent {
    ItemEvent::Reserved { order: order(id), quantity: pieces(number), unit_price: eur(250) }
}

pub(super) fn lacked(id: &str, number: u32, reason: LackReason) -> ItemEvent {
    ItemEvent::Lacked { order: order(id), quantity: pieces(number), reason }
}

pub(super) fn released(id: &str, number: u32) -> ItemEvent {
    ItemEvent::Released { order: order(id), quantity: pieces(number) }
}

pub(in crate::inventory) fn shipped(id: &str, number: u32) -> ItemEvent {
    ItemEvent::Shipped { order: order(id), quantity: pieces(number), from: [].into() }
}

pub(super) fn ship(id: &str) -> Ship {
    Ship { order: order(id), quantity: None, warehouse: None }
}

pub(super) fn ship_some(id: &str, number: u32) -> Ship {
    Ship { order: order(id), quantity: Some(pieces(number)), warehouse: None }
}

pub(super) fn take_back(id: &str, number: u32, quantity: u32, sellable: bool) -> TakeBack {
    TakeBack { order: order(id), quantity: pieces(quantity), number, sellable }
}

pub(super) fn taken_back(id: &str, number: u32, quantity: u32, sellable: bool) -> ItemEvent {
    ItemEvent::TakenBack { order: order(id), quantity: pieces(quantity), number, sellable }
}

pub(super) fn taken(id: &str) -> ItemEvent {
    ItemEvent::Taken { order: order(id) }
}

pub(super) fn lapse(id: &str) -> Lapse {
    Lapse { order: order(id) }
}

pub(super) fn reserve(id: &str, number: u32) -> Reserve {
    Reserve { order: order(id), quantity: pieces(number), currency: eur(0).currency }
}

pub(super) fn held(number: u32) -> Reservation {
    Reservation::Held { quantity: pieces(number), unit_price: eur(250) }
}

pub(super) fn receive(number: u32) -> Receive {
    Receive::new(pieces(number))
}
