//! Sagas: pure functions from what happened to commands for other actors.
//!
//! A saga keeps no state: what it must remember, an actor remembers. Its commands are asked
//! with keys made from the commit, so replaying a commit repeats nothing, and the commit is
//! acknowledged only when every command has its answer. A refusal is an answer.

use crate::{
    model::{
        actor::{Handle, Wire},
        commit::CommitInfo,
        id::{Id, Key},
    },
    wire::encoding::{Encoding, Malformed},
};

/// What a saga or an effect wants done next, and all it may want.
#[derive(Debug, Default)]
pub struct Then {
    asks: Vec<PlannedAsk>,
    broken: Option<Malformed>,
}

/// One command a saga wants carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedAsk {
    pub(crate) kind: &'static str,
    pub(crate) id: Box<str>,
    pub(crate) command: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Then {
    /// Asks the actor `to` to carry out `command`, surely, and once.
    pub fn ask<B: Handle<C>, C: Wire>(&mut self, to: &Id<B>, command: &C) {
        match Encoding::MessagePack.encode(command) {
            Ok(body) => self.asks.push(PlannedAsk {
                kind: B::KIND,
                id: to.as_str().into(),
                command: <B as Handle<C>>::NAME,
                body,
            }),
            Err(malformed) => self.broken = Some(malformed),
        }
    }

    /// The commands asked so far, as `(kind, id, command)`: for a saga's tests.
    pub fn asked(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.asks.iter().map(|ask| (ask.kind, ask.id.as_ref(), ask.command))
    }

    pub(crate) fn into_asks(self) -> Result<Vec<PlannedAsk>, Malformed> {
        self.broken.map_or(Ok(self.asks), Err)
    }
}

/// The key of the `index`-th command that `follower` makes from a commit: always the same.
pub(crate) fn derived_key(follower: &str, commit: &CommitInfo, index: &str) -> Key {
    let text = format!("{follower}/{}/{index}", commit.position);
    Key::parse(&text).unwrap_or_else(|_| unreachable!("names and streams are short tokens"))
}
