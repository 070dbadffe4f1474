//! What handlers take from a request's head: who asks, the key, ids; each or a clear no.
//!
//! A handler whose arguments could be made may trust them.

use std::net::IpAddr;

use actors::users::{SessionId, UserId, UserRole};
use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, RawPathParams},
    http::{StatusCode, header, request::Parts},
};
use bus::{Ask, Handle, Id, Key, Timestamp, Wire};

use crate::{
    Edge,
    api::{Part, Place, Route},
    error::ApiError,
    logins::Standing,
    tokens::Bearer,
};

/// Whoever bears a valid access token.
#[derive(Debug)]
pub(crate) struct CurrentUser {
    pub(crate) id: UserId,
    /// The session the token was issued for.
    pub(crate) session: Option<SessionId>,
    pub(crate) roles: Vec<UserRole>,
    /// When the token ends, and with it what is shown on its account.
    pub(crate) until: Timestamp,
}

impl FromRequestParts<Edge> for CurrentUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, ApiError> {
        let missing =
            || ApiError::unauthorized("this needs an access token: Authorization: Bearer …");
        let header = parts.headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
        let (scheme, token) =
            header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        let Bearer { user, session, mut roles, expires_at } = edge
            .tokens()
            .check(token.trim())
            .map_err(|rejected| ApiError::unauthorized(rejected.to_string()))?;
        if let Some(session) = &session {
            match edge.logins().standing(edge.bus(), &user, session).await {
                Standing::Open(now) => roles = now,
                Standing::Closed => return Err(ApiError::unauthorized("the session is closed")),
                Standing::Unknown => {}
            }
        }
        Ok(Self { id: user, session, roles, until: expires_at })
    }
}

impl Part for CurrentUser {
    fn describe(route: &mut Route) {
        route.needs_token = true;
        route.may_refuse(401, "UNAUTHORIZED");
    }
}

impl CurrentUser {
    fn works_here(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, UserRole::Staff | UserRole::Admin))
    }

    /// Whose a thing must be for this user to see or change it: staff work with everybody's.
    pub(crate) fn unless_staff(&self) -> Option<UserId> {
        (!self.works_here()).then(|| self.id.clone())
    }
}

/// A user who works in the shop.
#[derive(Debug)]
pub(crate) struct Staff(pub(crate) CurrentUser);

impl FromRequestParts<Edge> for Staff {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, ApiError> {
        let user = CurrentUser::from_request_parts(parts, edge).await?;
        if user.works_here() {
            return Ok(Self(user));
        }
        let message = "this is for staff";
        Err(ApiError::new(StatusCode::FORBIDDEN, "FORBIDDEN", message))
    }
}

impl Part for Staff {
    fn describe(route: &mut Route) {
        CurrentUser::describe(route);
        route.may_refuse(403, "FORBIDDEN");
    }
}

/// Whoever asks, known or not. A token that counts for nothing is still an error.
#[derive(Debug)]
pub(crate) struct AnyUser(Option<CurrentUser>);

impl AnyUser {
    /// Whether it is somebody who works in the shop.
    pub(crate) fn is_staff(&self) -> bool {
        self.0.as_ref().is_some_and(CurrentUser::works_here)
    }
}

impl FromRequestParts<Edge> for AnyUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, ApiError> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(Self(None));
        }
        CurrentUser::from_request_parts(parts, edge).await.map(|user| Self(Some(user)))
    }
}

impl Part for AnyUser {
    fn describe(route: &mut Route) {
        route.may_refuse(401, "UNAUTHORIZED");
    }
}

/// A user who may change others' accounts.
#[derive(Debug)]
pub(crate) struct Admin(pub(crate) CurrentUser);

impl FromRequestParts<Edge> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, ApiError> {
        let user = CurrentUser::from_request_parts(parts, edge).await?;
        if user.roles.contains(&UserRole::Admin) {
            return Ok(Self(user));
        }
        Err(ApiError::new(StatusCode::FORBIDDEN, "FORBIDDEN", "this is for admins"))
    }
}

impl Part for Admin {
    fn describe(route: &mut Route) {
        Staff::describe(route);
    }
}

/// The address of whoever is connected to us.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The address a request comes from: our peer's, or what a trusted proxy says of its own peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin(pub(crate) IpAddr);

impl FromRequestParts<Edge> for Origin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<Peer>().copied();
        let Peer(peer) = peer.ok_or_else(|| ApiError::internal("a request without a peer"))?;
        let said = parts.headers.get_all("x-forwarded-for").iter();
        let said: Vec<&str> = said.filter_map(|said| said.to_str().ok()).collect();
        Ok(Self(origin(peer, &said.join(","), edge.trusted_proxies())))
    }
}

