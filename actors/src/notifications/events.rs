//! What can happen to a notice. Stored for ever: names and fields stay.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GiveUpReason, Letter};
use crate::users::UserId;

/// What can happen to a notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum NoticeEvent {
    /// It is to be mailed.
    #[serde(rename = "queued")]
    Queued {
        /// To whom.
        user: UserId,
        /// What it tells.
        letter: Letter,
    },
    /// It was mailed.
    #[serde(rename = "sent")]
    Sent {},
    /// It will never be.
    #[serde(rename = "given_up")]
    GivenUp {
        /// Why not.
        reason: GiveUpReason,
    },
}
