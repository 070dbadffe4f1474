//! Dead letters, against a real server: what cannot be carried out holds up nobody, is kept, and
//! is carried out again when it has been mended.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bus::{Bus, DeadLetter, Effect, Error, Host, Id, Patience, Recorded, Retry, Running, Then};
use common::{Count, PutIn, Till, TillEvent, connect, eventually, fresh};
use futures_util::future::join_all;
use nats_server::TestServer;
use serde_json::json;

/// Puts what was put in somewhere else too, unless that is out of order.
#[derive(Clone)]
struct Mirror {
    broken: Id<Till>,
    to: Id<Till>,
    is_broken: Arc<AtomicBool>,
    noted: Arc<Mutex<HashMap<Id<Till>, Vec<u64>>>>,
}

impl Mirror {
    fn new() -> Self {
        Self {
            broken: fresh("broken"),
            to: fresh("to"),
            is_broken: Arc::new(AtomicBool::new(true)),
            noted: Arc::default(),
        }
    }

    fn noted(&self, till: &Id<Till>) -> Vec<u64> {
        self.noted.lock().unwrap().get(till).cloned().unwrap_or_default()
    }
}

impl Effect<Till> for Mirror {
    const NAME: &'static str = "mirror";

    async fn run(&self, event: &Recorded<Till>, _: &Bus, then: &mut Then) -> Result<(), Retry> {
        let TillEvent::PutIn { amount } = event.event else { return Ok(()) };
        if event.id == self.broken && amount == 1 && self.is_broken.load(Ordering::SeqCst) {
            return Err(Retry::because("the mirror is broken"));
        }
        if event.id == self.broken || event.id.as_str().starts_with("garbage") {
            then.ask(&self.to, &PutIn { amount });
        }
        self.noted.lock().unwrap().entry(event.id.clone()).or_default().push(amount);
        Ok(())
    }
}

fn quick() -> Patience {
    let (pause, pause_max) = (Duration::from_millis(5), Duration::from_millis(50));
    Patience { attempts: 4, pause, pause_max, ..Patience::default() }
}

async fn start(bus: &Bus, mirror: &Mirror) -> Running {
    let host = Host::new(bus.clone()).patience(quick()).actor::<Till>().effect(mirror.clone());
    host.start().await.unwrap()
}

async fn letters(bus: &Bus, count: usize) -> Vec<DeadLetter> {
    eventually("the dead letters", || async {
        let page = bus.dead_letters().list(None, None, 0).await.unwrap();
        (page.letters.len() == count).then_some(page.letters)
    })
    .await
}

async fn all_letters(bus: &Bus, follower: &str) -> Vec<DeadLetter> {
    let (mut all, mut after) = (Vec::new(), Some(0));
    while let Some(last) = after {
        let page = bus.dead_letters().list(Some(follower), Some("till"), last).await.unwrap();
        (all, after) = ([all, page.letters].concat(), page.next);
    }
    all
}

/// Stores what is no commit where commits are.
async fn store_garbage(server: &TestServer) -> Id<Till> {
    let garbage = fresh("garbage");
    let jetstream = async_nats::jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let subject = format!("evt.till.0.{garbage}");
    jetstream.publish(subject, "garbage".into()).await.unwrap().await.unwrap();
    garbage
}

