//! The routes as they are declared: each once, with its handler and with what is written of it.
//!
//! The router and the document at `/openapi.json` are made of one list, [`resources`]. What a
//! handler takes ([`Part`]: who asks, a header, a body) is described by its arguments' types, so
//! that it cannot be left out; what it answers, and why it refuses, the declaration says.

mod document;
mod inputs;
mod pages;
mod reading;
mod route;
mod shapes;

pub use self::document::openapi;
pub(crate) use self::{
    inputs::Part,
    pages::routes,
    route::{Header, Place, Resource, Route, delete, get, patch, post, put},
};

use crate::{
    accounts, carts, catalogue, events, fulfilment, health, imports, items, jwks, ledger, orders,
    payments, people, returns, sessions, stock, users, webhooks,
};

/// Where a new thing is.
pub(crate) const LOCATION: Header = Header { name: "Location", about: "Where it is." };

/// When to ask again.
pub(crate) const RETRY_AFTER: Header =
    Header { name: "Retry-After", about: "Seconds after which it may be asked again." };

/// All that can be asked, by resource, in the order of the document.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        users::routes(),
        accounts::routes(),
        sessions::routes(),
        items::routes(),
        catalogue::routes(),
        stock::routes(),
        imports::routes(),
        carts::routes(),
        orders::routes(),
        fulfilment::routes(),
        returns::routes(),
        events::routes(),
        people::routes(),
        payments::routes(),
        ledger::routes(),
        webhooks::routes(),
        jwks::routes(),
        health::routes(),
        routes(),
    ]
}
