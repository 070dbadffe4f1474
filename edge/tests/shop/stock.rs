//! Stock: adjusted with a reason, in warehouses, low or not, and on the board.

use serde_json::{Value, json};

use crate::shop::{APPROVED, Answer, Shop};

const ADJUSTMENTS: &str = "/v1/items/LAMP/adjustments";

async fn adjust(shop: &Shop, body: Value) -> Answer {
    shop.post(ADJUSTMENTS, body).token(&staff(shop)).send().await
}

fn staff(shop: &Shop) -> String {
    shop.token_for("u-staff", &["staff"])
}

/// The board, with all that `after` says in it.
async fn board(shop: &Shop, query: &str, after: &Answer) -> Value {
    let board = shop.get(&format!("/v1/stock{query}")).token(&staff(shop));
    board.header("Cb-After", after.header("cb-seq")).send().await.expect(200)
}

fn skus(board: &Value) -> Vec<&str> {
    let stock = board["stock"].as_array().expect("a page");
    stock.iter().map(|item| item["sku"].as_str().expect("a SKU")).collect()
}

/// Has pieces of the lamp held by an order that is paid: its path.
async fn hold(shop: &Shop, pieces: u32) -> String {
    let order = shop.order(APPROVED, &[("LAMP", pieces)]).token(&shop.customer());
    let order = order.header("Prefer", "wait=30").send().await;
    let path = order.header("location").to_owned();
    assert_eq!(order.expect(201)["status"], "confirmed");
    path
}

#[tokio::test]
async fn the_books_are_set_right_for_a_reason_and_never_below_what_is_reserved() {
    let shop = Shop::open().await;
    shop.stock("LAMP", 100, 5).await;
    hold(&shop, 2).await;
    let down = json!({ "by": -1, "reason": "damaged", "note": "It fell." });
    let once = |key: &'static str| {
        shop.post(ADJUSTMENTS, down.clone()).token(&staff(&shop)).key(key).send()
    };
    let item = once("once").await.expect(200);
    let piles = |item: &Value| {
        ["received", "available", "held", "written_off"]
            .map(|pile| item[pile].as_u64().expect(pile))
    };
    assert_eq!(piles(&item), [5, 2, 2, 1]);
    assert_eq!(piles(&once("once").await.expect(200)), [5, 2, 2, 1], "the same key, once");
    let up = adjust(&shop, json!({ "by": 3, "reason": "found" })).await.expect(200);
    assert_eq!(piles(&up), [8, 5, 2, 1]);

    let much = adjust(&shop, json!({ "by": -6, "reason": "counted" })).await;
    much.expect_error(409, "TOO_FEW_FREE", Some("by"));
    let message = much.body["error"]["message"].as_str().expect("a message");
    assert!(message.contains("only 5 pieces"), "{message}");

    let history = shop.get(ADJUSTMENTS).token(&staff(&shop)).send().await.expect(200);
    let told = history["adjustments"].as_array().expect("a history");
    let told: Vec<_> =
        told.iter().map(|a| (&a["by"], &a["reason"], &a["note"], &a["who"])).collect();
    let (found, damaged, who) = (json!("found"), json!("damaged"), json!("u-staff"));
    let (note, none) = (json!("It fell."), json!(""));
    let expected = [(&json!(3), &found, &none, &who), (&json!(-1), &damaged, &note, &who)];
    assert_eq!(told, expected, "the latest first, and nothing of what was refused");
}

#[tokio::test]
async fn a_bad_adjustment_is_told_where_it_is_bad() {
    let shop = Shop::open().await;
    shop.stock("LAMP", 100, 5).await;
    for (field, value) in [
        ("by", json!(0)),
        ("by", json!(1_000_001)),
        ("by", json!(1.5)),
        ("reason", json!("bored")),
        ("note", json!("x".repeat(201))),
        ("warehouse", json!("a b")),
    ] {
        let mut body = json!({ "by": 1, "reason": "found" });
        body[field] = value;
        adjust(&shop, body).await.expect_error(400, "MALFORMED", Some(field));
    }
    let none = shop.post("/v1/items/NONE/adjustments", json!({ "by": 1, "reason": "found" }));
    none.token(&staff(&shop)).send().await.expect_error(404, "UNKNOWN_ITEM", None);
}

