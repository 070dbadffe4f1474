//! Failures as they travel: a status, a code, words, and whether asking again helps.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::encoding::{Encoding, Malformed};

/// What kind of failure, by the number in the `Nats-Service-Error-Code` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 400: the command is not well formed.
    BadCommand,
    /// 404: no such kind, command, projection or row.
    NotFound,
    /// 409: the actor understood and said no.
    Refused,
    /// 412: the actor is not at the expected version.
    VersionMismatch,
    /// 413: the body, or the commit it would make, is too large.
    TooLarge,
    /// 422: the key was used before, with another body.
    KeyReused,
    /// 429: too much is waiting. Ask again.
    Overloaded,
    /// 500: a fault of the service; it is logged there.
    Internal,
    /// 503: the service or its journal cannot be reached. Ask again.
    Unavailable,
    /// 504: no answer in time. It may have been carried out: ask again with the same key.
    Expired,
}

impl Status {
    pub(crate) const ALL: [Self; 10] = [
        Self::BadCommand,
        Self::NotFound,
        Self::Refused,
        Self::VersionMismatch,
        Self::TooLarge,
        Self::KeyReused,
        Self::Overloaded,
        Self::Internal,
        Self::Unavailable,
        Self::Expired,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::BadCommand => 400,
            Self::NotFound => 404,
            Self::Refused => 409,
            Self::VersionMismatch => 412,
            Self::TooLarge => 413,
            Self::KeyReused => 422,
            Self::Overloaded => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::Expired => 504,
        }
    }

    /// The status a number stands for; an unknown one is [`Status::Internal`].
    #[must_use]
    pub fn from_number(number: u16) -> Self {
        let known = Self::ALL.into_iter().find(|status| status.number() == number);
        known.unwrap_or(Self::Internal)
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::BadCommand => "BAD_COMMAND",
            Self::NotFound => "NOT_FOUND",
            Self::Refused => "REFUSED",
            Self::VersionMismatch => "VERSION_MISMATCH",
            Self::TooLarge => "TOO_LARGE",
            Self::KeyReused => "KEY_REUSED",
            Self::Overloaded => "OVERLOADED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::Expired => "EXPIRED",
        }
    }

    fn retry(self) -> bool {
        matches!(self, Self::Overloaded | Self::Unavailable | Self::Expired)
    }
}

/// A failure: what the caller is told instead of a reply.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {}", body.code, body.message)]
pub struct Failure {
    /// Its kind.
    pub status: Status,
    /// What travels in the body, under `error`.
    pub body: ErrorBody,
}

/// The body of a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The reason's name, such as `OUT_OF_STOCK`.
    pub code: String,
    /// The reason in words.
    #[serde(default)]
    pub message: String,
    /// Whether asking again, with the same key, may give another answer.
    #[serde(default)]
    pub retry: bool,
    /// After how many milliseconds asking again may help, if that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
    /// The field that was wrong, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What else the refusal says of itself.
    #[serde(flatten)]
    pub detail: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    error: T,
}

