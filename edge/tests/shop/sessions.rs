//! Sessions: going on, ending here and everywhere, and what a copied token is worth.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::shop::{Answer, Shop};

const ANN: &str = "ann@example.org";
const PASSWORD: &str = "correct horse";

pub(crate) async fn register(shop: &Shop, email: &str) -> Value {
    let body = json!({ "email": email, "name": "Ann Lee", "password": PASSWORD });
    shop.post("/v1/users", body).send().await.expect(201)
}

pub(crate) async fn try_log_in(shop: &Shop, email: &str, password: &str) -> Answer {
    shop.post("/v1/sessions", json!({ "email": email, "password": password })).send().await
}

pub(crate) async fn log_in(shop: &Shop, email: &str) -> Value {
    try_log_in(shop, email, PASSWORD).await.expect(201)
}

async fn refresh(shop: &Shop, session: &Value) -> Answer {
    let body = json!({ "refresh_token": session["refresh_token"] });
    shop.post("/v1/sessions/refresh", body).send().await
}

pub(crate) fn token(session: &Value) -> &str {
    session["token"].as_str().expect("a token")
}

async fn me(shop: &Shop, session: &Value) -> Answer {
    shop.get("/v1/users/me").token(token(session)).send().await
}

#[tokio::test]
async fn a_session_goes_on_and_a_retry_gets_the_same_successor() {
    let shop = Shop::open().await;
    register(&shop, ANN).await;
    let first = log_in(&shop, ANN).await;
    let second = refresh(&shop, &first).await.expect(200);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_eq!(second["session"], first["session"]);
    let again = refresh(&shop, &first).await.expect(200);
    assert_eq!(again["refresh_token"], second["refresh_token"], "its answer may have been lost");
    me(&shop, &second).await.expect(200);
    let third = refresh(&shop, &second).await.expect(200);
    me(&shop, &third).await.expect(200);
}

#[tokio::test]
async fn a_refresh_token_used_again_closes_the_whole_session() {
    let shop = Shop::open().await;
    register(&shop, ANN).await;
    let first = log_in(&shop, ANN).await;
    let second = refresh(&shop, &first).await.expect(200);
    let third = refresh(&shop, &second).await.expect(200);
    // Two steps back is no retry, however soon.
    refresh(&shop, &first).await.expect_error(401, "UNAUTHORIZED", None);
    refresh(&shop, &third).await.expect_error(401, "UNAUTHORIZED", None);
    me(&shop, &third).await.expect_error(401, "UNAUTHORIZED", None);
    me(&shop, &log_in(&shop, ANN).await).await.expect(200);
}

#[tokio::test]
async fn logging_out_here_there_and_everywhere() {
    let shop = Shop::open().await;
    register(&shop, ANN).await;
    let (here, there, third) =
        (log_in(&shop, ANN).await, log_in(&shop, ANN).await, log_in(&shop, ANN).await);
    let listed = shop.get("/v1/sessions").token(token(&here)).send().await.expect(200);
    let listed = listed["sessions"].as_array().expect("a list").clone();
    assert_eq!(listed.len(), 3);
    let current: Vec<_> = listed.iter().filter(|one| one["is_current"] == true).collect();
    assert_eq!((current.len(), &current[0]["id"]), (1, &here["session"]));

    let path = format!("/v1/sessions/{}", there["session"].as_str().expect("an id"));
    assert_eq!(shop.delete(&path).token(token(&here)).send().await.status, 204);
    me(&shop, &there).await.expect_error(401, "UNAUTHORIZED", None);
    refresh(&shop, &there).await.expect_error(401, "UNAUTHORIZED", None);
    me(&shop, &here).await.expect(200);

    let current = shop.delete("/v1/sessions/current").token(token(&here)).send().await;
    assert_eq!(current.status, 204);
    me(&shop, &here).await.expect_error(401, "UNAUTHORIZED", None);
    me(&shop, &third).await.expect(200);
    let fourth = log_in(&shop, ANN).await;
    assert_eq!(shop.delete("/v1/sessions").token(token(&third)).send().await.status, 204);
    for gone in [&third, &fourth] {
        me(&shop, gone).await.expect_error(401, "UNAUTHORIZED", None);
    }
}

#[tokio::test]
async fn nobody_closes_another_s_session() {
    let shop = Shop::open().await;
    register(&shop, ANN).await;
    register(&shop, "bob@example.org").await;
    let (ann, bob) = (log_in(&shop, ANN).await, log_in(&shop, "bob@example.org").await);
    let path = format!("/v1/sessions/{}", ann["session"].as_str().expect("an id"));
    assert_eq!(shop.delete(&path).token(token(&bob)).send().await.status, 204);
    refresh(&shop, &ann).await.expect(200);
}

#[tokio::test]
async fn one_log_in_under_one_key_is_one_session() {
    let shop = Shop::open().await;
    register(&shop, ANN).await;
    let body = json!({ "email": ANN, "password": PASSWORD });
    let ask = || shop.post("/v1/sessions", body.clone()).key("k-1").send();
    let (first, second) = (ask().await.expect(201), ask().await.expect(201));
    assert_eq!(first["session"], second["session"]);
}

#[tokio::test]
async fn garbage_is_no_refresh_token() {
    let shop = Shop::open().await;
    register(&shop, ANN).await;
    let good = log_in(&shop, ANN).await["refresh_token"].as_str().expect("a token").to_owned();
    for bad in ["", "....", "u-1.s-1.0.AAAA", &good[..good.len() - 3], &format!("{good}AA")] {
        let answer = refresh(&shop, &json!({ "refresh_token": bad })).await;
        answer.expect_error(401, "UNAUTHORIZED", None);
    }
}

#[tokio::test]
async fn while_nobody_can_say_a_token_counts_as_what_it_says() {
    let mut shop = Shop::open().await;
    register(&shop, ANN).await;
    let session = log_in(&shop, ANN).await;
    shop.lose_nats();
    for _ in 0..2 {
        assert_ne!(me(&shop, &session).await.status, 401);
    }
}

#[tokio::test]
async fn guesses_are_slowed_and_their_victim_is_not_locked_out() {
    let shop = Shop::open().await;
    register(&shop, ANN).await;
    let mut slowed = 0;
    for _ in 0..100 {
        let answer = try_log_in(&shop, ANN, "battery staple").await;
        if answer.status == 429 {
            answer.expect_error(429, "THROTTLED", None);
            slowed += 1;
        } else {
            answer.expect_error(401, "BAD_CREDENTIALS", None);
        }
    }
    assert!(slowed >= 90, "{slowed} of 100 were slowed");
    // Even from the guesser's own address the wait is short.
    let answer = try_log_in(&shop, ANN, PASSWORD).await;
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait} s");
    sleep(Duration::from_secs(wait)).await;
    log_in(&shop, ANN).await;
    log_in(&shop, ANN).await;
}