#[tokio::test]
async fn a_poison_commit_and_a_broken_target_hold_up_nobody_and_are_replayed_once_mended() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let mirror = Mirror::new();
    let node = start(&bus, &mirror).await;
    let garbage = store_garbage(&server).await;
    let failing = bus.actor(&mirror.broken).ask(PutIn { amount: 1 }).positioned().await.unwrap();
    bus.actor(&mirror.broken).ask(PutIn { amount: 2 }).await.unwrap();
    let tills: Vec<_> = (0..100).map(|_| fresh("t")).collect();
    join_all(tills.iter().map(|till| async {
        for amount in 1..=100 {
            let put_in = PutIn { amount };
            bus.actor(till).ask(put_in).timeout(Duration::from_secs(60)).await.unwrap();
        }
    }))
    .await;
    eventually("10,000 other commits", || async {
        tills.iter().all(|till| mirror.noted(till).len() >= 100).then_some(())
    })
    .await;
    assert!(tills.iter().all(|till| mirror.noted(till) == (1..=100).collect::<Vec<_>>()));
    let dead = letters(&bus, 2).await;
    let of = |id: &str| dead.iter().find(|letter| &*letter.actor == id).unwrap().clone();
    let (poison, refused) = (of(garbage.as_str()), of(mirror.broken.as_str()));
    assert!(poison.error.contains("decoded"), "{}", poison.error);
    assert_eq!((poison.attempts, &poison.body[..]), (1, &b"garbage"[..]));
    assert_eq!((&*refused.error, refused.attempts), ("the mirror is broken", 4));
    assert_eq!(refused.position, failing.1);
    assert_eq!(refused.decoded().unwrap()["events"][0]["put_in"]["amount"], 1);
    eventually("the actor's later commit goes on", || async {
        (mirror.noted(&mirror.broken) == [2]).then_some(())
    })
    .await;

    // Not mended yet: it stays.
    bus.dead_letters().replay(refused.id).await.unwrap();
    let jetstream = async_nats::jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let dead = jetstream.get_stream("DEAD").await.unwrap();
    eventually("it has been tried again", || async {
        let info = dead.consumer_info("again-mirror-till").await.unwrap();
        (info.ack_floor.stream_sequence > refused.id && info.num_pending == 0).then_some(())
    })
    .await;
    letters(&bus, 2).await;
    mirror.is_broken.store(false, Ordering::SeqCst);
    // Asked for twice, and taken up by another node.
    node.stop().await;
    bus.dead_letters().replay(refused.id).await.unwrap();
    bus.dead_letters().replay(refused.id).await.unwrap();
    let unfit = bus.dead_letters().replay_with(poison.id, &json!({"events": 7})).await;
    assert!(matches!(unfit, Err(Error::Mended(_))), "{unfit:?}");
    let mended = json!({"events": [{"put_in": {"amount": 40}}]});
    bus.dead_letters().replay_with(poison.id, &mended).await.unwrap();
    let _node = start(&bus, &mirror).await;
    letters(&bus, 0).await;
    assert_eq!(mirror.noted(&mirror.broken), [2, 1]);
    assert_eq!(mirror.noted(&garbage), [40]);
    assert_eq!(bus.actor(&mirror.to).ask(Count {}).await.unwrap(), 43);
    let keys = bus.history("till", mirror.to.as_str(), 0).await.unwrap();
    let keys: Vec<_> = keys.iter().map(|commit| commit.info.key.to_string()).collect();
    for letter in [&poison, &refused] {
        let key = format!("mirror/{}/0.0", letter.position);
        assert!(keys.contains(&key), "the same key as the first time: {key} in {keys:?}");
    }
    let gone = bus.dead_letters().read(poison.id).await;
    assert!(matches!(gone, Err(Error::NoDeadLetter(_))), "{gone:?}");
}

#[tokio::test]
async fn a_delivery_has_one_dead_letter_however_often_it_fails() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let mirror = Mirror::new();
    let jetstream = async_nats::jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let node = start(&bus, &mirror).await;
    store_garbage(&server).await;
    let first = letters(&bus, 1).await;
    node.stop().await;
    // As if no acknowledgement had come, and the server had forgotten the letter's id.
    let mut config = jetstream.get_stream("DEAD").await.unwrap().cached_info().config.clone();
    config.duplicate_window = Duration::from_millis(100);
    jetstream.update_stream(config).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let events = jetstream.get_stream("EVT_till_0").await.unwrap();
    events.reset_consumer("mirror", Some(1)).await.unwrap();
    let _node = start(&bus, &mirror).await;
    let after = fresh("after");
    bus.actor(&after).ask(PutIn { amount: 5 }).await.unwrap();
    eventually("all is delivered again", || async {
        let info = events.consumer_info("mirror").await.unwrap();
        let is_done = info.num_pending == 0 && info.num_ack_pending == 0;
        (is_done && mirror.noted(&after) == [5]).then_some(())
    })
    .await;
    let again = letters(&bus, 1).await;
    assert_eq!(again[0].id, first[0].id);
    bus.dead_letters().drop(again[0].id).await.unwrap();
    letters(&bus, 0).await;
    let twice = bus.dead_letters().drop(again[0].id).await;
    assert!(matches!(twice, Err(Error::NoDeadLetter(_))), "{twice:?}");
}

#[tokio::test]
async fn a_target_that_is_away_is_waited_for() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let mirror = Mirror::new();
    mirror.is_broken.store(false, Ordering::SeqCst);
    let node = common::host(&bus).await;
    bus.actor(&mirror.broken).ask(PutIn { amount: 1 }).await.unwrap();
    node.stop().await;
    // Nobody hosts the till that is to be asked.
    let away = Patience { attempts: 1, ..quick() };
    let host = Host::new(bus.clone()).patience(away).effect::<Till, _>(mirror.clone());
    let _follower = host.start().await.unwrap();
    eventually("it is tried twice", || async {
        (mirror.noted(&mirror.broken).len() >= 2).then_some(())
    })
    .await;
    let _node = common::host(&bus).await;
    eventually("it arrives", || async {
        (bus.actor(&mirror.to).ask(Count {}).await.unwrap() == 1).then_some(())
    })
    .await;
    assert!(bus.dead_letters().list(None, None, 0).await.unwrap().letters.is_empty());
}

