//! The shop: users, inventory, carts, orders, payments and notifications as durable actors.
//!
//! One folder per domain, each with the same files: `commands` (what it can be asked),
//! `events` (what can happen to it), `actor` (its rules), and where it has one a `saga` (what
//! it asks of others), an `effect` (what it does outside) and a `projection` (what can be
//! queried). A domain knows another's commands and events only in its saga or effect.
//!
//! All that runs is listed by [`host`]; all bounds are in [`limits`].

pub mod limits;
mod money;
mod name;
mod quantity;
pub mod schema;
mod warehouse;
mod whole_number;

pub mod carts;
pub mod inventory;
pub mod notifications;
pub mod orders;
pub mod payments;
pub mod users;

#[cfg(test)]
mod recorded;
mod role;

use bus::{AsyncApi, Bus, Host};

use self::{
    carts::{Cart, saga as ordering},
    inventory::{
        Item, ItemCard,
        import::{CarryOut, Import},
    },
    notifications::{Notice, SendNotice, saga as notices},
    orders::{Order, OrderCard, saga as checkout},
    payments::{ChargeCard, LedgerRow, Payment},
    users::{Email, User, saga as registration},
};
pub use self::{
    money::{Currency, InvalidCurrency, InvalidMoney, Money, MoneyError},
    notifications::{InvalidMailer, MailLinks, Mailer, Outbox},
    payments::{Gateway, HttpGateway, InvalidGateway, SimulatedGateway},
    quantity::{InvalidQuantity, Quantity},
    role::{Role, UnknownRole},
    warehouse::{InvalidWarehouse, WarehouseId},
};

/// What the actors need of the outside world.
#[derive(Debug)]
pub struct Outside<G> {
    /// Who charges cards.
    pub gateway: G,
    /// How mail leaves.
    pub mailer: Mailer,
    /// Where the links in mails lead.
    pub links: MailLinks,
}

/// All that the shop says and hears on NATS, as an AsyncAPI 3 document.
#[must_use]
pub fn asyncapi() -> serde_json::Value {
    AsyncApi::new("Callboard: a shop")
        .kind::<Email>()
        .kind::<User>()
        .kind::<Item>()
        .rows::<ItemCard>()
        .kind::<Import>()
        .kind::<Cart>()
        .kind::<Order>()
        .rows::<OrderCard>()
        .kind::<Payment>()
        .rows::<LedgerRow>()
        .kind::<Notice>()
        .document()
}

/// A node that plays `roles`: everything the shop runs, each part under the role whose commits
/// it follows. The orders' and items' cards and the ledger want [`Host::rows_in`].
pub fn host<G: Gateway>(bus: Bus, roles: &[Role], outside: Outside<G>) -> Host {
    let Outside { gateway, mailer, links } = outside;
    let mut host = Host::new(bus);
    if roles.contains(&Role::Email) {
        host = host.actor::<Email>().described::<Email>();
    }
    if roles.contains(&Role::User) {
        host = host
            .actor::<User>()
            .described::<User>()
            .saga("registration", registration::on_user)
            .saga("notices", notices::on_user);
    }
    if roles.contains(&Role::Item) {
        host = host
            .actor::<Item>()
            .described::<Item>()
            .saga("checkout", checkout::on_item)
            .projection::<ItemCard, Item>()
            .described_rows::<ItemCard>()
            .actor::<Import>()
            .described::<Import>()
            .effect(CarryOut);
    }
    if roles.contains(&Role::Cart) {
        host = host.actor::<Cart>().described::<Cart>().saga("ordering", ordering::on_cart);
    }
    if roles.contains(&Role::Order) {
        host = host
            .actor::<Order>()
            .described::<Order>()
            .saga("checkout", checkout::on_order)
            .saga("notices", notices::on_order)
            .projection::<OrderCard, Order>()
            .described_rows::<OrderCard>();
    }
    if roles.contains(&Role::Payment) {
        host = host
            .actor::<Payment>()
            .described::<Payment>()
            .saga("checkout", checkout::on_payment)
            .effect(ChargeCard { gateway })
            .projection::<LedgerRow, Payment>()
            .described_rows::<LedgerRow>();
    }
    if roles.contains(&Role::Notice) {
        host = host.actor::<Notice>().described::<Notice>().effect(SendNotice { mailer, links });
    }
    host
}
