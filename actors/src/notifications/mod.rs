//! Notices: what people are told by mail.
//!
//! ```text
//! unqueued ── queue ──▶ queued ──┬── sent ─────▶ sent
//!                                └── give_up ──▶ given up
//! ```
//!
//! Promises: one notice for one occasion, as its id is made from the occasion; a notice is
//! mailed until it is sent or refused for good. A crash between sending and recording it sends
//! the same mail again, under the same Message-ID.

mod actor;
mod commands;
mod effect;
mod events;
mod letters;
mod links;
mod mailer;
#[cfg(test)]
mod mailer_tests;
mod markup;
pub(crate) mod saga;

pub use self::{
    actor::{Notice, NoticeId},
    commands::{GiveUp, GiveUpReason, Letter, NoticeError, NoticeStatus, Queue, Sent, Show},
    effect::SendNotice,
    events::NoticeEvent,
    links::MailLinks,
    mailer::{InvalidMailer, Mailer, Outbox},
};
