//! Getting at an account: confirming its address, and changing or resetting its password.
//!
//! What a stranger can ask for is answered alike, whether or not there is such an account.

use actors::users::{
    ChangePassword, Holder, Purpose, RequestReset, RequestVerification, ResetPassword,
    ShowCredentials, Verify,
};
use axum::{extract::State, http::StatusCode};
use bus::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::{
    Edge,
    api::{Resource, post, put},
    body::Json,
    error::ApiError,
    extract::{CurrentUser, Origin},
    observe::Trace,
    passwords::{Password, new_password},
    users::Address,
};

pub(crate) fn routes() -> Resource {
    Resource::new("Accounts", "Getting at an account: its address, and its password.")
        .with(
            post("/v1/verifications", verify)
                .says("verify", "Confirm an address", "By the token of the link that was mailed.")
                .example(json!({ "token": "u-3885.verify.1.mac" }))
                .answers_nothing(204, "It is confirmed.")
                .refuses(400, &["INVALID"])
                .refuses(404, &["UNKNOWN_USER"])
                .refuses(410, &["LINK_EXPIRED"]),
        )
        .with(
            post("/v1/users/me/verification", request_verification)
                .says("requestVerification", "Have the link to confirm an address mailed", "")
                .answers_nothing(202, "It is mailed, unless one was within the minute.")
                .refuses(404, &["UNKNOWN_USER"]),
        )
        .with(
            put("/v1/users/me/password", change_password)
                .says("changePassword", "Change one's password", "Closes all other sessions.")
                .example(json!({
                    "old_password": "correct horse battery", "password": "wrong horse battery",
                }))
                .answers_nothing(204, "It is changed.")
                .refuses(400, &["INVALID"])
                .refuses(403, &["BAD_CREDENTIALS"])
                .refuses(404, &["UNKNOWN_USER"])
                .refuses(409, &["PASSWORD_CHANGED"])
                .refuses(429, &["THROTTLED"]),
        )
        .with(
            post("/v1/password-resets", request_reset)
                .says(
                    "requestReset",
                    "Have a link for a new password mailed",
                    "Answered alike, whether or not there is such an account.",
                )
                .example(json!({ "email": "ada@example.com" }))
                .answers_nothing(202, "If there is such an account, a link is mailed.")
                .refuses(400, &["INVALID"])
                .refuses(429, &["THROTTLED"]),
        )
        .with(
            post("/v1/passwords", reset_password)
                .says(
                    "resetPassword",
                    "Set a new password",
                    "By the token of the link that was mailed. Closes all sessions.",
                )
                .example(json!({
                    "token": "u-3885.reset.1.mac", "password": "correct horse battery",
                }))
                .answers_nothing(204, "It is set.")
                .refuses(400, &["INVALID"])
                .refuses(404, &["UNKNOWN_USER"])
                .refuses(410, &["LINK_EXPIRED"]),
        )
}

/// The token of a link that was mailed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Verifying {
    /// What stands behind the `#` of the link.
    token: String,
}

/// Whose password is forgotten.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Resetting {
    /// The account's address.
    #[schemars(schema_with = "actors::schema::address")]
    email: String,
}

/// A password by the token of a link that was mailed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// What stands behind the `#` of the link.
    token: String,
    /// The new password.
    #[schemars(schema_with = "new_password")]
    password: Password,
}

/// Another password for the one that is known.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Changing {
    /// The password as it is.
    old_password: Password,
    /// The new password.
    #[schemars(schema_with = "new_password")]
    password: Password,
}

