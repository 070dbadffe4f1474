//! What one handled command left, as it is stored: events, key and reply in one message.
//!
//! A commit is MessagePack with named fields, and everything in it can be shown as JSON. It is
//! written once by the activation that decided it, and read by all that follows.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::Value;

use crate::model::{actor::Actor, id::Id, time::Timestamp, timer::TimerChange};

/// The position of a commit: its stream and its sequence there. Shown as `EVT_order_0@1234`.
///
/// It is the read-your-writes token, and its sequence is the actor's version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The stream's name.
    pub stream: Arc<str>,
    /// The sequence in the stream; 0 stands before the first commit.
    pub sequence: u64,
}

/// Why a text is not a position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a position: expected the form `EVT_order_0@1234`")]
pub struct InvalidPosition;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.stream, self.sequence)
    }
}

impl Position {
    /// The kind of the actor whose commit it is; `None` if it is of another stream than one of
    /// commits.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        crate::wire::subject::kind_of_stream(&self.stream)
    }
}

impl std::str::FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (stream, sequence) = text.rsplit_once('@').ok_or(InvalidPosition)?;
        let sequence = sequence.parse().map_err(|_| InvalidPosition)?;
        let plain = stream.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        if stream.is_empty() || stream.len() > 128 || !plain {
            return Err(InvalidPosition);
        }
        Ok(Self { stream: stream.into(), sequence })
    }
}

/// The shape of commits that name none.
pub(crate) const FIRST_SHAPE: u32 = 1;

fn first_shape() -> u32 {
    FIRST_SHAPE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_first_shape(shape: &u32) -> bool {
    *shape == FIRST_SHAPE
}

/// The stored shape. `E` is one event, `R` the reply; readers name only what they need.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored<E, R> {
    /// The shape of the events: see [`Actor::SHAPE`]. The first field, so that it can be seen
    /// without decoding the rest.
    #[serde(default = "first_shape", skip_serializing_if = "is_first_shape")]
    pub(crate) shape: u32,
    /// Unique to this attempt to store: tells our own commit from another's after a lost ack.
    pub(crate) commit: Box<str>,
    pub(crate) at: Timestamp,
    pub(crate) command: Box<str>,
    pub(crate) key: Box<str>,
    /// Fingerprint of the command's name and body: the same key with another body is refused.
    pub(crate) digest: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) principal: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<Box<str>>,
    pub(crate) events: Vec<E>,
    /// What becomes of the actor's timers, in order; one change for each at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) timers: Vec<TimerChange>,
    pub(crate) reply: R,
}

/// A stored commit whose events are read as `E`, without the reply.
pub(crate) type Events<E> = Stored<E, IgnoredAny>;

/// Only what identifies a stored commit.
#[derive(Debug, Deserialize)]
pub(crate) struct Identity {
    pub(crate) commit: Box<str>,
    pub(crate) key: Box<str>,
    pub(crate) digest: Box<str>,
    pub(crate) at: Timestamp,
}

/// Facts about a commit that all of its events share.
#[derive(Debug, Clone)]
pub struct CommitInfo {
    /// Where it is stored.
    pub position: Position,
    /// When it was decided.
    pub at: Timestamp,
    /// The command that made it.
    pub command: Box<str>,
    /// The command's idempotency key.
    pub key: Box<str>,
    /// The commit that caused the command, if one did.
    pub cause: Option<Box<str>>,
    /// In whose name the command was sent.
    pub principal: Option<Box<str>>,
    /// The W3C trace the command belongs to.
    pub trace: Option<Box<str>>,
}

/// One event of actor `A`, as it was recorded.
pub struct Recorded<A: Actor> {
    /// The actor it happened to.
    pub id: Id<A>,
    /// What happened.
    pub event: A::Event,
    /// The commit it is part of.
    pub commit: Arc<CommitInfo>,
}

impl<A: Actor> fmt::Debug for Recorded<A> {
    // Without the event: it may hold what a log must not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", A::KIND, self.id, self.commit.position)
    }
}

/// A commit of any kind, decoded for people and foreign programs.
#[derive(Debug, Clone)]
pub struct AnyCommit {
    /// The actor's kind.
    pub kind: Box<str>,
    /// The actor's id.
    pub id: Box<str>,
    /// Facts about the commit.
    pub info: CommitInfo,
    /// Its events, as JSON: `{"placed": {…}}`, or `"confirmed"` for one without fields.
    pub events: Vec<Value>,
    /// The reply its command was given.
    pub reply: Value,
}

impl<E, R> Stored<E, R> {
    /// The same commit with its events read otherwise.
    pub(crate) fn try_map<F, X>(
        self,
        read: impl FnMut(E) -> Result<F, X>,
    ) -> Result<Stored<F, R>, X> {
        let Self { shape, commit, at, command, key, digest, cause, principal, trace, .. } = self;
        let timers = self.timers;
        let events = self.events.into_iter().map(read).collect::<Result<_, X>>()?;
        let reply = self.reply;
        Ok(Stored {
            shape,
            commit,
            at,
            command,
            key,
            digest,
            cause,
            principal,
            trace,
            events,
            timers,
            reply,
        })
    }

    pub(crate) fn info(&self, position: Position) -> CommitInfo {
        CommitInfo {
            position,
            at: self.at,
            command: self.command.clone(),
            key: self.key.clone(),
            cause: self.cause.clone(),
            principal: self.principal.clone(),
            trace: self.trace.clone(),
        }
    }
}

impl AnyCommit {
    /// An event's name and its fields (`null` if it has none).
    #[must_use]
    pub fn named(event: &Value) -> (&str, &Value) {
        match event {
            Value::String(name) => (name, &Value::Null),
            Value::Object(map) if map.len() == 1 => {
                map.iter().next().map_or(("?", event), |(name, fields)| (name.as_str(), fields))
            }
            _ => ("?", event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_as_it_is_written() {
        let position = Position { stream: "EVT_order_0".into(), sequence: 1234 };
        assert_eq!(position.to_string(), "EVT_order_0@1234");
        assert_eq!("EVT_order_0@1234".parse(), Ok(position));
        for bad in ["", "EVT_order_0", "@1", "EVT_order_0@", "EVT_order_0@-1", "a.b@1"] {
            assert_eq!(bad.parse::<Position>(), Err(InvalidPosition), "{bad:?}");
        }
    }

    #[test]
    fn a_commit_can_be_read_as_plain_json() {
        let stored = Stored {
            shape: FIRST_SHAPE,
            commit: "c".into(),
            at: Timestamp::from_millis(1),
            command: "receive".into(),
            key: "k".into(),
            digest: "d".into(),
            cause: None,
            principal: None,
            trace: None,
            events: vec![serde_json::json!({"received": {"quantity": 5}})],
            timers: Vec::new(),
            reply: serde_json::json!({"available": 5}),
        };
        let bytes = rmp_serde::to_vec_named(&stored).expect("plain data");
        let back: Stored<Value, Value> = rmp_serde::from_slice(&bytes).expect("as written");
        assert_eq!(AnyCommit::named(&back.events[0]).0, "received");
        assert_eq!(back.reply["available"], 5);
    }
}
