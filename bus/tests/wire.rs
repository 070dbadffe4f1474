//! The wire, as a foreign client speaks it: raw requests, and each error by its number.
#![allow(clippy::unwrap_used)]

mod common;

use async_nats::{Client, HeaderMap, Message};
use common::{connect, fresh, host};
use nats_server::TestServer;
use serde_json::{Value, json};

/// Sends `body` to `cmd.till.<rest>` with these headers.
async fn send(client: &Client, rest: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Message {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, *value);
    }
    let subject = format!("cmd.till.{rest}");
    client.request_with_headers(subject, map, body.into()).await.unwrap()
}

fn header(message: &Message, name: &str) -> Option<String> {
    message.headers.as_ref()?.get(name).map(|value| value.as_str().to_owned())
}

fn json_of(message: &Message) -> Value {
    serde_json::from_slice(&message.payload).unwrap()
}

/// The number, code and message of a failure, all three present.
fn failure(message: &Message) -> (String, String, String) {
    let number = header(message, "Nats-Service-Error-Code").expect("a failure");
    assert!(header(message, "Nats-Service-Error").is_some_and(|text| !text.is_empty()));
    let error = json_of(message)["error"].clone();
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    assert!(error["retry"].is_boolean());
    (number, text("code"), text("message"))
}

#[tokio::test]
async fn json_is_answered_in_json_and_messagepack_in_messagepack() {
    let server = TestServer::get().await;
    let bus = connect(&server).await;
    let _node = host(&bus).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    let till = fresh("t");
    let reply = send(&client, &format!("{till}.put_in"), &[], br#" {"amount": 5} "#.to_vec()).await;
    assert_eq!(json_of(&reply), json!(5));
    assert_eq!(header(&reply, "Content-Type").unwrap(), "application/json");
    assert!(header(&reply, "Cb-Seq").unwrap().starts_with("EVT_till_0@"));
    let packed = rmp_serde::to_vec_named(&json!({"amount": 2})).unwrap();
    let reply = send(&client, &format!("{till}.put_in"), &[], packed).await;
    assert_eq!(rmp_serde::from_slice::<u64>(&reply.payload).unwrap(), 7);
    assert_eq!(header(&reply, "Content-Type").unwrap(), "application/msgpack");
    let empty = send(&client, &format!("{till}.count"), &[], Vec::new()).await;
    assert_eq!(json_of(&empty), json!(7));
}

#[tokio::test]
async fn every_mistake_has_its_number_and_names_what_was_wrong() {
    let server = TestServer::get().await;
    let bus = connect(&server).await;
    let _node = host(&bus).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    let till = fresh("t");
    let put_in = format!("{till}.put_in");
    let json = |text: &str| text.as_bytes().to_vec();
    let cases: [(&str, &[(&str, &str)], Vec<u8>, &str, &str, &str); 13] = [
        (&put_in, &[], json("{\"amount\":"), "400", "BAD_COMMAND", "EOF"),
        (&put_in, &[], json(r#"{"amount":1,"colour":2}"#), "400", "BAD_COMMAND", "colour"),
        (&put_in, &[], json(r#"{"amount":-1}"#), "400", "BAD_COMMAND", "amount"),
        (&put_in, &[], json(r#"{"amount":99999999999999999999}"#), "400", "BAD_COMMAND", "amount"),
        (&put_in, &[], json(r#"{}"#), "400", "BAD_COMMAND", "amount"),
        (&put_in, &[], vec![0xc1, 0x00], "400", "BAD_COMMAND", ""),
        (
            &put_in,
            &[("Content-Type", "text/xml")],
            json("{}"),
            "400",
            "BAD_COMMAND",
            "Content-Type",
        ),
        (
            &put_in,
            &[("Cb-Key", "two words")],
            json(r#"{"amount":1}"#),
            "400",
            "BAD_COMMAND",
            "Cb-Key",
        ),
        (&put_in, &[("Cb-Timeout-Ms", "0")], json(r#"{"amount":1}"#), "504", "EXPIRED", "budget"),
        (&put_in, &[], vec![b' '; 300 * 1024], "413", "TOO_LARGE", "307200"),
        ("a.b.put_in", &[], json(r#"{"amount":1}"#), "400", "BAD_COMMAND", "no dots"),
        (&format!("{till}.explode"), &[], json("{}"), "404", "NOT_FOUND", "explode"),
        (&format!("{till}.take_out"), &[], json(r#"{"amount":1}"#), "409", "TOO_LITTLE", "only 0"),
    ];
    for (rest, headers, body, number, code, part) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let mut headers = headers.to_vec();
        // Undecodable MessagePack is answered in MessagePack; here we want to read the answer.
        let is_packed = body.first() == Some(&0xc1);
        if is_packed {
            headers.push(("Content-Type", "application/msgpack"));
        }
        let reply = send(&client, rest, &headers, body).await;
        if is_packed {
            assert_eq!(header(&reply, "Nats-Service-Error-Code").unwrap(), number);
            let error: Value = rmp_serde::from_slice(&reply.payload).unwrap();
            assert_eq!(error["error"]["code"], code);
            continue;
        }
        let (is_number, is_code, message) = failure(&reply);
        assert_eq!((is_number.as_str(), is_code.as_str()), (number, code), "{shown}: {message}");
        assert!(message.contains(part), "{shown}: {message}");
    }
    let error = json_of(&send(&client, &put_in, &[], json(r#"{"amount":"x"}"#)).await);
    assert_eq!(error["error"]["field"], "amount");
    assert!(bus.history("till", till.as_str(), 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_flooded_actor_refuses_and_the_others_do_not_notice() {
    let server = TestServer::get().await;
    let bus = connect(&server).await;
    let _node = host(&bus).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    let (flooded, other) = (fresh("t"), fresh("t"));
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await.unwrap();
    let subject = format!("cmd.till.{flooded}.put_in");
    for _ in 0..6_000 {
        let body = bytes::Bytes::from_static(br#"{"amount":1}"#);
        client.publish_with_reply(subject.clone(), inbox.clone(), body).await.unwrap();
    }
    let asked = tokio::time::Instant::now();
    bus.actor(&other).ask(common::PutIn { amount: 1 }).await.unwrap();
    let waited = asked.elapsed();
    let (mut done, mut refused) = (0_u64, 0_u64);
    use futures_util::StreamExt;
    while done + refused < 6_000 {
        let reply = replies.next().await.unwrap();
        match header(&reply, "Nats-Service-Error-Code").as_deref() {
            None => done += 1,
            Some("429") => refused += 1,
            Some(number) => panic!("answered {number}"),
        }
    }
    assert!(refused > 0, "the mailbox has no bound");
    assert!(waited.as_millis() < 1_000, "another actor waited {waited:?}");
    assert_eq!(bus.history("till", flooded.as_str(), 0).await.unwrap().len() as u64, done);
}
