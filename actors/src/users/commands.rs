//! What a user can be asked about itself, what it answers, and why it says no.

use std::{collections::BTreeSet, fmt, str::FromStr};

use bus::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{EmailId, PostalAddress, UserId};
use crate::{limits::POSTAL_ADDRESSES_MAX, name::read_name};

/// To a user: come to be. Replies with the profile.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// What the user wants to be called: 1 to 200 characters.
    pub name: String,
    /// Where mail reaches the user.
    #[serde(deserialize_with = "super::email_commands::read_address")]
    #[schemars(schema_with = "crate::schema::address")]
    pub address: String,
    /// The actor of that address, claimed before.
    pub email: EmailId,
    /// The hash of the password, an argon2id string.
    #[serde(deserialize_with = "super::access_commands::read_password_hash")]
    #[schemars(schema_with = "crate::schema::password_hash")]
    pub password_hash: String,
}

/// To a user: play `role`, too. Replies with the profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The role.
    pub role: UserRole,
}

/// To a user: no longer play `role`. Replies with the profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The role.
    pub role: UserRole,
}

/// To a user: be called otherwise. Replies with the profile.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// How: 1 to 200 characters.
    #[serde(deserialize_with = "read_name")]
    #[schemars(schema_with = "crate::schema::name")]
    pub name: String,
}

/// To a user: parcels reach you there. Replies with the profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPostalAddresses {
    /// All addresses, the preferred one first: 10 at most.
    #[serde(deserialize_with = "super::postal::read_all")]
    #[schemars(extend("maxItems" = POSTAL_ADDRESSES_MAX))]
    pub addresses: Vec<PostalAddress>,
}

/// To a user: be otherwise, in all of this at once; what is not named stays. Replies with the
/// profile.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeProfile {
    /// What the user is called: 1 to 200 characters.
    #[serde(
        default,
        deserialize_with = "read_name_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(schema_with = "crate::schema::name")]
    pub name: Option<String>,
    /// Where parcels reach the user: all addresses, the preferred one first, 10 at most.
    #[serde(
        default,
        deserialize_with = "super::postal::read_all_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Vec<PostalAddress>", extend("maxItems" = POSTAL_ADDRESSES_MAX))]
    pub addresses: Option<Vec<PostalAddress>>,
}

fn read_name_if_any<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    read_name(from).map(Some)
}

/// To a user: log in no more; all sessions are closed. Replies with the profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disable {}

/// To a user: you may log in again. Replies with the profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enable {}

/// To a user: who are you?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {}

/// Who a user is.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// The user.
    pub id: UserId,
    /// What the user is called.
    pub name: String,
    /// Where mail reaches the user.
    pub address: String,
    /// What the user may do.
    pub roles: BTreeSet<UserRole>,
    /// Whether the address was shown to be the user's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_verified: bool,
    /// Whether the user may not log in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_disabled: bool,
    /// Where parcels reach the user, the preferred address first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<PostalAddress>,
}

/// What a user may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum UserRole {
    /// Buys.
    Customer,
    /// Creates and stocks items.
    Staff,
    /// All of it.
    Admin,
}

/// Why a text is no role of a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: customer, staff or admin")]
pub struct UnknownUserRole(String);

/// Why a user says no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UserError {
    /// Registering happens once.
    #[error("the user is registered already")]
    AlreadyRegistered,
    /// Nobody registered under this id.
    #[error("there is no such user")]
    UnknownUser,
    /// The name cannot be shown.
    #[error("a name has 1 to 200 characters, and no control characters")]
    InvalidName,
    /// The link is not the newest, was used, or is too old.
    #[error("this link is not good any more")]
    LinkExpired,
    /// The password is another one meanwhile.
    #[error("the password has been changed meanwhile")]
    PasswordChanged,
    /// The account may not be used.
    #[error("the account is disabled")]
    Disabled,
}

impl fmt::Display for UserRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for UserRole {
    type Err = UnknownUserRole;

    fn from_str(text: &str) -> Result<Self, UnknownUserRole> {
        let role = [Self::Customer, Self::Staff, Self::Admin]
            .into_iter()
            .find(|role| role.to_string() == text);
        role.ok_or_else(|| UnknownUserRole(text.to_owned()))
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register").field("email", &self.email).finish_non_exhaustive()
    }
}

impl fmt::Debug for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rename(…)")
    }
}

impl fmt::Debug for ChangeProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangeProfile(…)")
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Profile");
        shown.field("id", &self.id).field("roles", &self.roles).finish_non_exhaustive()
    }
}
