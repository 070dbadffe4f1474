//! Listening to a kind's commits as they are stored: one reader per kind and process, however
//! many listen.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::StreamExt;
use serde_json::Value;
use tokio::{sync::broadcast, task::AbortHandle, time::sleep};
use tracing::{error, warn};

use crate::{
    journal::{Entry, Journal, ReadError},
    limits::{ASK_AGAIN_AFTER_MAX, LIVE_BUFFER},
    model::commit::{AnyCommit, Position, Stored},
    wire::{
        encoding::Encoding,
        error::Error,
        subject::{self, Shard},
    },
};

/// Commits of one kind, from the moment it was asked for.
#[derive(Debug)]
pub struct Live {
    commits: broadcast::Receiver<Arc<AnyCommit>>,
}

/// The listener was too slow and missed commits: read the history again, then go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("some commits were missed")]
pub struct Lagged;

impl Live {
    /// The next commit.
    ///
    /// # Errors
    /// [`Lagged`] if some were missed; listening goes on with the oldest that is still there.
    pub async fn next(&mut self) -> Result<Arc<AnyCommit>, Lagged> {
        match self.commits.recv().await {
            Ok(commit) => Ok(commit),
            Err(broadcast::error::RecvError::Lagged(_)) => Err(Lagged),
            // The bus is gone, and nothing will ever come.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// The readers of this process.
#[derive(Debug)]
pub(crate) struct LiveReaders {
    journal: Arc<dyn Journal>,
    readers: Mutex<HashMap<Box<str>, Reader>>,
}

#[derive(Debug)]
struct Reader {
    commits: broadcast::Sender<Arc<AnyCommit>>,
    /// One for each shard.
    tasks: Vec<AbortHandle>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl LiveReaders {
    pub(crate) fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, readers: Mutex::default() }
    }

    pub(crate) async fn listen(&self, kind: &str) -> Result<Live, Error> {
        if let Some(live) = self.existing(kind) {
            return Ok(live);
        }
        let unreadable = |e: ReadError| Error::Journal(e.to_string());
        let count = self.journal.shards(kind).await.map_err(unreadable)?;
        let mut ends = Vec::new();
        for Shard { stream, .. } in Shard::all(kind, count) {
            let last = self.journal.bounds(&stream).await.map_err(unreadable)?.last_sequence;
            ends.push((stream, last));
        }
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = readers.entry(kind.into()).or_insert_with(|| {
            let commits = broadcast::Sender::new(LIVE_BUFFER);
            let reading = ends.into_iter().map(|(stream, last)| {
                let reading = read_on(self.journal.clone(), stream, last, commits.clone());
                tokio::spawn(reading).abort_handle()
            });
            let tasks = reading.collect();
            Reader { commits, tasks }
        });
        Ok(Live { commits: reader.commits.subscribe() })
    }

    fn existing(&self, kind: &str) -> Option<Live> {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.get(kind).map(|reader| Live { commits: reader.commits.subscribe() })
    }
}

/// Reads the stream after `last` for ever, and goes on after every fault where it was.
async fn read_on(
    journal: Arc<dyn Journal>,
    stream: Arc<str>,
    mut last: u64,
    commits: broadcast::Sender<Arc<AnyCommit>>,
) {
    loop {
        match journal.follow(&stream, last + 1).await {
            Ok(mut entries) => {
                while let Some(entry) = entries.next().await {
                    let entry = match entry {
                        Ok(entry) => entry,
                        Err(error) => {
                            warn!(%error, "listening was interrupted");
                            break;
                        }
                    };
                    last = entry.sequence;
                    match decode_any(&stream, &entry) {
                        // Nobody listening is no fault.
                        Ok(commit) => drop(commits.send(Arc::new(commit))),
                        Err(error) => error!(error, "a commit cannot be shown to listeners"),
                    }
                }
            }
            Err(error) => warn!(%error, "listening could not begin"),
        }
        sleep(ASK_AGAIN_AFTER_MAX).await;
    }
}

/// Decodes a commit of any kind.
pub(crate) fn decode_any(stream: &Arc<str>, entry: &Entry) -> Result<AnyCommit, String> {
    let undecodable = |why: &dyn std::fmt::Display| {
        format!("commit {stream}@{} cannot be decoded: {why}", entry.sequence)
    };
    let (kind, id) = subject::parse_event(&entry.subject)
        .ok_or_else(|| undecodable(&"its subject is not an actor's"))?;
    let stored: Stored<Value, Value> =
        Encoding::MessagePack.decode(&entry.bytes).map_err(|e| undecodable(&e))?;
    let position = Position { stream: stream.clone(), sequence: entry.sequence };
    let info = stored.info(position);
    Ok(AnyCommit {
        kind: kind.into(),
        id: id.into(),
        info,
        events: stored.events,
        reply: stored.reply,
    })
}
