//! Asking an actor: the typed door. Types stop here; [`Bus::call`] sends bytes.

use std::{
    future::{Future, IntoFuture},
    marker::PhantomData,
    pin::Pin,
    time::Duration,
};

use crate::{
    asking::{bus::Bus, call::NoAnswer},
    limits::REPLY_TIMEOUT,
    model::{
        actor::{Actor, Handle, Wire},
        command_set::{CommandSet, is_listed},
        commit::Position,
        id::{Id, Key},
        time::Timestamp,
    },
    wire::{
        encoding::Encoding, envelope::RequestHeaders, error::AskError, failure::Failure, subject,
    },
};

/// The address of one actor.
#[derive(Debug, Clone)]
pub struct ActorRef<A> {
    pub(crate) bus: Bus,
    pub(crate) id: Id<A>,
}

impl<A: Actor> ActorRef<A> {
    /// Asks the actor to carry out `command`. Nothing is sent before the result is awaited.
    pub fn ask<C: Wire>(&self, command: C) -> Ask<A, C>
    where
        A: Handle<C>,
    {
        const {
            assert!(
                is_listed(<A::Commands as CommandSet<A>>::NAMES, <A as Handle<C>>::NAME),
                "the actor handles this command but does not list it in `Actor::Commands`"
            );
        }
        Ask {
            bus: self.bus.clone(),
            id: self.id.clone(),
            command,
            headers: RequestHeaders::default(),
            timeout: REPLY_TIMEOUT,
            actor: PhantomData,
        }
    }
}

/// A command about to be asked. Await it for the reply.
#[must_use = "nothing is asked before it is awaited"]
#[derive(Debug)]
pub struct Ask<A, C> {
    bus: Bus,
    id: Id<A>,
    command: C,
    headers: RequestHeaders,
    timeout: Duration,
    actor: PhantomData<fn() -> A>,
}

impl<A: Handle<C>, C: Wire> Ask<A, C> {
    /// The idempotency key: repeats with the same key get the first one's reply, and with
    /// another command or body a refusal (422). Without it, a new one.
    ///
    /// A repeat that says when its key was first sent is recognised for ever: see
    /// [`key_first_sent`](Self::key_first_sent). One that does not counts as sent now. It is
    /// surely recognised while its commit is among the actor's last
    /// [`KEYS_KEPT_MIN`](crate::limits::KEYS_KEPT_MIN), or was stored within the last
    /// [`CLOCK_SKEW_MAX`](crate::limits::CLOCK_SKEW_MAX); after that it is carried out anew.
    /// Over the wire the same holds for `Cb-Key` with and without `Cb-Key-Time`.
    pub fn key(mut self, key: Key) -> Self {
        self.headers.key = Some(key);
        self
    }

    /// When the key was first used, if that was not now. A key as old as that is looked for in
    /// the actor's journal from that time on, so a repeat is recognised however late it comes.
    /// A key that is not there has all commits since then searched: for an actor that made a
    /// million of them that takes longer than most budgets.
    pub fn key_first_sent(mut self, at: Timestamp) -> Self {
        self.headers.key_time = Some(at);
        self
    }

    /// How long to wait for the reply, all attempts together. Ten seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// In whose name the command is sent.
    pub fn principal(mut self, principal: &str) -> Self {
        self.headers.principal = Some(principal.into());
        self
    }

    /// The W3C `traceparent` the command belongs to.
    pub fn trace(mut self, traceparent: &str) -> Self {
        self.headers.trace = Some(traceparent.into());
        self
    }

    /// The commit that caused the command.
    pub fn cause(mut self, position: &Position) -> Self {
        self.headers.cause = Some(position.to_string().into());
        self
    }

    /// Carry it out only if the actor is at this version, else fail with 412.
    pub fn expect_version(mut self, version: u64) -> Self {
        self.headers.expect_version = Some(version);
        self
    }

    /// Asks, and also tells where the actor stands after it: the read-your-writes token.
    ///
    /// # Errors
    /// [`AskError`], which says whether asking again may help.
    pub async fn positioned(mut self) -> Result<(A::Reply, Position), AskError<A::Error>> {
        let encoding = Encoding::MessagePack;
        let body = encoding
            .encode(&self.command)
            .map_err(|malformed| AskError::Failed(Failure::malformed(malformed)))?;
        self.headers.content_type = Some(encoding.content_type().into());
        let ambient = self.bus.ambient();
        self.headers.complete(|| ambient.key(), ambient.now());
        let subject = subject::command(A::KIND, self.id.as_str(), <A as Handle<C>>::NAME);
        let called = self.bus.call(&subject, self.headers, body.into(), self.timeout).await;
        let answer = called.map_err(|NoAnswer(after)| AskError::NoReply(after))?;
        let body = answer.outcome.map_err(|failure| match failure.as_refusal() {
            Some(refusal) => AskError::Refused(refusal),
            None => AskError::Failed(failure),
        })?;
        let reply = encoding.decode(&body).map_err(|e| AskError::UnreadableReply(e.to_string()))?;
        let position = answer
            .position
            .ok_or_else(|| AskError::UnreadableReply("it names no position".to_owned()))?;
        Ok((reply, position))
    }
}

impl<A: Handle<C>, C: Wire> IntoFuture for Ask<A, C> {
    type Output = Result<A::Reply, AskError<A::Error>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.positioned().await.map(|(reply, _)| reply) })
    }
}
