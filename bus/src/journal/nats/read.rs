//! Reading: many commits of one actor at once, directly; or one at a time from the leader.

use std::sync::Arc;

use async_nats::{HeaderMap, HeaderValue, Message, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;

use super::{Batch, Bounds, Entry, NatsJournal, ReadError, post::without_servers, streams};
use crate::{
    limits::{FIRST_BATCH, LOAD_BATCH, READ_TIMEOUT},
    model::time::Timestamp,
    wire::subject::{self, Shard},
};

/// The status that ends a batch.
const END_OF_BATCH: u16 = 204;

#[derive(Deserialize)]
struct StoredMessage {
    message: RawMessage,
}

#[derive(Deserialize)]
struct RawMessage {
    subject: String,
    seq: u64,
    #[serde(default)]
    data: String,
}

impl NatsJournal {
    /// One direct batch get: answered by any replica, so it may lag.
    pub(super) async fn read_batch(
        &self,
        shard: &Shard,
        id: &str,
        after: u64,
    ) -> Result<Batch, ReadError> {
        let count = if after == 0 { FIRST_BATCH } else { LOAD_BATCH };
        self.direct_batch(&shard.stream, &shard.subject(id), after, count).await
    }

    /// The next messages of a stream whose subjects match `filter`, after sequence `after`.
    pub(super) async fn direct_batch(
        &self,
        stream: &str,
        filter: &str,
        after: u64,
        count: usize,
    ) -> Result<Batch, ReadError> {
        let fault = |what: &str| ReadError(format!("{stream}: {what}"));
        let is_actors = subject::parse_event(filter).is_some() && !filter.contains(['*', '>']);
        let subject: Option<Arc<str>> = is_actors.then(|| filter.into());
        let query = json!({"seq": after + 1, "next_by_subj": filter, "batch": count});
        let inbox = self.client.new_inbox();
        let mut answers =
            self.client.subscribe(inbox.clone()).await.map_err(|e| fault(&e.to_string()))?;
        let api = format!("$JS.API.DIRECT.GET.{stream}");
        self.client
            .publish_with_reply(api, inbox, Bytes::from(query.to_string()))
            .await
            .map_err(|e| fault(&e.to_string()))?;
        let mut entries = Vec::new();
        let collect = async {
            while let Some(message) = answers.next().await {
                let taken = take(&mut entries, subject.as_ref(), after, &message);
                if let Some(is_last) = taken.map_err(|e| fault(&e.0))? {
                    return Ok(is_last);
                }
            }
            Err(fault("the connection was closed"))
        };
        let ended = tokio::time::timeout(READ_TIMEOUT, collect).await;
        let is_last = ended.map_err(|_| fault("read timed out"))??;
        Ok(Batch { entries, is_last })
    }

    /// As [`read_batch`](Self::read_batch), but what the leader alone has is read from it.
    pub(super) async fn read_batch_from_leader(
        &self,
        shard: &Shard,
        id: &str,
        after: u64,
    ) -> Result<Batch, ReadError> {
        let mut batch = self.read_batch(shard, id, after).await?;
        if !batch.is_last {
            return Ok(batch);
        }
        let newest = self.last_of(shard, id).await?.map_or(0, |entry| entry.sequence);
        while batch.entries.last().map_or(after, |entry| entry.sequence) < newest {
            let read_to = batch.entries.last().map_or(after, |entry| entry.sequence);
            let query = json!({"seq": read_to + 1, "next_by_subj": shard.subject(id)});
            match self.stored(&shard.stream, &query).await? {
                Some(entry) => batch.entries.push(entry),
                None => return Err(ReadError(format!("{}: commits are missing", shard.stream))),
            }
        }
        Ok(batch)
    }

    pub(super) async fn last_of(
        &self,
        shard: &Shard,
        id: &str,
    ) -> Result<Option<Entry>, ReadError> {
        self.stored(&shard.stream, &json!({"last_by_subj": shard.subject(id)})).await
    }

    pub(super) async fn entry_at(
        &self,
        shard: &Shard,
        sequence: u64,
    ) -> Result<Option<Entry>, ReadError> {
        self.stored(&shard.stream, &json!({"seq": sequence})).await
    }

    /// The last sequence stored before `time`, as the leader has it.
    pub(super) async fn sequence_before(
        &self,
        shard: &Shard,
        time: Timestamp,
    ) -> Result<u64, ReadError> {
        let query = json!({"start_time": time.to_string()});
        if let Some(first) = self.stored(&shard.stream, &query).await? {
            return Ok(first.sequence - 1);
        }
        // All of it is older. What is stored between two questions may not be: ask once more.
        let last = self.bounds_of(&shard.stream).await?.last_sequence;
        let first = self.stored(&shard.stream, &query).await?;
        Ok(first.map_or(last, |first| first.sequence - 1))
    }

    /// One message, asked of the leader.
    async fn stored(
        &self,
        stream: &str,
        query: &serde_json::Value,
    ) -> Result<Option<Entry>, ReadError> {
        let found: Option<StoredMessage> =
            self.api(&format!("STREAM.MSG.GET.{stream}"), query).await?;
        let Some(StoredMessage { message }) = found else { return Ok(None) };
        let bytes = decode_base64(&message.data)?;
        Ok(Some(Entry {
            subject: message.subject.into(),
            sequence: message.seq,
            headers: HeaderMap::new(),
            bytes,
        }))
    }

    pub(super) async fn shards_of(&self, kind: &str) -> Result<u32, ReadError> {
        let stream = subject::first_stream(kind);
        let info = self.jetstream.get_stream(&stream).await;
        let info = info.map_err(|e| ReadError(format!("{stream}: {e}")))?;
        Ok(streams::shards_in(&info.cached_info().config))
    }

    pub(super) async fn bounds_of(&self, stream: &str) -> Result<Bounds, ReadError> {
        let fault = |e: &dyn std::fmt::Display| ReadError(format!("{stream}: {e}"));
        let info = self.jetstream.get_stream(stream).await.map_err(|e| fault(&e))?;
        let info = info.cached_info();
        Ok(Bounds {
            created: info.created.unix_timestamp_nanos(),
            last_sequence: info.state.last_sequence,
        })
    }
}

/// Takes in one message of a batch. At the end of it, says whether it is the last one.
fn take(
    entries: &mut Vec<Entry>,
    subject: Option<&Arc<str>>,
    after: u64,
    message: &Message,
) -> Result<Option<bool>, ReadError> {
    let fault = |what: &str| Err(ReadError(what.to_owned()));
    match message.status.map(|status| status.as_u16()) {
        None | Some(200) => {
            let before = entries.last().map_or(0, |entry| entry.sequence);
            if number(message, "Nats-Last-Sequence") != Some(before) {
                return fault(LOST);
            }
            entries.push(direct_entry(subject, message)?);
            Ok(None)
        }
        Some(END_OF_BATCH) => ended(entries, after, message).map(Some),
        Some(404) if entries.is_empty() => Ok(Some(true)),
        Some(_) if message.status == Some(StatusCode::NO_RESPONDERS) => {
            fault("does not exist, or its server is not ready")
        }
        Some(status) => fault(&format!("read answered {status}")),
    }
}

/// A stored message. Where the subject is given it is a commit, without headers.
fn direct_entry(subject: Option<&Arc<str>>, message: &Message) -> Result<Entry, ReadError> {
    let header = |name| {
        message.headers.as_ref().and_then(|headers| headers.get(name)).map(HeaderValue::as_str)
    };
    let sequence = header("Nats-Sequence")
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| ReadError("a stored message came without its sequence".to_owned()))?;
    let bytes = message.payload.clone();
    if let Some(subject) = subject {
        return Ok(Entry { subject: subject.clone(), sequence, headers: HeaderMap::new(), bytes });
    }
    let subject = header("Nats-Subject")
        .ok_or_else(|| ReadError("a stored message came without its subject".to_owned()))?;
    let headers = without_servers(message.headers.as_ref());
    Ok(Entry { subject: subject.into(), sequence, headers, bytes })
}

