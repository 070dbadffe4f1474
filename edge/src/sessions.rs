//! Sessions: a mail address and a password for an access token and a refresh token, and how that
//! goes on and ends.
//!
//! Whether the address is unknown or the password wrong is told to nobody, neither in words nor
//! by the time it takes.

use std::{fmt, net::IpAddr};

use actors::users::{
    CloseSession, CloseSessions, Credentials, Holder, ListSessions, OpenSession, RefreshSession,
    Refreshed, Rehash, SessionId, SessionView, ShowCredentials, UserError, UserId, UserRole,
};
use axum::{
    Json as Answer,
    extract::{FromRequestParts, State},
    http::{StatusCode, header, request::Parts},
};
use bus::{AskError, JsonSchema, Key};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Edge,
    api::{Part, Resource, Route, delete, get, post},
    body::Json,
    error::ApiError,
    extract::{CurrentUser, IdempotencyKey, Origin, PathId},
    observe::Trace,
    passwords::{Password, Passwords},
    refresh::RefreshToken,
    tokens::Tokens,
    users::Address,
};

pub(crate) fn routes() -> Resource {
    Resource::new("Sessions", "Logging in, and out again: here, there and everywhere.")
        .with(open_route())
        .with(
            get("/v1/sessions", list)
                .says("listSessions", "List where one is logged in", "The one used last first.")
                .answers::<SessionsShown>(200, "All open sessions.")
                .refuses(404, &["UNKNOWN_USER"]),
        )
        .with(
            delete("/v1/sessions", close_all)
                .says("closeSessions", "Log out everywhere", "")
                .answers_nothing(204, "All sessions are closed.")
                .refuses(404, &["UNKNOWN_USER"]),
        )
        .with(
            post("/v1/sessions/refresh", refresh)
                .says(
                    "refreshSession",
                    "Go on with a session",
                    "A refresh token is good once. Used again later than a retry would be, it \
                     closes its session.",
                )
                .example(json!({ "refresh_token": "u-3885.s-9f0c.0.mac" }))
                .answers::<SessionShown>(200, "The next tokens.")
                .refuses(401, &["UNAUTHORIZED"])
                .refuses(403, &["DISABLED"]),
        )
        .with(
            delete("/v1/sessions/current", close_current)
                .says("closeCurrentSession", "Log out here", "")
                .answers_nothing(204, "The token's session is closed.")
                .refuses(404, &["NOT_FOUND", "UNKNOWN_USER"]),
        )
        .with(
            delete("/v1/sessions/{id}", close)
                .says("closeSession", "Log out there", "")
                .answers_nothing(204, "It is closed, or there was none.")
                .refuses(404, &["UNKNOWN_USER"]),
        )
}

fn open_route() -> Route {
    post("/v1/sessions", open)
        .says(
            "logIn",
            "Log in",
            "Whether the address is unknown or the password wrong is not told. After some wrong \
             ones the next try has to wait.",
        )
        .example(json!({ "email": "ada@example.com", "password": "correct horse battery" }))
        .answers::<SessionShown>(
            201,
            "The tokens of a new session; under one key it is one session.",
        )
        .then("closeSession", "id", "$response.body#/session")
        .refuses(401, &["BAD_CREDENTIALS"])
        .refuses(403, &["DISABLED"])
        .refuses(429, &["THROTTLED"])
}

/// What opens a session.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Opening {
    /// The account's address.
    email: String,
    /// The account's password.
    password: Password,
}

/// What lets a session go on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Refreshing {
    /// The newest of the session.
    refresh_token: String,
}

/// What a session is shown as, once: its tokens.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tokens")]
struct SessionShown {
    /// The access token: for `Authorization: Bearer`.
    token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds that the access token is good for.
    expires_in: u64,
    /// What the next tokens are had for, once.
    refresh_token: String,
    /// The session.
    session: SessionId,
}

/// Where a user is logged in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sessions")]
struct SessionsShown {
    /// The open sessions.
    sessions: Vec<ListedSession>,
}

/// A session.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
struct ListedSession {
    #[serde(flatten)]
    session: SessionView,
    /// Whether it is the one of the token that asks.
    is_current: bool,
}

