//! What a node knows of a shard without asking: a run of sequences that are all its own.
//!
//! An answer that stores nothing must rest on the actor's newest state. Asking the leader for
//! each costs a request each. But if nothing was stored behind the run, and the actor was seen to
//! be the newest somewhere in it, nobody else can have written to it since: one question answers
//! for all who wait at the same time.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::GroupCommit;

/// The run, and who looks behind it.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    run: Mutex<Run>,
    /// Looks that have begun so far.
    begun: AtomicU64,
    gate: tokio::sync::Mutex<Look>,
}

/// All sequences after `base`, up to `through`, are our own commits.
#[derive(Debug, Default, Clone, Copy)]
struct Run {
    base: u64,
    through: u64,
}

/// The last look behind the run.
#[derive(Debug, Default, Clone, Copy)]
struct Look {
    number: u64,
    /// The run that nothing was stored behind; none if something was.
    run: Option<Run>,
}

impl Frontier {
    /// Takes in where commits of ours are stored, in order.
    pub(super) fn note(&self, sequences: &[u64]) {
        let mut run = self.run();
        for &sequence in sequences {
            if sequence > run.through + 1 {
                // Something is between that is not ours, as far as we know.
                run.base = sequence;
            }
            run.through = run.through.max(sequence);
        }
    }

    /// The sequence up to which all is known.
    pub(super) fn known(&self) -> u64 {
        self.run().through
    }

    /// See [`GroupCommit::is_only_ours_since`].
    pub(super) async fn is_only_ours_since(&self, seen: u64, group: &GroupCommit) -> bool {
        if seen < self.run().base {
            return false;
        }
        let before = self.begun.load(Ordering::Acquire);
        let mut look = self.gate.lock().await;
        // One that began after this was asked answers for us, too.
        if look.number <= before {
            look.number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
            look.run = None;
            look.run = self.look(group).await;
        }
        look.run.is_some_and(|run| seen >= run.base)
    }

    async fn look(&self, group: &GroupCommit) -> Option<Run> {
        let was_busy = group.queue().is_busy;
        let run = *self.run();
        match group.journal.at(&group.shard, run.through + 1).await {
            Ok(None) => Some(run),
            // It may be our own, not yet acknowledged.
            Ok(Some(_)) if was_busy => None,
            Ok(Some(_)) => {
                self.begin_anew(group).await;
                None
            }
            // Whoever asks for its own actor is told why.
            Err(_) => None,
        }
    }

    /// Others have written: the run begins anew, behind all there is.
    async fn begin_anew(&self, group: &GroupCommit) {
        let Ok(bounds) = group.journal.bounds(&group.shard.stream).await else { return };
        let mut run = self.run();
        if bounds.last_sequence > run.through {
            *run = Run { base: bounds.last_sequence, through: bounds.last_sequence };
        }
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