impl Failure {
    /// A failure of the kind `status`, in the runtime's own words.
    #[must_use]
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        let body = ErrorBody {
            code: status.code().to_owned(),
            message: message.into(),
            retry: status.retry(),
            retry_after_ms: None,
            field: None,
            detail: Map::new(),
        };
        Self { status, body }
    }

    pub(crate) fn malformed(malformed: Malformed) -> Self {
        let mut failure = Self::new(Status::BadCommand, malformed.to_string());
        failure.body.field = malformed.field;
        failure
    }

    /// An actor's refusal: its own code and facts, its text as the message.
    pub(crate) fn refused<E: std::error::Error + Serialize>(refusal: &E) -> Self {
        let mut failure = Self::new(Status::Refused, refusal.to_string());
        match serde_json::to_value(refusal) {
            Ok(Value::Object(mut detail)) => {
                if let Some(Value::String(code)) = detail.remove("code") {
                    failure.body.code = code;
                }
                failure.body.detail = detail;
            }
            // A refusal that is a bare name is its own code.
            Ok(Value::String(name)) => failure.body.code = name,
            // The only reason an actor has needs no name.
            Ok(_) | Err(_) => {}
        }
        failure
    }

    /// The refusal as the actor's own type, if this is one.
    pub(crate) fn as_refusal<E: serde::de::DeserializeOwned>(&self) -> Option<E> {
        if self.status != Status::Refused {
            return None;
        }
        let code = Value::String(self.body.code.clone());
        let mut map = self.body.detail.clone();
        map.insert("code".to_owned(), code.clone());
        // A map with a code, a bare name, or no name at all: as it was written.
        let forms = [Value::Object(map), code, Value::Null];
        forms.into_iter().find_map(|form| serde_json::from_value(form).ok())
    }

    pub(crate) fn encode(&self, encoding: Encoding) -> Vec<u8> {
        // Strings, booleans and JSON values can be written in both.
        encoding.encode(&Envelope { error: &self.body }).unwrap_or_default()
    }

    /// Reads a failure back from a reply's status number and body.
    pub(crate) fn decode(number: u16, body: &[u8]) -> Self {
        let status = Status::from_number(number);
        let decoded = match Encoding::detect(None, body) {
            Some(encoding) => encoding.decode::<Envelope<ErrorBody>>(body),
            None => Err(Malformed::new(&"unknown encoding")),
        };
        match decoded {
            Ok(envelope) => Self { status, body: envelope.error },
            Err(_) => Self::new(status, format!("error {number} without a readable body")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
    #[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
    enum ItemError {
        #[error("only {available} are left")]
        OutOfStock { available: u32 },
        #[error("the item is retired")]
        Retired,
    }

    #[test]
    fn a_refusal_keeps_its_type_over_the_wire() {
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            for refusal in [ItemError::OutOfStock { available: 2 }, ItemError::Retired] {
                let body = Failure::refused(&refusal).encode(encoding);
                let back = Failure::decode(409, &body);
                assert_eq!(back.as_refusal::<ItemError>(), Some(refusal));
                assert!(!back.body.retry);
            }
        }
    }

    #[test]
    fn a_refusal_may_be_a_bare_name_or_the_only_one() {
        #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
        enum Bare {
            #[error("no")]
            Full,
        }
        #[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
        #[error("no")]
        struct Only;

        assert_eq!(Failure::refused(&Bare::Full).as_refusal::<Bare>(), Some(Bare::Full));
        assert_eq!(Failure::refused(&Only).as_refusal::<Only>(), Some(Only));
        assert_eq!(Failure::refused(&Only).body.code, "REFUSED");
    }

    #[test]
    fn the_body_is_as_documented() {
        let body = Failure::refused(&ItemError::OutOfStock { available: 2 }).encode(Encoding::Json);
        let text = String::from_utf8(body).expect("JSON is UTF-8");
        let expected = r#"{"error":{"code":"OUT_OF_STOCK","message":"only 2 are left","retry":false,"available":2}}"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn every_status_has_its_own_number() {
        for status in Status::ALL {
            assert_eq!(Status::from_number(status.number()), status);
        }
        assert_eq!(Status::from_number(999), Status::Internal);
    }

    #[test]
    fn an_unreadable_body_is_still_a_failure() {
        let failure = Failure::decode(503, b"\xc1");
        assert_eq!(failure.status, Status::Unavailable);
        assert!(failure.body.retry);
    }

    #[test]
    fn the_wires_page_tells_every_status_as_it_is() {
        let page = include_str!("../../../docs/wire.md");
        for status in Status::ALL {
            let row =
                page.lines().find(|line| line.starts_with(&format!("| {} |", status.number())));
            let row = row.unwrap_or_else(|| panic!("docs/wire.md has no {}", status.number()));
            assert!(row.contains(&format!("`{}`", status.code())), "{row}");
            assert!(row.ends_with(if status.retry() { "| yes |" } else { "| no |" }), "{row}");
        }
    }
}