#[tokio::test]
async fn an_actor_that_fails_cannot_use_up_the_room_of_all() {
    const BEHIND: usize = 1_100;
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let mirror = Mirror::new();
    let endless = Patience { attempts: u32::MAX, crowded: Duration::from_millis(100), ..quick() };
    let host = Host::new(bus.clone()).patience(endless).actor::<Till>().effect(mirror.clone());
    let _node = host.start().await.unwrap();
    bus.actor(&mirror.broken).ask(PutIn { amount: 1 }).await.unwrap();
    let put_in = || async { bus.actor(&mirror.broken).ask(PutIn { amount: 2 }).await.unwrap() };
    for _ in 0..BEHIND / 100 {
        join_all((0..100).map(|_| put_in())).await;
    }
    let letters = eventually("those over the bound are set aside", || async {
        let letters = all_letters(&bus, "mirror").await;
        (letters.len() + mirror.noted(&mirror.broken).len() > BEHIND).then_some(letters)
    })
    .await;
    assert!(letters.len() > bus::limits::ACTOR_PENDING_MAX, "{}", letters.len());
    assert_eq!(&*letters[0].error, "the mirror is broken");
    assert!(letters[1..].iter().all(|letter| letter.error.starts_with("not tried")));
    let positions: Vec<u64> = letters.iter().map(|letter| letter.position.sequence).collect();
    assert!(positions.is_sorted_by(|a, b| a < b), "in order, and each once");
}

#[tokio::test]
async fn tells_to_an_actor_that_fails_cannot_use_up_the_room_of_all() {
    const BEHIND: usize = 1_100;
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let endless = Patience { attempts: u32::MAX, crowded: Duration::from_millis(100), ..quick() };
    let host = Host::new(bus.clone()).patience(endless).actor::<Till>();
    let _node = host.start().await.unwrap();
    // It cannot be loaded, so whatever it is told fails.
    let failing = store_garbage(&server).await;
    let tells = (0..=BEHIND).map(|_| bus.actor(&failing).tell(PutIn { amount: 2 }));
    join_all(tells.map(IntoFuture::into_future))
        .await
        .into_iter()
        .for_each(|told| drop(told.unwrap()));
    let letters = eventually("those over the bound are set aside", || async {
        let letters = all_letters(&bus, "tells").await;
        (letters.len() > bus::limits::ACTOR_PENDING_MAX).then_some(letters)
    })
    .await;
    assert!(letters[0].error.contains("cannot be loaded"), "{}", letters[0].error);
    assert!(letters[1..].iter().all(|letter| letter.error.starts_with("not tried")));
}

#[tokio::test]
async fn what_is_too_large_to_be_a_dead_letter_is_told_all_the_same() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let mirror = Mirror::new();
    let _node = start(&bus, &mirror).await;
    let large = fresh("garbage");
    let jetstream = async_nats::jetstream::new(async_nats::connect(&server.url).await.unwrap());
    // As large as the server allows: with what would be said of it, it is larger.
    let garbage = vec![b'x'; 1024 * 1024];
    let subject = format!("evt.till.0.{large}");
    jetstream.publish(subject, garbage.into()).await.unwrap().await.unwrap();
    let letter = letters(&bus, 1).await.remove(0);
    assert!(letter.error.starts_with("too large to be kept here: cannot be decoded"), "{letter:?}");
    assert_eq!((&*letter.actor, letter.body.len()), (large.as_str(), 0));
    let without_body = bus.dead_letters().replay(letter.id).await;
    assert!(letter.is_cut && matches!(without_body, Err(Error::Mended(_))), "{without_body:?}");
    // Headers alone can be too large, too.
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Cb-Key", "k".repeat(65_400));
    let other = fresh("other");
    let tell = format!("do.till.{other}.put_in");
    let stored = jetstream.publish_with_headers(tell, headers, "{}".into()).await.unwrap();
    stored.await.unwrap();
    let told = letters(&bus, 2).await.remove(1);
    assert!(told.is_cut && *told.actor == *other.as_str(), "{told:?}: {}", told.error);
    // A tell would be lost with its letter: one so large is not taken.
    let tell = jetstream.publish(format!("do.till.{large}.put_in"), vec![b'x'; 800 * 1024].into());
    let refused = tell.await.unwrap().await.unwrap_err().to_string();
    assert!(refused.contains("10054"), "{refused}");
}

/// Panics whenever it is run.
struct Panic;

impl Effect<Till> for Panic {
    const NAME: &'static str = "panic";

    async fn run(&self, _: &Recorded<Till>, _: &Bus, _: &mut Then) -> Result<(), Retry> {
        panic!("always")
    }
}

#[tokio::test]
async fn what_always_panics_becomes_a_dead_letter_too() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let host = Host::new(bus.clone()).patience(quick()).actor::<Till>().effect(Panic);
    let _node = host.start().await.unwrap();
    bus.actor(&fresh("t")).ask(PutIn { amount: 1 }).await.unwrap();
    let letters = letters(&bus, 1).await;
    assert_eq!((&*letters[0].error, letters[0].attempts), ("it panicked", 4));
}
