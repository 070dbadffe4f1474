//! Users, and the mail addresses that make each of them one person.
//!
//! ```text
//! email:  free ── claim ──▶ claimed ── confirm ──▶ confirmed ── release ──▶ free
//!                              └──────────── release ────────────────────────▲
//! user:   unknown ── register ──▶ registered (verify, rename, grant, revoke, disable, …)
//! session: open_session ──▶ open (refresh, …) ── close, reuse, age ──▶ closed
//! ```
//!
//! Promises: an address belongs to one user at a time, whoever asks first, and keeps to it; a
//! user registers once. First the address is claimed, then the user registered; the saga then
//! confirms the claim. Neither a password nor its hash is ever shown by `Debug`. A session goes on
//! by numbered refresh tokens, of which each is good once: one used again, but for a retry within
//! seconds, closes the session. A link in a mail is signed, good once, and only the newest is.

mod access;
mod access_commands;
mod actor;
#[cfg(test)]
mod actor_tests;
mod commands;
mod email;
mod email_commands;
mod events;
mod links;
mod logging_in;
mod mailed;
mod postal;
mod profile;
pub(crate) mod saga;
mod sessions;

pub use self::{
    access_commands::{
        ChangePassword, CheckSession, CloseSession, CloseSessions, Credentials, ListSessions,
        OpenSession, RefreshSession, Rehash, RequestReset, RequestVerification, ResetPassword,
        ShowCredentials, Verify,
    },
    actor::{User, UserId},
    commands::{
        ChangeProfile, Disable, Enable, Grant, Profile, Register, Rename, Revoke,
        SetPostalAddresses, Show, UnknownUserRole, UserError, UserRole,
    },
    email::{Email, EmailId},
    email_commands::{Claim, Confirm, EmailError, Holder, Lapse, Release, is_address},
    events::{EmailEvent, PasswordHash, UserEvent},
    mailed::{LinkKey, Purpose},
    postal::PostalAddress,
    sessions::{CloseReason, Refreshed, Session, SessionId, SessionView},
};