#[tokio::test]
async fn a_change_of_the_stock_may_say_which_version_it_means() {
    let shop = Shop::open().await;
    shop.stock("LAMP", 100, 5).await;
    let seen = shop.get("/v1/items/LAMP").send().await.header("etag").to_owned();
    let more = shop.post("/v1/items/LAMP/stock", json!({ "quantity": 1 })).token(&staff(&shop));
    let more = more.header("If-Match", &seen).send().await;
    let now = more.header("etag").to_owned();
    more.expect(200);
    let adjustment = json!({ "by": -1, "reason": "lost" });
    let tries = |etag: &str| {
        let adjust = shop.post(ADJUSTMENTS, adjustment.clone());
        adjust.token(&staff(&shop)).header("If-Match", etag).send()
    };
    tries(&seen).await.expect_error(412, "VERSION_MISMATCH", Some("If-Match"));
    tries(&now).await.expect(200);
    let low = shop.put("/v1/items/LAMP/low-stock", &json!({ "below": 2 })).token(&staff(&shop));
    let low = low.header("If-Match", &now).send().await;
    low.expect_error(412, "VERSION_MISMATCH", Some("If-Match"));
}

#[tokio::test]
async fn the_board_shows_what_lies_where_and_what_is_low() {
    let shop = Shop::open().await;
    for sku in ["CUP", "LAMP", "POT"] {
        shop.stock(sku, 100, 5).await;
    }
    let north = json!({ "quantity": 4, "warehouse": "north" });
    let north = shop.post("/v1/items/LAMP/stock", north).token(&staff(&shop)).send().await;
    assert_eq!(skus(&board(&shop, "", &north).await), ["CUP", "LAMP", "POT"]);
    assert_eq!(skus(&board(&shop, "?low=true", &north).await), [""; 0]);
    let low = shop.put("/v1/items/LAMP/low-stock", &json!({ "below": 8 }));
    low.token(&staff(&shop)).send().await.expect(200);
    hold(&shop, 2).await;
    shop.until("/v1/items/LAMP", "available", 7).await;
    let page = board(&shop, "?low=true", &north).await;
    let lamp = json!({
        "sku": "LAMP", "status": "active", "on_hand": 9, "reserved": 2, "available": 7,
        "low_below": 8, "low": true, "warehouses": { "main": 5, "north": 4 },
    });
    assert_eq!(page, json!({ "stock": [lamp], "next": null }));
    assert_eq!(skus(&board(&shop, "?low=false", &north).await), ["CUP", "POT"]);

    let first = board(&shop, "?limit=2", &north).await;
    assert_eq!(skus(&first), ["CUP", "LAMP"]);
    let rest = format!("?limit=2&cursor={}", first["next"].as_str().expect("a cursor"));
    assert_eq!(skus(&board(&shop, &rest, &north).await), ["POT"]);

    let found = adjust(&shop, json!({ "by": 1, "reason": "found" })).await;
    assert_eq!(skus(&board(&shop, "?low=true", &found).await), [""; 0], "it has risen");
    for bad in ["low=maybe", "limit=0", "high=true"] {
        let field = bad.split('=').next();
        let page = shop.get(&format!("/v1/stock?{bad}")).token(&staff(&shop)).send().await;
        page.expect_error(400, "INVALID", field);
    }
}

#[tokio::test]
async fn an_order_ships_from_the_named_warehouse_or_from_where_most_lie() {
    let shop = Shop::open().await;
    shop.stock("LAMP", 100, 2).await;
    let north = json!({ "quantity": 5, "warehouse": "north" });
    shop.post("/v1/items/LAMP/stock", north).token(&staff(&shop)).send().await.expect(200);
    let order = hold(&shop, 4).await;
    let ship = async |quantity: u32, warehouse: Value, shipped: u64| {
        let portions = json!([{ "sku": "LAMP", "quantity": quantity }]);
        let body = json!({ "portions": portions, "warehouse": warehouse });
        let shipment = shop.post(&format!("{order}/shipments"), body).token(&staff(&shop));
        shipment.send().await.expect(201);
        shop.until("/v1/items/LAMP", "shipped", shipped).await;
        let board = shop.get("/v1/stock").token(&staff(&shop)).send().await.expect(200);
        board["stock"][0]["warehouses"].clone()
    };
    assert_eq!(ship(1, json!("main"), 1).await, json!({ "main": 1, "north": 5 }));
    assert_eq!(ship(1, Value::Null, 2).await, json!({ "main": 1, "north": 4 }));
    // The books have fewer there than have left: the others make up for it.
    assert_eq!(ship(2, json!("main"), 4).await, json!({ "north": 3 }));
}

