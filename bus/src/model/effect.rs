//! Effects: calls to the outside world, made because something happened.
//!
//! An effect runs at least once for every event: after a crash it may run again, so it must
//! hand the outside world a key (the actor's id does well) that makes a repeat harmless. What
//! comes of the call is recorded as commands in [`Then`], asked with keys made from the commit.

use std::{future::Future, time::Duration};

use crate::{
    asking::bus::Bus,
    model::{actor::Actor, commit::Recorded, saga::Then},
};

/// An async call to the outside world for events of actor `A`.
pub trait Effect<A: Actor>: Send + Sync + 'static {
    /// The effect's name, one token: its progress is kept under it. Never change it.
    const NAME: &'static str;

    /// Does what `event` calls for, if anything.
    ///
    /// # Errors
    /// [`Retry`] if it could not be done now; it is run again later, with growing pauses, and
    /// later events of the same actor wait for it.
    fn run(
        &self,
        event: &Recorded<A>,
        bus: &Bus,
        then: &mut Then,
    ) -> impl Future<Output = Result<(), Retry>> + Send;
}

/// An effect could not be carried out now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Retry {
    /// What went wrong, for the log: no secrets, no personal data.
    pub reason: String,
    /// The shortest pause before the next try, if the outside world named one.
    pub after: Option<Duration>,
    /// Whether the outside world could not be reached: it is waited for much longer than what
    /// fails is tried again, see [`Patience`](crate::Patience).
    pub is_unreachable: bool,
}

impl Retry {
    /// Try again later because of `reason`.
    #[must_use]
    pub fn because(reason: impl ToString) -> Self {
        Self { reason: reason.to_string(), after: None, is_unreachable: false }
    }

    /// Try again later, for as long as a target that is away is waited for: nothing was wrong
    /// with what was to be done.
    #[must_use]
    pub fn unreachable(reason: impl ToString) -> Self {
        Self { is_unreachable: true, ..Self::because(reason) }
    }
}
