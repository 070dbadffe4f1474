//! Snapshots: an actor's state as of one of its commits, so that a long past need not be folded.
//!
//! Never the truth: a snapshot that cannot be read, is of another shape, or whose commit is not
//! in the journal, is ignored, said so in the log, and overwritten by the next. Writing one is
//! the business of nobody who waits: it is drafted after a reply and put by a task of its own.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::{
    journal::Cells,
    limits::{SNAPSHOT_AT_REST, SNAPSHOT_BYTES_MAX, SNAPSHOT_EVERY, SNAPSHOT_PAUSE},
    model::{
        actor::Actor,
        id::Id,
        timer::{Armed, KeptArmed},
    },
    node::{
        activation::Home,
        keys::{KeptKeys, KeyMemory, fingerprint},
    },
    wire::{encoding::Encoding, subject},
};

/// The first byte of a snapshot: how the rest is laid out. Then eight bytes of checksum, then two
/// values in MessagePack: its label, and what is in it.
const FORMAT: u8 = 2;
const HEAD_BYTES: usize = 9;

/// How deeply a snapshot may be nested: a reader's stack is not endless.
const DEPTH_MAX: usize = 64;

/// A snapshot that was found to be this actor's. Whether the journal has its commit, its reader
/// must see.
#[derive(Debug)]
pub(crate) struct Snapshot<A> {
    pub(crate) sequence: u64,
    pub(crate) commit: Box<str>,
    pub(crate) keys: KeptKeys,
    pub(crate) armed: Armed,
    pub(crate) state: A,
}

/// Whose snapshot it is, and of when.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) id: &'a str,
    pub(crate) sequence: u64,
    /// What the commit at `sequence` calls itself.
    pub(crate) commit: &'a str,
}

/// What tells whether the rest can be read.
#[derive(Serialize, Deserialize)]
struct Label<T> {
    stream: T,
    id: T,
    shape: u32,
    state_number: u32,
}

/// The rest.
#[derive(Serialize, Deserialize)]
struct Kept<T, K, M, S> {
    sequence: u64,
    commit: T,
    keys: K,
    armed: M,
    state: S,
}

/// Why a snapshot is of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("it is of other code: shape {shape}, state {state_number}")]
    OtherCode { shape: u32, state_number: u32 },
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("it is another actor's")]
    Foreign,
}

/// What an activation knows of its snapshots.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    /// Commits since the last one was drafted.
    since: u32,
    drafted: Option<Instant>,
    /// Alive while one is being put.
    putting: Weak<()>,
    /// The state cannot be kept in one; said so once.
    is_hopeless: bool,
}

/// A snapshot about to be put.
#[derive(Debug)]
pub(crate) struct Draft {
    bucket: String,
    id: Box<str>,
    bytes: Bytes,
    _putting: Arc<()>,
}

impl Upkeep {
    pub(crate) fn count_commit(&mut self) {
        self.since = self.since.saturating_add(1);
    }

    pub(crate) fn is_due(&self, at_rest: bool) -> bool {
        let enough = if at_rest { SNAPSHOT_AT_REST } else { SNAPSHOT_EVERY };
        let pause = if at_rest { Duration::ZERO } else { SNAPSHOT_PAUSE };
        self.since >= enough
            && !self.is_hopeless
            && self.putting.strong_count() == 0
            && self.drafted.is_none_or(|drafted| drafted.elapsed() >= pause)
    }

    /// Writes the state down. None if that cannot be done, which is logged.
    pub(crate) fn draft<A: Actor>(
        &mut self,
        home: &Home,
        origin: &Origin<'_>,
        state: &A,
        keys: &KeyMemory,
        armed: &Armed,
    ) -> Option<Draft> {
        // The state's own `Serialize` may panic, and an actor must not be lost by that.
        let encode = AssertUnwindSafe(|| encode(&home.shard.stream, origin, state, keys, armed));
        let encoded = std::panic::catch_unwind(encode);
        let reason = match encoded {
            Ok(Ok(bytes)) if bytes.len() <= SNAPSHOT_BYTES_MAX => {
                let putting = Arc::new(());
                self.putting = Arc::downgrade(&putting);
                (self.since, self.drafted) = (0, Some(Instant::now()));
                let bucket = subject::snapshot_bucket(A::KIND);
                return Some(Draft { bucket, id: origin.id.into(), bytes, _putting: putting });
            }
            Ok(Ok(bytes)) => format!("{} bytes, at most {SNAPSHOT_BYTES_MAX}", bytes.len()),
            Ok(Err(error)) => error,
            Err(_) => "writing it panicked".to_owned(),
        };
        self.is_hopeless = true;
        error!(kind = A::KIND, id = origin.id, reason, "a state cannot be kept in a snapshot");
        None
    }
}

