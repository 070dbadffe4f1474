//! What an item is listed as.

use std::collections::BTreeMap;

use bus::testing::given;

use super::*;
use crate::{
    inventory::{
        Activate, Describe, Item, ItemError, ItemId, ItemStatus, Priced, Retire, SetPrice, Show,
        ShowPrices, StockCard,
    },
    limits::PRICES_MAX,
};

#[test]
fn an_item_is_created_once() {
    given::<Item>([]).at(NOW).when(create()).replies(()).then([created()]);
    given::<Item>([created()]).when(create()).refuses(ItemError::AlreadyCreated);
}

#[test]
fn a_name_or_description_that_cannot_be_shown_is_malformed() {
    let named = |name: &str| Create { name: name.to_owned(), ..create() };
    for bad in ["", " ", "a\u{7}b", &"x".repeat(201)] {
        given::<Item>([]).when(named(bad)).is_malformed("a name has 1 to 200");
    }
    let described = |description: &str| Create { description: description.to_owned(), ..create() };
    for bad in ["a\u{0}b", &"x".repeat(5_001)] {
        given::<Item>([]).when(described(bad)).is_malformed("a description has at most");
    }
    let created = created_by(described("Two\nlines."));
    given::<Item>([]).at(NOW).when(described("Two\nlines.")).replies(()).then([created]);
    given::<Item>([]).when(Create { price: eur(-1), ..create() }).is_malformed("an amount is 0");
}

#[test]
fn what_an_item_is_called_and_costs_changes() {
    let Create { name, description, category, attributes, pictures, .. } = create();
    let same = Describe { name, description, category, attributes, pictures };
    given::<Item>([created()]).when(same.clone()).replies(()).then([]);
    let other = Describe {
        category: Some("lamps".parse().expect("a category")),
        attributes: [("colour".to_owned(), "red".to_owned())].into(),
        pictures: vec!["https://a.example/lamp.jpg".to_owned()],
        ..same
    };
    let Describe { name, description, category, attributes, pictures } = other.clone();
    let described = ItemEvent::Described { name, description, category, attributes, pictures };
    given::<Item>([created()]).when(other.clone()).replies(()).then([described]);
    given::<Item>([]).when(other.clone()).refuses(ItemError::UnknownItem);
    let bad = Describe { pictures: vec!["http://a.example/".to_owned()], ..other.clone() };
    given::<Item>([created()]).when(bad).is_malformed("https URL");
    let bad = Describe { attributes: [("a".to_owned(), String::new())].into(), ..other };
    given::<Item>([created()]).when(bad).is_malformed("attributes");

    given::<Item>([created()]).when(SetPrice { price: eur(250) }).replies(()).then([]);
    given::<Item>([created()])
        .at(NOW)
        .when(SetPrice { price: eur(300) })
        .replies(())
        .then([ItemEvent::Priced { price: eur(300), at: NOW }]);
    given::<Item>([]).when(SetPrice { price: eur(1) }).refuses(ItemError::UnknownItem);
}

#[test]
fn an_item_remembers_its_latest_prices_and_orders_pay_the_last() {
    let priced = |amount| ItemEvent::Priced { price: eur(amount), at: NOW };
    let price = |amount| Priced { price: eur(amount), since: Some(NOW) };
    given::<Item>([created(), priced(300)])
        .when(ShowPrices {})
        .replies(vec![price(300), price(250)])
        .then([]);
    let past = [created(), received(5), priced(300)];
    given::<Item>(past).when(reserve("o-1", 1)).then([ItemEvent::Reserved {
        order: order("o-1"),
        quantity: pieces(1),
        unit_price: eur(300),
    }]);
    let count = i64::try_from(PRICES_MAX).expect("few");
    let latest = (0..count).rev().map(|n| price(1_000 + n)).collect();
    given::<Item>([created()].into_iter().chain((0..count).map(|n| priced(1_000 + n))))
        .when(ShowPrices {})
        .replies(latest)
        .then([]);
}

#[test]
fn only_an_active_item_is_sold() {
    let draft = created_by(Create { status: ItemStatus::Draft, ..create() });
    given::<Item>([draft.clone(), received(5)]).when(reserve("o-1", 1)).then([lacked(
        "o-1",
        1,
        LackReason::UnknownItem,
    )]);
    let active = [draft.clone(), received(5), ItemEvent::Activated {}];
    given::<Item>(active.clone()).when(reserve("o-1", 1)).then([reserved("o-1", 1)]);
    given::<Item>(active).when(Activate {}).replies(()).then([]);
    given::<Item>([draft]).when(Activate {}).replies(()).then([ItemEvent::Activated {}]);

    given::<Item>([created()]).when(Retire {}).replies(()).then([ItemEvent::Retired {}]);
    let retired = [created(), received(5), reserved("o-1", 2), ItemEvent::Retired {}];
    given::<Item>(retired.clone()).when(reserve("o-2", 1)).then([lacked(
        "o-2",
        1,
        LackReason::Retired,
    )]);
    given::<Item>(retired.clone()).when(Retire {}).replies(()).then([]);
    given::<Item>(retired.clone()).when(ship("o-1")).then([shipped("o-1", 2)]);
    given::<Item>(retired).when(Activate {}).replies(()).then([ItemEvent::Activated {}]);
    given::<Item>([]).when(Retire {}).refuses(ItemError::UnknownItem);
}

#[test]
fn an_item_shows_what_it_is() {
    let card = StockCard {
        sku: ItemId::parse("A1").expect("an id"),
        name: "Lamp".to_owned(),
        description: "Red.".to_owned(),
        price: eur(250),
        category: None,
        attributes: BTreeMap::new(),
        pictures: Vec::new(),
        status: ItemStatus::Active,
        received: 5,
        available: 3,
        held: 2,
        shipped: 0,
        written_off: 0,
    };
    let past = [created(), received(5), reserved("o-1", 2)];
    given::<Item>(past).id("A1").when(Show {}).replies(card).then([]);
    given::<Item>([lacked("o-1", 1, LackReason::UnknownItem)])
        .when(Show {})
        .refuses(ItemError::UnknownItem);
}
