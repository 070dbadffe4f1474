//! What every hosted kind follows besides its sagas: its timers, and the commands that come as
//! letters, from fired timers and from tells.
//!
//! Letters are asked like a saga's commands, in order for each actor, and are gone once they are
//! answered, or dead letters; a refusal is an answer.

use std::sync::Arc;

use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use serde::Deserialize;

use crate::{
    asking::bus::Bus,
    following::{
        follower::Follower,
        reaction::{React, Trouble, ask_surely},
    },
    journal::{
        AppendError, BoxFuture, Entry, Source,
        post::{Letter, Schedule, When},
    },
    model::{
        commit::Position,
        id::Key,
        time::Timestamp,
        timer::{Arming, DISARMED, TimerChange},
        upcast::is_map,
    },
    wire::{
        encoding::Encoding,
        envelope::RequestHeaders,
        subject::{self, Shard},
    },
};

/// The followers that each node hosting `kind` runs. What its commits arm is followed only if they
/// may arm anything; what was armed before is carried out in any case.
pub(crate) fn followers(bus: &Bus, shards: &[Shard], has_timers: bool) -> Vec<Follower> {
    let kind = &shards[0].kind;
    let follower = |name: &'static str, stream: &str, filter: Option<String>, reaction| {
        // Where many kinds share a stream, each has a follower there.
        let follower = filter.as_ref().map_or(name.to_owned(), |_| format!("{name}-{kind}"));
        let filter = filter.map(Into::into);
        let source = Source { stream: stream.into(), filter, follower: follower.into() };
        // Tells are gone once they are acknowledged.
        let sweeps = stream == subject::TIMER_STREAM;
        Follower { name, source, reaction, sweeps, repeats: true }
    };
    let timers: Arc<dyn React> = Arc::new(SetTimers { bus: bus.clone(), kind: kind.clone() });
    let asks: Arc<dyn React> = Arc::new(AskLetter { bus: bus.clone() });
    let timers = shards.iter().filter(|_| has_timers).map(|shard| {
        let timers = follower("timers", &shard.stream, None, timers.clone());
        Follower { repeats: shard.is_first(), ..timers }
    });
    let letters = [
        follower("due", subject::TIMER_STREAM, Some(subject::dues(kind)), asks.clone()),
        follower("tells", subject::TELL_STREAM, Some(subject::tells(kind)), asks),
    ];
    timers.chain(letters).collect()
}

/// Arms and disarms what commits say of timers.
///
/// Commits of one actor are followed in order, and begin again behind a gap in what is
/// acknowledged: whatever old arm is repeated, the newer changes are repeated after it, and the
/// last one stands. One that arrives late, past its follower, has the lower rank. What fires
/// meanwhile is turned away by the actor.
struct SetTimers {
    bus: Bus,
    kind: Arc<str>,
}

/// All of a commit that matters here.
#[derive(Deserialize)]
struct WithTimers {
    at: Timestamp,
    #[serde(default)]
    principal: Option<Box<str>>,
    #[serde(default)]
    trace: Option<Box<str>>,
    #[serde(default)]
    timers: Vec<TimerChange>,
}

impl React for SetTimers {
    fn react<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            if !is_map(&entry.bytes) {
                // No commit at all, so it armed nothing. Those that read its events tell of it.
                return Ok(());
            }
            let commit: WithTimers =
                Encoding::MessagePack.decode(&entry.bytes).map_err(|malformed| {
                    Trouble::hopeless(format!("cannot be decoded: {malformed}"))
                })?;
            if commit.timers.is_empty() {
                return Ok(());
            }
            let id = subject::parse_event(&entry.subject).map(|(_, id)| id);
            let stream = subject::stream_of_event(&entry.subject);
            let (id, stream) =
                id.zip(stream).ok_or_else(|| Trouble::hopeless("its subject is not an actor's"))?;
            for (index, change) in (0..).zip(&commit.timers) {
                let arming = Arming { sequence: entry.sequence, index };
                let set = self.set((&stream, id), arming, &commit, change).await;
                set.map_err(|error| match error {
                    AppendError::TooLarge => Trouble::hopeless(error),
                    // Not the commit's fault, and no reason to give its timers up.
                    AppendError::Conflict | AppendError::Unknown | AppendError::Refused(_) => {
                        Trouble::unreachable(error)
                    }
                })?;
            }
            Ok(())
        })
    }
}

