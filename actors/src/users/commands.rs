//! What an address and a user can be asked, what they answer, and why they say no.

use std::{collections::BTreeSet, fmt, str::FromStr};

use bus::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{EmailId, PostalAddress, SessionId, UserId};
use crate::{
    limits::{ADDRESS_BYTES_MAX, PASSWORD_HASH_BYTES_MAX},
    name::read_name,
};

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

/// To a user: have a link mailed that shows that the address is yours. Replies nothing, also if
/// that was shown already, or another one was mailed just now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestVerification {}

/// To a user: the link with this number was followed. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// The link's number.
    pub number: u32,
}

/// To a user: have a link mailed with which a new password can be set. Replies nothing, also if
/// one was mailed just now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestReset {}

/// To a user: another password, set by the link with this number. Closes all sessions. Replies
/// nothing.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// The link's number.
    pub number: u32,
    /// The hash of the password, an argon2id string.
    #[serde(deserialize_with = "read_password_hash")]
    #[schemars(schema_with = "crate::schema::password_hash")]
    pub password_hash: String,
}

/// To a user: another password, the old one having been shown. Closes all sessions but one.
/// Replies nothing.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The hash of the old one, as it was when the password was compared with it.
    #[serde(deserialize_with = "read_password_hash")]
    #[schemars(schema_with = "crate::schema::password_hash")]
    pub old_hash: String,
    /// The hash of the new one, an argon2id string.
    #[serde(deserialize_with = "read_password_hash")]
    #[schemars(schema_with = "crate::schema::password_hash")]
    pub password_hash: String,
    /// The session that stays open: the one it is asked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<SessionId>,
}

/// To a user: the same password, hashed at a higher cost. Replies nothing, also if the password
/// has changed meanwhile.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rehash {
    /// The hash it replaces.
    #[serde(deserialize_with = "read_password_hash")]
    #[schemars(schema_with = "crate::schema::password_hash")]
    pub old_hash: String,
    /// The hash, an argon2id string.
    #[serde(deserialize_with = "read_password_hash")]
    #[schemars(schema_with = "crate::schema::password_hash")]
    pub password_hash: String,
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
    pub addresses: Vec<PostalAddress>,
}

/// To a user: log in no more; all sessions are closed. Replies with the profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disable {}

/// To a user: you may log in again. Replies with the profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enable {}

/// To a user: logged in, the password having been shown. Replies with what the user may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// The new session.
    pub session: SessionId,
    /// What the client calls itself.
    #[serde(default)]
    pub client: String,
}

/// To a user: a refresh token of this generation was shown. Replies with what becomes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshSession {
    /// Its session.
    pub session: SessionId,
    /// Its generation.
    pub generation: u32,
}

/// To a user: logged out there. Replies nothing, also if that was so already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseSession {
    /// Where.
    pub session: SessionId,
}

/// To a user: logged out everywhere. Replies with how many sessions were open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseSessions {}

/// To a user: where are you logged in? Replies with the open sessions, the one used last first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSessions {}

/// To a user: is this session open, and what may you do? Replies with the roles, or none if it
/// is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckSession {
    /// The session.
    pub session: SessionId,
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
    /// Whether the address was shown to be the user's own.
    pub is_verified: bool,
    /// Whether the user may not log in.
    pub is_disabled: bool,
    /// Where parcels reach the user, the preferred address first.
    #[serde(default)]
    pub addresses: Vec<PostalAddress>,
}

/// What a log-in is checked against.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Credentials {
    /// The hash of the password, an argon2id string.
    pub password_hash: String,
    /// What the user may do.
    pub roles: BTreeSet<UserRole>,
    /// Whether the user may not log in.
    pub is_disabled: bool,
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

// These hold what a log must not: names and addresses, and the hash of a password.
impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Register").field("email", &self.email).finish_non_exhaustive()
    }
}

impl fmt::Debug for ResetPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetPassword(…)")
    }
}

impl fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangePassword(…)")
    }
}

impl fmt::Debug for Rehash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rehash(…)")
    }
}

impl fmt::Debug for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rename(…)")
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
