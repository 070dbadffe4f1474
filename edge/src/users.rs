//! Users: registering, and one's own profile.
//!
//! An address belongs to one `email` actor, which makes it unique; the user's id is derived
//! from it and the client's key, so a repeated registration reaches the same actors with the
//! same commands and gets the same answers.

use actors::{
    limits::{NAME_CHARS_MAX, POSTAL_ADDRESSES_MAX},
    users::{
        ChangeProfile, Claim, Confirm, EmailError, EmailId, Holder, PostalAddress, Profile,
        Register, Show, User, UserError, UserId, UserRole, is_address,
    },
};
use axum::{Json as Answer, extract::State, http::StatusCode, response::Response};
use bus::{
    AskError, JsonSchema, Position,
    schemars::{Schema, SchemaGenerator, json_schema},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Edge,
    api::{Resource, get, patch, post},
    body::Json,
    conditional::{ETAG_HEADER, IfMatch, IfNoneMatch, Version},
    error::ApiError,
    extract::{CurrentUser, IdempotencyKey},
    observe::Trace,
    passwords::{Password, new_password},
    position::{SEQ_HEADER, Seq},
};

pub(crate) fn routes() -> Resource {
    Resource::new("Users", "Registering, and one's own profile.")
        .with(
            post("/v1/users", register)
                .says("register", "Register", "A link to confirm the address is mailed.")
                .example(json!({
                    "email": "ada@example.com", "name": "Ada", "password": "correct horse battery",
                }))
                .answers::<ProfileShown>(201, "The new user.")
                .headers(&[SEQ_HEADER])
                .refuses(400, &["INVALID", "INVALID_NAME"])
                .refuses(409, &["EMAIL_TAKEN"]),
        )
        .with(
            get("/v1/users/me", me)
                .says("showMe", "Show one's own profile", "")
                .answers::<ProfileShown>(200, "The profile.")
                .versioned()
                .refuses(404, &["UNKNOWN_USER"]),
        )
        .with(
            patch("/v1/users/me", change)
                .says("changeMe", "Change one's own profile", "What is not named stays.")
                .example(json!({ "name": "Ada L.", "addresses": [{
                    "name": "Ada Lovelace", "street": "12 St James's Square",
                    "postcode": "SW1Y 4JH", "town": "London", "country": "GB",
                }] }))
                .answers::<ProfileShown>(200, "The profile.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(400, &["INVALID", "INVALID_NAME"])
                .refuses(404, &["UNKNOWN_USER"]),
        )
}

/// Who registers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RegisterUser {
    /// Where mail reaches the user.
    #[schemars(schema_with = "actors::schema::address")]
    email: String,
    /// What the user is called.
    #[schemars(schema_with = "actors::schema::name")]
    name: String,
    /// What the user logs in with.
    #[schemars(schema_with = "new_password")]
    password: Password,
}

/// A user, as shown to herself.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Profile", example = json!({
    "id": "u-38851d32b7b9d1c36e4b5c7e6c0a3d10", "email": "ada@example.com", "name": "Ada",
    "roles": ["customer"], "is_verified": true, "is_disabled": false, "addresses": [],
}))]
pub(crate) struct ProfileShown {
    /// The user.
    id: UserId,
    /// Where mail reaches the user.
    email: String,
    /// What the user is called.
    name: String,
    /// What the user may do.
    roles: Vec<UserRole>,
    /// Whether the address was shown to be the user's own.
    is_verified: bool,
    /// Whether the user may not log in.
    is_disabled: bool,
    /// Where parcels reach the user, the preferred address first.
    addresses: Vec<PostalAddress>,
}

impl From<Profile> for ProfileShown {
    fn from(profile: Profile) -> Self {
        let Profile { id, name, address, roles, is_verified, is_disabled, addresses } = profile;
        let roles = roles.into_iter().collect();
        Self { id, email: address, name, roles, is_verified, is_disabled, addresses }
    }
}

/// `POST /v1/users`: 201 with the profile; 409 `EMAIL_TAKEN` if the address has an account.
async fn register(
    State(edge): State<Edge>,
    trace: Trace,
    key: IdempotencyKey,
    Json(body): Json<RegisterUser>,
) -> Result<(StatusCode, Seq, Answer<ProfileShown>), ApiError> {
    let address = Address::parse(&body.email).map_err(|why| ApiError::invalid("email", why))?;
    body.password.check_length()?;
    check_name(&body.name)?;
    let registering = Registering { edge, trace, key, address, name: body.name };
    // On its own feet: a client that goes away must not leave an address claimed by nobody.
    let profile = tokio::spawn(registering.run(body.password)).await;
    let (profile, position) =
        profile.map_err(|error| ApiError::internal(format!("registering: {error}")))??;
    Ok((StatusCode::CREATED, Seq(position), Answer(profile.into())))
}

/// A registration: the address is claimed, then the user registered.
struct Registering {
    edge: Edge,
    trace: Trace,
    key: IdempotencyKey,
    address: Address,
    name: String,
}

