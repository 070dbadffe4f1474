//! The whole shop on a real server, with verbs: stock, place, settle.
#![allow(clippy::unwrap_used)] // Test code: a failure is a failed test.

use std::{collections::BTreeSet, time::Duration};

use actors::{
    Currency, Gateway, MailLinks, Mailer, Money, Outside, Quantity, Role,
    inventory::{self, Create, ItemId, Receive, StockCard},
    orders::{self, OrderId, OrderLine, OrderView, Place},
    payments::simulated::tokenise,
    users::{EmailId, Register, UserId},
};
use bus::{Bus, Connect, Running};
use nats_server::TestServer;
use tempfile::TempDir;

/// A shop of its own, with one registered buyer.
pub(crate) struct Shop {
    pub(crate) bus: Bus,
    pub(crate) buyer: UserId,
    pub(crate) folder: TempDir,
    running: Running,
    server: TestServer,
}

pub(crate) fn eur(amount: i64) -> Money {
    Money { amount, currency: currency() }
}

pub(crate) fn currency() -> Currency {
    "EUR".parse().unwrap()
}

pub(crate) fn pieces(number: u32) -> Quantity {
    Quantity::new(number).unwrap()
}

pub(crate) fn sku(text: &str) -> ItemId {
    ItemId::parse(text).unwrap()
}

impl Shop {
    pub(crate) async fn open<G: Gateway>(gateway: G) -> Self {
        let server = TestServer::own().await;
        let monitor_urls = vec![server.monitor_url.clone()];
        let bus =
            Bus::connect(&Connect { monitor_urls, ..Connect::to(&server.url) }).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let from = "Callboard <shop@shop.example>";
        let mailer = Mailer::folder(folder.path().join("mail"), from).unwrap();
        let host =
            actors::host(bus.clone(), &Role::ALL, Outside { gateway, mailer, links: links() });
        let running = host.rows_in(folder.path().join("rows")).start().await.unwrap();
        let buyer = UserId::parse("u-1").unwrap();
        let shop = Self { bus, buyer, folder, running, server };
        shop.register().await;
        shop
    }

    /// Where the shop's server is.
    #[allow(dead_code)] // Not every test looks behind the scenes.
    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    async fn register(&self) {
        let registration = Register {
            name: "Ann".to_owned(),
            address: "ann@example.org".to_owned(),
            email: EmailId::parse("e-1").unwrap(),
            password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned(),
        };
        let email = registration.email.clone();
        let claim = actors::users::Claim { user: self.buyer.clone() };
        self.bus.actor(&email).ask(claim).await.unwrap();
        self.bus.actor(&self.buyer).ask(registration).await.unwrap();
    }

    /// Sells an item and stocks it.
    pub(crate) async fn stock(&self, text: &str, number: u32, price: Money) {
        let item = self.bus.actor(&sku(text));
        item.ask(Create::new(format!("Item {text}"), price)).await.unwrap();
        item.ask(Receive::new(pieces(number))).await.unwrap();
    }

    pub(crate) async fn item(&self, text: &str) -> StockCard {
        self.bus.actor(&sku(text)).ask(inventory::Show {}).await.unwrap()
    }

    /// Received, available, held, shipped.
    pub(crate) async fn piles(&self, text: &str) -> (u64, u64, u64, u64) {
        let StockCard { received, available, held, shipped, .. } = self.item(text).await;
        (received, available, held, shipped)
    }

    pub(crate) async fn place(&self, id: &str, card: &str, lines: &[(&str, u32)]) -> OrderId {
        let order = OrderId::parse(id).unwrap();
        let lines = lines.iter().map(|(text, number)| OrderLine {
            sku: sku(text),
            quantity: pieces(*number),
            expected_price: None,
        });
        let place = Place {
            buyer: self.buyer.clone(),
            currency: currency(),
            card: tokenise(card).unwrap(),
            lines: lines.collect(),
        };
        self.bus.actor(&order).ask(place).await.unwrap();
        order
    }

    pub(crate) async fn order(&self, order: &OrderId) -> OrderView {
        self.bus.actor(order).ask(orders::Show {}).await.unwrap()
    }

    pub(crate) async fn settled(&self, order: &OrderId) -> OrderView {
        eventually(&format!("{order} settles"), async || {
            let view = self.order(order).await;
            view.status.is_settled().then_some(view)
        })
        .await
    }

    /// Whether the items' piles become these: releases follow a cancellation.
    pub(crate) async fn piles_become(&self, text: &str, piles: (u64, u64, u64, u64)) {
        eventually(&format!("{text} has {piles:?}"), async || {
            (self.piles(text).await == piles).then_some(())
        })
        .await;
    }

    /// The mails about orders that left, as texts, once there are as many.
    pub(crate) async fn mails(&self, number: usize) -> Vec<String> {
        let folder = self.folder.path().join("mail");
        eventually(&format!("{number} mails"), async || {
            let files: BTreeSet<_> = std::fs::read_dir(&folder)
                .unwrap()
                .map(|file| file.unwrap().path())
                .filter(|path| path.extension().is_some_and(|end| end == "eml"))
                .collect();
            let texts = files.iter().map(|path| std::fs::read_to_string(path).unwrap());
            let texts: Vec<String> = texts.filter(|text| text.contains("Your order")).collect();
            (texts.len() == number).then_some(texts)
        })
        .await
    }

    pub(crate) async fn close(self) {
        self.running.stop().await;
    }
}

/// Tries until `check` gives something, and fails the test if it never does.
pub(crate) async fn eventually<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn links() -> MailLinks {
    let key = actors::users::LinkKey::new([0; 32]);
    MailLinks { key, shop: "https://shop.example".to_owned() }
}
