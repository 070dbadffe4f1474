//! Other people's accounts: what admins may see and change of them.

use actors::users::{Disable, Enable, Grant, Profile, Revoke, Show, User, UserId, UserRole};
use axum::{Json as Answer, extract::State};
use bus::{Handle, JsonSchema, Wire};
use serde::Deserialize;
use serde_json::json;

use crate::{
    Edge,
    api::{Resource, get, put},
    body::Json,
    error::ApiError,
    extract::{Admin, IdempotencyKey, PathId},
    observe::Trace,
    users::ProfileShown,
};

pub(crate) fn routes() -> Resource {
    Resource::new("People", "Other people's accounts, for admins.")
        .with(
            get("/v1/users/{id}", show)
                .says("showUser", "Show a user", "For admins.")
                .answers::<ProfileShown>(200, "The user.")
                .refuses(404, &["UNKNOWN_USER"]),
        )
        .with(
            put("/v1/users/{id}/roles", set_roles)
                .says(
                    "setRoles",
                    "Say what a user may do",
                    "For admins. These roles and no others, within moments and without logging in \
                     again.",
                )
                .example(json!({ "roles": ["customer", "staff"] }))
                .answers::<ProfileShown>(200, "The user.")
                .refuses(404, &["UNKNOWN_USER"]),
        )
        .with(
            put("/v1/users/{id}/status", set_status)
                .says(
                    "setStatus",
                    "Disable or enable a user",
                    "For admins. A disabled user is logged out everywhere and cannot log in.",
                )
                .example(json!({ "is_disabled": true }))
                .answers::<ProfileShown>(200, "The user.")
                .refuses(404, &["UNKNOWN_USER"]),
        )
}

/// What a user may do.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Roles {
    /// All roles the user has from now on.
    roles: Vec<UserRole>,
}

/// Whether a user may log in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Status {
    /// Whether not.
    is_disabled: bool,
}

/// `GET /v1/users/{id}`.
async fn show(
    State(edge): State<Edge>,
    trace: Trace,
    Admin(admin): Admin,
    PathId(id): PathId<User>,
) -> Result<Answer<ProfileShown>, ApiError> {
    let asked = edge.bus().actor(&id).ask(Show {}).principal(admin.id.as_str());
    Ok(Answer(asked.trace(trace.as_str()).await?.into()))
}

/// `PUT /v1/users/{id}/roles`: the user has these roles and no others, within moments and without
/// logging in again.
async fn set_roles(
    State(edge): State<Edge>,
    trace: Trace,
    Admin(admin): Admin,
    PathId(id): PathId<User>,
    key: IdempotencyKey,
    Json(Roles { roles }): Json<Roles>,
) -> Result<Answer<ProfileShown>, ApiError> {
    if admin.id == id && !roles.contains(&UserRole::Admin) {
        // Else the last one could leave nobody who can undo it.
        return Err(ApiError::invalid("roles", "nobody stops being an admin by their own hand"));
    }
    let change = Change { edge, trace, by: admin.id, of: id, key };
    let mut profile = change.ask(Show {}, "").await?;
    for role in [UserRole::Customer, UserRole::Staff, UserRole::Admin] {
        let part = role.to_string();
        match (profile.roles.contains(&role), roles.contains(&role)) {
            (false, true) => profile = change.ask(Grant { role }, &part).await?,
            (true, false) => profile = change.ask(Revoke { role }, &part).await?,
            (true, true) | (false, false) => {}
        }
    }
    change.edge.logins().forget_all();
    Ok(Answer(profile.into()))
}

/// `PUT /v1/users/{id}/status`: a disabled user is logged out everywhere and cannot log in.
async fn set_status(
    State(edge): State<Edge>,
    trace: Trace,
    Admin(admin): Admin,
    PathId(id): PathId<User>,
    key: IdempotencyKey,
    Json(Status { is_disabled }): Json<Status>,
) -> Result<Answer<ProfileShown>, ApiError> {
    if admin.id == id && is_disabled {
        return Err(ApiError::invalid("is_disabled", "nobody is disabled by their own hand"));
    }
    let change = Change { edge, trace, by: admin.id, of: id, key };
    let profile = if is_disabled {
        change.ask(Disable {}, "").await?
    } else {
        change.ask(Enable {}, "").await?
    };
    change.edge.logins().forget_all();
    Ok(Answer(profile.into()))
}

/// Who changes whose account.
struct Change {
    edge: Edge,
    trace: Trace,
    by: UserId,
    of: UserId,
    key: IdempotencyKey,
}

impl Change {
    async fn ask<C: Wire>(&self, command: C, part: &str) -> Result<Profile, ApiError>
    where
        User: Handle<C, Reply = Profile>,
    {
        let asked = self.edge.bus().actor(&self.of).ask(command).principal(self.by.as_str());
        let asked = self.key.put_on(asked, &format!("{}{part}", self.by));
        Ok(asked.trace(self.trace.as_str()).await?)
    }
}
