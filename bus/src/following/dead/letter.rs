//! The shape of a dead letter: a delivery's own bytes, and in headers where it came from and
//! what was wrong. Written by a follower that gives up, read by operators and by the follower
//! that carries it out again.

use std::fmt;

use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use serde_json::Value;

use crate::{
    journal::{Entry, post::Letter},
    limits::DEAD_ERROR_BYTES_MAX,
    model::{
        commit::{Position, Stored},
        time::Timestamp,
    },
    wire::{encoding::Encoding, error::Error, subject},
};

/// A delivery that a follower could not carry out, kept for an operator.
#[derive(Clone)]
pub struct DeadLetter {
    /// Its number: what [`DeadLetters`](super::DeadLetters) takes.
    pub id: u64,
    /// The saga, effect or other follower that failed.
    pub follower: Box<str>,
    /// The kind of the actor it is about; `-` if that cannot be told.
    pub kind: Box<str>,
    /// The id of the actor it is about; `-` if that cannot be told.
    pub actor: Box<str>,
    /// The subject it was stored under.
    pub subject: Box<str>,
    /// Where it was stored.
    pub position: Position,
    /// What was wrong the last time.
    pub error: Box<str>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it failed first.
    pub first: Timestamp,
    /// When it failed last.
    pub last: Timestamp,
    /// The W3C trace it belongs to.
    pub trace: Option<Box<str>>,
    /// Its own headers; commits have none.
    pub headers: Vec<(String, String)>,
    /// Its own body, byte for byte.
    pub body: Bytes,
    /// Whether body and headers were too large to be kept: it can only be carried out again
    /// with another body.
    pub is_cut: bool,
}

impl fmt::Debug for DeadLetter {
    // Without the body and the headers: they may hold what a log must not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dead letter {} of {}: {}", self.id, self.follower, self.position)
    }
}

/// Why and when a delivery was given up.
#[derive(Debug, Clone)]
pub(crate) struct GivenUp<'a> {
    pub(crate) error: &'a str,
    pub(crate) attempts: u32,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

/// What identifies a delivery among a follower's dead letters.
pub(super) fn message_id(follower: &str, position: &Position) -> String {
    format!("{follower}/{position}")
}

/// The letter about `entry`, which `follower` was given and which is at `position`.
pub(super) fn dead_letter(
    follower: &str,
    position: &Position,
    entry: &Entry,
    given_up: &GivenUp<'_>,
) -> Letter {
    let (kind, id) = subject::kind_and_id(&entry.subject);
    let mut headers = HeaderMap::new();
    headers.insert(subject::MESSAGE_ID, message_id(follower, position));
    headers.insert(subject::DEAD_SUBJECT, &*entry.subject);
    headers.insert(subject::DEAD_SEQ, position.to_string());
    headers.insert(subject::DEAD_ERROR, one_line(given_up.error));
    headers.insert(subject::DEAD_ATTEMPTS, given_up.attempts.to_string());
    headers.insert(subject::DEAD_FIRST, given_up.first.as_millis().to_string());
    headers.insert(subject::DEAD_LAST, given_up.last.as_millis().to_string());
    if let Some(trace) = trace_of(entry) {
        headers.insert(subject::TRACE, trace);
    }
    for (name, values) in entry.headers.iter() {
        for value in values {
            headers.append(format!("{}{name}", subject::DEAD_WAS), value.clone());
        }
    }
    Letter { subject: subject::dead(follower, kind, id), headers, body: entry.bytes.clone() }
}

/// The same letter, with only what is said of the delivery, and none of its own contents.
pub(super) fn without_contents(letter: Letter) -> Letter {
    let mut headers = HeaderMap::new();
    for (name, values) in letter.headers.iter() {
        if !name.to_string().starts_with(subject::DEAD_WAS) {
            for value in values {
                headers.append(name.clone(), value.clone());
            }
        }
    }
    let error = letter.headers.get(subject::DEAD_ERROR).map_or("", HeaderValue::as_str);
    headers.insert(subject::DEAD_ERROR, one_line(&format!("too large to be kept here: {error}")));
    headers.insert(subject::DEAD_CUT, "yes");
    Letter { headers, body: Bytes::new(), ..letter }
}

/// Reads a stored dead letter; none if it is not one of ours.
pub(super) fn read(entry: &Entry) -> Option<DeadLetter> {
    let (follower, kind, actor) = subject::parse_dead(&entry.subject)?;
    let text = |name| entry.headers.get(name).map(HeaderValue::as_str);
    let time = |name| text(name)?.parse().ok().map(Timestamp::from_millis);
    Some(DeadLetter {
        id: entry.sequence,
        follower: follower.into(),
        kind: kind.into(),
        actor: actor.into(),
        subject: text(subject::DEAD_SUBJECT)?.into(),
        position: text(subject::DEAD_SEQ)?.parse().ok()?,
        error: text(subject::DEAD_ERROR)?.into(),
        attempts: text(subject::DEAD_ATTEMPTS)?.parse().ok()?,
        first: time(subject::DEAD_FIRST)?,
        last: time(subject::DEAD_LAST)?,
        trace: text(subject::TRACE).map(Into::into),
        headers: listed(&own_headers(&entry.headers)),
        body: entry.bytes.clone(),
        is_cut: entry.headers.get(subject::DEAD_CUT).is_some(),
    })
}