impl SetTimers {
    async fn set(
        &self,
        (stream, id): (&Arc<str>, &str),
        arming: Arming,
        commit: &WithTimers,
        change: &TimerChange,
    ) -> Result<(), AppendError> {
        let name = subject::timer(&self.kind, id, change.command(), &change.name().token());
        match change {
            TimerChange::Disarmed { .. } => {
                self.bus.post().unschedule(&name, arming.sequence).await
            }
            TimerChange::Armed { command, body, when } => {
                let letter = Letter {
                    subject: subject::due(&self.kind, id, command),
                    headers: headers(stream, arming, commit, when),
                    body: Bytes::from(body.to_string()),
                };
                let (when, rank) = (when.clone(), arming.sequence);
                self.bus.post().schedule(&Schedule { name, when, rank, letter }).await
            }
        }
    }
}

/// What the fired message tells of itself, to hosts in any language.
fn headers(stream: &Arc<str>, arming: Arming, commit: &WithTimers, when: &When) -> HeaderMap {
    let key = arming.key(stream);
    let cause = Position { stream: stream.clone(), sequence: arming.sequence };
    let mut headers = RequestHeaders {
        content_type: Some(Encoding::Json.content_type().into()),
        cause: Some(cause.to_string().into()),
        principal: commit.principal.clone(),
        trace: commit.trace.clone(),
        ..RequestHeaders::default()
    }
    .to_map();
    match when {
        When::At(at) => {
            headers.insert(subject::KEY, key);
            // Never sent before it is due: nobody needs to look for it further back.
            headers.insert(subject::KEY_TIME, commit.at.max(*at).as_millis().to_string());
        }
        When::Every(_) => headers.insert(subject::KEY_PREFIX, key),
    }
    headers
}

/// Asks the command that a letter holds.
struct AskLetter {
    bus: Bus,
}

impl React for AskLetter {
    fn react<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let (kind, id, command) = subject::parse_letter(&entry.subject)
                .ok_or_else(|| Trouble::hopeless("its subject is not a command's"))?;
            let headers = request_headers(entry).map_err(Trouble::hopeless)?;
            let subject = subject::command(kind, id, command);
            let refusal = ask_surely(&self.bus, &subject, headers, entry.bytes.clone()).await?;
            if refusal.is_some_and(|refusal| refusal.body.code == DISARMED) {
                self.end_repeating(entry, kind, id, command).await?;
            }
            Ok(())
        })
    }
}

impl AskLetter {
    /// Removes the schedule behind a firing that means nothing any more, if it would fire again:
    /// an arm that was overtaken on its way may have been stored behind its own disarm.
    async fn end_repeating(
        &self,
        entry: &Entry,
        kind: &str,
        id: &str,
        command: &str,
    ) -> Result<(), Trouble> {
        let prefix = entry.headers.get(subject::KEY_PREFIX).map(HeaderValue::as_str);
        let arming = prefix.and_then(|key| Arming::behind_any_of(key, kind));
        let (Some((arming, _)), Ok(body)) = (arming, serde_json::from_slice(&entry.bytes)) else {
            return Ok(());
        };
        let timer = TimerChange::Disarmed { command: command.into(), body };
        let name = subject::timer(kind, id, command, &timer.name().token());
        let ended = self.bus.post().unschedule(&name, arming.sequence).await;
        ended.map_err(Trouble::unreachable)
    }
}

/// The headers of the command in a letter. It always has the same key, however often the letter
/// is delivered, and the key's time is never later than its first use.
fn request_headers(entry: &Entry) -> Result<RequestHeaders, String> {
    let text = |name| entry.headers.get(name).map(HeaderValue::as_str);
    let mut headers =
        RequestHeaders::parse(Some(&entry.headers)).map_err(|failure| failure.to_string())?;
    let made = match (&headers.key, text(subject::KEY_PREFIX)) {
        (Some(_), _) => None,
        (None, Some(prefix)) => Some(format!("{prefix}/{}", entry.sequence)),
        (None, None) => {
            let prefix = entry.subject.split('.').next().unwrap_or_default();
            Some(format!("{prefix}/{}", entry.sequence))
        }
    };
    if let Some(key) = &made {
        headers.key = Some(Key::parse(key).map_err(|e| e.to_string())?);
        (headers.key_time, headers.key_until) = (None, None);
    }
    let is_made = made.is_some();
    if headers.key_time.is_none() && headers.key_until.is_none() {
        let stored = text(subject::STORED_AT).and_then(|stored| stored.parse().ok());
        let stored = stored.map(Timestamp::from_millis);
        // A key that its teller made may have been told before.
        *(if is_made { &mut headers.key_time } else { &mut headers.key_until }) = stored;
    }
    headers.budget = None;
    Ok(headers)
}
