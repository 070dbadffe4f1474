//! Sagas and effects, against a real server: carried out surely, and in effect once.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use bus::{Bus, Effect, Host, Id, Recorded, Retry, Then};
use common::{Count, PutIn, TakeOut, Till, TillEvent, carry, connect, eventually, fresh};
use nats_server::TestServer;

/// Notes each event it is run for, and fails the first runs of each.
#[derive(Clone, Default)]
struct Note {
    runs: Arc<Mutex<HashMap<(Id<Till>, u64), u32>>>,
    in_order: Arc<Mutex<HashMap<Id<Till>, Vec<u64>>>>,
    fail_first: u32,
}

impl Effect<Till> for Note {
    const NAME: &'static str = "note";

    async fn run(&self, event: &Recorded<Till>, _: &Bus, _: &mut Then) -> Result<(), Retry> {
        let TillEvent::PutIn { amount } = event.event else { return Ok(()) };
        let mut runs = self.runs.lock().unwrap();
        let run = runs.entry((event.id.clone(), amount)).or_default();
        *run += 1;
        if *run <= self.fail_first {
            return Err(Retry::because("not yet"));
        }
        self.in_order.lock().unwrap().entry(event.id.clone()).or_default().push(amount);
        Ok(())
    }
}

/// Puts a part of what was taken out elsewhere: an effect whose command must not be doubled.
struct Donate {
    runs: Arc<AtomicU32>,
    to: Id<Till>,
}

impl Effect<Till> for Donate {
    const NAME: &'static str = "donate";

