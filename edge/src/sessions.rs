//! Logging in: a mail address and a password for an access token.
//!
//! Whether the address is unknown or the password wrong is told to nobody, neither in words nor
//! by the time it takes.

use std::fmt;

use actors::users::{Credentials, Holder, ShowCredentials, UserError, UserId, UserRole};
use axum::{Json as Answer, Router, extract::State, http::StatusCode, routing::post};
use bus::AskError;
use serde::{Deserialize, Serialize};

use crate::{
    Edge, body::Json, error::ApiError, observe::Trace, passwords::Password, tokens::Tokens,
    users::Address,
};

pub(crate) fn router() -> Router<Edge> {
    Router::new().route("/v1/sessions", post(open))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenSession {
    email: String,
    password: Password,
}

#[derive(Serialize)]
struct SessionShown {
    token: String,
    token_type: &'static str,
    expires_in: u64,
}

impl fmt::Debug for SessionShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionShown").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// `POST /v1/sessions`: 201 with a token; 401 `BAD_CREDENTIALS` for anybody else.
async fn open(
    State(edge): State<Edge>,
    trace: Trace,
    Json(body): Json<OpenSession>,
) -> Result<(StatusCode, Answer<SessionShown>), ApiError> {
    let (user, found) = credentials(&edge, &trace, &body.email).await?;
    let (hash, roles) = found.map_or((None, Vec::new()), |Credentials { password_hash, roles }| {
        (Some(password_hash), roles.into_iter().collect::<Vec<UserRole>>())
    });
    if !edge.passwords().verify(body.password, hash).await? {
        return Err(bad_credentials());
    }
    let token = edge.tokens().issue(&user, &roles);
    let token = token.map_err(|error| ApiError::internal(format!("signing a token: {error}")))?;
    let expires_in = Tokens::LIFE.as_secs();
    Ok((StatusCode::CREATED, Answer(SessionShown { token, token_type: "Bearer", expires_in })))
}

/// The credentials of the address' holder. Who holds none is asked for just the same, under an
/// id that nobody has, so that it takes as long.
async fn credentials(
    edge: &Edge,
    trace: &Trace,
    address: &str,
) -> Result<(UserId, Option<Credentials>), ApiError> {
    // What cannot be an address has no account either.
    let address = Address::parse(address).map_err(|_| bad_credentials())?;
    let email = edge.email_key().email_id(&address);
    let holder = edge.bus().actor(&email).ask(Holder {}).trace(trace.as_str()).await?;
    let user = holder.unwrap_or_else(|| UserId::derived("u", &[email.as_str(), "", "nobody"]));
    match edge.bus().actor(&user).ask(ShowCredentials {}).trace(trace.as_str()).await {
        Ok(credentials) => Ok((user, Some(credentials))),
        Err(AskError::Refused(UserError::UnknownUser)) => Ok((user, None)),
        Err(error) => Err(error.into()),
    }
}

fn bad_credentials() -> ApiError {
    let message = "the mail address or the password is wrong";
    ApiError::new(StatusCode::UNAUTHORIZED, "BAD_CREDENTIALS", message)
}
