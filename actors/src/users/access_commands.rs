//! What a user can be asked about its password, its links and its sessions.

use std::{collections::BTreeSet, fmt};

use bus::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{SessionId, UserRole};
use crate::limits::PASSWORD_HASH_BYTES_MAX;

// Neither a password's hash nor anything made of it is for a log.

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

/// To a user: how do we know it is you?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowCredentials {}

/// What a log-in is checked against.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Credentials {
    /// The hash of the password, an argon2id string.
    pub password_hash: String,
    /// What the user may do.
    pub roles: BTreeSet<UserRole>,
    /// Whether the user may not log in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_disabled: bool,
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

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("roles", &self.roles).finish_non_exhaustive()
    }
}

/// So that a password sent in place of its hash is never stored.
pub(super) fn read_password_hash<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    let hash = String::deserialize(deserializer)?;
    let is_plain = hash.bytes().all(|b| b.is_ascii_graphic());
    if hash.starts_with("$argon2id$") && is_plain && hash.len() <= PASSWORD_HASH_BYTES_MAX {
        return Ok(hash);
    }
    Err(de::Error::custom("a password hash is an argon2id string"))
}