impl Registering {
    async fn run(self, password: Password) -> Result<(Profile, Position), ApiError> {
        let email = self.edge.email_key().email_id(&self.address);
        let sent = self.key.sent().map_or("", |key| key.as_str());
        let own = UserId::derived("u", &[email.as_str(), sent]);
        let holder = self.claim(&email, own).await?;
        // Made of the password and the user, so that a repeat sends the same command.
        let salt = self.edge.email_key().salt(holder.as_str(), password.expose());
        let password_hash = self.edge.passwords().hash(password, salt).await?;
        let registration = Register {
            name: self.name,
            address: self.address.into_string(),
            email: email.clone(),
            password_hash,
        };
        let asked = self.edge.bus().actor(&holder).ask(registration);
        let asked = asked.key(self.key.for_sender("")).principal(holder.as_str());
        let registered = asked.trace(self.trace.as_str()).positioned().await?;
        // Told at once, where a claim has lapsed meanwhile and somebody else has the address;
        // whatever else becomes of it, the saga confirms it too.
        let confirm = self.edge.bus().actor(&email).ask(Confirm { user: holder.clone() });
        let confirm = confirm.principal(holder.as_str()).trace(self.trace.as_str());
        match confirm.await {
            Err(AskError::Refused(taken)) => Err(taken.into()),
            Ok(()) | Err(_) => Ok(registered),
        }
    }

    /// Claims the address for `own`, or finds who has it. A registration that was cut off after
    /// its claim is then finished under that claim's user, by whoever comes next; one that was
    /// not refuses to be registered again. Without the client's key: a claim that was answered
    /// once may have lapsed since, and asking twice is harmless.
    async fn claim(&self, email: &EmailId, own: UserId) -> Result<UserId, ApiError> {
        let claim = self.edge.bus().actor(email).ask(Claim { user: own.clone() });
        let claim = claim.principal(own.as_str());
        match claim.trace(self.trace.as_str()).await {
            Ok(()) => Ok(own),
            Err(AskError::Refused(EmailError::Taken)) => {
                let asked = self.edge.bus().actor(email).ask(Holder {});
                Ok(asked.trace(self.trace.as_str()).await?.unwrap_or(own))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// `GET /v1/users/me`: one's own profile.
async fn me(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
    if_none_match: IfNoneMatch,
) -> Result<Response, ApiError> {
    let asked = edge.bus().actor::<User>(&user.id).ask(Show {});
    let asked = asked.principal(user.id.as_str()).trace(trace.as_str());
    let (profile, position) = asked.positioned().await?;
    Ok(if_none_match.answer(Version::from(&position), ProfileShown::from(profile)))
}

/// What of a profile is to be changed; what is not named stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangeProfile")]
struct ProfileChange {
    /// What the user is called.
    #[serde(default)]
    #[schemars(schema_with = "name_or_none")]
    name: Option<String>,
    /// Where parcels reach the user, the preferred address first.
    #[schemars(length(max = POSTAL_ADDRESSES_MAX))]
    addresses: Option<Vec<PostalAddress>>,
}

fn name_or_none(generator: &mut SchemaGenerator) -> Schema {
    let name = actors::schema::name(generator);
    json_schema!({ "anyOf": [name, { "type": "null" }] })
}

/// `PATCH /v1/users/me`.
async fn change(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
    key: IdempotencyKey,
    if_match: IfMatch,
    Json(ProfileChange { name, addresses }): Json<ProfileChange>,
) -> Result<(Version, Seq, Answer<ProfileShown>), ApiError> {
    if let Some(name) = &name {
        check_name(name)?;
    }
    if addresses.as_ref().is_some_and(|addresses| addresses.len() > POSTAL_ADDRESSES_MAX) {
        let message = format!("at most {POSTAL_ADDRESSES_MAX} addresses are kept");
        return Err(ApiError::invalid("addresses", message));
    }
    let asked = edge.bus().actor::<User>(&user.id).ask(ChangeProfile { name, addresses });
    let asked = if_match.put_on(key.put_on(asked, user.id.as_str()));
    let asked = asked.principal(user.id.as_str()).trace(trace.as_str());
    let (profile, position) = asked.positioned().await?;
    Ok((Version::from(&position), Seq(position), Answer(profile.into())))
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
    /// Reads an address as people write it. Whether it exists, only a mail to it can tell.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let address = text.trim().to_lowercase();
        if is_address(&address) {
            Ok(Self(address))
        } else {
            Err("a mail address has the form name@domain, in plain characters, 254 at most")
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
        for bad in [
            "",
            "ann",
            "@example.org",
            "ann@",
            "a@b@c",
            "a b@c",
            "a\n@c",
            "a\0@c",
            &long,
            "a@[::1]",
            "a@b>",
            "<x@y>",
            "a@-",
            "a..b@c.d",
            "a@b..c",
            "a\u{200b}@c.d",
            ".a@c",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad:?}");
        }
    }
}
