//! Carrying out again: the follower that once failed, given its dead letters.

use std::sync::Arc;

use async_nats::HeaderValue;

use super::letter;
use crate::{
    asking::bus::Bus,
    following::reaction::{React, Trouble},
    journal::{BoxFuture, Entry, Source},
    wire::subject::{self, DEAD_STREAM},
};

/// Where `follower` of `source` is given the letters it is to carry out again.
pub(crate) fn again_source(follower: &str, source: &Source) -> Source {
    let kind = subject::followed_kind(&source.stream, source.filter.as_deref());
    Source {
        stream: DEAD_STREAM.into(),
        filter: Some(subject::agains(follower, kind).into()),
        follower: subject::again_follower(follower, kind).into(),
    }
}

/// A reaction, given what it was given before in a letter.
pub(crate) struct Again {
    pub(crate) bus: Bus,
    pub(crate) reaction: Arc<dyn React>,
}

impl React for Again {
    fn react<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let unreadable = || Trouble::hopeless("not a letter to be carried out again");
            let original = letter::original(entry).ok_or_else(unreadable)?;
            let dead = entry.headers.get(subject::DEAD_LETTER).map(HeaderValue::as_str);
            let dead = dead.and_then(|number| number.parse().ok()).ok_or_else(unreadable)?;
            let post = self.bus.post();
            // Dropped, or carried out by an earlier one: the operator has decided.
            let is_there = post.letter(DEAD_STREAM, dead).await.map_err(Trouble::unreachable)?;
            if is_there.is_some() {
                self.reaction.react(&original).await?;
                post.remove(DEAD_STREAM, dead).await.map_err(Trouble::unreachable)?;
            }
            post.remove(DEAD_STREAM, entry.sequence).await.map_err(Trouble::unreachable)?;
            Ok(())
        })
    }
}
