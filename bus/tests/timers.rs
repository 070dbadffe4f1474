//! Timers, against a real server: never early, never lost, and in effect once.
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, time::Duration};

use async_nats::{
    HeaderMap,
    jetstream::{self, stream::Stream},
};
use bus::{
    Actor, AnyCommit, Bus, Context, Every, Failure, Handle, Host, Id, Key, Running, Status,
    Timestamp,
};
use common::{connect, eventually};
use futures_util::{StreamExt, stream};
use nats_server::TestServer;
use serde::{Deserialize, Serialize};

/// Rings when it is time.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Alarm;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum AlarmEvent {
    #[serde(rename = "rang")]
    Rang { name: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code")]
enum AlarmError {}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct SetAt {
    name: String,
    at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct SetMany {
    count: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Repeat {
    name: String,
    seconds: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Silence {
    name: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ring {
    name: String,
}

impl Actor for Alarm {
    const KIND: &'static str = "alarm";
    const TIMERS: bool = true;
    type Event = AlarmEvent;
    type Error = AlarmError;
    type Commands = (SetAt, SetMany, Repeat, Silence, Ring);

    fn apply(&mut self, _: &AlarmEvent) {}
}

impl Handle<SetAt> for Alarm {
    const NAME: &'static str = "set_at";
    type Reply = ();

    fn handle(&self, SetAt { name, at }: SetAt, ctx: &mut Context<Self>) -> Result<(), AlarmError> {
        ctx.at(at, Ring { name });
        Ok(())
    }
}

impl Handle<SetMany> for Alarm {
    const NAME: &'static str = "set_many";
    type Reply = ();

    fn handle(&self, command: SetMany, ctx: &mut Context<Self>) -> Result<(), AlarmError> {
        for n in 0..command.count {
            ctx.after(Duration::from_secs(60), Ring { name: n.to_string() });
        }
        Ok(())
    }
}

impl Handle<Repeat> for Alarm {
    const NAME: &'static str = "repeat";
    type Reply = ();

    fn handle(&self, command: Repeat, ctx: &mut Context<Self>) -> Result<(), AlarmError> {
        ctx.every(&Every::seconds(command.seconds), Ring { name: command.name });
        Ok(())
    }
}

impl Handle<Silence> for Alarm {
    const NAME: &'static str = "silence";
    type Reply = ();

    fn handle(&self, command: Silence, ctx: &mut Context<Self>) -> Result<(), AlarmError> {
        ctx.disarm(&Ring { name: command.name });
        Ok(())
    }
}

impl Handle<Ring> for Alarm {
    const NAME: &'static str = "ring";
    type Reply = ();

    fn handle(&self, Ring { name }: Ring, ctx: &mut Context<Self>) -> Result<(), AlarmError> {
        ctx.emit(AlarmEvent::Rang { name });
        Ok(())
    }
}

async fn host(bus: &Bus) -> Running {
    Host::new(bus.clone()).actor::<Alarm>().start().await.unwrap()
}

fn alarm(id: &str) -> Id<Alarm> {
    Id::parse(id).unwrap()
}

fn soon(ms: u64) -> Timestamp {
    Timestamp::from_millis(Timestamp::now().as_millis() + ms)
}

async fn set(bus: &Bus, id: &str, name: &str, at: Timestamp) {
    bus.actor(&alarm(id)).ask(SetAt { name: name.to_owned(), at }).await.unwrap();
}

async fn silence(bus: &Bus, id: &str, name: &str) {
    bus.actor(&alarm(id)).ask(Silence { name: name.to_owned() }).await.unwrap();
}

/// What an alarm rang, oldest first.
async fn rings(bus: &Bus, id: &str) -> Vec<(String, AnyCommit)> {
    let history = bus.history("alarm", id, 0).await.unwrap();
    let rang = history.into_iter().filter(|commit| &*commit.info.command == "ring");
    rang.map(|commit| {
        let name = commit.events[0]["rang"]["name"].as_str().unwrap().to_owned();
        (name, commit)
    })
    .collect()
}

async fn names(bus: &Bus, id: &str) -> Vec<String> {
    rings(bus, id).await.into_iter().map(|(name, _)| name).collect()
}

async fn until_rung(bus: &Bus, id: &str, name: &str) -> AnyCommit {
    eventually(&format!("{id} rings {name}"), || async {
        let rings = rings(bus, id).await;
        rings.into_iter().find(|(rung, _)| rung == name).map(|(_, commit)| commit)
    })
    .await
}

async fn stream_of(server: &TestServer, name: &str) -> Stream {
    let jetstream = jetstream::new(async_nats::connect(&server.url).await.unwrap());
    jetstream.get_stream(name).await.unwrap()
}

/// Until both followers have nothing left to do.
async fn until_quiet(server: &TestServer) {
    let sources = [("EVT_alarm_0", "timers"), ("TIMERS", "due-alarm")];
    for (stream, follower) in sources.into_iter().chain(sources) {
        let stream = stream_of(server, stream).await;
        eventually(&format!("{follower} is done"), || async {
            let info = stream.consumer_info(follower).await.ok()?;
            (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())
        })
        .await;
    }
}

async fn until_none_is_kept(server: &TestServer) {
    eventually("nothing is left of them", || async {
        (kept(server, ">").await == 0).then_some(())
    })
    .await;
}

/// How many messages on these subjects are kept.
async fn kept(server: &TestServer, subjects: &str) -> usize {
    let stream = stream_of(server, "TIMERS").await;
    stream.info_with_subjects(subjects).await.unwrap().count().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_timers_due_at_one_instant_all_fire_and_none_early() {
    const COUNT: usize = 2_000;
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let due = soon(10_000);
    stream::iter(0..COUNT)
        .for_each_concurrent(64, |n| {
            let bus = &bus;
            async move { set(bus, &format!("a-{n}"), "dawn", due).await }
        })
        .await;
    until_quiet(&server).await;
    let armed_at = Timestamp::now();
    let mut commits = std::pin::pin!(bus.commits(&"EVT_alarm_0".into(), 1).await.unwrap());
    let mut lateness = BTreeMap::new();
    let collect = async {
        while lateness.len() < COUNT {
            let commit = commits.next().await.unwrap().unwrap();
            if &*commit.info.command == "ring" {
                assert!(commit.info.at >= due, "{} was early", commit.id);
                let late = commit.info.at.as_millis() - due.as_millis();
                assert_eq!(lateness.insert(commit.id, late), None, "it rang twice");
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), collect).await.expect("all ring");
    let mut late: Vec<u64> = lateness.into_values().collect();
    late.sort_unstable();
    println!(
        "{COUNT} timers due at once, armed {} ms before: carried out {} to {} ms late, half of \
         them within {} ms",
        due.as_millis().saturating_sub(armed_at.as_millis()),
        late[0],
        late[COUNT - 1],
        late[COUNT / 2],
    );
    until_quiet(&server).await;
    until_none_is_kept(&server).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_due_while_every_node_is_down_is_kept_and_carried_out_later() {
    const COUNT: usize = 2_000;
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let due = soon(12_000);
    stream::iter(0..COUNT)
        .for_each_concurrent(64, |n| {
            let bus = &bus;
            async move { set(bus, &format!("a-{n}"), "dusk", due).await }
        })
        .await;
    until_quiet(&server).await;
    node.stop().await;
    let is_in_time = Timestamp::now() < due;
    let fired = jetstream::consumer::pull::OrderedConfig {
        filter_subject: "due.alarm.>".to_owned(),
        ..Default::default()
    };
    let fired = stream_of(&server, "TIMERS").await.create_consumer(fired).await.unwrap();
    let fired: Vec<u64> = tokio::time::timeout(
        Duration::from_secs(60),
        fired
            .messages()
            .await
            .unwrap()
            .take(COUNT)
            .map(|message| stored_at(&message.unwrap()))
            .collect(),
    )
    .await
    .expect("all fire");
    let late = |at: &u64| at.checked_sub(due.as_millis()).expect("never early");
    let (first, last) = (fired.iter().map(late).min(), fired.iter().map(late).max());
    println!(
        "{COUNT} timers due at once, all in time: {is_in_time}; fired {first:?} to {last:?} ms late"
    );
    let node = host(&bus).await;
    until_quiet(&server).await;
    for n in (0..COUNT).step_by(100) {
        assert_eq!(names(&bus, &format!("a-{n}")).await, ["dusk"]);
    }
    until_none_is_kept(&server).await;
    node.stop().await;
}

/// In milliseconds since 1970.
fn stored_at(message: &jetstream::Message) -> u64 {
    let at = message.info().unwrap().published.unix_timestamp_nanos() / 1_000_000;
    u64::try_from(at).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_no_timer_and_doubles_none() {
    const COUNT: usize = 100;
    let mut server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let due = soon(3_000);
    for n in 0..COUNT {
        set(&bus, &format!("a-{n}"), "dawn", due).await;
    }
    // Once while the last are being armed, once while they fire.
    server.kill_and_restart().await;
    let left = due.as_millis().saturating_sub(Timestamp::now().as_millis());
    tokio::time::sleep(Duration::from_millis(left + 100)).await;
    server.kill_and_restart().await;
    for n in 0..COUNT {
        until_rung(&bus, &format!("a-{n}"), "dawn").await;
    }
    until_quiet(&server).await;
    for n in 0..COUNT {
        let rings = rings(&bus, &format!("a-{n}")).await;
        assert_eq!(rings.len(), 1, "a-{n}");
        assert!(rings[0].1.info.at >= due);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_word_on_a_timer_counts() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let (first, later) = (soon(1_500), soon(3_000));
    set(&bus, "a", "moved", first).await;
    set(&bus, "a", "moved", later).await;
    set(&bus, "a", "kept", first).await;
    set(&bus, "a", "silenced", first).await;
    silence(&bus, "a", "silenced").await;
    silence(&bus, "a", "never armed").await;
    set(&bus, "a", "past", Timestamp::from_millis(1)).await;
    let rung = until_rung(&bus, "a", "moved").await;
    assert!(rung.info.at >= later, "it rang when it was armed for first");
    until_quiet(&server).await;
    let mut rung = names(&bus, "a").await;
    rung.sort();
    assert_eq!(rung, ["kept", "moved", "past"]);
    until_none_is_kept(&server).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fired_timer_tells_what_armed_it() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let ask = bus.actor(&alarm("a")).ask(SetAt { name: "dawn".to_owned(), at: soon(0) });
    let ((), position) = ask.principal("u-1").trace(trace).positioned().await.unwrap();
    let AnyCommit { info, .. } = until_rung(&bus, "a", "dawn").await;
    assert_eq!(info.cause.as_deref(), Some(position.to_string().as_str()));
    assert_eq!(*info.key, *format!("timers/{position}/0"));
    assert_eq!(info.principal.as_deref(), Some("u-1"));
    assert_eq!(info.trace.as_deref(), Some(trace));
    node.stop().await;
}

/// Fires a timer by hand, as a schedule that was overtaken would.
async fn fire(server: &TestServer, id: &str, name: &str, key: &str) {
    let jetstream = jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let mut headers = HeaderMap::new();
    headers.insert("Cb-Key", key);
    let body = serde_json::json!({ "name": name }).to_string();
    let subject = format!("due.alarm.{id}.ring");
    jetstream.publish_with_headers(subject, headers, body.into()).await.unwrap().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fires_twice_or_after_its_disarm_has_no_effect() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    set(&bus, "a", "dawn", soon(0)).await;
    let key = until_rung(&bus, "a", "dawn").await.info.key;
    fire(&server, "a", "dawn", &key).await;
    set(&bus, "a", "dusk", soon(3_600_000)).await;
    let armed = bus.history("alarm", "a", 0).await.unwrap().pop().unwrap().info.position;
    silence(&bus, "a", "dusk").await;
    fire(&server, "a", "dusk", &format!("timers/{armed}/0")).await;
    // A foreign one, of which no commit knows, is a command like any other.
    fire(&server, "a", "foreign", "k-1").await;
    until_rung(&bus, "a", "foreign").await;
    until_quiet(&server).await;
    assert_eq!(names(&bus, "a").await, ["dawn", "foreign"]);
    // Asked directly, it is told why.
    let late = bus.actor(&alarm("a")).ask(Ring { name: "dusk".to_owned() });
    let late = late.key(Key::parse(&format!("timers/{armed}/0")).unwrap()).await;
    let bus::AskError::Failed(Failure { status, body }) = late.unwrap_err() else {
        panic!("it is the runtime's refusal");
    };
    assert_eq!((status, body.code.as_str(), body.retry), (Status::Refused, "DISARMED", false));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeating_arm_that_comes_behind_its_own_disarm_ends_itself() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    bus.actor(&alarm("a")).ask(Repeat { name: "tick".to_owned(), seconds: 1 }).await.unwrap();
    until_quiet(&server).await;
    // What its node had sent and the server had not seen, when another disarmed it.
    let stream = stream_of(&server, "TIMERS").await;
    let (subject, _) =
        stream.info_with_subjects("at.>").await.unwrap().next().await.unwrap().unwrap();
    let late = stream.get_last_raw_message_by_subject(&subject).await.unwrap();
    silence(&bus, "a", "tick").await;
    until_none_is_kept(&server).await;
    let before = names(&bus, "a").await;
    let jetstream = jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let stored = jetstream.publish_with_headers(subject, late.headers, late.payload).await.unwrap();
    stored.await.unwrap();
    assert_eq!(kept(&server, "at.>").await, 1);
    until_none_is_kept(&server).await;
    assert_eq!(names(&bus, "a").await, before, "it had no effect");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_arms_delivered_again_fire_nothing_and_end_in_the_newest_state() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    set(&bus, "a", "fired", soon(0)).await;
    set(&bus, "a", "silenced", soon(3_600_000)).await;
    set(&bus, "a", "moved", soon(1)).await;
    until_rung(&bus, "a", "fired").await;
    until_rung(&bus, "a", "moved").await;
    silence(&bus, "a", "silenced").await;
    set(&bus, "a", "moved", soon(3_600_000)).await;
    until_quiet(&server).await;
    node.stop().await;
    // Forgotten is what was acknowledged: everything is delivered again.
    let commits = stream_of(&server, "EVT_alarm_0").await;
    commits.delete_consumer("timers").await.unwrap();
    let node = host(&bus).await;
    until_quiet(&server).await;
    // What this has armed anew in the past fires before that which is due afterwards.
    set(&bus, "z", "sentinel", soon(1_000)).await;
    until_rung(&bus, "z", "sentinel").await;
    until_quiet(&server).await;
    let mut rung = names(&bus, "a").await;
    rung.sort();
    assert_eq!(rung, ["fired", "moved"]);
    assert_eq!(kept(&server, "at.>").await, 1, "one timer is armed, and no other");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_timer_fires_again_and_again_until_it_is_disarmed() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    bus.actor(&alarm("a")).ask(Repeat { name: "tick".to_owned(), seconds: 1 }).await.unwrap();
    let keys = eventually("it ticks three times", || async {
        let rings = rings(&bus, "a").await;
        (rings.len() >= 3).then(|| rings.into_iter().map(|(_, c)| c.info.key).collect::<Vec<_>>())
    })
    .await;
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
    assert!(keys.iter().all(|key| key.starts_with("timers/EVT_alarm_0@1/0/")), "{keys:?}");
    silence(&bus, "a", "tick").await;
    let rung = rings(&bus, "a").await.len();
    until_quiet(&server).await;
    set(&bus, "z", "sentinel", soon(2_500)).await;
    until_rung(&bus, "z", "sentinel").await;
    assert_eq!(rings(&bus, "a").await.len(), rung, "it is silent");
    until_none_is_kept(&server).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_far_future_is_armed_and_what_is_beyond_all_bounds_is_refused() {
    const YEAR: u64 = 365 * 86_400_000;
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let node = host(&bus).await;
    set(&bus, "a", "in fifty years", soon(50 * YEAR)).await;
    until_quiet(&server).await;
    assert_eq!(kept(&server, "at.alarm.a.ring.*").await, 1);
    let too_far = SetAt { name: "x".to_owned(), at: soon(101 * YEAR) };
    let error = bus.actor(&alarm("a")).ask(too_far).await.unwrap_err().to_string();
    assert!(error.contains("a hundred years"), "{error}");
    let error = bus.actor(&alarm("a")).ask(SetMany { count: 65 }).await.unwrap_err().to_string();
    assert!(error.contains("at most 64 timers"), "{error}");
    bus.actor(&alarm("a")).ask(SetMany { count: 64 }).await.unwrap();
    until_quiet(&server).await;
    assert_eq!(kept(&server, "at.alarm.a.ring.*").await, 65);
    assert_eq!(bus.history("alarm", "a", 0).await.unwrap().len(), 2, "no refused one is stored");
    node.stop().await;
}
