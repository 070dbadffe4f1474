//! Loading an actor: its snapshot, if it has a good one, and the commits since.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tracing::{error, warn};

use crate::{
    journal::{Batch, Entry, ReadError},
    model::{
        actor::Actor,
        id::Id,
        upcast::{Unreadable, events_of},
    },
    node::{
        activation::{Activation, Home},
        repeat::identity,
        snapshot::{self, Snapshot},
    },
    wire::failure::{Failure, Status},
};

/// Why an actor could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("commit {sequence} cannot be decoded: {reason}")]
    Undecodable { sequence: u64, reason: Unreadable },
}

impl LoadError {
    /// Logs it, and words what the sender of a command is told.
    pub(crate) fn report<A: Actor>(&self, id: &Id<A>) -> Failure {
        match self {
            Self::Read(error) => {
                warn!(kind = A::KIND, %id, %error, "an actor could not be loaded");
                Failure::new(Status::Unavailable, error.to_string())
            }
            Self::Undecodable { reason: Unreadable::Newer { .. }, .. } => {
                warn!(kind = A::KIND, %id, error = %self, "newer code has written here");
                Failure::new(Status::Unavailable, format!("the actor needs newer code: {self}"))
            }
            Self::Undecodable { .. } => {
                error!(kind = A::KIND, %id, error = %self, "an actor's journal cannot be read");
                Failure::new(Status::Internal, format!("the actor cannot be loaded: {self}"))
            }
        }
    }
}

impl<A: Actor> Activation<A> {
    /// Folds the actor's commits: those after its snapshot, if it has many and a good one.
    pub(crate) async fn load(
        home: &Home,
        id: Id<A>,
        trust_replicas: bool,
    ) -> Result<Self, LoadError> {
        let mut loaded = Self::unborn(id);
        let first = loaded.read_on(home, trust_replicas).await?;
        if !first.is_last
            && let Some(restored) = Self::restore(home, &loaded.id, trust_replicas).await?
        {
            return Ok(restored);
        }
        loaded.replay_all(home, first, trust_replicas).await?;
        Ok(loaded)
    }

    /// The actor as its snapshot has it, and all commits since; none if there is no good one.
    async fn restore(
        home: &Home,
        id: &Id<A>,
        trust_replicas: bool,
    ) -> Result<Option<Self>, LoadError> {
        let Some(snapshot) = snapshot::get::<A>(home, id).await else { return Ok(None) };
        let Snapshot { sequence, commit, keys, armed, state } = snapshot;
        let mut restored = Self { state, keys: keys.into(), armed, ..Self::unborn(id.clone()) };
        // From the snapshot's own commit on: if the journal has another one there, or none, the
        // snapshot is of another past.
        restored.version = sequence - 1;
        let mut tail = restored.read_on(home, trust_replicas).await?;
        let own = tail.entries.first().filter(|entry| entry.sequence == sequence);
        if own.and_then(identity).is_none_or(|found| found.commit != commit) {
            warn!(kind = A::KIND, %id, sequence, "a snapshot is not of this journal, and is ignored");
            return Ok(None);
        }
        (restored.version, restored.commit) = (sequence, commit);
        #[cfg(debug_assertions)]
        if !Self::folds_to(home, &restored).await? {
            error!(kind = A::KIND, %id, sequence, "a snapshot differs from what its commits fold to: \
                   raise `Actor::STATE` with each change of the state or of `apply`");
            return Ok(None);
        }
        tail.entries.remove(0);
        // A state that was wrong may make `apply` panic where the right one would not.
        let replay = AssertUnwindSafe(restored.replay_all(home, tail, trust_replicas));
        match replay.catch_unwind().await {
            Ok(replayed) => replayed.map(|()| Some(restored)),
            Err(_) => {
                error!(kind = A::KIND, %id, sequence, "folding from a snapshot panicked; it is ignored");
                Ok(None)
            }
        }
    }

    /// Whether the commits up to the version of `restored` fold to the same. A long past is not
    /// gone through.
    #[cfg(debug_assertions)]
    async fn folds_to(home: &Home, restored: &Self) -> Result<bool, LoadError> {
        let mut folded = Self::unborn(restored.id.clone());
        let mut count = 0;
        while folded.version < restored.version {
            let mut batch = folded.read_on(home, false).await?;
            batch.entries.retain(|entry| entry.sequence <= restored.version);
            count += batch.entries.len();
            if batch.entries.is_empty() || count > crate::limits::SNAPSHOT_CHECK_MAX {
                return Ok(true);
            }
            for entry in &batch.entries {
                folded.replay(home, entry)?;
            }
        }
        let [folded, restored] =
            [&folded, restored].map(|one| crate::Encoding::MessagePack.encode(&one.state).ok());
        Ok(folded == restored)
    }

    async fn read_on(&self, home: &Home, trust_replicas: bool) -> Result<Batch, ReadError> {
        let (journal, id) = (&home.journal, self.id.as_str());
        if trust_replicas {
            journal.read(&home.shard, id, self.version).await
        } else {
            journal.read_from_leader(&home.shard, id, self.version).await
        }
    }

    /// Folds `batch`, and all that comes after it.
    async fn replay_all(
        &mut self,
        home: &Home,
        mut batch: Batch,
        trust_replicas: bool,
    ) -> Result<(), LoadError> {
        loop {
            for entry in &batch.entries {
                self.replay(home, entry)?;
            }
            if batch.is_last {
                return Ok(());
            }
            batch = self.read_on(home, trust_replicas).await?;
        }
    }

    fn replay(&mut self, home: &Home, entry: &Entry) -> Result<(), LoadError> {
        let commit = events_of::<A>(&entry.bytes)
            .map_err(|reason| LoadError::Undecodable { sequence: entry.sequence, reason })?;
        self.advance(home, entry.sequence, commit);
        Ok(())
    }
}
