//! What a node knows of a shard without asking: a run of sequences that are all its own.
//!
//! An answer that stores nothing must rest on the actor's newest state. Asking the leader for
//! each costs a request each. But if nothing was stored behind the run, and the actor was seen to
//! be the newest somewhere in it, nobody else can have written to it since: one question answers
//! for all who wait at the same time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{sync::oneshot, task::yield_now};

use super::GroupCommit;

/// The run, and who waits for a look behind it.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    run: Mutex<Run>,
    looks: Mutex<Looks>,
}

/// All sequences after `base`, up to `through`, are our own commits.
#[derive(Debug, Default, Clone, Copy)]
struct Run {
    base: u64,
    through: u64,
}

/// Looks at the same time. With one, who asks just after it began waits for almost two.
const LOOKS_MAX: usize = 2;

#[derive(Debug, Default)]
struct Looks {
    under_way: usize,
    /// Who asked since the last look began: one that begins later answers them all, with the run
    /// that nothing was stored behind, or none if something was.
    waiting: Vec<oneshot::Sender<Option<Run>>>,
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
    pub(super) async fn is_only_ours_since(&self, seen: u64, group: &Arc<GroupCommit>) -> bool {
        if seen < self.run().base {
            return false;
        }
        let (tell, told) = oneshot::channel();
        let may_look = {
            let mut looks = self.looks();
            looks.waiting.push(tell);
            // One that is about to begin is as good.
            let may_look = looks.waiting.len() == 1 && looks.under_way < LOOKS_MAX;
            looks.under_way += usize::from(may_look);
            may_look
        };
        if may_look {
            // Not under the lock: a runtime that ends drops the task at once.
            tokio::spawn(look_on(Looking { group: group.clone(), is_done: false }));
        }
        let run = told.await.ok().flatten();
        run.is_some_and(|run| seen >= run.base)
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

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to look. Whoever loses it in the middle leaves the way open.
struct Looking {
    group: Arc<GroupCommit>,
    is_done: bool,
}

impl Drop for Looking {
    fn drop(&mut self) {
        if !self.is_done {
            let mut looks = self.group.frontier.looks();
            looks.under_way -= 1;
            looks.waiting.clear();
        }
    }
}

/// Looks, until nobody waits.
async fn look_on(mut looking: Looking) {
    let group = looking.group.clone();
    let frontier = &group.frontier;
    loop {
        // Those who are about to ask may as well be answered by the same look.
        yield_now().await;
        let waiting = {
            let mut looks = frontier.looks();
            looks.under_way -= usize::from(looks.waiting.is_empty());
            std::mem::take(&mut looks.waiting)
        };
        if waiting.is_empty() {
            looking.is_done = true;
            return;
        }
        let run = frontier.look(&group).await;
        for tell in waiting {
            // Who waited may be gone.
            let _ = tell.send(run);
        }
    }
}
