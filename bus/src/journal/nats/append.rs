//! Appending: one publish, checked against the actor's last sequence, acknowledged from disk.

use async_nats::{HeaderMap, RequestErrorKind, StatusCode, header};
use bytes::Bytes;
use serde::Deserialize;

use super::{AppendError, NatsJournal};
use crate::{
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

    /// Publishes, and waits until it is on disk.
    pub(super) async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<Position, AppendError> {
        let request = async_nats::Request::new()
            .headers(headers)
            .payload(payload)
            .timeout(Some(APPEND_TIMEOUT));
        // A second limit: while disconnected, handing the message over can block.
        let answer =
            tokio::time::timeout(APPEND_TIMEOUT, self.client.send_request(subject, request));
        let message = match answer.await {
            Err(_) => return Err(AppendError::Unknown),
            Ok(Err(error)) => return Err(not_sent(&error)),
            Ok(Ok(message)) => message,
        };
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(AppendError::Refused("no stream takes it".to_owned()));
        }
        let acknowledgement: Acknowledgement =
            serde_json::from_slice(&message.payload).map_err(|_| AppendError::Unknown)?;
        match acknowledgement.error {
            None if acknowledgement.seq > 0 => Ok(Position {
                stream: acknowledgement.stream.into(),
                sequence: acknowledgement.seq,
            }),
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

fn not_sent(error: &async_nats::RequestError) -> AppendError {
    match error.kind() {
        // No responders means that no stream has the subject, or its leader is being elected.
        RequestErrorKind::NoResponders => AppendError::Refused("no stream takes it".to_owned()),
        RequestErrorKind::MaxPayloadExceeded => AppendError::TooLarge,
        _ => AppendError::Unknown,
    }
}
