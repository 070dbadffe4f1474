//! Repeats: find the commit that a key made before, and give its answer again.

use tracing::error;

use crate::{
    activation::Home,
    actor::Actor,
    command::Command,
    command_set::Door,
    commit::{Identity, Position},
    envelope::Answer,
    failure::{Failure, Status},
    id::Id,
    journal::{Entry, ReadError},
    keys::{KeyMemory, Recall},
};

/// The commit that this command's key made before, if it did.
pub(crate) async fn commit_of<A: Actor>(
    home: &Home,
    id: &Id<A>,
    keys: &KeyMemory,
    command: &Command,
) -> Result<Option<Entry>, Failure> {
    let unreadable = |e: ReadError| Failure::new(Status::Unavailable, e.to_string());
    let key = command.key.as_str();
    let found = match keys.recall(key, command.headers.key_time) {
        Recall::New => return Ok(None),
        Recall::Unsure => None,
        Recall::Perhaps(sequence) => {
            home.journal.at(&home.shard, sequence).await.map_err(unreadable)?
        }
    };
    if let Some(entry) = found
        && identity(&entry).is_some_and(|found| &*found.key == key)
    {
        return Ok(Some(entry));
    }
    search(home, id, key).await.map_err(unreadable)
}

/// Looks for a key through the actor's commits, as the leader has them.
async fn search<A: Actor>(home: &Home, id: &Id<A>, key: &str) -> Result<Option<Entry>, ReadError> {
    let mut after = 0;
    loop {
        let batch = home.journal.read_from_leader(&home.shard, id.as_str(), after).await?;
        for entry in batch.entries {
            after = entry.sequence;
            if identity(&entry).is_some_and(|found| &*found.key == key) {
                return Ok(Some(entry));
            }
        }
        if batch.is_last {
            return Ok(None);
        }
    }
}

/// The answer that the commit's command was given, if this one asks for the same.
pub(crate) fn recorded_answer<A: Actor>(
    home: &Home,
    door: &Door<A>,
    command: &Command,
    entry: &Entry,
) -> Answer {
    let is_same = identity(entry).is_some_and(|found| *found.digest == *command.digest());
    if !is_same {
        let text = "this key was used before, with another command or body";
        return Answer::failed(Failure::new(Status::KeyReused, text));
    }
    let outcome = (door.recorded_reply)(&entry.bytes, command.encoding).map_err(|malformed| {
        error!(kind = A::KIND, sequence = entry.sequence, %malformed, "a recorded reply cannot be read");
        Failure::new(Status::Internal, "the recorded reply cannot be read")
    });
    let position = Position { stream: home.shard.stream.clone(), sequence: entry.sequence };
    Answer { outcome, position: Some(position) }
}

/// What identifies a stored commit; none for what is no commit.
pub(crate) fn identity(entry: &Entry) -> Option<Identity> {
    rmp_serde::from_slice(&entry.bytes).ok()
}
