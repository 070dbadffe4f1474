//! The HTTP edge: puts clients' requests onto the bus, and shows them what came of it.
//!
//! A handler reads the request, asks actors or rows, and shapes the answer; it decides nothing
//! that an actor could decide. `api` is the list of resources, each with its routes, declared in a
//! file of its own, and makes [`router`] and [`openapi`] of it; `extract`, `body` and `query` say
//! what comes in, `error` and `refusal` how "no" goes out; [`serve`] owns the sockets.

mod limits;

mod keys;
mod logins;
mod passwords;
mod refresh;
mod signing;
mod throttle;
mod tokens;

mod error;
mod refusal;

mod body;
mod conditional;
mod extract;
mod observe;
mod position;
mod prefer;
mod query;
mod search;

mod accounts;
mod api;
mod availability;
mod carts;
mod catalogue;
mod events;
mod fulfilment;
mod health;
mod history;
mod imports;
mod items;
mod jwks;
mod ledger;
mod order_page;
mod orders;
mod payments;
mod people;
mod placing;
mod returns;
mod sessions;
mod steps;
mod stock;
mod stock_board;
mod streams;
mod users;
mod webhooks;

mod serve;

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc};

use actors::users::LinkKey;
use axum::{Router, middleware};
use bus::Bus;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

pub use crate::{
    api::openapi,
    keys::{KeysError, email_id, link_key},
    serve::serve,
    signing::rotate_signing_key,
};

use crate::{
    health::Readiness,
    keys::{EmailKey, Keys},
    limits::{FORGERIES_NOTED_MAX, IMPORTS_MAX},
    logins::Logins,
    passwords::Passwords,
    refresh::RefreshKey,
    search::Search,
    streams::Streams,
    throttle::Throttle,
    tokens::Tokens,
};

/// What an edge has to be told.
#[derive(Clone)]
pub struct Config {
    /// The folder with the keys. They are made there if there are none; all edges of one shop
    /// need the same ones.
    pub keys: PathBuf,
    /// Who issues the access tokens: the shop's name or address.
    pub issuer: String,
    /// Whom they are for.
    pub audience: String,
    /// Proxies in front of the edge, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// What the card gateway signs its webhooks with; without it none is heard.
    pub gateway_secret: Option<String>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// All that the handlers share: a cheap handle.
#[derive(Clone)]
pub struct Edge {
    shared: Arc<Shared>,
}

struct Shared {
    bus: Bus,
    tokens: Tokens,
    email_key: EmailKey,
    refresh_key: RefreshKey,
    link_key: LinkKey,
    logins: Logins,
    guesses: Throttle,
    resets: Throttle,
    passwords: Passwords,
    trusted_proxies: Vec<IpAddr>,
    gateway_secret: Option<String>,
    forgeries: Semaphore,
    imports: Semaphore,
    readiness: Readiness,
    search: Search,
    streams: Streams,
    stopping: CancellationToken,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").finish_non_exhaustive()
    }
}

impl Edge {
    /// An edge on `bus`.
    ///
    /// # Errors
    /// [`KeysError`] if the keys cannot be read or made.
    pub fn new(bus: Bus, config: &Config) -> Result<Self, KeysError> {
        let keys = Keys::open(&config.keys)?;
        let shared = Shared {
            bus,
            tokens: Tokens::open(&config.keys, &config.issuer, &config.audience)?,
            email_key: keys.email_key()?,
            refresh_key: keys.refresh_key()?,
            link_key: link_key(&config.keys)?,
            logins: Logins::new(),
            guesses: Throttle::new(),
            resets: Throttle::new(),
            passwords: Passwords::new(),
            trusted_proxies: config.trusted_proxies.clone(),
            gateway_secret: config.gateway_secret.clone(),
            forgeries: Semaphore::new(FORGERIES_NOTED_MAX),
            imports: Semaphore::new(IMPORTS_MAX),
            readiness: Readiness::default(),
            search: Search::new(),
            streams: Streams::default(),
            stopping: CancellationToken::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    fn bus(&self) -> &Bus {
        &self.shared.bus
    }

    fn tokens(&self) -> &Tokens {
        &self.shared.tokens
    }

    fn email_key(&self) -> &EmailKey {
        &self.shared.email_key
    }

    fn refresh_key(&self) -> &RefreshKey {
        &self.shared.refresh_key
    }

    fn link_key(&self) -> &LinkKey {
        &self.shared.link_key
    }

    fn logins(&self) -> &Logins {
        &self.shared.logins
    }

    /// Tries at passwords.
    fn guesses(&self) -> &Throttle {
        &self.shared.guesses
    }

    /// Mails that strangers asked for.
    fn resets(&self) -> &Throttle {
        &self.shared.resets
    }

    fn passwords(&self) -> &Passwords {
        &self.shared.passwords
    }

    fn trusted_proxies(&self) -> &[IpAddr] {
        &self.shared.trusted_proxies
    }

    fn gateway_secret(&self) -> Option<&str> {
        self.shared.gateway_secret.as_deref()
    }

    /// The places where webhooks that anybody could send are noted.
    fn forgeries(&self) -> &Semaphore {
        &self.shared.forgeries
    }

    /// The places where imports are read.
    fn imports(&self) -> &Semaphore {
        &self.shared.imports
    }

    fn readiness(&self) -> &Readiness {
        &self.shared.readiness
    }

    fn search(&self) -> &Search {
        &self.shared.search
    }

    fn streams(&self) -> &Streams {
        &self.shared.streams
    }

    /// Cancelled when the edge stops: endless answers end with it.
    fn stopping(&self) -> &CancellationToken {
        &self.shared.stopping
    }
}

/// All routes, by resource, and what surrounds every request.
pub fn router(edge: Edge) -> Router {
    let routes = api::resources().into_iter().flat_map(|resource| resource.routes);
    routes
        .fold(Router::new(), |router, route| router.route(route.path, route.handler))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn(observe::limit_time))
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(middleware::from_fn(observe::observe))
        .with_state(edge)
}
