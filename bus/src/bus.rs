//! The caller's side: address an actor, read rows, listen to commits.
//!
//! [`Bus::call`] knows how often and how long to try. Every ask has a key, so trying again is
//! safe.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::{
    actor::Actor,
    ask::ActorRef,
    commit::AnyCommit,
    envelope::{Answer, RequestHeaders},
    error::Error,
    failure::{Failure, Status},
    id::{Id, is_token},
    journal::{
        Journal,
        nats::{NatsJournal, check_server},
    },
    limits::{ASK_AGAIN_AFTER, ASK_AGAIN_AFTER_MAX, ASK_TIMEOUT_MAX, ATTEMPT_TIMEOUT},
    live::{Live, LiveReaders, decode_any},
    projection::{Projection, Rows},
    subject::{self, Shard},
    transport::{NoReply, Transport},
};

/// Where NATS is, and what is asked of it.
#[derive(Debug, Clone)]
pub struct Connect {
    /// The server's address: `nats://host:4222`. May hold credentials.
    pub url: String,
    /// Monitoring addresses (`http://host:8222`) of all servers, to see that they sync every
    /// write to disk.
    pub monitor_urls: Vec<String>,
    /// Go on although an acknowledged write may not be on disk yet: for play.
    pub allow_lazy_sync: bool,
    /// How many servers keep each stream that has to be made.
    pub replicas: usize,
}

impl Connect {
    /// One server at `url`, monitored on port 8222 of the same host.
    #[must_use]
    pub fn to(url: &str) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        Self {
            url: url.to_owned(),
            monitor_urls: vec![format!("http://{host}:8222")],
            allow_lazy_sync: false,
            replicas: 1,
        }
    }
}

/// The bus: a cheap handle on one connection.
#[derive(Debug, Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    transport: Transport,
    journal: Arc<dyn Journal>,
    live: LiveReaders,
    node: String,
}

impl Bus {
    /// Connects, and checks that the server can keep the bus's promises.
    ///
    /// # Errors
    /// [`Error::Connect`] if nothing answers; [`Error::Unfit`] if the server is too old, has no
    /// JetStream, or acknowledges writes before they are on disk.
    pub async fn connect(options: &Connect) -> Result<Self, Error> {
        let transport = Transport::connect(&options.url).await?;
        check_server(transport.client(), &options.monitor_urls, options.allow_lazy_sync).await?;
        let journal = NatsJournal::new(&transport, options.replicas);
        let node = uuid::Uuid::new_v4().simple().to_string();
        let journal: Arc<dyn Journal> = Arc::new(journal);
        let live = LiveReaders::new(journal.clone());
        Ok(Self { inner: Arc::new(Inner { transport, journal, live, node }) })
    }

    /// Addresses an actor. It need not exist: its first command brings it to life.
    #[must_use]
    pub fn actor<A: Actor>(&self, id: &Id<A>) -> ActorRef<A> {
        ActorRef { bus: self.clone(), id: id.clone() }
    }

    /// The rows of a projection, wherever it is served.
    #[must_use]
    pub fn rows<P: Projection>(&self) -> Rows<P> {
        Rows::new(self.clone())
    }

    /// The commits of one actor after sequence `after`, oldest first.
    ///
    /// # Errors
    /// [`Error::Journal`] if the journal cannot be read now, or a commit in it not at all.
    pub async fn history(&self, kind: &str, id: &str, after: u64) -> Result<Vec<AnyCommit>, Error> {
        let shard = Shard::of(kind);
        let mut after = after;
        let mut commits = Vec::new();
        loop {
            let batch = self.inner.journal.read(&shard, id, after).await;
            let batch = batch.map_err(|e| Error::Journal(e.to_string()))?;
            for entry in &batch.entries {
                after = entry.sequence;
                commits.push(decode_any(&shard.stream, entry).map_err(Error::Journal)?);
            }
            if batch.is_last {
                return Ok(commits);
            }
        }
    }

    /// The commits of `kind` stored from now on. All listeners of one process share a reader.
    ///
    /// # Errors
    /// [`Error::Journal`] if the kind's stream does not exist yet or cannot be read now.
    pub async fn live(&self, kind: &str) -> Result<Live, Error> {
        self.inner.live.listen(kind).await
    }

