//! What an address and a user can be asked, what they answer, and why they say no.

use std::{collections::BTreeSet, fmt, str::FromStr};

use bus::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{EmailId, UserId};
use crate::limits::{ADDRESS_BYTES_MAX, PASSWORD_HASH_BYTES_MAX};

/// To an address: it is to belong to `user`. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Who claims it.
    pub user: UserId,
}

/// To an address: `user`, who claimed it, has registered. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Who claimed it.
    pub user: UserId,
}

/// To an address: it no longer belongs to `user`. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Who claimed it.
    pub user: UserId,
}

/// To an address: `user` has claimed it and not registered in time. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lapse {
    /// Who claimed it.
    pub user: UserId,
}

/// To an address: whom does it belong to, if anybody?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holder {}

/// Why an address says no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EmailError {
    /// It belongs to somebody else.
    #[error("the mail address belongs to another account")]
    Taken,
    /// It does not belong to who asks.
    #[error("the mail address was not claimed")]
    NotClaimed,
}

/// To a user: come to be. Replies with the profile.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// What the user wants to be called: 1 to 200 characters.
    pub name: String,
    /// Where mail reaches the user.
    #[serde(deserialize_with = "read_address")]
    #[schemars(schema_with = "crate::schema::address")]
    pub address: String,
    /// The actor of that address, claimed before.
    pub email: EmailId,
    /// The hash of the password, an argon2id string.
    #[serde(deserialize_with = "read_password_hash")]
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

/// To a user: who are you?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {}

/// To a user: how do we know it is you?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowCredentials {}

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
}

/// What a log-in is checked against.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Credentials {
    /// The hash of the password, an argon2id string.
    pub password_hash: String,
    /// What the user may do.
    pub roles: BTreeSet<UserRole>,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
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

// These three hold what a log must not: the address, and the hash of a password.
impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register").field("email", &self.email).finish_non_exhaustive()
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Profile");
        shown.field("id", &self.id).field("roles", &self.roles).finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// Whether mail can be addressed so: `name@domain` in the plain characters of RFC 5321. What is
/// no address would only be found out by the mail server, after the order.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= ADDRESS_BYTES_MAX
        && local.len() <= 64
        && local.split('.').all(is_atom)
        && domain.split('.').all(is_label)
}

fn read_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let address = String::deserialize(deserializer)?;
    if is_address(&address) {
        return Ok(address);
    }
    Err(de::Error::custom("a mail address has the form name@domain, in plain characters"))
}

/// So that a password sent in place of its hash is never stored.
fn read_password_hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let hash = String::deserialize(deserializer)?;
    let is_plain = hash.bytes().all(|b| b.is_ascii_graphic());
    if hash.starts_with("$argon2id$") && is_plain && hash.len() <= PASSWORD_HASH_BYTES_MAX {
        return Ok(hash);
    }
    Err(de::Error::custom("a password hash is an argon2id string"))
}
