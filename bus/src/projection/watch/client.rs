//! The watcher's side: one stream of changes, whichever node sends them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Push, Renewed, RowNow, WatchQuery, Watched};
use crate::{
    asking::{bus::Bus, call::NoAnswer, transport::Inbox},
    limits::{ASK_AGAIN_AFTER_MAX, ATTEMPT_TIMEOUT, REPLY_TIMEOUT},
    projection::{Projection, RowError, selection::Condition},
    wire::{
        encoding::Encoding,
        envelope::{Answer, RequestHeaders},
        error::Error,
        subject,
    },
};

/// A row as it is now, or none if it is not there, or not among what is watched any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<P> {
    /// The row's key.
    pub key: String,
    /// The row.
    pub row: Option<P>,
}

/// What is to be watched.
#[derive(Debug, Clone)]
pub(crate) struct Watching {
    pub(crate) row: Option<String>,
    pub(crate) select: Vec<Condition>,
}

/// Rows and their changes. Ends with the value: nothing has to be closed.
///
/// The rows as they are come first, one change each, then every change in the order it was
/// folded. Changes that follow each other closely may come as one. When the node that sends them
/// goes, another takes over: what changed in between comes then.
#[derive(Debug)]
pub struct Watch<P> {
    bus: Bus,
    watching: Watching,
    session: Option<Session>,
    ready: VecDeque<Change<P>>,
    /// What the caller was told last of each row that is there.
    known: BTreeMap<String, Vec<u8>>,
    at: BTreeMap<Arc<str>, u64>,
    is_new: bool,
}

#[derive(Debug)]
struct Session {
    inbox: Inbox,
    watch: String,
    renew: String,
    every: Duration,
    renew_at: Instant,
    received: u64,
    /// What had been sent when the watch was renewed last.
    sent: u64,
}

impl<P: Projection> Watch<P> {
    pub(crate) fn new(bus: Bus, watching: Watching) -> Self {
        Self {
            bus,
            watching,
            session: None,
            ready: VecDeque::new(),
            known: BTreeMap::new(),
            at: BTreeMap::new(),
            is_new: true,
        }
    }

    /// The next change. May be cancelled, and asked for again, without losing any. Ask often: a
    /// watch nobody listens to for some seconds is begun anew, at the price of a query.
    ///
    /// # Errors
    /// [`RowError`] if the rows cannot be watched now: nobody answers, or too many rows are
    /// asked for. Asking again tries again.
    pub async fn next(&mut self) -> Result<Change<P>, RowError> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            if self.session.is_none() {
                self.open().await?;
                continue;
            }
            if !self.listen().await {
                self.session = None;
                sleep(ASK_AGAIN_AFTER_MAX / 10).await;
            }
        }
    }

    /// Waits for one message, or renews the watch; false if the watch is lost.
    async fn listen(&mut self) -> bool {
        let Some(session) = &mut self.session else { return false };
        let inbound = tokio::select! {
            biased;
            inbound = session.inbox.next() => inbound,
            () = sleep_until(session.renew_at) => return session.renew(&self.bus).await,
        };
        let Some(inbound) = inbound else { return false };
        let Ok(push) = Encoding::MessagePack.decode::<Push<P>>(&inbound.message.body) else {
            return false;
        };
        if push.watch != session.watch {
            // An attempt that was answered too late, and that nobody renews.
            return true;
        }
        if push.number != session.received + 1 || push.ended {
            return false;
        }
        session.received = push.number;
        self.take(push.rows, &push.at);
        true
    }

    async fn open(&mut self) -> Result<(), RowError> {
        let unsent = |error: Error| RowError::Unreadable(error.to_string());
        let name = subject::watch_inbox(&self.bus.ambient().token());
        let inbox = Inbox::open(self.bus.network(), name.clone(), None).await.map_err(unsent)?;
        let Watching { row, select } = self.watching.clone();
        let query = WatchQuery { inbox: name, row, select };
        let at = self.at.iter().map(|(stream, sequence)| crate::Position {
            stream: stream.clone(),
            sequence: *sequence,
        });
        let headers = RequestHeaders { after: at.collect(), ..message_pack() };
        let body = Encoding::MessagePack.encode(&query);
        let body = body.map_err(|e| RowError::Unreadable(e.to_string()))?;
        let view = subject::view(P::NAME, "watch");
        let called = self.bus.call(&view, headers, body.into(), REPLY_TIMEOUT).await;
        let Answer { outcome, .. } = called.map_err(|NoAnswer(after)| RowError::NoReply(after))?;
        let body = outcome.map_err(RowError::Failed)?;
        let watched: Watched<P> =
            Encoding::MessagePack.decode(&body).map_err(|e| RowError::Unreadable(e.to_string()))?;
        let every = Duration::from_millis(watched.lease_ms) / 3;
        self.session = Some(Session {
            inbox,
            watch: watched.watch,
            renew: watched.renew,
            every,
            renew_at: Instant::now() + every,
            received: 0,
            sent: 0,
        });
        self.begin(watched.rows, &watched.at);
        Ok(())
    }

    /// The rows as they are: what the caller knows otherwise, or not any more, is told.
    fn begin(&mut self, rows: Vec<RowNow<P>>, at: &[String]) {
        let gone = self.known.keys().filter(|key| rows.iter().all(|row| row.key != **key));
        let gone: Vec<_> = gone.map(|key| RowNow { key: key.clone(), row: None }).collect();
        let is_new = std::mem::take(&mut self.is_new);
        let missing = rows.is_empty().then(|| self.watching.row.clone()).flatten();
        if let Some(key) = missing.filter(|_| is_new) {
            self.ready.push_back(Change { key, row: None });
        }
        self.take(gone.into_iter().chain(rows).collect(), at);
    }

    fn take(&mut self, rows: Vec<RowNow<P>>, at: &[String]) {
        for RowNow { key, row } in rows {
            let bytes = row.as_ref().and_then(|row| rmp_serde::to_vec_named(row).ok());
            let before = match &bytes {
                Some(bytes) => self.known.insert(key.clone(), bytes.clone()),
                None => self.known.remove(&key),
            };
            if before != bytes {
                self.ready.push_back(Change { key, row });
            }
        }
        for position in at.iter().filter_map(|text| text.parse::<crate::Position>().ok()) {
            let at = self.at.entry(position.stream).or_default();
            *at = position.sequence.max(*at);
        }
    }
}

impl Session {
    /// False if the watch is not there any more, or something it sent did not come.
    async fn renew(&mut self, bus: &Bus) -> bool {
        if self.received < self.sent {
            return false;
        }
        let headers = message_pack().to_map();
        let asked =
            bus.network().request(self.renew.clone(), headers, Bytes::new(), ATTEMPT_TIMEOUT);
        let Ok(reply) = asked.await else { return false };
        let answer = Answer::from_message(reply.headers.as_ref(), &reply.body);
        let Ok(body) = answer.outcome else { return false };
        let Ok(Renewed { number }) = Encoding::MessagePack.decode(&body) else { return false };
        // What is on its way has come by the next renewal; what has not was lost.
        self.sent = number;
        self.renew_at = Instant::now() + self.every;
        true
    }
}

fn message_pack() -> RequestHeaders {
    let content_type = Some(Encoding::MessagePack.content_type().into());
    RequestHeaders { content_type, ..RequestHeaders::default() }
}
