//! Searching items over HTTP: what was just written is found by whoever says so.

use serde_json::{Value, json};

use crate::shop::Shop;

fn skus(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().expect("a page");
    items.iter().map(|item| item["sku"].as_str().expect("a SKU")).collect()
}

#[tokio::test]
async fn what_was_just_written_is_found_by_whoever_names_its_position() {
    let shop = Shop::open().await;
    shop.stock("A1", 100, 1).await;
    let staff = shop.token_for("u-staff", &["staff"]);
    let search = async |text: &str, after: &str| {
        let path = format!("/v1/items?{text}");
        shop.get(&path).header("Cb-After", after).send().await.expect(200)
    };
    assert_eq!(skus(&search("search=thing", "EVT_item_0@2").await), ["A1"]);
    // The index follows now: each change is found at once, however it came about.
    for n in 0..20 {
        let texts = json!({ "name": format!("Lamp{n}"), "category": "lamps" });
        let changed = shop.put("/v1/items/A1", &texts).token(&staff).send().await;
        let at = changed.header("cb-seq").to_owned();
        assert_eq!(skus(&search(&format!("search=lamp{n}"), &at).await), ["A1"], "{n}");
    }
    assert_eq!(skus(&search("search=thing", "EVT_item_0@2").await), [""; 0]);
    let price = json!({ "amount": 500, "currency": "EUR" });
    let priced = shop.put("/v1/items/A1/price", &price).token(&staff).send().await;
    let at = priced.header("cb-seq").to_owned();
    let page = search("category=lamps&min_price=500&in_stock=true", &at).await;
    assert_eq!((skus(&page), &page["items"][0]["price"]["amount"]), (vec!["A1"], &json!(500)));
    let sold = shop.order(crate::shop::APPROVED, &[("A1", 1)]).token(&shop.customer()).send();
    sold.await.expect(201);
    shop.until("/v1/items/A1", "available", 0).await;
    let shown = shop.get("/v1/items?search=lamp&in_stock=true").send().await;
    // Nobody named a position: it may take a moment.
    if shown.expect(200)["items"] != json!([]) {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let shown = shop.get("/v1/items?search=lamp&in_stock=true").send().await;
        assert_eq!(shown.expect(200)["items"], json!([]));
    }
    assert_eq!(
        shop.get("/v1/items?search=lamp").send().await.expect(200)["items"][0]["available"],
        0
    );
}

#[tokio::test]
async fn a_search_has_pages_and_drafts_are_for_staff() {
    let shop = Shop::open().await;
    for n in 0..7 {
        shop.stock(&format!("A{n}"), 100 * (n % 3), 0).await;
    }
    let staff = shop.token_for("u-staff", &["staff"]);
    let draft = json!({
        "sku": "D1", "name": "Thing to come", "status": "draft",
        "price": { "amount": 1, "currency": "EUR" },
    });
    let made = shop.post("/v1/items", draft).token(&staff).send().await;
    let at = made.header("cb-seq").to_owned();
    for sort in ["relevance", "price", "-price", "name", "newest"] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/items?search=thing&sort={sort}&limit=3{cursor}");
            let page = shop.get(&path).header("Cb-After", &at).send().await.expect(200);
            found.extend(skus(&page).into_iter().map(str::to_owned));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        found.sort();
        assert_eq!(found, ["A0", "A1", "A2", "A3", "A4", "A5", "A6"], "{sort}");
    }
    let drafts = "/v1/items?status=draft";
    assert_eq!(skus(&shop.get(drafts).token(&staff).send().await.expect(200)), ["D1"]);
    for token in [Some(shop.customer()), None] {
        let ask = shop.get(drafts);
        let ask = token.iter().fold(ask, |ask, token| ask.token(token));
        ask.send().await.expect_error(400, "INVALID", Some("status"));
    }
}

#[tokio::test]
async fn a_search_that_cannot_be_is_told_why() {
    let shop = Shop::open().await;
    shop.stock("A1", 100, 0).await;
    for (text, field) in [
        ("sort=best", "sort"),
        ("min_price=cheap", "min_price"),
        ("max_price=-1", "max_price"),
        ("in_stock=yes", "in_stock"),
        ("category=Big%20Lamps", "category"),
        ("currency=euro", "currency"),
        ("search=a&cursor=zzz", "cursor"),
        ("search=a&limit=101", "limit"),
        ("search=a&colour=red", "colour"),
    ] {
        let answer = shop.get(&format!("/v1/items?{text}")).send().await;
        answer.expect_error(400, "INVALID", Some(field));
    }
    let path = "/v1/items?search=a";
    let never = shop.get(path).header("Cb-After", "EVT_item_9@1").send().await;
    never.expect_error(400, "INVALID", Some("Cb-After"));
    let never = shop.get(path).header("Cb-After", "EVT_item_0@99999").send().await;
    never.expect_error(503, "UNAVAILABLE", None);
}

#[tokio::test]
async fn a_search_goes_on_when_the_bus_comes_back() {
    let mut shop = Shop::open().await;
    shop.stock("A1", 100, 1).await;
    assert_eq!(skus(&shop.get("/v1/items?search=thing").send().await.expect(200)), ["A1"]);
    shop.restart_nats().await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    let staff = shop.token_for("u-staff", &["staff"]);
    let at = loop {
        let texts = json!({ "name": "Lamp" });
        let changed = shop.put("/v1/items/A1", &texts).token(&staff).send().await;
        if changed.status.is_success() {
            break changed.header("cb-seq").to_owned();
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", changed.body);
    };
    loop {
        let found = shop.get("/v1/items?search=lamp").header("Cb-After", &at).send().await;
        if found.status.is_success() {
            assert_eq!(skus(&found.body), ["A1"]);
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", found.body);
    }
}
