//! What travels beside a body: the headers of requests and replies, parsed once.

use std::time::Duration;

use async_nats::HeaderMap;

use crate::{
    limits::{AFTER_MAX, HEADER_BYTES_MAX},
    model::{commit::Position, id::Key, time::Timestamp},
    wire::{
        encoding::Encoding,
        failure::{Failure, Status},
        subject,
    },
};

/// The headers of a command or query, as its sender means them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestHeaders {
    pub(crate) content_type: Option<Box<str>>,
    pub(crate) key: Option<Key>,
    /// When the key was first sent.
    pub(crate) key_time: Option<Timestamp>,
    /// It was then or before, if nobody knows.
    pub(crate) key_until: Option<Timestamp>,
    pub(crate) budget: Option<Duration>,
    pub(crate) cause: Option<Box<str>>,
    pub(crate) principal: Option<Box<str>>,
    pub(crate) expect_version: Option<u64>,
    /// All of these are to be included.
    pub(crate) after: Vec<Position>,
    pub(crate) trace: Option<Box<str>>,
    /// Who receives it is to carry it out, wherever the actor lives.
    pub(crate) is_forwarded: bool,
}

impl RequestHeaders {
    /// Reads the headers.
    ///
    /// # Errors
    /// A [`Failure`] that names the header that cannot be read.
    pub(crate) fn parse(headers: Option<&HeaderMap>) -> Result<Self, Failure> {
        let Some(headers) = headers else { return Ok(Self::default()) };
        let text = |name| headers.get(name).map(async_nats::HeaderValue::as_str);
        Ok(Self {
            content_type: text(subject::CONTENT_TYPE).map(Into::into),
            key: parsed(subject::KEY, text(subject::KEY), |v| Key::parse(v).ok())?,
            key_time: parsed(subject::KEY_TIME, text(subject::KEY_TIME), time)?,
            key_until: parsed(subject::KEY_UNTIL, text(subject::KEY_UNTIL), time)?,
            budget: parsed(subject::TIMEOUT_MS, text(subject::TIMEOUT_MS), |v| {
                v.parse().ok().map(Duration::from_millis)
            })?,
            cause: bounded(subject::CAUSE, text(subject::CAUSE))?,
            principal: bounded(subject::PRINCIPAL, text(subject::PRINCIPAL))?,
            expect_version: parsed(subject::EXPECT_VERSION, text(subject::EXPECT_VERSION), |v| {
                v.parse().ok()
            })?,
            after: parsed(subject::AFTER, text(subject::AFTER), positions)?.unwrap_or_default(),
            trace: bounded(subject::TRACE, text(subject::TRACE))?,
            is_forwarded: text(subject::FORWARDED).is_some(),
        })
    }

    /// Writes the headers.
    pub(crate) fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        let mut put = |name: &'static str, value: Option<String>| {
            if let Some(value) = value {
                map.insert(name, value);
            }
        };
        put(subject::CONTENT_TYPE, self.content_type.as_deref().map(str::to_owned));
        put(subject::KEY, self.key.as_ref().map(|key| key.as_str().to_owned()));
        put(subject::KEY_TIME, self.key_time.map(|time| time.as_millis().to_string()));
        put(subject::KEY_UNTIL, self.key_until.map(|time| time.as_millis().to_string()));
        put(subject::TIMEOUT_MS, self.budget.map(|budget| budget.as_millis().to_string()));
        put(subject::CAUSE, self.cause.as_deref().map(str::to_owned));
        put(subject::PRINCIPAL, self.principal.as_deref().map(str::to_owned));
        put(subject::EXPECT_VERSION, self.expect_version.map(|version| version.to_string()));
        let after: Vec<String> = self.after.iter().map(ToString::to_string).collect();
        put(subject::AFTER, (!after.is_empty()).then(|| after.join(",")));
        put(subject::TRACE, self.trace.as_deref().map(str::to_owned));
        put(subject::FORWARDED, self.is_forwarded.then(|| "1".to_owned()));
        map
    }

    /// Gives the command a key if it has none, and says what is known of the key's age.
    pub(crate) fn complete(&mut self, key: impl FnOnce() -> Key, now: Timestamp) {
        let is_new = self.key.is_none();
        self.key.get_or_insert_with(key);
        match (self.key_time, is_new) {
            (Some(_), _) => {}
            (None, true) => self.key_time = Some(now),
            (None, false) => {
                self.key_until.get_or_insert(now);
            }
        }
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_millis)
}

