//! The actor that is measured: it keeps next to nothing, so that what is seen is the runtime.

use bus::{Actor, Context, Fold, Handle, Projection, Recorded};
use serde::{Deserialize, Serialize};

/// Bytes of each payload.
pub(crate) const PAYLOAD: usize = 256;

/// A slot that things are put into, one after another.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Slot<const SHARDS: u32> {
    count: u64,
}

/// A slot whose commits are all in one stream.
pub(crate) type OneSlot = Slot<1>;
pub(crate) const ONE_STREAM: &str = "EVT_slot_0";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum SlotEvent {
    #[serde(rename = "put")]
    Put { payload: String },
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SlotError {
    #[error("nothing is ever taken out")]
    Kept,
}

/// Puts something in. Answers how many there are now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Put {
    pub(crate) payload: String,
}

/// Is always refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TakeOut {
    pub(crate) payload: String,
}

/// Answers how many there are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Look {}

impl<const SHARDS: u32> Actor for Slot<SHARDS> {
    const KIND: &'static str = if SHARDS == 1 { "slot" } else { "spread" };
    type Event = SlotEvent;
    type Error = SlotError;
    type Commands = (Put, TakeOut, Look);
    const SHARDS: u32 = SHARDS;

    fn apply(&mut self, _: &SlotEvent) {
        self.count += 1;
    }
}

impl<const SHARDS: u32> Handle<Put> for Slot<SHARDS> {
    const NAME: &'static str = "put";
    type Reply = u64;

    fn handle(&self, command: Put, ctx: &mut Context<Self>) -> Result<u64, SlotError> {
        ctx.emit(SlotEvent::Put { payload: command.payload });
        Ok(self.count + 1)
    }
}

impl<const SHARDS: u32> Handle<TakeOut> for Slot<SHARDS> {
    const NAME: &'static str = "take_out";
    type Reply = ();

    fn handle(&self, _: TakeOut, _: &mut Context<Self>) -> Result<(), SlotError> {
        Err(SlotError::Kept)
    }
}

impl<const SHARDS: u32> Handle<Look> for Slot<SHARDS> {
    const NAME: &'static str = "look";
    type Reply = u64;

    fn handle(&self, _: Look, _: &mut Context<Self>) -> Result<u64, SlotError> {
        Ok(self.count)
    }
}

/// The row of one slot.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct SlotRow {
    count: u64,
}

impl Projection for SlotRow {
    const NAME: &'static str = "slots";
}

impl Fold<OneSlot> for SlotRow {
    fn fold(&mut self, _: &str, _: &Recorded<OneSlot>) {
        self.count += 1;
    }
}

pub(crate) fn payload() -> String {
    "x".repeat(PAYLOAD)
}