    async fn run(&self, event: &Recorded<Till>, _: &Bus, then: &mut Then) -> Result<(), Retry> {
        if let TillEvent::TakenOut { amount, .. } = event.event {
            then.ask(&self.to, &PutIn { amount });
            self.runs.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_saga_asks_each_command_once_though_its_node_is_replaced() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let start = || Host::new(bus.clone()).actor::<Till>().saga("carry", carry).start();
    let (from, to) = (fresh("from"), fresh("to"));
    let node = start().await.unwrap();
    bus.actor(&from).ask(PutIn { amount: 100 }).await.unwrap();
    for _ in 0..50 {
        let take = TakeOut { amount: 1, to: Some(to.clone()) };
        bus.actor(&from).ask(take).await.unwrap();
    }
    node.stop().await;
    let _node = start().await.unwrap();
    for _ in 0..50 {
        let take = TakeOut { amount: 1, to: Some(to.clone()) };
        bus.actor(&from).ask(take).await.unwrap();
    }
    eventually("all is carried over", || async {
        (bus.actor(&to).ask(Count {}).await.unwrap() == 100).then_some(())
    })
    .await;
    let commits = bus.history("till", to.as_str(), 0).await.unwrap();
    assert_eq!(commits.len(), 100, "one commit for each command, none doubled");
    let cause = commits[0].info.cause.as_deref().unwrap();
    assert_eq!(commits[0].info.key.as_ref(), format!("carry/{cause}/0"));
}

#[tokio::test]
async fn a_failing_effect_is_retried_in_order_and_holds_up_nobody_else() {
    let server = TestServer::own().await;
    let bus = connect(&server).await;
    let slow = Note { fail_first: 2, ..Note::default() };
    let (runs, in_order) = (slow.runs.clone(), slow.in_order.clone());
    let _node = Host::new(bus.clone()).actor::<Till>().effect(slow).start().await.unwrap();
    let tills: Vec<_> = (0..20).map(|_| fresh("t")).collect();
    for till in &tills {
        for amount in 1..=3 {
            bus.actor(till).ask(PutIn { amount }).await.unwrap();
        }
    }
    eventually("every event is noted", || async {
        let in_order = in_order.lock().unwrap();
        tills.iter().all(|till| in_order.get(till).is_some_and(|n| n.len() == 3)).then_some(())
    })
    .await;
    assert!(in_order.lock().unwrap().values().all(|noted| *noted == [1, 2, 3]));
    assert!(runs.lock().unwrap().values().all(|runs| *runs == 3));
}

#[tokio::test]
async fn what_an_effect_asks_is_not_doubled_by_a_killed_server() {
    let mut server = TestServer::own().await;
    let bus = connect(&server).await;
    let (from, to, runs) = (fresh("from"), fresh("to"), Arc::new(AtomicU32::new(0)));
    let donate = Donate { runs: runs.clone(), to: to.clone() };
    let _node = Host::new(bus.clone()).actor::<Till>().effect(donate).start().await.unwrap();
    bus.actor(&from).ask(PutIn { amount: 100 }).await.unwrap();
    for n in 0..60 {
        bus.actor(&from).ask(TakeOut { amount: 1, to: None }).await.unwrap();
        if n % 20 == 10 {
            // Acknowledgements of the last tenth of a second are forgotten by this.
            server.kill_and_restart().await;
        }
    }
    eventually("every donation has arrived", || async {
        (bus.actor(&to).ask(Count {}).await.unwrap() >= 60).then_some(())
    })
    .await;
    // A doubled one might still be on its way: until nothing is left to be delivered.
    let jetstream = async_nats::jetstream::new(async_nats::connect(&server.url).await.unwrap());
    let stream = jetstream.get_stream("EVT_till_0").await.unwrap();
    eventually("nothing is left to be delivered", || async {
        let info = stream.consumer_info("donate").await.unwrap();
        (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())
    })
    .await;
    assert_eq!(bus.history("till", to.as_str(), 0).await.unwrap().len(), 60);
    assert!(runs.load(Ordering::SeqCst) >= 60);
}

/// Waits long for the first event of each till, so that it can be cut off in the middle.
struct Cut {
    noted: Arc<Mutex<Vec<u64>>>,
    cut: Arc<tokio::sync::Notify>,
    is_patient: bool,
}

impl Effect<Till> for Cut {
    const NAME: &'static str = "cut";

    async fn run(&self, event: &Recorded<Till>, _: &Bus, _: &mut Then) -> Result<(), Retry> {
        let TillEvent::PutIn { amount } = event.event else { return Ok(()) };
        if amount == 1 && !self.is_patient {
            self.cut.notify_one();
            std::future::pending::<()>().await;
        }
        self.noted.lock().unwrap().push(amount);
        Ok(())
    }
}

#[tokio::test]
async fn what_was_cut_off_comes_before_what_is_new() {
    let server = TestServer::own().await;
    let caller = connect(&server).await;
    let (noted, cut) = (Arc::new(Mutex::new(Vec::new())), Arc::new(tokio::sync::Notify::new()));
    let (till, node) = (fresh("t"), common::host(&caller).await);
    // A follower in a runtime of its own, so that it can be cut off with the first commit in
    // its hands, as by a kill: connection and all.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let effect = Cut { noted: noted.clone(), cut: cut.clone(), is_patient: false };
    let (url, monitor_urls) = (server.url.clone(), vec![server.monitor_url.clone()]);
    runtime.spawn(async move {
        let options = bus::Connect { monitor_urls, ..bus::Connect::to(&url) };
        let bus = Bus::connect(&options).await.unwrap();
        let host = Host::new(bus).effect::<Till, _>(effect);
        host.run_until(std::future::pending()).await
    });
    caller.actor(&till).ask(PutIn { amount: 1 }).await.unwrap();
    cut.notified().await;
    runtime.shutdown_background();
    for amount in 2..=5 {
        caller.actor(&till).ask(PutIn { amount }).await.unwrap();
    }
    let effect = Cut { noted: noted.clone(), cut, is_patient: true };
    let second = connect(&server).await;
    let _second = Host::new(second).effect::<Till, _>(effect).start().await.unwrap();
    eventually("all five are noted", || async { (noted.lock().unwrap().len() >= 5).then_some(()) })
        .await;
    assert_eq!(*noted.lock().unwrap(), [1, 2, 3, 4, 5]);
    node.stop().await;
}