/// Only a trusted proxy has a say: nothing for a client to send.
impl Part for Origin {
    fn describe(_: &mut Route) {}
}

/// Goes back along `forwarded_for` as long as those who say so are trusted.
fn origin(peer: IpAddr, forwarded_for: &str, trusted: &[IpAddr]) -> IpAddr {
    let mut origin = peer;
    for said in forwarded_for.rsplit(',') {
        match said.trim().parse::<IpAddr>() {
            Ok(before) if trusted.contains(&origin) => origin = before.to_canonical(),
            _ => break,
        }
    }
    origin
}

/// The `Idempotency-Key` header, if it was sent.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(Option<Key>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let key = value.to_str().ok().and_then(|text| Key::parse(text).ok());
        match (key, values.next()) {
            (Some(key), None) => Ok(Self(Some(key))),
            _ => Err(ApiError::invalid(
                "Idempotency-Key",
                "an Idempotency-Key is one value of 1 to 200 visible ASCII characters",
            )),
        }
    }
}

impl Part for IdempotencyKey {
    fn describe(route: &mut Route) {
        let about = "Makes repeats harmless: what was done once under this key is not done again, \
                     and answered as then. With another request it is refused.";
        let example = Some("9f0c2b1e-first-try");
        route.takes::<Key>(Place::Header, "Idempotency-Key", about, example);
        route.may_refuse(400, "INVALID");
        route.may_refuse(422, "KEY_REUSED");
    }
}

impl IdempotencyKey {
    /// As the client sent it.
    pub(crate) fn sent(&self) -> Option<&Key> {
        self.0.as_ref()
    }

    /// Gives `asked` the key for the command that `sender` has carried out.
    pub(crate) fn put_on<A: Handle<C>, C: Wire>(
        &self,
        asked: Ask<A, C>,
        sender: &str,
    ) -> Ask<A, C> {
        if self.0.is_some() { asked.key(self.for_sender(sender)) } else { asked }
    }

    /// The key for the command that `sender` has carried out: the client's, kept apart from
    /// other senders' and from the keys that sagas make, or one nobody used before.
    pub(crate) fn for_sender(&self, sender: &str) -> Key {
        match &self.0 {
            None => Key::random(),
            Some(key) => {
                let apart = Id::<Self>::derived("http", &[sender, key.as_str()]);
                Key::parse(apart.as_str()).expect("an id has visible ASCII characters only")
            }
        }
    }
}

/// The id in the path; an error names it as the route does: `sku`, `id`.
#[derive(Debug)]
pub(crate) struct PathId<A>(pub(crate) Id<A>);

impl<A, S: Send + Sync> FromRequestParts<S> for PathId<A> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let params = parts.extract::<RawPathParams>().await;
        let params = params.map_err(|error| ApiError::invalid("path", error.to_string()))?;
        let Some((field, text)) = params.iter().next() else {
            return Err(ApiError::internal("a route without an id takes one"));
        };
        Id::parse(text).map(Self).map_err(|error| ApiError::invalid(field, error.to_string()))
    }
}

impl<A> Part for PathId<A> {
    fn describe(route: &mut Route) {
        route.takes::<Id<A>>(Place::Path, route.place_in_path(), "Which one.", None);
        route.may_refuse(400, "INVALID");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let (client, proxy, outer) = (ip("203.0.113.9"), ip("10.0.0.1"), ip("10.0.0.2"));
        let said = "198.51.100.1, 203.0.113.9, 10.0.0.2";
        assert_eq!(origin(proxy, said, &[]), proxy, "nobody is trusted");
        assert_eq!(origin(client, said, &[proxy]), client, "a client says what it likes");
        assert_eq!(origin(proxy, said, &[proxy]), outer);
        assert_eq!(
            origin(proxy, said, &[proxy, outer]),
            client,
            "what was there before is a claim"
        );
        assert_eq!(origin(proxy, "garbage", &[proxy]), proxy);
    }

    #[test]
    fn a_clients_key_is_kept_apart_from_others() {
        let key = IdempotencyKey(Some(Key::parse("checkout/EVT_order_0@12/0").expect("a key")));
        assert_eq!(key.for_sender("u-1"), key.for_sender("u-1"));
        assert_ne!(key.for_sender("u-1"), key.for_sender("u-2"));
        assert_ne!(&key.for_sender("u-1"), key.sent().expect("sent"));
        let none = IdempotencyKey(None);
        assert_ne!(none.for_sender("u-1"), none.for_sender("u-1"));
    }
}
