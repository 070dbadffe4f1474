//! Discovery as NATS tools do it: by `$SRV` requests, answered by every instance.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use async_nats::Client;
use bus::{Actor, Context, Handle, Host, JsonSchema, schemars};
use common::{Till, connect, eventually, host_with_rows};
use futures_util::StreamExt;
use nats_server::TestServer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A lamp, for no other test to count in.
#[derive(Default, Serialize, Deserialize)]
struct Lamp(bool);

#[derive(Clone, Serialize, Deserialize)]
enum Switched {
    #[serde(rename = "switched")]
    Switched { on: bool },
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
enum LampError {
    #[error("Ada's lamp is switched so already")]
    AlreadySo,
}

/// Be on, or off.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "schemars")]
struct Switch {
    /// Whether it is to be on.
    on: bool,
}

impl Actor for Lamp {
    const KIND: &'static str = "lamp";
    type Event = Switched;
    type Error = LampError;
    type Commands = (Switch,);

    fn apply(&mut self, Switched::Switched { on }: &Switched) {
        self.0 = *on;
    }
}

impl Handle<Switch> for Lamp {
    const NAME: &'static str = "switch";
    type Reply = bool;

    fn handle(&self, Switch { on }: Switch, ctx: &mut Context<Self>) -> Result<bool, LampError> {
        if self.0 == on {
            return Err(LampError::AlreadySo);
        }
        ctx.emit(Switched::Switched { on });
        Ok(on)
    }
}

/// All answers to `subject` from services of this name, once there are `count` of them.
async fn ask(client: &Client, subject: &str, name: &str, count: usize) -> Vec<Value> {
    eventually(subject, || async {
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.unwrap();
        client.publish_with_reply(subject.to_owned(), inbox, "".into()).await.unwrap();
        let mut told = Vec::new();
        while told.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(2), answers.next()).await;
            let Ok(Some(message)) = next else { return None };
            let answer: Value = serde_json::from_slice(&message.payload).unwrap();
            if answer["name"] == name {
                told.push(answer);
            }
        }
        Some(told)
    })
    .await
}

#[tokio::test]
async fn a_kind_is_a_service_and_each_command_an_endpoint_with_its_schema() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let host = || Host::new(bus.clone()).actor::<Lamp>().described::<Lamp>().actor::<Till>();
    let (_one, _two) = (host().start().await.unwrap(), host().start().await.unwrap());
    let client = async_nats::connect(&server.url).await.unwrap();

    let pings = ask(&client, "$SRV.PING", "lamp", 2).await;
    assert_eq!(pings[0]["type"], "io.nats.micro.v1.ping_response");
    assert_ne!(pings[0]["id"], pings[1]["id"], "two nodes are two instances");
    assert!(pings[0]["version"].as_str().unwrap().split('.').count() == 3, "semantic");

    let id = pings[0]["id"].as_str().unwrap();
    let info = &ask(&client, &format!("$SRV.INFO.lamp.{id}"), "lamp", 1).await[0];
    assert_eq!(
        (info["id"].as_str(), info["type"].as_str()),
        (Some(id), Some("io.nats.micro.v1.info_response"))
    );
    let [switch] = &info["endpoints"].as_array().unwrap()[..] else { panic!("one command") };
    assert_eq!(switch["name"], "switch");
    assert_eq!(switch["subject"], "cmd.lamp.*.switch");
    assert_eq!(switch["queue_group"], "lamp");
    let text = |key: &str| switch["metadata"][key].as_str().unwrap().to_owned();
    let request: Value = serde_json::from_str(&text("request_schema")).unwrap();
    assert_eq!(request["required"], json!(["on"]));
    assert_eq!(request["additionalProperties"], json!(false));
    assert_eq!(request["properties"]["on"]["description"], "Whether it is to be on.");
    let reply: Value = serde_json::from_str(&text("reply_schema")).unwrap();
    assert_eq!(reply["type"], "boolean");

    // A kind nobody described is found as well, by its commands' names.
    let till = &ask(&client, "$SRV.INFO.till", "till", 2).await[0];
    assert_eq!(till["endpoints"][0]["name"], "put_in");
    assert!(till["endpoints"][0]["metadata"].get("request_schema").is_none());
    assert!(ask_once(&client, "$SRV.PING.unicorn").await.is_none());
    assert!(ask_once(&client, &format!("$SRV.PING.till.{id}")).await.is_none(), "another's id");
}

/// Whether anybody answers within a moment.
async fn ask_once(client: &Client, subject: &str) -> Option<Value> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply(subject.to_owned(), inbox, "".into()).await.unwrap();
    let next = tokio::time::timeout(Duration::from_millis(300), answers.next()).await;
    serde_json::from_slice(&next.ok()??.payload).ok()
}

#[tokio::test]
async fn statistics_are_true() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let _node = Host::new(bus.clone()).actor::<Lamp>().start().await.unwrap();
    let client = async_nats::connect(&server.url).await.unwrap();
    for body in [r#"{"on":true}"#, r#"{"on":true}"#, "rubbish", r#"{"on":false}"#] {
        client.request("cmd.lamp.l-1.switch", body.into()).await.unwrap();
    }
    client.request("cmd.lamp.l-1.explode", "".into()).await.unwrap();
    let stats = &ask(&client, "$SRV.STATS.lamp", "lamp", 1).await[0];
    assert_eq!(stats["type"], "io.nats.micro.v1.stats_response");
    assert!(stats["started"].as_str().unwrap().ends_with('Z'));
    let switch = &stats["endpoints"][0];
    assert_eq!((&switch["num_requests"], &switch["num_errors"]), (&json!(4), &json!(2)));
    assert_eq!(switch["last_error"], "400:BAD_COMMAND", "the code, and nobody's name");
    let (all, each) = (&switch["processing_time"], &switch["average_processing_time"]);
    assert_eq!(all.as_u64().unwrap() / 4, each.as_u64().unwrap());
    assert!(each.as_u64().unwrap() > 1_000, "a commit takes more than a microsecond");
}

#[tokio::test]
async fn queries_are_endpoints_and_counted_too() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let _node = host_with_rows(&bus, folder.path()).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    client.request("view.tills.list", "{}".into()).await.unwrap();
    client.request("view.tills.get", r#"{"row":"t-1"}"#.into()).await.unwrap();
    let stats = &ask(&client, "$SRV.STATS.view-tills", "view-tills", 1).await[0];
    let counted = |name: &str| {
        let endpoints = stats["endpoints"].as_array().unwrap();
        let endpoint = endpoints.iter().find(|endpoint| endpoint["name"] == name).unwrap().clone();
        (endpoint["num_requests"].as_u64().unwrap(), endpoint["num_errors"].as_u64().unwrap())
    };
    assert_eq!((counted("list"), counted("get")), ((1, 0), (1, 1)));
    let info = &ask(&client, "$SRV.INFO.view-tills", "view-tills", 1).await[0];
    let get = &info["endpoints"][0];
    assert_eq!(get["subject"], "view.tills.get");
    let request: Value =
        serde_json::from_str(get["metadata"]["request_schema"].as_str().unwrap()).unwrap();
    assert_eq!(request["required"], json!(["row"]));
}
