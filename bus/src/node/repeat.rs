//! Repeats: find the commit that a key made before, and give its answer again.

use tracing::error;

use crate::{
    journal::{Entry, ReadError},
    limits::KEYS_KEPT_MIN,
    model::{
        actor::Actor,
        command_set::Door,
        commit::{Identity, Position},
        id::Id,
    },
    node::{
        activation::Home,
        command::Command,
        keys::{KeyMemory, Recall, Remembered, Sent, Since},
    },
    planted::Plant,
    wire::{
        envelope::Answer,
        failure::{Failure, Status},
    },
};

/// What the actor remembers of this command's key.
pub(crate) fn recall(home: &Home, keys: &KeyMemory, command: &Command) -> Recall {
    if Plant::NoKeyRecord.is_here() {
        return Recall::New;
    }
    keys.recall(command.key.as_str(), first_sent(home, command))
}

fn first_sent(home: &Home, command: &Command) -> Sent {
    let headers = &command.headers;
    match (&headers.key, headers.key_time) {
        (None, _) => Sent::Now,
        (Some(_), Some(at)) => Sent::At(at),
        (Some(_), None) => Sent::Until(headers.key_until.unwrap_or(home.ambient.now())),
    }
}

/// Whether more keys must be remembered for the sake of callers such as this one.
pub(crate) fn is_untimed(command: &Command) -> bool {
    let headers = &command.headers;
    headers.key.is_some() && headers.key_time.is_none()
}

/// The commit that this command's key made before, if it did.
pub(crate) async fn commit_of<A: Actor>(
    home: &Home,
    id: &Id<A>,
    keys: &mut KeyMemory,
    command: &Command,
) -> Result<Option<Entry>, Failure> {
    let unreadable = |e: ReadError| Failure::new(Status::Unavailable, e.to_string());
    let key = command.key.as_str();
    // Among the last commits, and then from the time on that is given: what a search went
    // through is remembered, so that the next one is asked for what is left.
    for _ in 0..2 {
        match recall(home, keys, command) {
            Recall::New => return Ok(None),
            Recall::Unsure(since) => {
                let searched = in_time(command, search_since(home, id, keys, key, since)).await?;
                if let Some(found) = searched.map_err(unreadable)? {
                    return Ok(Some(found));
                }
            }
            Recall::Perhaps(sequence) => {
                let found = home.journal.at(&home.shard, sequence).await.map_err(unreadable)?;
                if let Some(entry) = found.filter(|entry| is_of(entry, key)) {
                    return Ok(Some(entry));
                }
                // Two keys with one hash: it may be any of those remembered, and older still.
                let sent = first_sent(home, command);
                let after = after_all_else(home, keys, sent).await.map_err(unreadable)?;
                return in_time(command, search(home, id, key, after)).await?.map_err(unreadable);
            }
        }
    }
    Ok(None)
}

/// A search lasts no longer than the command's budget: others wait behind it.
async fn in_time<T>(command: &Command, search: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout_at(command.deadline, search).await.map_err(|_| {
        let text = "the key's first use was searched for in vain for as long as the command had";
        Failure::new(Status::Expired, text)
    })
}

fn is_of(entry: &Entry, key: &str) -> bool {
    identity(entry).is_some_and(|found| &*found.key == key)
}

/// Looks for a forgotten key among the actor's commits since `from`, and remembers on the way what
/// it sees.
///
/// One that is found is seldom alone: after a pause all that a node had in its hands was asked of
/// others meanwhile. So the search goes on for a while, to where memory begins, and the next
/// repeats need none.
async fn search_since<A: Actor>(
    home: &Home,
    id: &Id<A>,
    keys: &mut KeyMemory,
    key: &str,
    from: Since,
) -> Result<Option<Entry>, ReadError> {
    let mut after = before(home, from).await?;
    let oldest = keys.oldest().unwrap_or(u64::MAX);
    let (mut seen, mut found, mut behind) = (Vec::new(), None, 0);
    while after + 1 < oldest {
        let batch = home.journal.read_from_leader(&home.shard, id.as_str(), after).await?;
        for entry in batch.entries {
            after = entry.sequence;
            if after >= oldest {
                break;
            }
            let Some(seen_now) = identity(&entry) else { continue };
            seen.push(Remembered::new(&seen_now.key, entry.sequence, seen_now.at));
            behind += usize::from(found.is_some());
            if &*seen_now.key == key {
                found = Some(entry);
            }
        }
        if behind > KEYS_KEPT_MIN {
            // There is a gap to what is remembered.
            return Ok(found);
        }
        if batch.is_last {
            break;
        }
    }
    keys.widen(seen, from, home.ambient.now());
    Ok(found)
}

/// Looks for a key through the actor's commits after sequence `after`, as the leader has them.
async fn search<A: Actor>(
    home: &Home,
    id: &Id<A>,
    key: &str,
    mut after: u64,
) -> Result<Option<Entry>, ReadError> {
    loop {
        let batch = home.journal.read_from_leader(&home.shard, id.as_str(), after).await?;
        for entry in batch.entries {
            after = entry.sequence;
            if is_of(&entry, key) {
                return Ok(Some(entry));
            }
        }
        if batch.is_last {
            return Ok(None);
        }
    }
}

/// The sequence after which a search begins.
async fn before(home: &Home, since: Since) -> Result<u64, ReadError> {
    match since {
        Since::Time(time) => home.journal.before(&home.shard, time).await,
        Since::Sequence(first) => Ok(first - 1),
    }
}

/// The sequence after which a key that is not the one its hash recalls must lie, if anywhere.
async fn after_all_else(home: &Home, keys: &KeyMemory, sent: Sent) -> Result<u64, ReadError> {
    match keys.search_from(sent) {
        Some(from) => before(home, from).await,
        None => Ok(keys.oldest().map_or(0, |oldest| oldest - 1)),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use tokio::time::Instant;

    use super::*;
    use crate::{
        model::id::Key,
        node::command::deadline,
        wire::{encoding::Encoding, envelope::RequestHeaders},
    };

    #[tokio::test(start_paused = true)]
    async fn a_search_ends_with_its_commands_budget() {
        let (began, budget) = (Instant::now(), Duration::from_secs(3));
        let command = Command {
            name: "add".into(),
            headers: RequestHeaders::default(),
            key: Key::random(),
            encoding: Encoding::Json,
            body: Bytes::new(),
            deadline: deadline(Some(budget)),
        };
        let failure = in_time(&command, std::future::pending::<()>()).await.expect_err("too long");
        assert_eq!((failure.status, began.elapsed()), (Status::Expired, budget));
    }
}
