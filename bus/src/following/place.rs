//! A follower's place, where acknowledging alone would not do: a journal forgets at a failover
//! what was acknowledged behind something that was not.
//!
//! One failing commit can be that for hours, and whoever takes over would carry out again all
//! that came after it. So a follower that far ahead of its oldest open delivery notes down what
//! is open, once a second, and whoever takes over skips the rest. A note that is old, or missing,
//! only means more repeats: what it says is done, is done.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    asking::bus::Bus,
    journal::{ReadError, Source},
    wire::{encoding::Encoding, subject},
};

/// What is done up to a sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Which stream it is about: when it was created.
    created: String,
    /// The last sequence that was given to the follower.
    up_to: u64,
    /// Those up to it that are not done.
    open: BTreeSet<u64>,
}

impl Place {
    pub(crate) fn is_done(&self, sequence: u64) -> bool {
        sequence <= self.up_to && !self.open.contains(&sequence)
    }

    /// The place that was noted down last; none in a stream made since.
    pub(crate) async fn read(bus: &Bus, source: &Source) -> Result<Self, ReadError> {
        let created = bus.journal().bounds(&source.stream).await?.created.to_string();
        let key = subject::place_key(&source.stream, &source.follower);
        let noted = bus.cells().get(subject::PLACES_BUCKET, &key).await?;
        let noted: Option<Self> = noted.and_then(|bytes| Encoding::MessagePack.decode(&bytes).ok());
        let nothing = Self { created: created.clone(), ..Self::default() };
        Ok(noted.filter(|place| place.created == created).unwrap_or(nothing))
    }

    /// Notes down that all is done up to `up_to`, but for what is `open`.
    pub(crate) async fn note(
        self,
        bus: &Bus,
        source: &Source,
        up_to: u64,
        open: BTreeSet<u64>,
    ) -> Result<(), String> {
        let noted = Self { up_to, open, ..self };
        let key = subject::place_key(&source.stream, &source.follower);
        let bytes = Encoding::MessagePack.encode(&noted).map_err(|e| e.to_string())?;
        let put = bus.cells().put(subject::PLACES_BUCKET, &key, bytes.into(), None).await;
        put.map_err(|e| e.to_string())
    }
}
