//! Conditional requests: an `ETag` is an actor's version, and a client may say which one it means.
//!
//! `If-None-Match` spares what the client has already; `If-Match` has a change carried out only
//! if the actor is still as the client saw it. That is checked in the actor's own turn, so of two
//! who saw the same one changes it, and the other is told.

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use bus::{
    Ask, Handle, Position, Wire,
    schemars::{JsonSchema, Schema, SchemaGenerator, json_schema},
};
use serde::Serialize;

use crate::{
    api::{Header, Part, Place, Route},
    error::ApiError,
};

/// The header of `If-Match`, as errors name it.
pub(crate) const IF_MATCH: &str = "If-Match";

/// The header that says at which version a thing is.
pub(crate) const ETAG_HEADER: Header =
    Header { name: "ETag", about: "Its version: for `If-None-Match`, and `If-Match` of a change." };

/// At which version a thing is, for the answer's `ETag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) u64);

impl From<&Position> for Version {
    fn from(position: &Position) -> Self {
        Self(position.sequence)
    }
}

impl Version {
    fn header(self) -> (HeaderName, String) {
        (header::ETAG, format!("\"{}\"", self.0))
    }
}

impl IntoResponseParts for Version {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let (name, text) = self.header();
        if let Ok(value) = HeaderValue::from_str(&text) {
            parts.headers_mut().insert(name, value);
        }
        Ok(parts)
    }
}

/// The version a change is meant for: any, if the client does not say or says `*`. What is not
/// there refuses to be changed whatever the client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IfMatch(Option<u64>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::asked(&parts.headers).map_err(|why| ApiError::invalid(IF_MATCH, why))
    }
}

/// A version between quotes, or any.
struct ETagOrAny;

impl JsonSchema for ETagOrAny {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ETagOrAny".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "What an `ETag` said, or `*`.",
            "pattern": "^(\\*|\"[0-9]{1,18}\")$",
        })
    }
}

impl Part for IfMatch {
    fn describe(route: &mut Route) {
        let about = "Carry it out only if this is still the `ETag`; `*` is whatever there is. \
                     Else it is refused and nothing is changed.";
        route.takes::<ETagOrAny>(Place::Header, IF_MATCH, about, Some("\"12\""));
        route.may_refuse(400, "INVALID");
        route.may_refuse(412, "VERSION_MISMATCH");
    }
}

impl IfMatch {
    /// Whatever version it is.
    pub(crate) const ANY: Self = Self(None);

    fn asked(headers: &HeaderMap) -> Result<Self, &'static str> {
        let mut values = headers.get_all(header::IF_MATCH).iter();
        let Some(value) = values.next() else { return Ok(Self::ANY) };
        let text = value.to_str().unwrap_or_default().trim();
        if values.next().is_some() || text.contains(',') {
            return Err("If-Match holds one ETag: a thing has one version at a time");
        }
        if text == "*" {
            return Ok(Self::ANY);
        }
        if text.starts_with("W/") {
            return Err("If-Match holds a strong ETag; a weak one, `W/…`, never matches");
        }
        let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let inner = inner.ok_or("If-Match holds an ETag with its quotes, as in \"12\", or *")?;
        let is_number = !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit());
        let version = inner.parse().ok().filter(|_| is_number);
        version.map(|version| Self(Some(version))).ok_or("If-Match holds no ETag of ours")
    }

    /// Has `asked` carried out at this version only.
    pub(crate) fn put_on<A: Handle<C>, C: Wire>(self, asked: Ask<A, C>) -> Ask<A, C> {
        match self.0 {
            Some(version) => asked.expect_version(version),
            None => asked,
        }
    }
}

/// What the client has already.
#[derive(Debug)]
pub(crate) struct IfNoneMatch(Vec<String>);

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let values = parts.headers.get_all(header::IF_NONE_MATCH).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let tags = values.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned());
        Ok(Self(tags.collect()))
    }
}

impl Part for IfNoneMatch {
    fn describe(route: &mut Route) {
        let about = "`ETag`s of what the client has: if it is still so, the answer is 304, without \
                     a body.";
        route.takes::<String>(Place::Header, "If-None-Match", about, Some("\"12\""));
    }
}

impl IfNoneMatch {
    /// `shown` with its version, or 304 if the client has it.
    pub(crate) fn answer<T: Serialize>(&self, version: Version, shown: T) -> Response {
        if self.has(version) {
            return (StatusCode::NOT_MODIFIED, version, ()).into_response();
        }
        (version, Json(shown)).into_response()
    }

    /// Whether it is meant by a tag. What a proxy on the way weakened is the same for this.
    fn has(&self, version: Version) -> bool {
        let (_, current) = version.header();
        let mut tags = self.0.iter();
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &'static str) -> Result<IfMatch, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_static(text));
        IfMatch::asked(&headers)
    }

    #[test]
    fn a_version_is_read_or_what_is_wrong_is_told() {
        assert_eq!(IfMatch::asked(&HeaderMap::new()), Ok(IfMatch::ANY));
        assert_eq!(asked("*"), Ok(IfMatch::ANY));
        assert_eq!(asked(" \"12\" "), Ok(IfMatch(Some(12))));
        for (bad, part) in [
            ("", "quotes"),
            ("12", "quotes"),
            ("\"12", "quotes"),
            ("\"\"", "of ours"),
            ("\"abc\"", "of ours"),
            ("\"+1\"", "of ours"),
            ("\"99999999999999999999\"", "of ours"),
            ("W/\"12\"", "weak"),
            ("\"12\", \"13\"", "one ETag"),
        ] {
            let why = asked(bad).expect_err(bad);
            assert!(why.contains(part), "{bad}: {why}");
        }
    }

    #[test]
    fn what_the_client_has_is_found_among_several() {
        let has = |tags: &[&str]| {
            let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
            IfNoneMatch(tags).has(Version(12))
        };
        assert!(has(&["\"11\"", "\"12\""]) && has(&["W/\"12\""]) && has(&["*"]));
        assert!(!has(&[]) && !has(&["12"]) && !has(&["\"1\"", "\"2\""]));
    }
}
