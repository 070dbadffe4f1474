//! `Prefer: wait=N`: how long a client wants its answer waited for.
//!
//! What cannot be read or granted in full is only a preference (RFC 7240), and no error.

use std::time::Duration;

use axum::{
    http::{HeaderMap, HeaderValue},
    response::Response,
};

use crate::limits::{WAIT_DEFAULT, WAIT_MAX};

/// How long the client wants its order waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) time: Duration,
    was_asked: bool,
}

impl Wait {
    /// From the first `wait` among the preferences, in seconds.
    pub(crate) fn asked(headers: &HeaderMap) -> Self {
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
