//! What can happen to an address and to a user. Stored for ever: names and fields stay.

use std::fmt;

use bus::{JsonSchema, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CloseReason, EmailId, PostalAddress, SessionId, UserId, UserRole};

/// What can happen to an address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum EmailEvent {
    /// It belongs to `user`, who is about to register.
    #[serde(rename = "claimed")]
    Claimed {
        /// Who claimed it.
        user: UserId,
    },
    /// `user` has registered.
    #[serde(rename = "confirmed")]
    Confirmed {
        /// Who claimed it.
        user: UserId,
    },
    /// It belongs to nobody.
    #[serde(rename = "released")]
    Released {
        /// Who had claimed it.
        user: UserId,
    },
}

/// What can happen to a user.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum UserEvent {
    /// The user came to be, as a customer.
    #[serde(rename = "registered")]
    Registered {
        /// What the user is called.
        name: String,
        /// Where mail reaches the user.
        address: String,
        /// The actor of that address.
        email: EmailId,
        /// The hash of the password.
        #[schemars(schema_with = "crate::schema::password_hash")]
        password_hash: PasswordHash,
    },
    /// The user plays `role`, too.
    #[serde(rename = "role_granted")]
    RoleGranted {
        /// The role.
        role: UserRole,
    },
    /// The user no longer plays `role`.
    #[serde(rename = "role_revoked")]
    RoleRevoked {
        /// The role.
        role: UserRole,
    },
    /// A link is to be mailed that shows that the address is the user's own.
    #[serde(rename = "verification_due")]
    VerificationDue {
        /// The link's number.
        number: u32,
        /// When it was made.
        at: Timestamp,
    },
    /// The address is the user's own.
    #[serde(rename = "verified")]
    Verified {},
    /// A link is to be mailed with which a new password can be set.
    #[serde(rename = "reset_due")]
    ResetDue {
        /// The link's number.
        number: u32,
        /// When it was made.
        at: Timestamp,
    },
    /// The user has another password.
    #[serde(rename = "password_changed")]
    PasswordChanged {
        /// Its hash.
        #[schemars(schema_with = "crate::schema::password_hash")]
        password_hash: PasswordHash,
        /// Whether it was set by a mailed link, which is then used up.
        by_link: bool,
    },
    /// The same password, hashed at a higher cost.
    #[serde(rename = "password_rehashed")]
    PasswordRehashed {
        /// Its hash.
        #[schemars(schema_with = "crate::schema::password_hash")]
        password_hash: PasswordHash,
    },
    /// The user is called otherwise.
    #[serde(rename = "renamed")]
    Renamed {
        /// How.
        name: String,
    },
    /// Where parcels reach the user: all of them, the preferred one first.
    #[serde(rename = "postal_addresses_set")]
    PostalAddressesSet {
        /// The addresses.
        addresses: Vec<PostalAddress>,
    },
    /// The user may no longer log in.
    #[serde(rename = "disabled")]
    Disabled {},
    /// The user may log in again.
    #[serde(rename = "enabled")]
    Enabled {},
    /// The user has logged in somewhere.
    #[serde(rename = "session_opened")]
    SessionOpened {
        /// The session.
        session: SessionId,
        /// What the client called itself.
        client: String,
        /// When.
        at: Timestamp,
    },
    /// A refresh token was exchanged for the next.
    #[serde(rename = "session_refreshed")]
    SessionRefreshed {
        /// The session.
        session: SessionId,
        /// The number of the next one.
        generation: u32,
        /// When.
        at: Timestamp,
    },
    /// The user is logged out there.
    #[serde(rename = "session_closed")]
    SessionClosed {
        /// The session.
        session: SessionId,
        /// Why.
        reason: CloseReason,
    },
}

/// The hash of a password, which `Debug` does not show.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub(super) fn new(hash: String) -> Self {
        Self(hash)
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

// By hand, because a log must not hold names and addresses.
impl fmt::Debug for UserEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { email, .. } => {
                f.debug_struct("Registered").field("email", email).finish_non_exhaustive()
            }
            Self::RoleGranted { role } => write!(f, "RoleGranted({role})"),
            Self::RoleRevoked { role } => write!(f, "RoleRevoked({role})"),
            Self::VerificationDue { number, .. } => write!(f, "VerificationDue({number})"),
            Self::Verified {} => f.write_str("Verified"),
            Self::ResetDue { number, .. } => write!(f, "ResetDue({number})"),
            Self::PasswordChanged { by_link, .. } => {
                f.debug_struct("PasswordChanged").field("by_link", by_link).finish_non_exhaustive()
            }
            Self::PasswordRehashed { .. } => f.write_str("PasswordRehashed"),
            Self::Renamed { .. } => f.write_str("Renamed"),
            Self::PostalAddressesSet { .. } => f.write_str("PostalAddressesSet"),
            Self::Disabled {} => f.write_str("Disabled"),
            Self::Enabled {} => f.write_str("Enabled"),
            Self::SessionOpened { session, .. } => write!(f, "SessionOpened({session})"),
            Self::SessionRefreshed { session, generation, .. } => {
                write!(f, "SessionRefreshed({session}, {generation})")
            }
            Self::SessionClosed { session, reason } => {
                write!(f, "SessionClosed({session}, {reason:?})")
            }
        }
    }
}