#[tokio::test]
async fn an_item_is_in_no_more_than_twenty_warehouses() {
    let shop = Shop::open().await;
    shop.stock("LAMP", 100, 1).await;
    let receive = async |warehouse: String| {
        let body = json!({ "quantity": 1, "warehouse": warehouse });
        shop.post("/v1/items/LAMP/stock", body).token(&staff(&shop)).send().await
    };
    for n in 1..20 {
        receive(format!("w{n}")).await.expect(200);
    }
    let full = receive("w20".to_owned()).await;
    full.expect_error(409, "TOO_MANY_WAREHOUSES", Some("warehouse"));
    receive("w1".to_owned()).await.expect(200);
    let bad = receive("nörth".to_owned()).await;
    bad.expect_error(400, "MALFORMED", Some("warehouse"));
}

#[tokio::test]
async fn what_of_several_items_can_be_bought_is_one_answer() {
    let shop = Shop::open().await;
    shop.stock("LAMP", 100, 5).await;
    shop.stock("CUP", 100, 0).await;
    shop.stock("POT", 100, 3).await;
    let price = json!({ "amount": 1, "currency": "EUR" });
    let draft = json!({ "sku": "PAN", "name": "Pan", "price": price, "status": "draft" });
    let draft = shop.post("/v1/items", draft).token(&staff(&shop)).send().await;
    draft.expect(201);
    let retired = shop.post("/v1/items/POT/retirement", json!({})).token(&staff(&shop));
    retired.send().await.expect(200);
    // Asked for by an order, and never created.
    let order = shop.order(APPROVED, &[("GHOST", 1)]).token(&shop.customer()).send().await;
    order.expect_error(422, "UNKNOWN_SKU", Some("lines[0].sku"));
    // What was just written is in it.
    let last = adjust(&shop, json!({ "by": 2, "reason": "found" })).await;
    let ask = shop.get("/v1/availability?skus=POT,LAMP,GHOST,CUP,PAN,lamp");
    let told = ask.header("Cb-After", last.header("cb-seq")).send().await.expect(200);
    let one = |sku: &str, is: &str, available: u64| json!({ "sku": sku, "is": is, "available": available });
    let items = json!([
        one("POT", "not_for_sale", 0),
        one("LAMP", "for_sale", 7),
        one("GHOST", "unknown", 0),
        one("CUP", "for_sale", 0),
        one("PAN", "unknown", 0),
        one("lamp", "unknown", 0),
    ]);
    assert_eq!(told, json!({ "items": items }));
}

#[tokio::test]
async fn the_availability_of_so_many_items_is_asked_for_and_no_more() {
    let shop = Shop::open().await;
    shop.stock("a-99", 100, 1).await;
    let skus = |count: u32| {
        let skus: Vec<String> = (0..count).map(|n| format!("a-{n}")).collect();
        format!("?skus={}", skus.join(","))
    };
    let ask = async |query: &str| shop.get(&format!("/v1/availability{query}")).send().await;
    let told = ask(&skus(100)).await.expect(200);
    assert_eq!(told["items"].as_array().map(Vec::len), Some(100));
    assert_eq!(told["items"][99], json!({ "sku": "a-99", "is": "for_sale", "available": 1 }));
    for bad in ["", "?skus=", "?skus=A,,B", "?skus=A,A", "?skus=a.b", &skus(101)] {
        ask(bad).await.expect_error(400, "INVALID", Some("skus"));
    }
    ask("?skus=A&sort=sku").await.expect_error(400, "INVALID", Some("sort"));
    let never = shop.get("/v1/availability?skus=A").header("Cb-After", "EVT_item_0@99999");
    never.send().await.expect_error(503, "UNAVAILABLE", None);
}
