//! Reading one's own writes over HTTP: `Cb-Seq` out, `Cb-After` in.

use actors::{
    Quantity,
    inventory::{Item, ItemId, Reserve},
    orders::OrderId,
};
use serde_json::json;

use crate::shop::{APPROVED, Shop};

#[tokio::test]
async fn what_was_written_is_read_by_whoever_names_its_position() {
    let shop = Shop::open().await;
    let staff = shop.token_for("u-staff", &["staff"]);
    let item = json!({
        "sku": "A1", "name": "Lamp", "price": { "amount": 100, "currency": "EUR" }
    });
    let created = shop.post("/v1/items", item).token(&staff).send().await;
    assert_eq!((created.status.as_u16(), created.header("cb-seq")), (201, "EVT_item_0@1"));
    let stock = json!({ "quantity": 5 });
    let stocked = shop.post("/v1/items/A1/stock", stock).token(&staff).send().await;
    assert_eq!(stocked.header("cb-seq"), "EVT_item_0@2");
    let customer = shop.customer();
    let order = shop.order(APPROVED, &[("A1", 1)]).token(&customer).send().await;
    let (placed, path) = (order.header("cb-seq").to_owned(), order.header("location").to_owned());
    let sequence: u64 = placed.strip_prefix("EVT_order_0@").expect("of orders").parse().expect("n");
    assert!(sequence > 1, "a settled order is further than its first commit: {placed}");
    let jar = format!("EVT_item_0@2, {placed}");
    for path in [path.as_str(), "/v1/orders", "/v1/items", "/v1/items/A1"] {
        let read = shop.get(path).header("Cb-After", &jar).token(&customer).send().await;
        assert_eq!(read.status.as_u16(), 200, "{path}: {}", read.body);
    }
    let read = shop.get(&path).header("Cb-After", &placed).token(&customer).send().await;
    assert_eq!(read.expect(200), order.expect(201));
}

#[tokio::test]
async fn a_bad_position_is_named() {
    let shop = Shop::open().await;
    shop.stock("A1", 100, 0).await;
    for bad in ["", "soon", "EVT_item_0", "EVT_item_0@-1", "DO@1", "EVT_item_0@1,,", "EVT_item_9@1"]
    {
        for path in ["/v1/items", "/v1/items/A1"] {
            let read = shop.get(path).header("Cb-After", bad).send().await;
            read.expect_error(400, "INVALID", Some("Cb-After"));
        }
    }
    let many = vec!["EVT_item_0@1"; 17].join(",");
    let read = shop.get("/v1/items").header("Cb-After", &many).send().await;
    read.expect_error(400, "INVALID", Some("Cb-After"));
}

#[tokio::test]
async fn a_position_that_never_comes_is_not_waited_for_without_end() {
    let shop = Shop::open().await;
    shop.stock("A1", 100, 0).await;
    let read = shop.get("/v1/items/A1").header("Cb-After", "EVT_item_0@99999").send().await;
    read.expect_error(503, "UNAVAILABLE", None);
    assert_eq!(read.header("retry-after"), "1");
}

#[tokio::test]
async fn a_page_of_items_is_as_long_as_it_can_be() {
    let shop = Shop::open().await;
    // Asked for, and never created: there are no such items, and they take no place.
    for n in 0..5 {
        let sku = ItemId::parse(&format!("a-{n}")).expect("an id");
        let reserve = Reserve {
            order: OrderId::parse("o-1").expect("an id"),
            quantity: Quantity::new(1).expect("a quantity"),
            currency: "EUR".parse().expect("a currency"),
        };
        let asked = shop.bus.actor::<Item>(&sku).ask(reserve);
        drop(asked.await);
    }
    for sku in ["b-1", "b-2", "b-3"] {
        shop.stock(sku, 100, 0).await;
    }
    let page = shop.get("/v1/items?limit=2").send().await.expect(200);
    assert_eq!(page["items"].as_array().expect("a page").len(), 2);
    let next = page["next"].as_str().expect("one more").to_owned();
    let page = shop.get(&format!("/v1/items?limit=2&cursor={next}")).send().await.expect(200);
    assert_eq!(page["items"].as_array().expect("a page").len(), 1);
    assert!(page["next"].is_null());
}
