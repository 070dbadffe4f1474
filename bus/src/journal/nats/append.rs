//! Appending: one publish, checked against the actor's last sequence, acknowledged from disk; or
//! an atomic batch of them (ADR-50).

use async_nats::{
    HeaderMap,
    client::{self, PublishErrorKind},
    header,
};
use bytes::Bytes;
use serde::Deserialize;

use super::{AppendError, NatsJournal, Proposal};
use crate::{
    asking::transport::{Network, NoReply},
    limits::APPEND_TIMEOUT,
    model::commit::Position,
    wire::{error::Error, subject, subject::Shard},
};

/// The server's answer to a publish.
#[derive(Deserialize)]
struct Acknowledgement {
    #[serde(default)]
    stream: String,
    #[serde(default)]
    seq: u64,
    /// How many messages a batch had.
    #[serde(default)]
    count: u64,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// The message is larger than its stream allows, or its headers are larger than any may be.
const TOO_LARGE: [u64; 2] = [10_054, 10_097];

/// Wrong last sequence; the same while another write to the subject is under way; a duplicate
/// under way; temporarily unavailable. After each of them the truth is in the stream.
const CONFLICTS: [u64; 4] = [10071, 10164, 10158, 10163];

impl NatsJournal {
    pub(super) async fn append_commit(
        &self,
        shard: &Shard,
        id: &str,
        expected: u64,
        commit: Bytes,
    ) -> Result<u64, AppendError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
        Ok(self.publish(shard.subject(id), headers, commit).await?.sequence)
    }

    /// One atomic batch: all but its last message are sent without waiting for anything. Whatever
    /// is wrong with one of them, the last one's answer tells.
    pub(super) async fn append_batch(
        &self,
        shard: &Shard,
        mut proposals: Vec<Proposal>,
    ) -> Result<u64, AppendError> {
        let count = proposals.len() as u64;
        let Some(last) = proposals.pop() else {
            return Err(AppendError::Refused("there is nothing to store".to_owned()));
        };
        // Stored with each message, so it is short; it must differ from all that are under way.
        let batch = format!("{:x}", uuid::Uuid::new_v4().as_u64_pair().0);
        let sending = async {
            for (number, proposal) in (1_u64..).zip(proposals) {
                let headers = batch_headers(&batch, number, proposal.expected);
                let subject = shard.subject(&proposal.id);
                self.client.publish_with_headers(subject, headers, proposal.bytes).await?;
            }
            Ok::<_, client::PublishError>(())
        };
        match tokio::time::timeout(APPEND_TIMEOUT, sending).await {
            Ok(Ok(())) => {}
            // Without its end it is no batch: nothing is stored.
            Ok(Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                return Err(AppendError::TooLarge);
            }
            Ok(Err(error)) => return Err(AppendError::Refused(error.to_string())),
            Err(_) => return Err(AppendError::Refused("the server is out of reach".to_owned())),
        }
        let mut headers = batch_headers(&batch, count, last.expected);
        headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
        let answer = self.ask_to_store(shard.subject(&last.id), headers, last.bytes).await?;
        if answer.count == count && answer.seq >= count {
            Ok(answer.seq - count + 1)
        } else {
            Err(AppendError::Unknown)
        }
    }

    /// Publishes, and waits until it is on disk.
    pub(super) async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<Position, AppendError> {
        let stored = self.ask_to_store(subject, headers, payload).await?;
        Ok(Position { stream: stored.stream.into(), sequence: stored.seq })
    }

    async fn ask_to_store(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<Acknowledgement, AppendError> {
        let answer = self.network.request(subject, headers, payload, APPEND_TIMEOUT).await;
        let message = answer.map_err(not_stored)?;
        let acknowledgement: Acknowledgement =
            serde_json::from_slice(&message.body).map_err(|_| AppendError::Unknown)?;
        match &acknowledgement.error {
            None if acknowledgement.seq > 0 => Ok(acknowledgement),
            None => Err(AppendError::Unknown),
            Some(error) if CONFLICTS.contains(&error.err_code) => Err(AppendError::Conflict),
            Some(error) if TOO_LARGE.contains(&error.err_code) => Err(AppendError::TooLarge),
            Some(error) => {
                Err(AppendError::Refused(format!("{} ({})", error.description, error.err_code)))
            }
        }
    }

    pub(super) async fn write_probe(&self, node: &str) -> Result<(), Error> {
        let payload = Bytes::from_static(b"probe");
        match self.publish(subject::probe(node), HeaderMap::new(), payload).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::Journal(error.to_string())),
        }
    }
}

fn batch_headers(batch: &str, number: u64, expected: Option<u64>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_BATCH_ID, batch);
    headers.insert(header::NATS_BATCH_SEQUENCE, number.to_string());
    if let Some(expected) = expected {
        headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
    }
    headers
}

fn not_stored(no_reply: NoReply) -> AppendError {
    match no_reply {
        // No stream has the subject, or its leader is being elected.
        NoReply::NobodyThere => AppendError::Refused("no stream takes it".to_owned()),
        NoReply::TooLarge => AppendError::TooLarge,
        NoReply::TimedOut | NoReply::NotSent => AppendError::Unknown,
    }
}
