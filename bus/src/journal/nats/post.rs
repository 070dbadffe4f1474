//! Letters on JetStream: the streams of tells, timers and dead letters.

use async_nats::{HeaderMap, jetstream::context::ConsumerInfoErrorKind};
use serde_json::json;

use super::{AppendError, Batch, BoxFuture, Entry, NatsJournal, ReadError, Source, streams};
use crate::{
    journal::{
        Post,
        post::{Letter, Schedule},
    },
    limits::LETTERS_BATCH,
    model::commit::Position,
    wire::error::Error,
};

/// The error code of a removal that finds nothing, as an error shows it.
const NO_SUCH_SEQUENCE: &str = "error code 10043";

#[derive(serde::Deserialize)]
struct Removed {
    #[serde(default)]
    success: bool,
}

impl Post for NatsJournal {
    fn provision_post(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            for config in streams::post_streams(self.replicas) {
                self.provision_stream(config).await?;
            }
            Ok(())
        })
    }

    fn store<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<Position, AppendError>> {
        let Letter { subject, headers, body } = letter;
        Box::pin(self.publish(subject.clone(), headers.clone(), body.clone()))
    }

    fn schedule<'a>(&'a self, schedule: &'a Schedule) -> BoxFuture<'a, Result<(), AppendError>> {
        Box::pin(self.arm(schedule))
    }

    fn unschedule<'a>(
        &'a self,
        name: &'a str,
        rank: u64,
    ) -> BoxFuture<'a, Result<(), AppendError>> {
        Box::pin(self.disarm(name, rank))
    }

    fn letters<'a>(
        &'a self,
        stream: &'a str,
        filter: &'a str,
        after: u64,
    ) -> BoxFuture<'a, Result<Batch, ReadError>> {
        Box::pin(self.direct_batch(stream, filter, after, LETTERS_BATCH))
    }

    fn letter<'a>(
        &'a self,
        stream: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<Option<Entry>, ReadError>> {
        Box::pin(async move {
            let after = sequence.saturating_sub(1);
            let batch = self.direct_batch(stream, ">", after, 1).await?;
            Ok(batch.entries.into_iter().find(|entry| entry.sequence == sequence))
        })
    }

    fn remove<'a>(
        &'a self,
        stream: &'a str,
        sequence: u64,
    ) -> BoxFuture<'a, Result<bool, ReadError>> {
        Box::pin(async move {
            let verb = format!("STREAM.MSG.DELETE.{stream}");
            let query = json!({"seq": sequence, "no_erase": true});
            let removed: Option<Removed> = match self.api(&verb, &query).await {
                Err(ReadError(reason)) if reason.contains(NO_SUCH_SEQUENCE) => None,
                answer => answer?,
            };
            Ok(removed.is_some_and(|removed| removed.success))
        })
    }

    fn sweep<'a>(
        &'a self,
        source: &'a Source,
        swept: u64,
    ) -> BoxFuture<'a, Result<u64, ReadError>> {
        Box::pin(async move {
            let Source { stream, filter, follower } = source;
            let fault = |e: &dyn std::fmt::Display| ReadError(format!("{stream}/{follower}: {e}"));
            let found = self.jetstream.get_stream_no_info(&**stream).await;
            let info = found.map_err(|e| fault(&e))?.consumer_info(follower).await;
            let floor = match info {
                Ok(info) => info.ack_floor.stream_sequence,
                Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => 0,
                Err(error) => return Err(fault(&error)),
            };
            if floor > swept {
                let verb = format!("STREAM.PURGE.{stream}");
                let query = json!({"filter": filter.as_deref().unwrap_or(">"), "seq": floor + 1});
                let _: Option<Removed> = self.api(&verb, &query).await?;
            }
            Ok(floor)
        })
    }
}

/// A letter's headers without those that the server has added.
pub(super) fn without_servers(headers: Option<&HeaderMap>) -> HeaderMap {
    let mut own = HeaderMap::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        let text = name.to_string();
        let is_servers = ["Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp"]
            .contains(&text.as_str())
            || ["Nats-Num-Pending", "Nats-Last-Sequence", "Nats-Pin-Id"].contains(&text.as_str());
        if !is_servers {
            for value in values {
                own.append(name.clone(), value.clone());
            }
        }
    }
    own
}
