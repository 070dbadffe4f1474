//! What the index finds, and in which order.

use std::collections::BTreeSet;

use actors::inventory::{ItemCard, ItemStatus};
use serde_json::json;

use super::{
    index::{self, Finder, Writer},
    wanted::{Sort, Wanted},
};

/// A card as it would be read from a row.
fn card(sku: &str, name: &str, amount: i64) -> ItemCard {
    let card = json!({
        "sku": sku, "name": name, "description": "", "created": true,
        "price": { "amount": amount, "currency": "EUR" },
        "received": 1, "available": 1, "held": 0, "shipped": 0,
    });
    serde_json::from_value(card).expect("a card")
}

fn filled(cards: &[ItemCard]) -> (Writer, Finder) {
    let (mut writer, finder) = index::open().expect("an index");
    for card in cards {
        writer.put(card).expect("put");
    }
    writer.commit().expect("committed");
    (writer, finder)
}

fn wanted(search: &str, sort: Sort) -> Wanted {
    Wanted {
        words: actors::inventory::words(search).collect(),
        category: None,
        currency: None,
        min_price: None,
        max_price: None,
        in_stock: None,
        status: ItemStatus::Active,
        sort,
        limit: 50,
        cursor: None,
    }
}

fn found(finder: &Finder, wanted: &Wanted) -> Vec<String> {
    finder.find(wanted).expect("found").skus
}

#[test]
fn whole_words_and_names_come_before_beginnings_and_descriptions() {
    let mut described = card("D", "Shade", 1);
    described.description = "For a red lamp.".to_owned();
    let cards =
        [card("B", "Red lampion", 1), card("A", "Lamp, red", 1), described, card("C", "Table", 1)];
    let (_writer, finder) = filled(&cards);
    let by_relevance = |search| found(&finder, &wanted(search, Sort::Relevance));
    assert_eq!(by_relevance("lamp"), ["A", "B", "D"]);
    assert_eq!(by_relevance("red LAM"), ["A", "B", "D"]);
    assert_eq!(by_relevance("re la"), ["A", "B"], "too little for a description");
    assert_eq!(by_relevance("lamp blue"), [""; 0]);
    assert_eq!(by_relevance("c"), ["C"], "by the SKU");
}

#[test]
fn every_filter_narrows() {
    let mut lamp = card("A", "Lamp", 100);
    lamp.category = Some("lamps".parse().expect("one"));
    let mut sold_out = card("B", "Lamp", 200);
    sold_out.available = 0;
    let mut draft = card("C", "Lamp", 300);
    draft.status = ItemStatus::Draft;
    let (_writer, finder) = filled(&[lamp, sold_out, draft, card("D", "Lamp", 400)]);
    let of = |narrow: fn(&mut Wanted)| {
        let mut wanted = wanted("lamp", Sort::Price);
        narrow(&mut wanted);
        found(&finder, &wanted)
    };
    assert_eq!(of(|_| {}), ["A", "B", "D"]);
    assert_eq!(of(|w| w.category = "lamps".parse().ok()), ["A"]);
    assert_eq!(of(|w| w.in_stock = Some(true)), ["A", "D"]);
    assert_eq!(of(|w| w.in_stock = Some(false)), ["B"]);
    assert_eq!(of(|w| w.min_price = Some(200)), ["B", "D"]);
    assert_eq!(of(|w| w.max_price = Some(200)), ["A", "B"]);
    assert_eq!(of(|w| (w.min_price, w.max_price) = (Some(200), Some(200))), ["B"]);
    assert_eq!(of(|w| w.currency = "USD".parse().ok()), [""; 0]);
    assert_eq!(of(|w| w.status = ItemStatus::Draft), ["C"]);
}

#[test]
fn pages_show_every_item_once_in_every_order() {
    let cards: Vec<_> = (0..57)
        .map(|n| card(&format!("s-{n:02}"), &format!("Lamp {}", n % 5), i64::from(n % 7)))
        .collect();
    // In several segments, as they come about while items change.
    let (mut writer, finder) = filled(&cards[..20]);
    for part in [&cards[20..40], &cards[40..]] {
        for card in part {
            writer.put(card).expect("put");
        }
        writer.commit().expect("committed");
    }
    for sort in [Sort::Relevance, Sort::Price, Sort::PriceDown, Sort::Name, Sort::Newest] {
        let whole = found(&finder, &Wanted { limit: 100, ..wanted("lamp", sort) });
        let mut paged = Vec::new();
        let mut next = Wanted { limit: 10, ..wanted("lamp", sort) };
        loop {
            let page = finder.find(&next).expect("a page");
            paged.extend(page.skus);
            let Some(cursor) = page.next else { break };
            next.cursor = Some(cursor);
        }
        assert_eq!(paged, whole, "{sort:?}");
        assert_eq!(paged.iter().collect::<BTreeSet<_>>().len(), cards.len(), "{sort:?}");
    }
    // Among equals the order is nobody's business, as long as it stays.
    let number = |sku: &String| sku[2..].parse::<u32>().expect("a number");
    let by = |sort, rest| -> Vec<u32> {
        found(&finder, &wanted("lamp", sort)).iter().map(|sku| number(sku) % rest).collect()
    };
    assert!(by(Sort::Price, 7).is_sorted());
    assert!(by(Sort::PriceDown, 7).is_sorted_by(|one, next| one >= next));
    assert!(by(Sort::Name, 5).is_sorted());
}

#[test]
fn an_item_is_found_as_it_is_now() {
    let (mut writer, finder) = filled(&[card("A", "Lamp", 1)]);
    writer.put(&card("A", "Table", 1)).expect("put");
    assert_eq!(found(&finder, &wanted("lamp", Sort::Relevance)), ["A"], "not yet");
    writer.commit().expect("committed");
    assert_eq!(found(&finder, &wanted("lamp", Sort::Relevance)), [""; 0]);
    assert_eq!(found(&finder, &wanted("table", Sort::Relevance)), ["A"]);
}
