//! Connections that dawdle, and those that are open when the gateway stops.

use std::time::Duration;

use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::world::{Answer, World, asked};

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.url.trim_start_matches("http://")).await.expect("connected")
}

/// Reads until the gateway closes, which it must within the span.
async fn read_to_end(mut stream: TcpStream, within: Duration) -> String {
    let mut answer = Vec::new();
    let read = timeout(within, stream.read_to_end(&mut answer)).await;
    read.expect("closed in time").expect("closed in order");
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn a_client_that_dawdles_with_its_header_is_cut_off() {
    let world = World::open().await;
    let mut stream = connect(&world).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n").await.expect("sent");
    read_to_end(stream, Duration::from_secs(8)).await;
}

#[tokio::test]
async fn a_client_that_dawdles_with_its_body_is_told_so() {
    let world = World::open().await;
    let mut stream = connect(&world).await;
    let head = "POST /v1/charges HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n\
                Idempotency-Key: k-1\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let answer = read_to_end(stream, Duration::from_secs(13)).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_request_that_was_begun_is_answered_while_the_gateway_stops() {
    let mut world = World::open().await;
    let mut stream = connect(&world).await;
    let body = asked("sim-4242").to_string();
    let head = format!(
        "POST /v1/charges HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n\
         Idempotency-Key: k-1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    sleep(Duration::from_millis(200)).await;
    let ((), answer) = tokio::join!(world.close(), async {
        sleep(Duration::from_millis(300)).await;
        stream.write_all(body.as_bytes()).await.expect("still open");
        read_to_end(stream, Duration::from_secs(5)).await
    });
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let refused = TcpStream::connect(world.url.trim_start_matches("http://")).await;
    assert!(refused.is_err(), "no new connections");
}

#[tokio::test]
async fn a_call_left_unanswered_does_not_keep_the_gateway_from_stopping() {
    let mut world = World::open().await;
    let request = world.request(Method::POST, "/v1/charges").header("Idempotency-Key", "k-1");
    let hanging = tokio::spawn(Answer::of(request.json(&asked("sim-0119"))));
    sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    world.close().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    hanging.await.expect("no panic").expect_error(503, "stopping", None);
}
