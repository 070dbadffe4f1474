//! The rows are only a copy: without them, and after a restart, every GET says the same.

use crate::shop::{APPROVED, Answer, DECLINED, Shop, delete};

async fn seen(shop: &Shop, token: &str, order: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    for path in [
        "/v1/items",
        "/v1/items?search=thing&limit=1",
        "/v1/items/A1",
        "/v1/items/B1",
        "/v1/items/NONE",
        "/v1/orders",
        "/v1/orders?limit=1",
        order,
    ] {
        let mut answer = shop.get(path).token(token).send().await;
        answer.headers.clear();
        answers.push(answer);
    }
    answers
}

#[tokio::test]
async fn rows_that_were_deleted_come_back_the_same() {
    let mut shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    shop.stock("B1", 250, 1).await;
    let customer = shop.customer();
    let order = shop.order(APPROVED, &[("A1", 2), ("B1", 1)]).token(&customer).send().await;
    let order = order.header("location").to_owned();
    shop.order(DECLINED, &[("A1", 1)]).token(&customer).send().await.expect(201);
    shop.until("/v1/items/A1", "available", 3).await;
    let before = seen(&shop, &customer, &order).await;

    shop.close().await;
    delete(&shop.rows());
    shop.reopen().await;
    assert_eq!(seen(&shop, &customer, &order).await, before);
}