/// A batch of which the connection lost a message must not pass for the whole: each message and
/// the end name the sequence sent before.
const LOST: &str = "messages of a batch were lost on the way";

fn number(message: &Message, header: &str) -> Option<u64> {
    message.headers.as_ref()?.get(header).and_then(|value| value.as_str().parse().ok())
}

/// Whether the batch that ends here is the actor's last one. It may end before all is sent,
/// where it grows too large.
fn ended(entries: &[Entry], after: u64, end: &Message) -> Result<bool, ReadError> {
    let read = entries.last().map_or(after, |entry| entry.sequence);
    let sent = number(end, "Nats-Last-Sequence");
    if sent.is_some_and(|sent| sent != 0 && sent != read) {
        return Err(ReadError(LOST.to_owned()));
    }
    let pending = number(end, "Nats-Num-Pending");
    pending
        .map(|pending| pending == 0)
        .ok_or_else(|| ReadError("a batch ended without saying what is left".to_owned()))
}

/// Standard base64, as the JetStream API answers with.
fn decode_base64(text: &str) -> Result<Bytes, ReadError> {
    use base64::Engine;
    let decoded = base64::engine::general_purpose::STANDARD.decode(text);
    decoded.map(Bytes::from).map_err(|e| ReadError(format!("a stored message is not base64: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sequence: u64, before: u64, status: Option<u16>) -> Message {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Sequence", sequence.to_string());
        headers.insert("Nats-Last-Sequence", before.to_string());
        headers.insert("Nats-Num-Pending", "0");
        Message {
            subject: "_INBOX.a".into(),
            reply: None,
            payload: Bytes::new(),
            headers: Some(headers),
            status: status.map(|status| StatusCode::from_u16(status).expect("a status")),
            description: None,
            length: 0,
        }
    }

    #[test]
    fn a_batch_with_a_hole_is_no_batch() {
        let subject: Arc<str> = "evt.x.0.a".into();
        for (kept, is_whole) in
            [(&[4, 5, 6][..], true), (&[5, 6], false), (&[4, 6], false), (&[4, 5], false)]
        {
            let mut entries = Vec::new();
            let mut read = Ok(None);
            for sequence in kept {
                let before = if *sequence == 4 { 0 } else { sequence - 1 };
                let next = message(*sequence, before, None);
                read = read.and_then(|_| take(&mut entries, Some(&subject), 3, &next));
            }
            let end = message(6, 6, Some(END_OF_BATCH));
            let read = read.and_then(|_| take(&mut entries, Some(&subject), 3, &end));
            assert_eq!(read.is_ok_and(|is_last| is_last == Some(true)), is_whole, "{kept:?}");
        }
    }
}
