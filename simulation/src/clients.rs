//! Clients of the shop: each does a seeded day's work, asks again when it hears nothing, and
//! writes down what it was told. What it was told is what the audit holds the shop to.

use std::time::Duration;

use actors::{
    Money, Quantity, WarehouseId,
    carts::{CartId, CheckOut, Put, Remove},
    inventory::{
        self, Adjust, AdjustReason, Change, Create, ItemCard, ItemId, Receive, SetLowStock,
    },
    orders::{
        AcceptReturn, Cancel, Deliver, OrderCard, OrderId, OrderLine, OrderStatus, OrderView,
        Place, Portion, RejectReturn, Return, Ship, Show,
    },
    payments::simulated::tokenise,
    users::{Claim, EmailId, Register, UserId},
};
use bus::{Actor, AskError, Bus, Handle, Id, Key, Position, Wire};
use tokio::time::sleep;

use crate::dice::Dice;

/// How long one ask is given; then it is sent again with the same key.
const PATIENCE: Duration = Duration::from_secs(6);

/// What a client was told of one command.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// It was carried out, and left its commit there.
    Done(Position),
    /// It was carried out; if there was anything left to do, it left its commit there.
    Stands(Position),
    /// It was refused, and left nothing.
    Refused,
}

/// What all clients together know at the end.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) told: Vec<Told>,
    pub(crate) placed: Vec<OrderId>,
    pub(crate) wrong: Vec<String>,
    pub(crate) asked_again: u64,
}

impl History {
    pub(crate) fn join(&mut self, other: Self) {
        self.told.extend(other.told);
        self.placed.extend(other.placed);
        self.wrong.extend(other.wrong);
        self.asked_again += other.asked_again;
    }
}

/// One client at its bus.
pub(crate) struct Client {
    name: String,
    bus: Bus,
    dice: Dice,
    history: History,
}

/// The items on sale, and how many of each come in at first.
pub(crate) const ITEMS: [(&str, u32, i64); 3] =
    [("TEA", 12, 450), ("CUP", 6, 1_200), ("POT", 3, 3_000)];

const CARDS: [&str; 8] = [
    "4242424242424242",
    "4242424242424242",
    "4242424242424242",
    "4242424242424242",
    "4000000000000002",
    "4000000000009995",
    "4000000000000259",
    "4000000000000259",
];

impl Client {
    pub(crate) fn new(name: String, bus: Bus, dice: Dice) -> Self {
        Self { name, bus, dice, history: History::default() }
    }

    pub(crate) fn into_history(self) -> History {
        self.history
    }

    /// Asks until there is an answer, always with the same key.
    async fn ask<A, C>(&mut self, id: &Id<A>, command: &C) -> Result<A::Reply, A::Error>
    where
        A: Actor + Handle<C>,
        C: Wire + Clone,
        A::Reply: PartialEq + std::fmt::Debug,
    {
        let key = self.dice.key();
        let first_sent = self.bus.now();
        let told = |outcome| Told {
            kind: A::KIND,
            id: id.to_string(),
            key: key.as_str().to_owned(),
            outcome,
        };
        let mut again = 0;
        let (reply, position) = loop {
            let ask = self.bus.actor(id).ask(command.clone()).key(key.clone());
            match ask.key_first_sent(first_sent).timeout(PATIENCE).positioned().await {
                Ok(answer) => break answer,
                Err(AskError::Refused(refusal)) => {
                    self.history.told.push(told(Outcome::Refused));
                    return Err(refusal);
                }
                Err(error) => {
                    again += 1;
                    self.history.asked_again += 1;
                    if again > 200 {
                        let name = format!("{} {}/{id}", self.name, A::KIND);
                        self.history.wrong.push(format!("{name}: never answered: {error}"));
                        // Nothing that follows could be held against the shop.
                        std::future::pending::<()>().await;
                    }
                    sleep(Duration::from_millis(self.dice.below(300))).await;
                }
            }
        };
        self.history.told.push(told(Outcome::Done(position.clone())));
        if self.dice.chance(250) {
            self.repeat(id, command, &key, (&reply, &position)).await;
        }
        Ok(reply)
    }

    /// The same key again, later: the very same answer.
    async fn repeat<A, C>(
        &mut self,
        id: &Id<A>,
        command: &C,
        key: &Key,
        first: (&A::Reply, &Position),
    ) where
        A: Actor + Handle<C>,
        C: Wire + Clone,
        A::Reply: PartialEq + std::fmt::Debug,
    {
        sleep(Duration::from_millis(self.dice.below(2_000))).await;
        let ask = self.bus.actor(id).ask(command.clone()).key(key.clone());
        let then = match ask.timeout(PATIENCE).positioned().await {
            Ok((reply, position)) if (&reply, &position) == first => return,
            Ok((reply, position)) => format!("{reply:?} at {position}"),
            Err(error) if error.may_ask_again() => return,
            Err(error) => error.to_string(),
        };
        let (kind, (reply, position)) = (A::KIND, first);
        self.history.wrong.push(format!(
            "{kind}/{id}: the same key was answered {reply:?} at {position}, then {then}"
        ));
    }

