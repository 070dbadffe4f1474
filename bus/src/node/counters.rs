//! What happened to one kind in this process, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// The running counts of one kind.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    late_writes_refused: AtomicU64,
    forwarded: AtomicU64,
}

/// What happened to one kind in this process since it connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commits stored.
    pub commits: u64,
    /// Commits that the journal refused because another node's was first. Each was decided on
    /// an old state, left nothing, and was decided again.
    pub late_writes_refused: u64,
    /// Commands handed on to the node where their actor lives.
    pub forwarded: u64,
}

impl Counters {
    pub(crate) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_late_write(&self) {
        self.late_writes_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_forwarded(&self) {
        self.forwarded.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            commits: self.commits.load(Ordering::Relaxed),
            late_writes_refused: self.late_writes_refused.load(Ordering::Relaxed),
            forwarded: self.forwarded.load(Ordering::Relaxed),
        }
    }
}
