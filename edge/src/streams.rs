//! How many event streams are open: bounded per user and in all.
//!
//! A stream holds its place until it is dropped, however it ends.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use actors::users::UserId;

use crate::{
    error::ApiError,
    limits::{STREAMS_MAX, STREAMS_PER_USER_MAX},
};

/// The event streams that are open in this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams {
    open: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// One open stream's place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    streams: Streams,
    user: UserId,
}

impl Streams {
    pub(crate) fn admit(&self, user: &UserId) -> Result<Place, ApiError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= STREAMS_MAX {
            return Err(ApiError::unavailable("all event streams are taken"));
        }
        let own = open.entry(user.clone()).or_default();
        if *own >= STREAMS_PER_USER_MAX {
            return Err(ApiError::overloaded("you have too many event streams open"));
        }
        *own += 1;
        Ok(Place { streams: self.clone(), user: user.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn user(n: usize) -> UserId {
        UserId::parse(&format!("u-{n}")).expect("an id")
    }

    #[test]
    fn streams_are_bounded_per_user_and_in_all() {
        let streams = Streams::default();
        let admit = |n| streams.admit(&user(n));
        let mut places: Vec<_> =
            (0..STREAMS_PER_USER_MAX).map(|_| admit(0).expect("one")).collect();
        assert_eq!(admit(0).expect_err("full").status(), StatusCode::TOO_MANY_REQUESTS);
        places.extend((places.len()..STREAMS_MAX).map(|n| admit(n).expect("one")));
        let refused = streams.admit(&user(STREAMS_MAX)).expect_err("full");
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        places.pop();
        assert!(admit(STREAMS_MAX).is_ok());
        drop(places);
        assert!(streams.open.lock().expect("not poisoned").is_empty(), "places are given back");
    }
}
