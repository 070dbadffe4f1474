//! Users: registering, and one's own profile.
//!
//! An address belongs to one `email` actor, which makes it unique; the user's id is derived
//! from it and the client's key, so a repeated registration reaches the same actors with the
//! same commands and gets the same answers.

use actors::{
    limits::NAME_CHARS_MAX,
    users::{Claim, Profile, Register, Show, User, UserError, UserId, UserRole},
};
use axum::{
    Json as Answer, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use crate::{
    Edge,
    body::Json,
    error::ApiError,
    extract::{CurrentUser, IdempotencyKey},
    observe::Trace,
    passwords::Password,
};

pub(crate) fn router() -> Router<Edge> {
    Router::new().route("/v1/users", post(register)).route("/v1/users/me", get(me))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterUser {
    email: String,
    name: String,
    password: Password,
}

/// A user, as shown to herself.
#[derive(Debug, Serialize)]
struct ProfileShown {
    id: UserId,
    email: String,
    name: String,
    roles: Vec<UserRole>,
}

impl From<Profile> for ProfileShown {
    fn from(profile: Profile) -> Self {
        let Profile { id, name, address, roles } = profile;
        Self { id, email: address, name, roles: roles.into_iter().collect() }
    }
}

/// `POST /v1/users`: 201 with the profile; 409 `EMAIL_TAKEN` if the address has an account.
async fn register(
    State(edge): State<Edge>,
    trace: Trace,
    key: IdempotencyKey,
    Json(body): Json<RegisterUser>,
) -> Result<(StatusCode, Answer<ProfileShown>), ApiError> {
    let address = Address::parse(&body.email).map_err(|why| ApiError::invalid("email", why))?;
    body.password.check_length()?;
    check_name(&body.name)?;
    let email = edge.email_key().email_id(&address);
    let sent = key.sent().map_or("", |key| key.as_str());
    let user = UserId::derived("u", &[email.as_str(), sent]);
    let salt = edge.email_key().salt(user.as_str(), body.password.expose());
    let password_hash = edge.passwords().hash(body.password, salt).await?;

    let claim = edge.bus().actor(&email).ask(Claim { user: user.clone() });
    claim.key(key.for_sender("")).principal(user.as_str()).trace(trace.as_str()).await?;
    let registration = Register {
        name: body.name,
        address: address.into_string(),
        email: email.clone(),
        password_hash,
    };
    let asked = edge.bus().actor(&user).ask(registration);
    let asked = asked.key(key.for_sender("")).principal(user.as_str()).trace(trace.as_str());
    Ok((StatusCode::CREATED, Answer(asked.await?.into())))
}

/// `GET /v1/users/me`: one's own profile.
async fn me(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
) -> Result<Answer<ProfileShown>, ApiError> {
    let asked = edge.bus().actor::<User>(&user.id).ask(Show {});
    let profile = asked.principal(user.id.as_str()).trace(trace.as_str()).await?;
    Ok(Answer(profile.into()))
}

/// The user's own rule, kept before the address is claimed: a registration that is refused must
/// not cost its address.
fn check_name(name: &str) -> Result<(), UserError> {
    let length = name.trim().chars().count();
    let fits = (1..=NAME_CHARS_MAX).contains(&length);
    if fits && !name.trim().chars().any(char::is_control) {
        return Ok(());
    }
    Err(UserError::InvalidName)
}

/// A mail address, checked for sanity and in lower case. Never logged.
pub(crate) struct Address(String);

impl Address {
    /// Longest address, in bytes (RFC 5321).
    const BYTES_MAX: usize = 254;

    /// Reads an address as people write it. Whether it exists, only a mail to it can tell.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let address = text.trim().to_lowercase();
        if address.len() > Self::BYTES_MAX {
            return Err("a mail address has at most 254 characters");
        }
        if address.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("a mail address has no spaces or control characters");
        }
        match address.split_once('@') {
            Some((local, domain))
                if !local.is_empty() && !domain.is_empty() && !domain.contains('@') =>
            {
                Ok(Self(address))
            }
            _ => Err("a mail address has the form name@domain"),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_people_write_it() {
        let address = Address::parse("  Ann.Lee+shop@Example.ORG ").expect("an address");
        assert_eq!(address.as_str(), "ann.lee+shop@example.org");
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in ["", "ann", "@example.org", "ann@", "a@b@c", "a b@c", "a\n@c", "a\0@c", &long] {
            assert!(Address::parse(bad).is_err(), "{bad:?}");
        }
    }
}