impl fmt::Debug for SessionShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionShown").field("session", &self.session).finish_non_exhaustive()
    }
}

/// `POST /v1/sessions`: 201 with the tokens of a new session. Under one key it is one session.
async fn open(
    State(edge): State<Edge>,
    trace: Trace,
    Origin(origin): Origin,
    key: IdempotencyKey,
    Client(client): Client,
    Json(body): Json<Opening>,
) -> Result<(StatusCode, Answer<SessionShown>), ApiError> {
    let user = authenticate(&edge, &trace, origin, body).await?;
    let opening = OpenSession { session: session_id(&user, &key), client };
    let session = opening.session.clone();
    let asked = edge.bus().actor(&user).ask(opening).principal(user.as_str());
    let roles = asked.trace(trace.as_str()).await?;
    let shown = shown(&edge, RefreshToken { user, session, generation: 0 }, roles)?;
    Ok((StatusCode::CREATED, Answer(shown)))
}

/// Who logs in, if that is who it says it is and may.
async fn authenticate(
    edge: &Edge,
    trace: &Trace,
    origin: IpAddr,
    Opening { email, password }: Opening,
) -> Result<UserId, ApiError> {
    // What cannot be an address has no account either.
    let address = Address::parse(&email).map_err(|_| bad_credentials())?;
    let attempt = edge.guesses().enter(edge.email_key().email_id(&address).as_str(), origin)?;
    let (user, found) = match checked(edge, trace, &address, &password).await {
        Ok((user, Some(found))) => {
            attempt.succeeded();
            (user, found)
        }
        Ok((_, None)) => return Err(bad_credentials()),
        Err(error) => {
            attempt.withdrawn();
            return Err(error);
        }
    };
    if found.is_disabled {
        return Err(UserError::Disabled.into());
    }
    if Passwords::is_outdated(&found.password_hash) {
        // Who has the right password comes in, even if this cannot be done now.
        if let Err(error) = rehash(edge, trace, &user, password, found.password_hash).await {
            tracing::warn!(%trace, %user, ?error, "a password's hash was not renewed");
        }
    }
    Ok(user)
}

/// The user with this address, and its credentials if `password` is its.
async fn checked(
    edge: &Edge,
    trace: &Trace,
    address: &Address,
    password: &Password,
) -> Result<(UserId, Option<Credentials>), ApiError> {
    let (user, found) = credentials(edge, trace, address).await?;
    let hash = found.as_ref().map(|found| found.password_hash.clone());
    let is_right = edge.passwords().verify(password.clone(), hash).await?;
    Ok((user, found.filter(|_| is_right)))
}

/// Stores the password's hash at today's cost, now that the password is at hand.
async fn rehash(
    edge: &Edge,
    trace: &Trace,
    user: &UserId,
    password: Password,
    old_hash: String,
) -> Result<(), ApiError> {
    let salt = edge.email_key().salt(user.as_str(), password.expose());
    let password_hash = edge.passwords().hash(password, salt).await?;
    let asked = edge.bus().actor(user).ask(Rehash { old_hash, password_hash });
    Ok(asked.trace(trace.as_str()).await?)
}

/// The user with this address and its credentials. An address without a user takes the same
/// steps: the time it takes tells nothing.
async fn credentials(
    edge: &Edge,
    trace: &Trace,
    address: &Address,
) -> Result<(UserId, Option<Credentials>), ApiError> {
    let email = edge.email_key().email_id(address);
    let holder = edge.bus().actor(&email).ask(Holder {}).trace(trace.as_str()).await?;
    let user = holder.unwrap_or_else(|| UserId::derived("u", &[email.as_str(), "", "nobody"]));
    match edge.bus().actor(&user).ask(ShowCredentials {}).trace(trace.as_str()).await {
        Ok(credentials) => Ok((user, Some(credentials))),
        Err(AskError::Refused(UserError::UnknownUser)) => Ok((user, None)),
        Err(error) => Err(error.into()),
    }
}

/// A repeat under the client's key opens no second session.
fn session_id(user: &UserId, key: &IdempotencyKey) -> SessionId {
    let random = Key::random();
    let key = key.sent().unwrap_or(&random);
    SessionId::derived("s", &[user.as_str(), key.as_str()])
}

