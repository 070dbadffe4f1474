//! Schedules on JetStream: one message per schedule, which stores another when it is due.
//!
//! A schedule replaces the one on its subject, whatever that is. So what is sent says which one
//! it means to replace, and an arm or disarm that was overtaken on its way (by a client that was
//! paused, or a connection that came back) finds another one there, and looks at its rank.

use async_nats::{HeaderMap, HeaderValue, header, jetstream::stream::LastRawMessageErrorKind};

use super::{AppendError, NatsJournal};
use crate::{
    journal::{
        Post,
        post::{Schedule, When},
    },
    limits::CONFLICTS_MAX,
    wire::subject,
};

/// When the server is to store what, in its own words.
const SCHEDULE: &str = "Nats-Schedule";
const TARGET: &str = "Nats-Schedule-Target";

/// A schedule that is armed now.
struct Standing {
    sequence: u64,
    rank: u64,
}

impl NatsJournal {
    pub(super) async fn arm(&self, schedule: &Schedule) -> Result<(), AppendError> {
        let mut headers = schedule.letter.headers.clone();
        headers.insert(subject::RANK, schedule.rank.to_string());
        headers.insert(SCHEDULE, in_servers_words(&schedule.when));
        headers.insert(TARGET, schedule.letter.subject.as_str());
        // Mostly it is the first of its name.
        let mut replaced = 0;
        for _ in 0..CONFLICTS_MAX {
            headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, replaced.to_string());
            let body = schedule.letter.body.clone();
            match self.publish(schedule.name.clone(), headers.clone(), body).await {
                Err(AppendError::Conflict) => {}
                stored => return stored.map(drop),
            }
            replaced = match self.standing(&schedule.name).await? {
                // Ours, from an attempt whose answer was lost, or one that has overtaken us.
                Some(standing) if standing.rank >= schedule.rank => return Ok(()),
                Some(standing) => standing.sequence,
                None => 0,
            };
        }
        Err(AppendError::Conflict)
    }

    pub(super) async fn disarm(&self, name: &str, rank: u64) -> Result<(), AppendError> {
        match self.standing(name).await? {
            Some(standing) if standing.rank <= rank => {
                let removed = self.remove(subject::TIMER_STREAM, standing.sequence).await;
                removed.map(drop).map_err(|_| AppendError::Unknown)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The schedule of this name, as the stream's leader has it.
    async fn standing(&self, name: &str) -> Result<Option<Standing>, AppendError> {
        let stream = self.jetstream.get_stream_no_info(subject::TIMER_STREAM).await;
        let stream = stream.map_err(|_| AppendError::Unknown)?;
        match stream.get_last_raw_message_by_subject(name).await {
            Ok(message) => {
                let sequence = message.sequence;
                Ok(Some(Standing { sequence, rank: rank_in(&message.headers) }))
            }
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                _ => Err(AppendError::Unknown),
            },
        }
    }
}

/// Whoever gives no rank can be replaced by all who do.
fn rank_in(headers: &HeaderMap) -> u64 {
    let rank = headers.get(subject::RANK).map(HeaderValue::as_str);
    rank.and_then(|rank| rank.parse().ok()).unwrap_or(0)
}

fn in_servers_words(when: &When) -> String {
    match when {
        When::At(at) => format!("@at {at}"),
        When::Every(schedule) => schedule.clone(),
    }
}
