//! Bugs on purpose, so that the simulation can be seen to find them. Without the feature
//! `planted-bugs` no switch exists, and no build for use has that feature.

/// A promise that a planted bug breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// The caller is answered before the commit is appended.
    ReplyBeforeAppend,
    /// A commit is appended on whatever the actor's last one is.
    NoVersionCheck,
    /// Nobody looks up which key made which commit.
    NoKeyRecord,
    /// A delivery is acknowledged before the saga's commands are asked.
    AckBeforeAsks,
    /// Rows and their checkpoint are written one after the other.
    CheckpointApart,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ReplyBeforeAppend,
        Self::NoVersionCheck,
        Self::NoKeyRecord,
        Self::AckBeforeAsks,
        Self::CheckpointApart,
    ];

    /// The plant's name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReplyBeforeAppend => "reply-before-append",
            Self::NoVersionCheck => "no-version-check",
            Self::NoKeyRecord => "no-key-record",
            Self::AckBeforeAsks => "ack-before-asks",
            Self::CheckpointApart => "checkpoint-apart",
        }
    }

    /// Plants this bug, or none, in everything that runs on this thread from now on.
    #[cfg(feature = "planted-bugs")]
    pub fn plant(bug: Option<Self>) {
        PLANTED.set(bug);
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn is_here(self) -> bool {
        PLANTED.get() == Some(self)
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[allow(clippy::unused_self)]
    pub(crate) const fn is_here(self) -> bool {
        false
    }
}

#[cfg(feature = "planted-bugs")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Plant>> = const { std::cell::Cell::new(None) };
}
