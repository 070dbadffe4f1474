//! Importing a list of items: progress, a report of the bad lines, and no duplicates.

use std::{fmt::Write, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::shop::{Answer, Shop};

const HEADER: &str = "sku,name,description,category,price,currency,quantity\n";

async fn import(shop: &Shop, key: &str, list: &str) -> Answer {
    let staff = shop.token_for("u-staff", &["staff"]);
    let mut ask = shop.ask(Method::POST, "/v1/imports").token(&staff).key(key);
    ask.0 = ask.0.header("Content-Type", "text/csv").body(list.to_owned());
    ask.send().await
}

async fn shown(shop: &Shop, id: &str) -> Value {
    let staff = shop.token_for("u-staff", &["staff"]);
    shop.get(&format!("/v1/imports/{id}")).token(&staff).send().await.expect(200)
}

/// The import when it is done, and how many different stages of it were seen on the way.
async fn until_done(shop: &Shop, id: &str) -> (Value, usize) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let (mut stages, mut last) = (0, Value::Null);
    loop {
        let now = shown(shop, id).await;
        if now["status"] == "done" {
            return (now, stages);
        }
        if now["taken"] != last {
            (stages, last) = (stages + 1, now["taken"].clone());
        }
        assert!(Instant::now() < deadline, "not done: {now}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_lines_with_a_hundred_bad_ones() {
    let shop = Shop::open().await;
    let mut list = HEADER.to_owned();
    let mut bad = Vec::new();
    for n in 0..10_000 {
        let price = if n % 100 == 42 { "cheap" } else { "4.50" };
        writeln!(list, "S-{n},Thing {n},,things,{price},EUR,{}", n % 3).expect("a string grows");
        if n % 100 == 42 {
            bad.push(n + 2);
        }
    }
    let begun = import(&shop, "k-1", &list).await;
    assert_eq!(begun.header("location").rsplit('/').next(), begun.body["id"].as_str());
    let begun = begun.expect(202);
    assert_eq!((&begun["lines"], &begun["bad"]), (&json!(10_000), &json!(100)));
    let id = begun["id"].as_str().expect("an id");
    let (done, stages) = until_done(&shop, id).await;
    assert!(stages > 3, "progress is seen: {stages} stages");
    assert_eq!((&done["taken"], &done["bad"]), (&json!(9_900), &json!(100)));
    let report = done["report"].as_array().expect("a report");
    let lines: Vec<_> = report.iter().map(|bad| bad["line"].as_u64().expect("a number")).collect();
    assert_eq!(lines, bad);
    let told = |bad: &Value| bad["message"].as_str().is_some_and(|m| m.starts_with("price: "));
    assert!(report.iter().all(told), "{report:?}");

    // The same again under the same key: the same import, and nothing comes in twice.
    assert_eq!(import(&shop, "k-1", &list).await.expect(202), done);
    for (sku, received) in [("S-0", 0), ("S-1", 1), ("S-9998", 2)] {
        let item = shop.get(&format!("/v1/items/{sku}")).send().await.expect(200);
        let seen = (&item["received"], &item["price"]["amount"], &item["category"]);
        assert_eq!(seen, (&json!(received), &json!(450), &json!("things")), "{sku}");
    }
    shop.get("/v1/items/S-42").send().await.expect_error(404, "NOT_FOUND", None);
    // Another list under the same key is a mistake.
    let other = import(&shop, "k-1", HEADER).await;
    other.expect_error(422, "KEY_REUSED", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_where_it_was_when_all_is_started_again() {
    let mut shop = Shop::open().await;
    let mut list = HEADER.to_owned();
    for n in 0..2_000 {
        writeln!(list, "S-{n},Thing {n},,,1,EUR,3").expect("a string grows");
    }
    let begun = import(&shop, "k-1", &list).await.expect(202);
    let id = begun["id"].as_str().expect("an id");
    shop.reopen().await;
    let (done, _) = until_done(&shop, id).await;
    assert_eq!((&done["taken"], &done["bad"]), (&json!(2_000), &json!(0)), "{done}");
    for n in (0..2_000).step_by(97) {
        let item = shop.get(&format!("/v1/items/S-{n}")).send().await.expect(200);
        assert_eq!(item["received"], 3, "S-{n}");
    }
}

#[tokio::test]
async fn what_is_there_already_is_brought_up_to_date() {
    let shop = Shop::open().await;
    shop.stock("A1", 100, 1).await;
    let list = format!("{HEADER}A1,Big lamp,Bright.,lamps,2.50,EUR,5\n");
    let begun = import(&shop, "k-1", &list).await.expect(202);
    until_done(&shop, begun["id"].as_str().expect("an id")).await;
    shop.until("/v1/items/A1", "received", 6).await;
    let item = shop.get("/v1/items/A1").send().await.expect(200);
    let seen = (&item["name"], &item["category"], &item["price"]["amount"]);
    assert_eq!(seen, (&json!("Big lamp"), &json!("lamps"), &json!(250)));
    // Under another key it is another delivery.
    let begun = import(&shop, "k-2", &list).await.expect(202);
    until_done(&shop, begun["id"].as_str().expect("an id")).await;
    shop.until("/v1/items/A1", "received", 11).await;
}

#[tokio::test]
async fn an_import_is_for_staff_and_of_csv() {
    let shop = Shop::open().await;
    let (staff, customer) = (shop.token_for("u-staff", &["staff"]), shop.customer());
    let csv = |ask: crate::shop::Ask, text: &'static str| {
        crate::shop::Ask(ask.0.header("Content-Type", "text/csv").body(text))
    };
    let post = || shop.ask(Method::POST, "/v1/imports");
    csv(post(), HEADER).send().await.expect_error(401, "UNAUTHORIZED", None);
    csv(post().token(&customer), HEADER).send().await.expect_error(403, "FORBIDDEN", None);
    let json = shop.post("/v1/imports", json!({})).token(&staff).send().await;
    json.expect_error(415, "UNSUPPORTED_MEDIA_TYPE", None);
    let wrong = csv(post().token(&staff), "sku,name,price,currency,colour\n").send().await;
    wrong.expect_error(400, "MALFORMED", Some("colour"));
    let gone = shop.get("/v1/imports/i-1").token(&staff).send().await;
    gone.expect_error(404, "UNKNOWN_IMPORT", None);
    let hidden = shop.get("/v1/imports/i-1").token(&customer).send().await;
    hidden.expect_error(403, "FORBIDDEN", None);
}
