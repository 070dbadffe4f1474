//! What can happen to an address and to a user. Stored for ever: names and fields stay.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{EmailId, UserId, UserRole};

/// What can happen to an address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, PartialEq, Serialize, Deserialize)]
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
        }
    }
}