    /// All commits of `kind` from sequence `from` on, then those to come.
    ///
    /// # Errors
    /// [`Error::Journal`] if the kind's stream does not exist or cannot be read.
    pub async fn commits(
        &self,
        kind: &str,
        from: u64,
    ) -> Result<impl futures_util::Stream<Item = Result<AnyCommit, Error>> + use<>, Error> {
        use futures_util::StreamExt;
        let stream: Arc<str> = subject::event_stream(kind).into();
        let entries = self.inner.journal.follow(&stream, from).await;
        let entries = entries.map_err(|e| Error::Journal(e.to_string()))?;
        Ok(entries.map(move |entry| {
            let entry = entry.map_err(|e| Error::Journal(e.to_string()))?;
            decode_any(&stream, &entry).map_err(Error::Journal)
        }))
    }

    /// The sequence of the last commit of `kind`.
    ///
    /// # Errors
    /// [`Error::Journal`] if the kind's stream does not exist or cannot be read.
    pub async fn last_sequence(&self, kind: &str) -> Result<u64, Error> {
        let bounds = self.inner.journal.bounds(&subject::event_stream(kind)).await;
        Ok(bounds.map_err(|e| Error::Journal(e.to_string()))?.last_sequence)
    }

    /// Whether the server answers and a write to its disk is acknowledged.
    ///
    /// # Errors
    /// [`Error::Journal`] if it is not.
    pub async fn check_writes(&self) -> Result<(), Error> {
        self.inner.journal.probe(&self.inner.node).await
    }

    /// Whether anybody hosts the actors of `kind`.
    pub async fn is_served(&self, kind: &str, timeout: Duration) -> bool {
        // No kind has a command of this name, so the answer is that there is none: and whoever
        // says so hosts the kind.
        if !is_token(kind) {
            return false;
        }
        let subject = subject::command(kind, "anybody", "there-");
        let called = self.call(&subject, RequestHeaders::default(), Bytes::new(), timeout).await;
        called.is_ok_and(|answer| {
            answer.outcome.is_err_and(|failure| failure.status == Status::NotFound)
        })
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    pub(crate) fn journal(&self) -> &Arc<dyn Journal> {
        &self.inner.journal
    }

    /// Sends a request until it is answered or `timeout` is over.
    ///
    /// "Nobody there", "busy" and silence are tried again: while a service moves or restarts,
    /// its callers wait a little and see no error.
    pub(crate) async fn call(
        &self,
        subject: &str,
        mut headers: RequestHeaders,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, NoAnswer> {
        let deadline = Instant::now() + timeout.min(ASK_TIMEOUT_MAX);
        let (mut attempt_timeout, mut pause) = (ATTEMPT_TIMEOUT, ASK_AGAIN_AFTER);
        let mut is_in_doubt = false;
        let mut last = Failure::new(Status::Unavailable, "nobody serves this now");
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return if is_in_doubt { Err(NoAnswer(timeout)) } else { Ok(Answer::failed(last)) };
            }
            headers.budget = Some(left);
            let attempt = self.inner.transport.request(
                subject.to_owned(),
                headers.to_map(),
                body.clone(),
                attempt_timeout.min(left),
            );
            match attempt.await {
                Ok(message) => {
                    let answer = Answer::from_message(message.headers.as_ref(), &message.payload);
                    match answer.outcome {
                        Err(failure) if is_worth_repeating(&failure) => last = failure,
                        _ => return Ok(answer),
                    }
                }
                Err(NoReply::NobodyThere) => {}
                Err(NoReply::TooLarge) => {
                    let text = format!("a request of {} bytes is too large", body.len());
                    return Ok(Answer::failed(Failure::new(Status::TooLarge, text)));
                }
                Err(NoReply::NotSent) => {
                    last = Failure::new(Status::Unavailable, "the request could not be sent");
                }
                Err(NoReply::TimedOut) => {
                    is_in_doubt = true;
                    attempt_timeout = attempt_timeout.saturating_mul(2);
                    continue;
                }
            }
            sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(ASK_AGAIN_AFTER_MAX);
        }
    }
}

/// No reply came within this time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoAnswer(pub(crate) Duration);

fn is_worth_repeating(failure: &Failure) -> bool {
    matches!(failure.status, Status::Overloaded | Status::Unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monitor_is_on_the_servers_host() {
        assert_eq!(Connect::to("nats://u:p@db:4222").monitor_urls, ["http://db:8222"]);
        assert_eq!(Connect::to("127.0.0.1:4333").monitor_urls, ["http://127.0.0.1:8222"]);
    }
}
