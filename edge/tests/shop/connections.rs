//! Connections, health, and what surrounds every answer.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::shop::{APPROVED, Shop};

async fn connect(shop: &Shop) -> TcpStream {
    TcpStream::connect(shop.url.trim_start_matches("http://")).await.expect("connected")
}

#[tokio::test]
async fn a_client_that_dawdles_with_its_header_is_cut_off() {
    let shop = Shop::open().await;
    let mut slow = connect(&shop).await;
    let begun = Instant::now();
    let mut sent = "GET /healthz HTTP/1.1\r\nHost: shop\r\nX-Slow: ".bytes().cycle();
    let closed = loop {
        let byte = sent.next().expect("endless");
        let byte = if byte == b'\r' || byte == b'\n' { b'x' } else { byte };
        let mut answer = [0; 512];
        if slow.write_all(&[byte]).await.is_err() {
            break true;
        }
        match timeout(Duration::from_millis(200), slow.read(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(_)) | Err(_) if begun.elapsed() > Duration::from_secs(15) => break false,
            Ok(Ok(_)) | Err(_) => {}
        }
    };
    assert!(closed, "still open after {:?}", begun.elapsed());
}

#[tokio::test]
async fn who_sends_far_too_much_still_gets_to_read_why_not() {
    let shop = Shop::open().await;
    let mut stream = connect(&shop).await;
    let head = "POST /v1/sessions HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n\
                Connection: close\r\nContent-Length: 2097152\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    for _ in 0..32 {
        stream.write_all(&[b' '; 64 * 1024]).await.expect("taken");
        sleep(Duration::from_millis(5)).await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer, and no reset connection");
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_request_that_was_begun_is_answered_while_the_edge_stops() {
    let mut shop = Shop::open().await;
    shop.stock("A1", 1_000, 5).await;
    let customer = shop.customer();
    // Half a request is on its way when the edge is told to stop.
    let body = crate::shop::order(APPROVED, &[("A1", 1)]).to_string();
    let mut stream = connect(&shop).await;
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {customer}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    sleep(Duration::from_millis(200)).await;
    let closing = shop.begin_to_close();
    sleep(Duration::from_millis(200)).await;
    stream.write_all(body.as_bytes()).await.expect("still open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered, then closed");
    assert!(answer.starts_with("HTTP/1.1 201") || answer.starts_with("HTTP/1.1 202"), "{answer}");
    timeout(Duration::from_secs(20), closing).await.expect("drained").expect("closed");
    let refused = TcpStream::connect(shop.url.trim_start_matches("http://")).await;
    assert!(refused.is_err(), "no new connections");
}

#[tokio::test]
async fn ready_means_that_the_journal_takes_writes() {
    let mut shop = Shop::open().await;
    shop.get("/healthz").send().await.expect(200);
    shop.get("/readyz").send().await.expect(200);
    shop.restart_nats().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while shop.get("/readyz").send().await.status != 200 {
        assert!(Instant::now() < deadline, "ready again after NATS came back");
        sleep(Duration::from_millis(200)).await;
    }
    shop.lose_nats();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = shop.get("/readyz").send().await;
        if answer.status == 503 {
            answer.expect_error(503, "UNAVAILABLE", None);
            assert_eq!(answer.header("retry-after"), "1");
            break;
        }
        assert!(Instant::now() < deadline, "not ready without NATS");
        sleep(Duration::from_millis(200)).await;
    }
    shop.get("/healthz").send().await.expect(200);
}

#[tokio::test]
async fn every_answer_carries_its_headers_and_trace() {
    let shop = Shop::open().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for path in ["/healthz", "/v1/items", "/v1/orders", "/v1/nothing"] {
        let ask = shop.get(path).header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
        let answer = ask.send().await;
        for (name, part) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'"),
            ("referrer-policy", "no-referrer"),
            ("traceparent", trace),
        ] {
            assert!(answer.header(name).contains(part), "{path}: {name}: {:?}", answer.headers);
        }
    }
}