/// What the client calls itself.
struct Client(String);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        Ok(Self(agent.unwrap_or_default().to_owned()))
    }
}

/// Every client sends it by itself.
impl Part for Client {
    fn describe(_: &mut Route) {}
}

/// `POST /v1/sessions/refresh`: the next tokens. A refresh token is good once; used again later
/// than a retry would be, it closes its session, because somebody has copied it.
async fn refresh(
    State(edge): State<Edge>,
    trace: Trace,
    Json(body): Json<Refreshing>,
) -> Result<Answer<SessionShown>, ApiError> {
    let closed = || ApiError::unauthorized("the refresh token is not good; please log in again");
    let token = edge.refresh_key().read(&body.refresh_token).ok_or_else(closed)?;
    let RefreshToken { user, session, generation } = token;
    let asked = RefreshSession { session: session.clone(), generation };
    let asked = edge.bus().actor(&user).ask(asked).principal(user.as_str());
    let (refreshed, roles) = match asked.trace(trace.as_str()).await {
        Err(AskError::Refused(UserError::UnknownUser)) => return Err(closed()),
        answer => answer?,
    };
    match refreshed {
        Refreshed::Next { generation } => {
            Ok(Answer(shown(&edge, RefreshToken { user, session, generation }, roles)?))
        }
        Refreshed::Closed | Refreshed::Reused => {
            edge.logins().forget(&session);
            Err(closed())
        }
    }
}

fn shown(
    edge: &Edge,
    next: RefreshToken,
    roles: impl IntoIterator<Item = UserRole>,
) -> Result<SessionShown, ApiError> {
    let roles: Vec<UserRole> = roles.into_iter().collect();
    let token = edge.tokens().issue(&next.user, &next.session, &roles);
    let token = token.map_err(|error| ApiError::internal(format!("signing a token: {error}")))?;
    let refresh_token = edge.refresh_key().sign(&next);
    let (token_type, expires_in) = ("Bearer", Tokens::LIFE.as_secs());
    Ok(SessionShown { token, token_type, expires_in, refresh_token, session: next.session })
}

/// `GET /v1/sessions`: where the user is logged in.
async fn list(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
) -> Result<Answer<SessionsShown>, ApiError> {
    let asked = edge.bus().actor(&user.id).ask(ListSessions {}).principal(user.id.as_str());
    let sessions = asked.trace(trace.as_str()).await?.into_iter().map(|session| ListedSession {
        is_current: user.session.as_ref() == Some(&session.id),
        session,
    });
    Ok(Answer(SessionsShown { sessions: sessions.collect() }))
}

/// `DELETE /v1/sessions/current`: log out here.
async fn close_current(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
) -> Result<StatusCode, ApiError> {
    let session = user.session.clone();
    let session = session.ok_or_else(|| ApiError::not_found("this token has no session"))?;
    log_out(&edge, &trace, &user, session).await
}

/// `DELETE /v1/sessions/{id}`: log out there.
async fn close(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
    PathId(session): PathId<actors::users::Session>,
) -> Result<StatusCode, ApiError> {
    log_out(&edge, &trace, &user, session).await
}

async fn log_out(
    edge: &Edge,
    trace: &Trace,
    user: &CurrentUser,
    session: SessionId,
) -> Result<StatusCode, ApiError> {
    let close = edge.bus().actor(&user.id).ask(CloseSession { session: session.clone() });
    close.principal(user.id.as_str()).trace(trace.as_str()).await?;
    edge.logins().forget(&session);
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /v1/sessions`: log out everywhere.
async fn close_all(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
) -> Result<StatusCode, ApiError> {
    let close = edge.bus().actor(&user.id).ask(CloseSessions {});
    close.principal(user.id.as_str()).trace(trace.as_str()).await?;
    edge.logins().forget_all();
    Ok(StatusCode::NO_CONTENT)
}

fn bad_credentials() -> ApiError {
    let message = "the mail address or the password is wrong";
    ApiError::new(StatusCode::UNAUTHORIZED, "BAD_CREDENTIALS", message)
}
