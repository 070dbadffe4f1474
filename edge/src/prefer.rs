//! `Prefer: wait=N`: how long a client wants its answer waited for.
//!
//! What cannot be read or granted in full is only a preference (RFC 7240), and no error.

use std::time::Duration;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, request::Parts},
    response::Response,
};

use crate::{
    api::{Header, Part, Place, Route},
    error::ApiError,
    limits::{WAIT_DEFAULT, WAIT_MAX},
};

/// The header that says which wait was granted.
pub(crate) const APPLIED_HEADER: Header = Header {
    name: "Preference-Applied",
    about: "The wait that was granted, if one was asked for.",
};

/// How long the client wants its order waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) time: Duration,
    was_asked: bool,
}

impl<S: Sync> FromRequestParts<S> for Wait {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self::asked(&parts.headers))
    }
}

impl Part for Wait {
    fn describe(route: &mut Route) {
        let about = "How long to wait for the order to settle, in seconds: `wait=5`. 2 if it is \
                     not said, 30 at most.";
        route.takes::<String>(Place::Header, "Prefer", about, Some("wait=5"));
    }
}

impl Wait {
    /// From the first `wait` among the preferences, in seconds.
    fn asked(headers: &HeaderMap) -> Self {
        let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let seconds = preferences
            .flat_map(|value| value.split([',', ';']))
            .filter_map(|preference| preference.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
            .and_then(|(_, seconds)| seconds.trim().parse().ok());
        match seconds {
            Some(seconds) => {
                Self { time: Duration::from_secs(seconds).min(WAIT_MAX), was_asked: true }
            }
            None => Self { time: WAIT_DEFAULT, was_asked: false },
        }
    }

    /// Tells the client which wait was granted.
    pub(crate) fn acknowledge(self, mut response: Response) -> Response {
        if self.was_asked
            && let Ok(value) = HeaderValue::from_str(&format!("wait={}", self.time.as_secs()))
        {
            response.headers_mut().insert("preference-applied", value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_read_as_far_as_it_can_be() {
        for (value, seconds) in [
            ("wait=5", Some(5)),
            ("respond-async, wait=0", Some(0)),
            ("return=minimal; foo, Wait = 7", Some(7)),
            ("wait=3600", Some(30)),
            ("wait=soon", None),
            ("wait=-1", None),
            ("waits=5", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", HeaderValue::from_static(value));
            let expected = match seconds {
                Some(seconds) => Wait { time: Duration::from_secs(seconds), was_asked: true },
                None => Wait { time: WAIT_DEFAULT, was_asked: false },
            };
            assert_eq!(Wait::asked(&headers), expected, "{value}");
        }
    }
}
