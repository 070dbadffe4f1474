//! Users, and the mail addresses that make each of them one person.
//!
//! ```text
//! email:  free ── claim ──▶ claimed ── confirm ──▶ confirmed ── release ──▶ free
//!                              └──────────── release ────────────────────────▲
//! user:   unknown ── register ──▶ registered (grant, revoke)
//! ```
//!
//! Promises: an address belongs to one user at a time, whoever asks first, and keeps to it; a
//! user registers once. First the address is claimed, then the user registered; the saga then
//! confirms the claim. Neither a password nor its hash is ever shown by `Debug`.

mod actor;
mod commands;
mod email;
mod events;
pub(crate) mod saga;

pub use self::{
    actor::{User, UserId},
    commands::{
        Claim, Confirm, Credentials, EmailError, Grant, Holder, Lapse, Profile, Register, Release,
        Revoke, Show, ShowCredentials, UnknownUserRole, UserError, UserRole, is_address,
    },
    email::{Email, EmailId},
    events::{EmailEvent, PasswordHash, UserEvent},
};