    /// Puts the items on sale.
    pub(crate) async fn stock_the_shelves(&mut self) {
        for (sku, pieces, price) in ITEMS {
            let item = item(sku);
            let create = Create::new(format!("Item {sku}"), eur(price));
            drop(self.ask(&item, &create).await);
            drop(self.ask(&item, &Receive::new(quantity(pieces))).await);
            drop(self.ask(&item, &SetLowStock { below: 2 }).await);
        }
    }

    /// Registers, then shops.
    pub(crate) async fn shop(&mut self, orders: u32) {
        let user = UserId::derived("u", &[&self.name]);
        // All of them want the same address; one gets it.
        let mut email = EmailId::derived("e", &["wanted"]);
        if self.ask(&email, &Claim { user: user.clone() }).await.is_err() {
            email = EmailId::derived("e", &[&self.name]);
            drop(self.ask(&email, &Claim { user: user.clone() }).await);
        }
        let register = Register {
            name: self.name.clone(),
            address: format!("{}@shop.example", self.name),
            email,
            password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned(),
        };
        drop(self.ask(&user, &register).await);
        for number in 0..orders {
            sleep(Duration::from_millis(self.dice.below(1_500))).await;
            if self.dice.chance(200) {
                self.order_a_cart(&user, number).await;
            } else {
                self.place(&user, number).await;
            }
            match self.dice.below(4) {
                0 => self.look_at_an_item().await,
                1 => self.take_in_stock().await,
                _ => {}
            }
        }
    }

    async fn place(&mut self, user: &UserId, number: u32) {
        let order = OrderId::derived("o", &[&self.name, &number.to_string()]);
        let first = usize::try_from(self.dice.below(ITEMS.len() as u64)).unwrap_or(0);
        let count = 1 + usize::from(self.dice.chance(400));
        let lines = (0..count).map(|n| OrderLine {
            sku: item(ITEMS[(first + n) % ITEMS.len()].0),
            quantity: quantity(1 + u32::try_from(self.dice.below(3)).unwrap_or(0)),
            // What it costs, and now and then what it does not.
            expected_price: self.dice.chance(300).then(|| {
                eur(ITEMS[(first + n) % ITEMS.len()].2 + i64::from(self.dice.chance(100)))
            }),
        });
        let lines: Vec<OrderLine> = lines.collect();
        let card = CARDS[usize::try_from(self.dice.below(CARDS.len() as u64)).unwrap_or(0)];
        let card = tokenise(card).expect("a documented card");
        let place = Place { buyer: user.clone(), currency: eur(0).currency, card, lines };
        if let Ok(status) = self.ask(&order, &place).await {
            if status != OrderStatus::Placed {
                self.history.wrong.push(format!("order/{order} was placed as {status:?}"));
            }
            self.history.placed.push(order.clone());
            self.read_own_order(&order).await;
            match self.dice.below(5) {
                0 => self.call_off(user, &order).await,
                1..=3 => self.fulfil(user, &order).await,
                _ => {}
            }
        }
    }

    /// Fills a cart, perhaps thinks better of some of it, and orders what is left.
    async fn order_a_cart(&mut self, user: &UserId, number: u32) {
        let cart = CartId::parse(user.as_str()).expect("a token");
        for (sku, _, price) in ITEMS {
            let put = Put { sku: item(sku), quantity: quantity(1), unit_price: eur(price) };
            drop(self.ask(&cart, &put).await);
        }
        let (unwanted, ..) =
            ITEMS[usize::try_from(self.dice.below(ITEMS.len() as u64)).unwrap_or(0)];
        drop(self.ask(&cart, &Remove { sku: item(unwanted) }).await);
        let order = OrderId::derived("o", &[&self.name, "cart", &number.to_string()]);
        let card = tokenise(CARDS[0]).expect("a documented card");
        if self.ask(&cart, &CheckOut { order: order.clone(), card }).await.is_ok() {
            self.history.placed.push(order);
        }
    }

    /// Calls the order off, early or late; it may have been too late.
    async fn call_off(&mut self, user: &UserId, order: &OrderId) {
        sleep(Duration::from_millis(self.dice.below(3_000))).await;
        let buyer = self.dice.chance(700).then(|| user.clone());
        // Of one that is cancelled already there is nothing to do.
        if self.ask(order, &Cancel { buyer }).await.is_ok()
            && let Some(Told { outcome, .. }) = self.history.told.last_mut()
            && let Outcome::Done(position) = outcome
        {
            *outcome = Outcome::Stands(position.clone());
        }
    }