fn parsed<T>(
    name: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Failure> {
    match text {
        None => Ok(None),
        Some(text) => parse(text).map(Some).ok_or_else(|| bad_header(name)),
    }
}

/// Positions with commas between them.
fn positions(text: &str) -> Option<Vec<Position>> {
    let positions: Option<Vec<_>> = text.split(',').map(|one| one.trim().parse().ok()).collect();
    positions.filter(|positions| positions.len() <= AFTER_MAX)
}

/// Free text that is stored with the commit: bounded, so that it cannot outgrow it.
fn bounded(name: &str, text: Option<&str>) -> Result<Option<Box<str>>, Failure> {
    parsed(name, text, |text| (text.len() <= HEADER_BYTES_MAX).then(|| text.into()))
}

fn bad_header(name: &str) -> Failure {
    let mut failure = Failure::new(Status::BadCommand, format!("header {name} cannot be read"));
    failure.body.field = Some(name.to_owned());
    failure
}

/// What a request is answered with.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) outcome: Result<Vec<u8>, Failure>,
    pub(crate) position: Option<Position>,
}

impl Answer {
    pub(crate) fn failed(failure: Failure) -> Self {
        Self { outcome: Err(failure), position: None }
    }

    /// Headers and body as they are sent, in `encoding`.
    pub(crate) fn into_message(self, encoding: Encoding) -> (HeaderMap, Vec<u8>) {
        let mut headers = HeaderMap::new();
        headers.insert(subject::CONTENT_TYPE, encoding.content_type());
        if let Some(position) = &self.position {
            headers.insert(subject::SEQ, position.to_string());
        }
        match self.outcome {
            Ok(body) => (headers, body),
            Err(failure) => {
                headers.insert(subject::ERROR_CODE, failure.status.number().to_string());
                headers.insert(subject::ERROR, header_text(&failure.body.message));
                (headers, failure.encode(encoding))
            }
        }
    }

    /// Reads an answer from the reply's headers and body.
    pub(crate) fn from_message(headers: Option<&HeaderMap>, body: &[u8]) -> Self {
        let text =
            |name| headers.and_then(|map| map.get(name)).map(async_nats::HeaderValue::as_str);
        let position = text(subject::SEQ).and_then(|text| text.parse().ok());
        let outcome = match text(subject::ERROR_CODE) {
            None => Ok(body.to_vec()),
            Some(number) => Err(Failure::decode(number.parse().unwrap_or(500), body)),
        };
        Self { outcome, position }
    }
}

/// A header's value is one line.
fn header_text(message: &str) -> String {
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_read_as_they_are_written() {
        let headers = RequestHeaders {
            key: Some(Key::random()),
            key_time: Some(Timestamp::from_millis(7)),
            key_until: Some(Timestamp::from_millis(8)),
            budget: Some(Duration::from_millis(1_500)),
            expect_version: Some(3),
            after: positions("EVT_order_0@9, EVT_item_0@1").expect("two"),
            is_forwarded: true,
            ..RequestHeaders::default()
        };
        let back = RequestHeaders::parse(Some(&headers.to_map())).expect("as written");
        assert_eq!(back.key, headers.key);
        assert_eq!(back.key_time, headers.key_time);
        assert_eq!(back.key_until, headers.key_until);
        assert_eq!(back.budget, headers.budget);
        assert_eq!(back.expect_version, headers.expect_version);
        assert_eq!(back.after, headers.after);
        assert_eq!(back.is_forwarded, headers.is_forwarded);
    }

    #[test]
    fn an_unreadable_header_is_named() {
        for name in
            [subject::KEY_TIME, subject::TIMEOUT_MS, subject::EXPECT_VERSION, subject::AFTER]
        {
            let mut map = HeaderMap::new();
            map.insert(name, "soon");
            let failure = RequestHeaders::parse(Some(&map)).expect_err(name);
            assert_eq!(failure.body.field.as_deref(), Some(name));
            assert_eq!(failure.status, Status::BadCommand);
        }
    }

    #[test]
    fn an_error_message_cannot_break_the_header_line() {
        let failure = Failure::new(Status::Refused, "no\r\nInjected: yes");
        let (headers, body) = Answer::failed(failure).into_message(Encoding::Json);
        let line = headers.get(subject::ERROR).map(|v| v.as_str().to_owned());
        assert_eq!(line.as_deref(), Some("no  Injected: yes"));
        assert!(!body.is_empty());
    }
}