impl Draft {
    /// Puts it. A failure is logged and does no harm.
    pub(crate) async fn put(self, cells: Arc<dyn Cells>) {
        let Self { bucket, id, bytes, _putting } = self;
        let size = bytes.len();
        match cells.put(&bucket, &id, bytes, None).await {
            Ok(()) => debug!(bucket, %id, size, "a snapshot was written"),
            Err(error) => warn!(bucket, %id, %error, "a snapshot was not written"),
        }
    }
}

/// The actor's snapshot, if there is one that can be read.
pub(crate) async fn get<A: Actor>(home: &Home, id: &Id<A>) -> Option<Snapshot<A>> {
    let bucket = subject::snapshot_bucket(A::KIND);
    let found = match home.cells.get(&bucket, id.as_str()).await {
        Ok(found) => found?,
        Err(error) => {
            warn!(kind = A::KIND, %id, %error, "a snapshot cannot be had");
            return None;
        }
    };
    match decode(&home.shard.stream, id.as_str(), &found) {
        Ok(snapshot) => Some(snapshot),
        Err(unfit @ Unfit::OtherCode { .. }) => {
            info!(kind = A::KIND, %id, %unfit, "a snapshot is ignored");
            None
        }
        Err(unfit) => {
            warn!(kind = A::KIND, %id, %unfit, "a snapshot is ignored");
            None
        }
    }
}

fn encode<A: Actor>(
    stream: &str,
    origin: &Origin<'_>,
    state: &A,
    keys: &KeyMemory,
    armed: &Armed,
) -> Result<Bytes, String> {
    let label = Label { stream, id: origin.id, shape: A::SHAPE, state_number: A::STATE };
    let kept = Kept {
        sequence: origin.sequence,
        commit: origin.commit,
        keys: keys.to_kept(),
        armed: armed.to_kept(),
        state,
    };
    let mut body = Encoding::MessagePack.encode(&label).map_err(|e| e.to_string())?;
    body.extend(Encoding::MessagePack.encode(&kept).map_err(|e| e.to_string())?);
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.push(FORMAT);
    bytes.extend(fingerprint(&body).to_be_bytes());
    bytes.extend(body);
    Ok(bytes.into())
}

fn decode<A: Actor>(stream: &str, id: &str, bytes: &[u8]) -> Result<Snapshot<A>, Unfit> {
    let damaged = |reason: &dyn std::fmt::Display| Unfit::Damaged(reason.to_string());
    let Some((head, body)) = bytes.split_at_checked(HEAD_BYTES) else {
        return Err(damaged(&"it is cut short"));
    };
    if head[0] != FORMAT {
        return Err(damaged(&format!("format {}", head[0])));
    }
    if head[1..] != fingerprint(body).to_be_bytes() {
        return Err(damaged(&"its checksum is wrong"));
    }
    let mut rest = body;
    let label: Label<Box<str>> = next(&mut rest)?;
    if &*label.stream != stream || &*label.id != id {
        return Err(Unfit::Foreign);
    }
    let Label { shape, state_number, .. } = label;
    if (shape, state_number) != (A::SHAPE, A::STATE) {
        return Err(Unfit::OtherCode { shape, state_number });
    }
    let kept: Kept<Box<str>, KeptKeys, KeptArmed, A> = next(&mut rest)?;
    if !rest.is_empty() {
        return Err(damaged(&format!("{} bytes after its end", rest.len())));
    }
    let Kept { sequence, commit, keys, armed, state } = kept;
    if sequence == 0 {
        return Err(damaged(&"it is of no commit"));
    }
    Ok(Snapshot { sequence, commit, keys, armed: armed.into(), state })
}

/// Reads the next value. Where it is wrong is not asked: that would cost more than the reading.
fn next<T: DeserializeOwned>(rest: &mut &[u8]) -> Result<T, Unfit> {
    let mut reader = rmp_serde::Deserializer::new(rest);
    reader.set_max_depth(DEPTH_MAX);
    T::deserialize(&mut reader).map_err(|error| Unfit::Damaged(error.to_string()))
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
pub(crate) mod tests;
