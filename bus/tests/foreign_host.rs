//! A kind hosted in Python (`kits/python/host.py`, by the rules of docs/wire.md) and in Rust at the
//! same time, asked from Rust. CALLBOARD_PYTHON names a Python that has nats-py and msgpack.
#![allow(clippy::unwrap_used)]

mod common;

use std::{path::Path, process::Stdio};

use bus::{Actor, AskError, Context, Handle, Host, Id, Key};
use common::connect;
use nats_server::TestServer;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

#[derive(Default, Serialize, Deserialize)]
struct Counter(u64);

#[derive(Clone, Serialize, Deserialize)]
enum Counted {
    #[serde(rename = "added")]
    Added(u64),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("the counter is full")]
struct Full;

#[derive(Serialize, Deserialize)]
struct Add(u64);

#[derive(Serialize, Deserialize)]
struct Show {}

impl Actor for Counter {
    const KIND: &'static str = "counter";
    type Event = Counted;
    type Error = Full;
    type Commands = (Add, Show);

    fn apply(&mut self, Counted::Added(amount): &Counted) {
        self.0 += amount;
    }
}

impl Handle<Add> for Counter {
    const NAME: &'static str = "add";
    type Reply = u64;

    fn handle(&self, Add(amount): Add, ctx: &mut Context<Self>) -> Result<u64, Full> {
        let total = self.0.checked_add(amount).ok_or(Full)?;
        ctx.emit(Counted::Added(amount));
        Ok(total)
    }
}

impl Handle<Show> for Counter {
    const NAME: &'static str = "show";
    type Reply = u64;

    fn handle(&self, _: Show, _: &mut Context<Self>) -> Result<u64, Full> {
        Ok(self.0)
    }
}

/// A host in Python that serves; none where there is no Python for it.
async fn python_host(server: &TestServer) -> Option<Child> {
    let Ok(python) = std::env::var("CALLBOARD_PYTHON") else {
        eprintln!("NOT CHECKED: CALLBOARD_PYTHON names no Python with nats-py and msgpack");
        return None;
    };
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kits/python/host.py");
    let mut command = Command::new(python);
    command.arg(program).env("NATS_URL", &server.url).stdout(Stdio::piped()).kill_on_drop(true);
    let mut host = command.spawn().unwrap();
    let mut said = BufReader::new(host.stdout.take().unwrap()).lines();
    assert_eq!(said.next_line().await.unwrap().as_deref(), Some("serving"));
    Some(host)
}

#[tokio::test]
async fn a_host_in_python_serves_callers_in_rust() {
    let server = TestServer::own().await;
    let Some(_host) = python_host(&server).await else { return };
    let bus = connect(&server).await;
    let counter = bus.actor(&Id::<Counter>::parse("c-1").unwrap());
    assert_eq!(counter.ask(Add(3)).await.unwrap(), 3);
    let key = Key::random();
    assert_eq!(counter.ask(Add(4)).key(key.clone()).await.unwrap(), 7);
    assert_eq!(counter.ask(Add(4)).key(key).await.unwrap(), 7, "the same answer, one effect");
    let full = counter.ask(Add(u64::MAX)).await.unwrap_err();
    assert!(matches!(full, AskError::Refused(Full)), "{full:?}");
    let history = bus.history("counter", "c-1", 0).await.unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(history[0].events, [serde_json::json!({"added": 3})]);
}

#[tokio::test]
async fn a_host_in_python_and_one_in_rust_agree_on_every_actor() {
    let server = TestServer::own().await;
    let Some(_host) = python_host(&server).await else { return };
    let bus = connect(&server).await;
    // It finds the stream as Python made it, and fit.
    let _node = Host::new(bus.clone()).actor::<Counter>().start().await.unwrap();
    let client = async_nats::connect(&server.url).await.unwrap();
    // To the kind and not to the node that owns the actor, so that both hosts get their share.
    for _ in 0..100 {
        let reply = client.request("cmd.counter.c-2.add", "1".into()).await.unwrap();
        let headers = reply.headers.unwrap();
        assert!(headers.get("Nats-Service-Error-Code").is_none(), "{headers:?}");
    }
    let total = bus.actor(&Id::<Counter>::parse("c-2").unwrap()).ask(Show {}).await.unwrap();
    assert_eq!(total, 100);
}