    /// As staff: ships a paid order in one or two parts, and has it delivered. As the buyer: sends
    /// some of it back.
    async fn fulfil(&mut self, user: &UserId, order: &OrderId) {
        let Some(view) = self.confirmed(order).await else { return };
        let mut left: Vec<Portion> = view
            .lines
            .iter()
            .map(|line| Portion { sku: line.sku.clone(), quantity: line.quantity })
            .collect();
        let is_split = left.len() > 1 && self.dice.chance(500);
        let rest = if is_split { left.split_off(1) } else { Vec::new() };
        for portions in [left, rest].into_iter().filter(|portions| !portions.is_empty()) {
            let warehouse = self.dice.chance(400).then(|| self.somewhere());
            let ship = Ship { portions: portions.clone(), parcel: None, warehouse };
            let Ok(shipment) = self.ask(order, &ship).await else { continue };
            if self.dice.chance(800) {
                drop(self.ask(order, &Deliver { shipment }).await);
                self.send_back(user, order, portions).await;
            }
        }
        if self.dice.chance(100) {
            // Too late: it has left the house.
            self.call_off(user, order).await;
        }
    }

    async fn send_back(&mut self, user: &UserId, order: &OrderId, portions: Vec<Portion>) {
        if !self.dice.chance(500) {
            return;
        }
        let give_back =
            Return { buyer: Some(user.clone()), portions, reason: "it came broken".to_owned() };
        let Ok(number) = self.ask(order, &give_back).await else { return };
        if self.dice.chance(200) {
            // Twice: there is nothing left to return.
            drop(self.ask(order, &give_back).await);
        }
        if self.dice.chance(700) {
            let sellable = self.dice.chance(700);
            drop(self.ask(order, &AcceptReturn { number, sellable }).await);
        } else {
            let reason = "it was used".to_owned();
            drop(self.ask(order, &RejectReturn { number, reason }).await);
        }
    }

    /// The order once it is paid; nothing if it is not, or takes long.
    async fn confirmed(&mut self, order: &OrderId) -> Option<OrderView> {
        for _ in 0..30 {
            let shown = self.bus.actor(order).ask(Show {}).timeout(PATIENCE).await;
            match shown {
                Ok(view) if view.status == OrderStatus::Confirmed => return Some(view),
                Ok(view) if view.status.is_settled() => return None,
                _ => sleep(Duration::from_millis(500 + self.dice.below(500))).await,
            }
        }
        None
    }

    /// A row read after the position of the own write includes it.
    async fn read_own_order(&mut self, order: &OrderId) {
        let Some(Told { outcome: Outcome::Done(position), .. }) = self.history.told.last() else {
            return;
        };
        let rows = self.bus.rows::<OrderCard>();
        let get = rows.get(order.as_str()).after(position).timeout(PATIENCE);
        // Rows may be away for a while; they may not be wrong.
        if let Ok(None) = get.await {
            self.history.wrong.push(format!("order/{order} has no row after its own position"));
        }
    }

    async fn look_at_an_item(&mut self) {
        let (sku, ..) = ITEMS[usize::try_from(self.dice.below(ITEMS.len() as u64)).unwrap_or(0)];
        let rows = self.bus.rows::<ItemCard>();
        if let Ok(Some(card)) = rows.get(sku).timeout(PATIENCE).await
            && card.received != card.available + card.held + card.shipped + card.written_off
        {
            self.history.wrong.push(format!("the row of {sku} does not add up: {card:?}"));
        }
        let shown = self.bus.actor(&item(sku)).ask(inventory::Show {}).timeout(PATIENCE).await;
        if let Ok(card) = shown
            && card.received != card.available + card.held + card.shipped + card.written_off
        {
            self.history.wrong.push(format!("{sku} does not add up: {card:?}"));
        }
    }

    async fn take_in_stock(&mut self) {
        let (sku, ..) = ITEMS[usize::try_from(self.dice.below(ITEMS.len() as u64)).unwrap_or(0)];
        let warehouse = self.somewhere();
        if self.dice.chance(700) {
            let quantity = quantity(2);
            drop(self.ask(&item(sku), &Receive { quantity, warehouse }).await);
            return;
        }
        // Some of what is counted is not free, or not there: that is refused.
        let by = if self.dice.chance(500) { Change::Up } else { Change::Down };
        let (by, reason, note) = (by(quantity(1)), AdjustReason::Counted, String::new());
        drop(self.ask(&item(sku), &Adjust { by, reason, note, warehouse }).await);
    }

    fn somewhere(&mut self) -> WarehouseId {
        ["main", "north"][usize::from(self.dice.chance(400))].parse().expect("a warehouse")
    }
}

fn item(sku: &str) -> ItemId {
    ItemId::parse(sku).expect("a token")
}

fn quantity(pieces: u32) -> Quantity {
    Quantity::new(pieces).expect("few pieces")
}

fn eur(amount: i64) -> Money {
    Money { amount, currency: "EUR".parse().expect("a currency") }
}
