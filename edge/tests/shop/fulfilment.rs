//! What happens to an order after its checkout, as buyers and staff see it.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::shop::{APPROVED, Answer, Shop};

/// A paid order of three A1, its buyer, and staff.
struct Sold {
    shop: Shop,
    order: String,
    buyer: String,
    staff: String,
}

impl Sold {
    async fn open() -> Self {
        let shop = Shop::open().await;
        shop.stock("A1", 1_000, 5).await;
        let (buyer, staff) = (shop.customer(), shop.token_for("u-staff", &["staff"]));
        let order = shop.order(APPROVED, &[("A1", 3)]).token(&buyer).send().await;
        let order = order.header("location").to_owned();
        Self { shop, order, buyer, staff }
    }

    async fn by(&self, token: &str, step: &str, body: &Value) -> Answer {
        let path = format!("{}/{step}", self.order);
        let mut ask = self.shop.ask(Method::POST, &path).token(token);
        if !body.is_null() {
            ask.0 = ask.0.json(body);
        }
        ask.send().await
    }

    async fn staff(&self, step: &str, body: &Value) -> Answer {
        self.by(&self.staff, step, body).await
    }

    async fn buyer(&self, step: &str, body: &Value) -> Answer {
        self.by(&self.buyer, step, body).await
    }

    /// The orders on the staff's board.
    async fn board(&self, column: &str) -> Vec<String> {
        let path = format!("/v1/board/orders?column={column}");
        let page = self.shop.get(&path).token(&self.staff).send().await.expect(200);
        let orders = page["orders"].as_array().expect("a page").iter();
        orders.map(|order| format!("/v1/orders/{}", order["id"].as_str().expect("one"))).collect()
    }

    /// Whether the order is there, and no other.
    async fn is_only_on(&self, column: &str) -> bool {
        self.board(column).await == std::slice::from_ref(&self.order)
    }

    async fn piles_become(&self, available: u64, held: u64, shipped: u64, written_off: u64) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let item = self.shop.get("/v1/items/A1").send().await.expect(200);
            let piles = ["available", "held", "shipped", "written_off"].map(|pile| &item[pile]);
            if piles == [available, held, shipped, written_off] {
                return;
            }
            assert!(Instant::now() < deadline, "{item}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What of the payment has gone back.
    async fn refunded_becomes(&self, amount: i64) {
        let payment = actors::payments::PaymentId::parse(&self.order["/v1/orders/".len()..]);
        let payment = payment.expect("an id");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let show = actors::payments::Show {};
            let view = self.shop.bus.actor(&payment).ask(show).await.expect("shown");
            if view.refunded.amount == amount {
                return;
            }
            assert!(Instant::now() < deadline, "{view:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn of(quantity: u32) -> Value {
    json!({ "portions": [{ "sku": "A1", "quantity": quantity }] })
}

fn back(quantity: u32) -> Value {
    let mut body = of(quantity);
    body["reason"] = json!("it came broken");
    body
}

#[tokio::test]
async fn an_order_goes_out_in_parts_and_comes_back_in_parts() {
    let sold = Sold::open().await;
    assert!(sold.is_only_on("to_ship").await);
    sold.staff("shipments", &of(4)).await.expect_error(409, "TOO_MANY", Some("portions"));
    let mut parcel = of(2);
    parcel["parcel"] = json!({ "carrier": "Post", "tracking": "RR1" });
    let shown = sold.staff("shipments", &parcel).await.expect(201);
    assert_eq!(shown["progress"], "partly_shipped");
    assert_eq!(shown["shipments"][0]["parcel"]["tracking"], "RR1");
    sold.piles_become(2, 1, 2, 0).await;
    sold.buyer("returns", &back(1)).await.expect_error(409, "TOO_MANY", Some("portions"));
    sold.staff("shipments/1/delivery", &Value::Null).await.expect(200);
    sold.buyer("cancellation", &Value::Null).await.expect_error(409, "ALREADY_SHIPPED", None);
    let shown = sold.buyer("returns", &back(2)).await.expect(201);
    assert_eq!(shown["returns"][0]["status"], "requested");
    assert!(sold.is_only_on("return_requested").await);
    sold.buyer("returns", &back(1)).await.expect_error(409, "TOO_MANY", Some("portions"));
    let accepted = sold.staff("returns/1/acceptance", &json!({ "sellable": false })).await;
    assert_eq!(accepted.expect(200)["refund"], json!({ "amount": 2_000, "currency": "EUR" }));
    sold.refunded_becomes(2_000).await;
    sold.piles_become(2, 1, 0, 2).await;
    let again = sold.staff("returns/1/rejection", &json!({ "reason": "used" })).await;
    again.expect_error(409, "ALREADY_DECIDED", None);
    sold.staff("shipments", &of(1)).await.expect(201);
    let shown = sold.staff("shipments/2/delivery", &Value::Null).await.expect(200);
    assert_eq!(shown["progress"], "delivered");
    assert!(sold.is_only_on("delivered").await);
    sold.staff("shipments/3/delivery", &Value::Null).await.expect_error(
        404,
        "NO_SUCH_SHIPMENT",
        None,
    );
}

#[tokio::test]
async fn a_paid_order_that_is_called_off_gives_everything_back() {
    let sold = Sold::open().await;
    let other = sold.shop.customer();
    sold.by(&other, "cancellation", &Value::Null).await.expect_error(404, "UNPLACED", None);
    let shown = sold.buyer("cancellation", &Value::Null).await.expect(200);
    assert_eq!(shown["status"], "revoked");
    sold.piles_become(5, 0, 0, 0).await;
    sold.refunded_becomes(3_000).await;
    let again = sold.buyer("cancellation", &Value::Null).await.expect(200);
    assert_eq!(again["status"], "revoked");
    sold.staff("shipments", &of(1)).await.expect_error(409, "NOT_PAID", None);
    assert!(sold.is_only_on("cancelled").await);
    sold.refunded_becomes(3_000).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_step_is_named() {
    let sold = Sold::open().await;
    let nothing = json!({ "portions": [] });
    sold.staff("shipments", &nothing).await.expect_error(400, "EMPTY", Some("portions"));
    let none = json!({ "portions": [{ "sku": "A1", "quantity": 0 }] });
    let field = Some("portions[0].quantity");
    sold.staff("shipments", &none).await.expect_error(400, "MALFORMED", field);
    let path = "shipments/x/delivery";
    sold.staff(path, &Value::Null).await.expect_error(400, "INVALID", Some("number"));
    let mut reason = back(1);
    reason["reason"] = json!("");
    sold.buyer("returns", &reason).await.expect_error(400, "MALFORMED", Some("reason"));
    let board = sold.shop.get("/v1/board/orders?column=lost").token(&sold.staff).send().await;
    board.expect_error(400, "INVALID", Some("column"));
}

#[tokio::test]
async fn another_price_than_was_shown_cancels() {
    let shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let buyer = shop.customer();
    let order = |amount| {
        let price = json!({ "amount": amount, "currency": "EUR" });
        let lines = json!([{ "sku": "A1", "quantity": 1, "expected_price": price }]);
        let order = json!({ "currency": "EUR", "card": APPROVED, "lines": lines });
        shop.post("/v1/orders", order).token(&buyer).header("Prefer", "wait=30")
    };
    assert_eq!(order(1_000).send().await.expect(201)["status"], "confirmed");
    let cancelled = order(900).send().await.expect(201);
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["reason"]["price_changed"]["unit_price"]["amount"], 1_000);
}
