//! What a follower does with one commit: run the saga or effect, then ask what it wants asked.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    actor::Actor,
    bus::{Bus, NoAnswer},
    commit::{CommitInfo, Events, Position, Recorded},
    effect::{Effect, Retry},
    encoding::Encoding,
    envelope::RequestHeaders,
    failure::Status,
    id::{Id, Key},
    journal::{BoxFuture, Entry},
    limits::{EFFECT_TIMEOUT, SAGA_ASK_TIMEOUT},
    saga::{PlannedAsk, Then, derived_key},
    subject,
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
}

impl Trouble {
    pub(crate) fn because(reason: impl ToString) -> Self {
        Self { reason: reason.to_string(), after: None, is_hopeless: false }
    }

    pub(crate) fn hopeless(reason: impl ToString) -> Self {
        Self { is_hopeless: true, ..Self::because(reason) }
    }
}

impl From<Retry> for Trouble {
    fn from(retry: Retry) -> Self {
        Self { after: retry.after, ..Self::because(retry.reason) }
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
    let stored: Events<A::Event> = Encoding::MessagePack
        .decode(&entry.bytes)
        .map_err(|malformed| Trouble::hopeless(format!("cannot be decoded: {malformed}")))?;
    let id = subject::parse_event(&entry.subject).map(|(_, id)| Id::<A>::parse(id));
    let Some(Ok(id)) = id else {
        return Err(Trouble::hopeless("its subject is not an actor's"));
    };
    let position =
        Position { stream: subject::event_stream(A::KIND).into(), sequence: entry.sequence };
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

/// Asks one command until it has an answer; a refusal is one.
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
    let answer = bus.call(&subject, headers, ask.body.into(), SAGA_ASK_TIMEOUT).await;
    let answer = answer.map_err(|NoAnswer(after)| {
        Trouble::because(format!("{subject}: no reply within {after:?}"))
    })?;
    match answer.outcome {
        Ok(_) => Ok(()),
        Err(failure) if failure.status == Status::Refused => {
            tracing::debug!(%subject, %failure, cause = %commit.position, "a saga's command was refused");
            Ok(())
        }
        Err(failure) if failure.status == Status::KeyReused => {
            // The first time something else was asked, and that has taken effect.
            tracing::error!(%subject, cause = %commit.position, "asked otherwise than the first time; the first counts");
            Ok(())
        }
        Err(failure) if failure.body.retry => {
            Err(Trouble::because(format!("{subject}: {failure}")))
        }
        Err(failure) => Err(Trouble::hopeless(format!("{subject}: {failure}"))),
    }
}
