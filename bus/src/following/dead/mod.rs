//! Dead letters: what followers could not carry out, listed, carried out again, or dropped.
//!
//! Having one carried out again only stores a letter: the follower that failed takes it up,
//! wherever it is hosted, with the same keys as the first time, and removes the dead letter when
//! it has succeeded. So it may be asked for twice, and every part may crash in between.

mod again;
mod letter;

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

pub use self::letter::DeadLetter;
pub(crate) use self::{
    again::{Again, again_source},
    letter::GivenUp,
};
use crate::{
    asking::bus::Bus,
    journal::{AppendError, Entry, Post, ReadError},
    limits::{APPEND_TRIES_MAX, ASK_AGAIN_AFTER_MAX},
    model::commit::Position,
    wire::{
        error::Error,
        subject::{self, DEAD_STREAM},
    },
};

/// The dead letters of all followers.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    bus: Bus,
}

/// Some dead letters, oldest first.
#[derive(Debug, Clone)]
pub struct DeadPage {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// What to list after next; none if these are the last.
    pub next: Option<u64>,
}

impl DeadLetters {
    pub(crate) fn new(bus: Bus) -> Self {
        Self { bus }
    }

    /// The dead letters after number `after`, a page of them: all, or those of one follower,
    /// or about actors of one kind.
    ///
    /// # Errors
    /// [`Error::Journal`] if they cannot be read now.
    pub async fn list(
        &self,
        follower: Option<&str>,
        kind: Option<&str>,
        after: u64,
    ) -> Result<DeadPage, Error> {
        let filter = subject::deads(follower, kind);
        let batch = self.bus.post().letters(DEAD_STREAM, &filter, after).await;
        let batch = batch.map_err(unread)?;
        let last = batch.entries.last().map(|entry| entry.sequence);
        Ok(DeadPage {
            letters: batch.entries.iter().filter_map(letter::read).collect(),
            next: last.filter(|_| !batch.is_last),
        })
    }

    /// One dead letter.
    ///
    /// # Errors
    /// [`Error::NoDeadLetter`] if there is none of this number, [`Error::Journal`] if it cannot
    /// be read now.
    pub async fn read(&self, id: u64) -> Result<DeadLetter, Error> {
        letter::read(&self.entry(id).await?).ok_or(Error::NoDeadLetter(id))
    }

    /// Has the follower that failed carry it out again, with the keys it had the first time.
    /// Returns when that is stored: it is done as soon as the follower is served anywhere, and
    /// the letter is gone when it has succeeded. If it fails again the letter stays.
    ///
    /// # Errors
    /// [`Error::NoDeadLetter`] if there is none of this number, [`Error::Mended`] if it is cut,
    /// [`Error::Journal`] if it cannot be read or stored now.
    pub async fn replay(&self, id: u64) -> Result<(), Error> {
        self.store_again(id, None).await
    }

    /// As [`replay`](Self::replay), with another body. Of a commit, `json` names what is to be
    /// changed: mostly `{"events": […]}`, as [`DeadLetter::decoded`] shows them. The journal
    /// itself stays as it is.
    ///
    /// # Errors
    /// [`Error::Mended`] if it cannot be a body, else as [`replay`](Self::replay).
    pub async fn replay_with(&self, id: u64, json: &Value) -> Result<(), Error> {
        self.store_again(id, Some(json)).await
    }

    /// Removes a dead letter for good.
    ///
    /// # Errors
    /// [`Error::NoDeadLetter`] if there is none of this number, [`Error::Journal`] if it cannot
    /// be removed now.
    pub async fn drop(&self, id: u64) -> Result<(), Error> {
        // What has this number could be something else.
        self.read(id).await?;
        match self.bus.post().remove(DEAD_STREAM, id).await.map_err(unread)? {
            true => Ok(()),
            false => Err(Error::NoDeadLetter(id)),
        }
    }

    async fn entry(&self, id: u64) -> Result<Entry, Error> {
        let entry = self.bus.post().letter(DEAD_STREAM, id).await.map_err(unread)?;
        entry.ok_or(Error::NoDeadLetter(id))
    }

    async fn store_again(&self, id: u64, json: Option<&Value>) -> Result<(), Error> {
        let entry = self.entry(id).await?;
        let dead = letter::read(&entry).ok_or(Error::NoDeadLetter(id))?;
        if dead.is_cut && json.is_none() {
            let text = "what it held was too large to be kept: it needs a body";
            return Err(Error::Mended(text.to_owned()));
        }
        let mended = json.map(|json| letter::mend(&dead, json)).transpose()?;
        let again = letter::again_letter(&entry, mended).ok_or(Error::NoDeadLetter(id))?;
        // Stored twice, it is carried out twice, with the same keys.
        let mut tries = 0;
        loop {
            tries += 1;
            match self.bus.post().store(&again).await {
                Ok(_) => return Ok(()),
                Err(AppendError::Unknown | AppendError::Conflict) if tries < APPEND_TRIES_MAX => {
                    tokio::time::sleep(ASK_AGAIN_AFTER_MAX).await;
                }
                Err(error) => return Err(Error::Journal(error.to_string())),
            }
        }
    }
}

fn unread(error: ReadError) -> Error {
    Error::Journal(error.to_string())
}

/// Which deliveries of `follower` have a dead letter, of those about the same actor as
/// `about`.
pub(crate) async fn set_aside_before(
    post: &Arc<dyn Post>,
    follower: &str,
    about: &Entry,
) -> Result<BTreeSet<String>, ReadError> {
    let (kind, id) = subject::kind_and_id(&about.subject);
    let (filter, mut after) = (subject::dead(follower, kind, id), 0);
    let mut positions = BTreeSet::new();
    loop {
        let batch = post.letters(DEAD_STREAM, &filter, after).await?;
        for found in &batch.entries {
            after = found.sequence;
            positions.extend(letter::read(found).map(|letter| letter.position.to_string()));
        }
        if batch.is_last {
            return Ok(positions);
        }
    }
}

/// Stores the dead letter about `entry`, unless it is there already, among those `before`: an
/// earlier attempt may have been acknowledged in vain.
pub(crate) async fn set_aside(
    post: &Arc<dyn Post>,
    follower: &str,
    stream: &str,
    entry: &Entry,
    given_up: &GivenUp<'_>,
    before: &BTreeSet<String>,
) -> Result<(), AppendError> {
    let position = Position { stream: stream.into(), sequence: entry.sequence };
    if before.contains(&position.to_string()) {
        return Ok(());
    }
    let letter = letter::dead_letter(follower, &position, entry, given_up);
    match post.store(&letter).await {
        // It is told all the same; where it was stored, what it held may still be read.
        Err(AppendError::TooLarge) => post.store(&letter::without_contents(letter)).await,
        stored => stored,
    }
    .map(drop)
}
