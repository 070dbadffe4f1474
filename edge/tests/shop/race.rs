//! Two buyers want the last piece, again and again: one of them gets it, every time.
//!
//! `RACES` sets how often.

use actors::{
    Quantity,
    inventory::{Create, ItemId, Receive, Show},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::shop::{APPROVED, Shop};

/// How many races are under way at once.
const AT_ONCE: usize = 24;

async fn last_piece(shop: &Shop, sku: &str) -> ItemId {
    let item = ItemId::parse(sku).expect("an id");
    let create: Create = serde_json::from_value(json!({
        "name": "Thing", "price": { "amount": 1_000, "currency": "EUR" },
    }))
    .expect("a command");
    shop.bus.actor(&item).ask(create).await.expect("created");
    let quantity = Quantity::new(1).expect("a quantity");
    shop.bus.actor(&item).ask(Receive::new(quantity)).await.expect("received");
    item
}

/// How it ended for one of two buyers.
async fn buy(shop: &Shop, buyer: &str, sku: &str) -> Value {
    let order = shop.order(APPROVED, &[(sku, 1)]).token(buyer).send().await;
    order.expect(201)
}

async fn race(shop: &Shop, number: u32, buyers: &[String; 2]) -> Result<(), String> {
    let sku = format!("LAST-{number}");
    let item = last_piece(shop, &sku).await;
    let (one, other) = tokio::join!(buy(shop, &buyers[0], &sku), buy(shop, &buyers[1], &sku));
    let won = |order: &Value| order["status"] == "confirmed";
    let lost = |order: &Value| {
        let lack = &order["reason"]["lacking"]["reason"]["out_of_stock"];
        order["status"] == "cancelled" && lack["available"] == 0
    };
    if !((won(&one) && lost(&other)) || (lost(&one) && won(&other))) {
        return Err(format!("{sku}: {one} {other}"));
    }
    let stock = shop.bus.actor(&item).ask(Show {}).await.expect("shown");
    let piles = (stock.received, stock.available, stock.held, stock.shipped);
    if piles == (1, 0, 1, 0) { Ok(()) } else { Err(format!("{sku}: {piles:?}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_buyers_of_the_last_piece_one_gets_it_every_time() {
    let races = std::env::var("RACES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let shop = Shop::open().await;
    let buyers = [shop.customer(), shop.customer()];
    let all = (0..races).map(|number| race(&shop, number, &buyers));
    let wrong: Vec<String> = stream::iter(all)
        .buffer_unordered(AT_ONCE)
        .filter_map(|outcome| async { outcome.err() })
        .collect()
        .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}
