//! What a follower does with one commit: run the saga or effect, then ask what it wants asked.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

use crate::{
    asking::{bus::Bus, call::NoAnswer},
    journal::{BoxFuture, Entry},
    limits::{EFFECT_TIMEOUT, SAGA_ASK_TIMEOUT},
    model::{
        actor::Actor,
        commit::{CommitInfo, Position, Recorded},
        effect::{Effect, Retry},
        id::{Id, Key},
        saga::{PlannedAsk, Then, derived_key},
        upcast::{Unreadable, events_of},
    },
    wire::{
        encoding::Encoding,
        envelope::RequestHeaders,
        failure::{Failure, Status},
        subject,
    },
};

/// A reaction to commits whose actor type is not known where it is used.
pub(crate) trait React: Send + Sync {
    fn react<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Trouble>>;
}

/// A commit could not be carried out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) reason: String,
    pub(crate) after: Option<Duration>,
    /// Trying again will not help before somebody mends something.
    pub(crate) is_hopeless: bool,
    /// It was not even tried: its target is not there or too busy, or newer code is needed.
    pub(crate) is_unreachable: bool,
}

impl Trouble {
    pub(crate) fn because(reason: impl ToString) -> Self {
        let reason = reason.to_string();
        Self { reason, after: None, is_hopeless: false, is_unreachable: false }
    }

    pub(crate) fn unreachable(reason: impl ToString) -> Self {
        Self { is_unreachable: true, ..Self::because(reason) }
    }

    pub(crate) fn hopeless(reason: impl ToString) -> Self {
        Self { is_hopeless: true, ..Self::because(reason) }
    }
}

impl From<Retry> for Trouble {
    fn from(retry: Retry) -> Self {
        let Retry { reason, after, is_unreachable } = retry;
        Self { after, is_unreachable, ..Self::because(reason) }
    }
}

/// A saga following actor `A`.
pub(crate) struct SagaReaction<A: Actor> {
    pub(crate) name: &'static str,
    pub(crate) bus: Bus,
    pub(crate) on: fn(&Recorded<A>, &mut Then),
}

/// An effect following actor `A`.
pub(crate) struct EffectReaction<E> {
    pub(crate) bus: Bus,
    pub(crate) effect: E,
}

impl<A: Actor> React for SagaReaction<A> {
    fn react<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let (info, events) = recorded::<A>(entry)?;
            let mut then = Then::default();
            for event in &events {
                (self.on)(event, &mut then);
            }
            // A saga is pure: its commands have the same places whenever it is run.
            ask_all(&self.bus, self.name, &info, then, |ask| ask.to_string()).await
        })
    }
}

/// An effect and the actor type it follows.
pub(crate) struct Following<A, E> {
    pub(crate) reaction: EffectReaction<E>,
    pub(crate) actor: std::marker::PhantomData<fn() -> A>,
}

impl<A: Actor, E: Effect<A>> React for Following<A, E> {
    fn react<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let EffectReaction { bus, effect } = &self.reaction;
            let (info, events) = recorded::<A>(entry)?;
            for (place, event) in events.iter().enumerate() {
                let mut then = Then::default();
                let run = timeout(EFFECT_TIMEOUT, effect.run(event, bus, &mut then));
                run.await.map_err(|_| Trouble::because("the effect took too long"))??;
                // The outside world may answer otherwise when asked again: what it answers to
                // one event must not move the keys of another's.
                ask_all(bus, E::NAME, &info, then, |ask| format!("{place}.{ask}")).await?;
            }
            Ok(())
        })
    }
}

/// The events of a stored commit.
pub(crate) fn recorded<A: Actor>(
    entry: &Entry,
) -> Result<(Arc<CommitInfo>, Vec<Recorded<A>>), Trouble> {
    let stored = events_of::<A>(&entry.bytes).map_err(|unreadable| match unreadable {
        // Newer code, on another node, can read it: that is waited for.
        Unreadable::Newer { .. } => Trouble::unreachable(unreadable),
        Unreadable::Malformed(_) => Trouble::hopeless(format!("cannot be decoded: {unreadable}")),
    })?;
    let id = subject::parse_event(&entry.subject).map(|(_, id)| Id::<A>::parse(id));
    let stream = subject::stream_of_event(&entry.subject);
    let (Some(Ok(id)), Some(stream)) = (id, stream) else {
        return Err(Trouble::hopeless("its subject is not an actor's"));
    };
    let position = Position { stream, sequence: entry.sequence };
    let commit = Arc::new(stored.info(position));
    let events = stored
        .events
        .into_iter()
        .map(|event| Recorded { id: id.clone(), event, commit: commit.clone() })
        .collect();
    Ok((commit, events))
}

async fn ask_all(
    bus: &Bus,
    follower: &str,
    commit: &CommitInfo,
    then: Then,
    index: impl Fn(usize) -> String,
) -> Result<(), Trouble> {
    let asks = then.into_asks().map_err(Trouble::hopeless)?;
    for (place, ask) in asks.into_iter().enumerate() {
        let key = derived_key(follower, commit, &index(place));
        ask_one(bus, commit, key, ask).await?;
    }
    Ok(())
}

async fn ask_one(bus: &Bus, commit: &CommitInfo, key: Key, ask: PlannedAsk) -> Result<(), Trouble> {
    let headers = RequestHeaders {
        content_type: Some(Encoding::MessagePack.content_type().into()),
        key: Some(key),
        key_time: Some(commit.at),
        cause: Some(commit.position.to_string().into()),
        principal: commit.principal.clone(),
        trace: commit.trace.clone(),
        ..RequestHeaders::default()
    };
    let subject = subject::command(ask.kind, &ask.id, ask.command);
    ask_surely(bus, &subject, headers, ask.body.into()).await.map(drop)
}

/// Asks a command that nobody waits for, until it has an answer; a refusal is one, and is
/// returned.
pub(crate) async fn ask_surely(
    bus: &Bus,
    subject: &str,
    headers: RequestHeaders,
    body: Bytes,
) -> Result<Option<Failure>, Trouble> {
    let cause = headers.cause.clone().unwrap_or_default();
    let answer = bus.call(subject, headers, body, SAGA_ASK_TIMEOUT).await;
    let answer = answer.map_err(|NoAnswer(after)| {
        Trouble::unreachable(format!("{subject}: no reply within {after:?}"))
    })?;
    match answer.outcome {
        Ok(_) => Ok(None),
        Err(failure) if failure.status == Status::Refused => {
            tracing::debug!(subject, %failure, %cause, "a command nobody waits for was refused");
            Ok(Some(failure))
        }
        Err(failure) if failure.status == Status::KeyReused => {
            // The first time something else was asked, and that has taken effect.
            tracing::error!(subject, %cause, "asked otherwise than the first time; the first counts");
            Ok(Some(failure))
        }
        Err(failure) => Err(failed(subject, &failure)),
    }
}

/// What a failure means for who asked: an older or broken service may be replaced by one that
/// understands, but a command that is not well formed never will be.
fn failed(subject: &str, failure: &Failure) -> Trouble {
    let reason = format!("{subject}: {failure}");
    match failure.status {
        Status::Overloaded | Status::Unavailable | Status::Expired => Trouble::unreachable(reason),
        Status::BadCommand | Status::TooLarge | Status::VersionMismatch => {
            Trouble::hopeless(reason)
        }
        _ => Trouble::because(reason),
    }
}
