//! Telling an actor: the command is stored, and carried out surely, whoever is there now.

use std::{
    future::{Future, IntoFuture},
    marker::PhantomData,
    pin::Pin,
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    asking::{ask::ActorRef, bus::Bus},
    journal::{AppendError, post::Letter},
    limits::{ASK_AGAIN_AFTER, ASK_AGAIN_AFTER_MAX, COMMAND_BYTES_MAX, REPLY_TIMEOUT},
    model::{
        actor::{Actor, Handle, Wire},
        command_set::{CommandSet, is_listed},
        commit::Position,
        id::{Id, Key},
        time::Timestamp,
    },
    wire::{
        encoding::Encoding,
        envelope::RequestHeaders,
        failure::{Failure, Status},
        subject,
    },
};

impl<A: Actor> ActorRef<A> {
    /// Tells the actor to carry out `command`: awaited, it is stored, and will be carried out
    /// even if nobody hosts the actor now. Tells to one actor are carried out one after the
    /// other, in the order they were stored. A refusal is not heard of.
    ///
    /// Nothing is sent before the result is awaited.
    pub fn tell<C: Wire>(&self, command: C) -> Tell<A, C>
    where
        A: Handle<C>,
    {
        const {
            assert!(
                is_listed(<A::Commands as CommandSet<A>>::NAMES, <A as Handle<C>>::NAME),
                "the actor handles this command but does not list it in `Actor::Commands`"
            );
        }
        Tell {
            bus: self.bus.clone(),
            id: self.id.clone(),
            command,
            headers: RequestHeaders::default(),
            timeout: REPLY_TIMEOUT,
            actor: PhantomData,
        }
    }
}

/// A command about to be told. Await it for the place where it is stored.
#[must_use = "nothing is told before it is awaited"]
#[derive(Debug)]
pub struct Tell<A, C> {
    bus: Bus,
    id: Id<A>,
    command: C,
    headers: RequestHeaders,
    timeout: Duration,
    actor: PhantomData<fn() -> A>,
}

impl<A: Handle<C>, C: Wire> Tell<A, C> {
    /// The idempotency key: told or asked again with the same key, the command has one effect.
    /// Without it, a new one.
    pub fn key(mut self, key: Key) -> Self {
        self.headers.key = Some(key);
        self
    }

    /// When the key was first used, if that was not now.
    pub fn key_first_sent(mut self, at: Timestamp) -> Self {
        self.headers.key_time = Some(at);
        self
    }

    /// How long to try to have it stored. Ten seconds by default.
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

    async fn store(mut self) -> Result<Position, Failure> {
        let encoding = Encoding::MessagePack;
        let body = encoding.encode(&self.command).map_err(Failure::malformed)?;
        if body.len() > COMMAND_BYTES_MAX {
            let text = format!("the body has {} bytes, at most {COMMAND_BYTES_MAX}", body.len());
            return Err(Failure::new(Status::TooLarge, text));
        }
        self.headers.content_type = Some(encoding.content_type().into());
        let ambient = self.bus.ambient();
        self.headers.complete(|| ambient.key(), ambient.now());
        let letter = Letter {
            subject: subject::tell(A::KIND, self.id.as_str(), <A as Handle<C>>::NAME),
            headers: self.headers.to_map(),
            body: body.into(),
        };
        store(&self.bus, &letter, self.timeout).await
    }
}

/// Stores a letter that has a key: stored twice, it has one effect.
async fn store(bus: &Bus, letter: &Letter, timeout: Duration) -> Result<Position, Failure> {
    let deadline = Instant::now() + timeout;
    let (mut pause, mut is_in_doubt) = (ASK_AGAIN_AFTER, false);
    loop {
        let stored = timeout_at(deadline, bus.post().store(letter)).await;
        let error = match stored.unwrap_or(Err(AppendError::Unknown)) {
            Ok(position) => return Ok(position),
            Err(AppendError::TooLarge) => {
                let text = "the command is larger than the server allows";
                return Err(Failure::new(Status::TooLarge, text));
            }
            Err(error) => error,
        };
        is_in_doubt |= error == AppendError::Unknown;
        if Instant::now() + pause >= deadline {
            let status = if is_in_doubt { Status::Expired } else { Status::Unavailable };
            return Err(Failure::new(status, format!("the command was not stored: {error}")));
        }
        sleep(pause).await;
        pause = (pause * 2).min(ASK_AGAIN_AFTER_MAX);
    }
}

/// # Errors
/// [`Failure`]: whether telling again, with the same key, may help is in its body.
impl<A: Handle<C>, C: Wire> IntoFuture for Tell<A, C> {
    type Output = Result<Position, Failure>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.store())
    }
}