/// `POST /v1/verifications`: 204, the address of the link's user is confirmed.
async fn verify(
    State(edge): State<Edge>,
    trace: Trace,
    Json(Verifying { token }): Json<Verifying>,
) -> Result<StatusCode, ApiError> {
    let (user, number) = edge.link_key().read(Purpose::Verify, &token).ok_or_else(no_link)?;
    let asked = edge.bus().actor(&user).ask(Verify { number }).principal(user.as_str());
    asked.trace(trace.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/users/me/verification`: 202, a new link is mailed unless one was within the minute.
async fn request_verification(
    State(edge): State<Edge>,
    trace: Trace,
    user: CurrentUser,
) -> Result<StatusCode, ApiError> {
    let asked = edge.bus().actor(&user.id).ask(RequestVerification {});
    asked.principal(user.id.as_str()).trace(trace.as_str()).await?;
    Ok(StatusCode::ACCEPTED)
}

/// `POST /v1/password-resets`: 202 always. A link is mailed if there is such an account, unless
/// one was within the minute.
async fn request_reset(
    State(edge): State<Edge>,
    trace: Trace,
    Origin(origin): Origin,
    Json(Resetting { email }): Json<Resetting>,
) -> Result<StatusCode, ApiError> {
    let address = Address::parse(&email).map_err(|why| ApiError::invalid("email", why))?;
    let email = edge.email_key().email_id(&address);
    // Counted as tries are, and never taken back: nobody fills another's mailbox from here.
    drop(edge.resets().enter(email.as_str(), origin)?);
    // Not waited for: the time would tell whether there is an account.
    tokio::spawn(async move {
        let holder = edge.bus().actor(&email).ask(Holder {}).trace(trace.as_str()).await;
        let asked = match holder {
            Ok(None) => return,
            Ok(Some(user)) => {
                let asked = edge.bus().actor(&user).ask(RequestReset {});
                asked.trace(trace.as_str()).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = asked {
            tracing::warn!(%trace, %error, "a link for a new password was not asked for");
        }
    });
    Ok(StatusCode::ACCEPTED)
}

/// `POST /v1/passwords`: 204, the link's user has this password, and every session is closed.
async fn reset_password(
    State(edge): State<Edge>,
    trace: Trace,
    Json(NewPassword { token, password }): Json<NewPassword>,
) -> Result<StatusCode, ApiError> {
    password.check_length()?;
    let (user, number) = edge.link_key().read(Purpose::Reset, &token).ok_or_else(no_link)?;
    let salt = edge.email_key().salt(user.as_str(), password.expose());
    let password_hash = edge.passwords().hash(password, salt).await?;
    let asked = edge.bus().actor(&user).ask(ResetPassword { number, password_hash });
    asked.principal(user.as_str()).trace(trace.as_str()).await?;
    edge.logins().forget_all();
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /v1/users/me/password`: 204, and the other sessions are closed.
async fn change_password(
    State(edge): State<Edge>,
    trace: Trace,
    Origin(origin): Origin,
    user: CurrentUser,
    Json(Changing { old_password, password }): Json<Changing>,
) -> Result<StatusCode, ApiError> {
    password.check_length()?;
    let attempt = edge.guesses().enter(user.id.as_str(), origin)?;
    let old_hash = match own_hash(&edge, &trace, &user, old_password).await {
        Ok(Some(old_hash)) => {
            attempt.succeeded();
            old_hash
        }
        Ok(None) => {
            let message = "this is not your password";
            let wrong = ApiError::new(StatusCode::FORBIDDEN, "BAD_CREDENTIALS", message);
            return Err(wrong.at("old_password"));
        }
        Err(error) => {
            attempt.withdrawn();
            return Err(error);
        }
    };
    let salt = edge.email_key().salt(user.id.as_str(), password.expose());
    let password_hash = edge.passwords().hash(password, salt).await?;
    let change = ChangePassword { old_hash, password_hash, keep: user.session.clone() };
    let asked = edge.bus().actor(&user.id).ask(change).principal(user.id.as_str());
    asked.trace(trace.as_str()).await?;
    edge.logins().forget_all();
    Ok(StatusCode::NO_CONTENT)
}

/// The hash of the user's password, if this is it.
async fn own_hash(
    edge: &Edge,
    trace: &Trace,
    user: &CurrentUser,
    password: Password,
) -> Result<Option<String>, ApiError> {
    let asked = edge.bus().actor(&user.id).ask(ShowCredentials {});
    let hash = asked.trace(trace.as_str()).await?.password_hash;
    let is_right = edge.passwords().verify(password, Some(hash.clone())).await?;
    Ok(is_right.then_some(hash))
}

fn no_link() -> ApiError {
    ApiError::invalid("token", "this is no link of ours")
}