/// The letter that has `letter` carried out again, with its own body or a mended one.
pub(super) fn again_letter(letter: &Entry, mended: Option<Mended>) -> Option<Letter> {
    let (follower, kind, id) = subject::parse_dead(&letter.subject)?;
    let mut headers = HeaderMap::new();
    for (name, values) in letter.headers.iter() {
        if name.to_string() != subject::MESSAGE_ID {
            for value in values {
                headers.append(name.clone(), value.clone());
            }
        }
    }
    headers.insert(subject::DEAD_LETTER, letter.sequence.to_string());
    let mut body = letter.bytes.clone();
    if let Some(mended) = mended {
        let content_type = format!("{}{}", subject::DEAD_WAS, subject::CONTENT_TYPE);
        if let Some(encoding) = mended.content_type {
            headers.insert(content_type, encoding.content_type());
        }
        body = mended.body;
    }
    Some(Letter { subject: subject::again(follower, kind, id), headers, body })
}

/// The delivery as it once was, out of a letter that is to be carried out again.
pub(super) fn original(letter: &Entry) -> Option<Entry> {
    let text = |name| letter.headers.get(name).map(HeaderValue::as_str);
    let position: Position = text(subject::DEAD_SEQ)?.parse().ok()?;
    Some(Entry {
        subject: text(subject::DEAD_SUBJECT)?.into(),
        sequence: position.sequence,
        headers: own_headers(&letter.headers),
        bytes: letter.bytes.clone(),
    })
}

/// A body that takes the place of a dead letter's own.
pub(super) struct Mended {
    body: Bytes,
    /// None for a commit: it has one encoding.
    content_type: Option<Encoding>,
}

/// Makes `json` the body of `letter`: of a commit it may name only what is to be changed.
pub(super) fn mend(letter: &DeadLetter, json: &Value) -> Result<Mended, Error> {
    let unfit = |e: &dyn fmt::Display| Error::Mended(e.to_string());
    if subject::parse_event(&letter.subject).is_none() {
        let body = Encoding::Json.encode(json).map_err(|e| unfit(&e))?;
        return Ok(Mended { body: body.into(), content_type: Some(Encoding::Json) });
    }
    let Value::Object(changes) = json else {
        return Err(unfit(&"a commit is an object, such as {\"events\": […]}"));
    };
    let own: Result<Value, _> = Encoding::MessagePack.decode(&letter.body);
    let mut whole = match own {
        Ok(Value::Object(own)) => own,
        // What is no commit at all is given what every commit has.
        Ok(_) | Err(_) => {
            let id = message_id(&letter.follower, &letter.position);
            let at = letter.first.as_millis();
            let made = serde_json::json!({
                "commit": id, "at": at, "command": "-", "key": id, "digest": "-", "reply": null,
            });
            made.as_object().cloned().unwrap_or_default()
        }
    };
    whole.extend(changes.clone());
    let stored: Stored<Value, Value> =
        serde_json::from_value(Value::Object(whole)).map_err(|e| unfit(&e))?;
    let body = Encoding::MessagePack.encode(&stored).map_err(|e| unfit(&e))?;
    Ok(Mended { body: body.into(), content_type: None })
}

impl DeadLetter {
    /// The body as JSON, if it can be read: of a commit with its events and reply.
    #[must_use]
    pub fn decoded(&self) -> Option<Value> {
        let is_commit = subject::parse_event(&self.subject).is_some();
        let named = self.headers.iter().find(|(name, _)| name == subject::CONTENT_TYPE);
        let encoding = match is_commit {
            true => Some(Encoding::MessagePack),
            false => Encoding::detect(named.map(|(_, value)| value.as_str()), &self.body),
        };
        encoding?.decode(&self.body).ok()
    }
}

/// In an order that does not change.
fn listed(headers: &HeaderMap) -> Vec<(String, String)> {
    let pairs = headers.iter().flat_map(|(name, values)| {
        values.iter().map(move |value| (name.to_string(), value.as_str().to_owned()))
    });
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    pairs
}

fn own_headers(headers: &HeaderMap) -> HeaderMap {
    let mut own = HeaderMap::new();
    for (name, values) in headers.iter() {
        if let Some(name) = name.to_string().strip_prefix(subject::DEAD_WAS) {
            for value in values {
                own.append(name, value.clone());
            }
        }
    }
    own
}

fn trace_of(entry: &Entry) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Traced {
        #[serde(default)]
        trace: Option<String>,
    }
    let header = entry.headers.get(subject::TRACE).map(|value| value.as_str().to_owned());
    let stored = || Encoding::MessagePack.decode::<Traced>(&entry.bytes).ok()?.trace;
    header.or_else(stored).filter(|trace| !trace.contains(char::is_control))
}

/// A header's value is one line.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + c.len_utf8() > DEAD_ERROR_BYTES_MAX {
            break;
        }
        line.push(c);
    }
    line
}
