//! The shop's payments against a card gateway that is a server of its own.
#![allow(clippy::unwrap_used)] // Test code: a failure is a failed test.

use std::time::Duration;

use actors::{
    Gateway, HttpGateway, Money,
    payments::{
        CardToken, Charge, Charged, DeclineReason, GatewayError, PaymentId, Receipt, Verdict,
    },
};
use gateway::Settings;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// A gateway on a free port, with a folder of its own.
struct World {
    url: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
    _folder: TempDir,
}

impl World {
    async fn open(pending: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new("whsec-test");
        settings.data = folder.path().join("gateway");
        settings.pending = pending..=pending;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving =
            tokio::spawn(gateway::serve(listener, settings, async { drop(stopped.await) }));
        Self { url, stop, serving, _folder: folder }
    }

    fn gateway(&self) -> HttpGateway {
        HttpGateway::at(&self.url).unwrap()
    }

    async fn shown(&self, receipt: &Receipt) -> Value {
        let url = format!("{}/v1/charges/{receipt}", self.url);
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }

    async fn close(self) -> String {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
        self.url
    }
}

fn charge(payment: &str, token: &str) -> Charge {
    Charge {
        key: PaymentId::parse(payment).unwrap(),
        amount: eur(1_000),
        card: CardToken::parse(token).unwrap(),
    }
}

fn eur(amount: i64) -> Money {
    Money { amount, currency: "EUR".parse().unwrap() }
}

fn approved(verdict: Verdict) -> Receipt {
    match verdict {
        Verdict::Approved { receipt } => receipt,
        other => panic!("not approved: {other:?}"),
    }
}

#[tokio::test]
async fn a_card_is_charged_once_and_refunded_in_parts_once_each() {
    let world = World::open(Duration::from_secs(1)).await;
    let gateway = world.gateway();
    let first = approved(gateway.charge(&charge("o-1", "sim-4242")).await.unwrap());
    let again = approved(gateway.charge(&charge("o-1", "sim-4242")).await.unwrap());
    assert_eq!(first, again, "asked again with its key");
    let other = approved(gateway.charge(&charge("o-2", "sim-4242")).await.unwrap());
    assert_ne!(first, other);
    let part = |number, amount| Charged {
        key: PaymentId::parse("o-1").unwrap(),
        number,
        amount: eur(amount),
        receipt: first.clone(),
    };
    for _ in 0..2 {
        gateway.give_back(&part(1, 300)).await.unwrap();
    }
    gateway.give_back(&part(2, 200)).await.unwrap();
    let shown = world.shown(&first).await;
    assert_eq!((&shown["captured"], &shown["refunded"]), (&1_000.into(), &500.into()));
    let too_much = gateway.give_back(&part(3, 501)).await.unwrap_err();
    assert!(matches!(&too_much, GatewayError::Unavailable(why) if why.contains("409")));
    assert_eq!(world.shown(&first).await["refunded"], 500);
    world.close().await;
}

#[tokio::test]
async fn a_card_is_declined_for_a_reason() {
    let world = World::open(Duration::from_secs(1)).await;
    for (token, reason) in [
        ("sim-0002", DeclineReason::CardDeclined),
        ("sim-9995", DeclineReason::InsufficientFunds),
        ("sim-unknown-4444", DeclineReason::UnknownCard),
    ] {
        let verdict = world.gateway().charge(&charge(token, token)).await;
        assert_eq!(verdict, Ok(Verdict::Declined { reason }));
    }
    world.close().await;
}

#[tokio::test]
async fn what_costs_nothing_is_paid_without_asking() {
    let world = World::open(Duration::from_secs(1)).await;
    let gateway = world.gateway();
    world.close().await;
    let free = Charge { amount: eur(0), ..charge("o-1", "sim-4242") };
    let receipt = approved(gateway.charge(&free).await.unwrap());
    let charged = Charged { key: free.key, number: 0, amount: eur(0), receipt };
    gateway.give_back(&charged).await.unwrap();
}

#[tokio::test]
async fn what_is_pending_is_asked_for_again_until_it_is_decided() {
    let world = World::open(Duration::from_millis(300)).await;
    let gateway = world.gateway();
    let good = charge("o-1", "sim-3063");
    let bad = charge("o-2", "sim-3097");
    for pending in [&good, &bad] {
        assert!(matches!(gateway.charge(pending).await, Ok(Verdict::Pending { .. })));
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let verdict = loop {
        match gateway.charge(&good).await.unwrap() {
            Verdict::Pending { .. } => assert!(tokio::time::Instant::now() < deadline),
            verdict => break verdict,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(world.shown(&approved(verdict)).await["captured"], 1_000);
    let declined = loop {
        match gateway.charge(&bad).await.unwrap() {
            Verdict::Pending { .. } => assert!(tokio::time::Instant::now() < deadline),
            verdict => break verdict,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(declined, Verdict::Declined { reason: DeclineReason::CardDeclined });
    world.close().await;
}

#[tokio::test]
async fn a_gateway_that_is_gone_is_no_verdict() {
    let world = World::open(Duration::from_secs(1)).await;
    let gateway = world.gateway();
    world.close().await;
    let verdict = gateway.charge(&charge("o-1", "sim-4242")).await;
    assert_eq!(verdict, Err(GatewayError::Unavailable("it cannot be reached".to_owned())));
}
