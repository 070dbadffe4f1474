//! What a notice can be asked, what it answers, and why it says no.

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    money::Money,
    orders::{CancelReason, OrderId, Parcel},
    users::UserId,
};

/// Tell `user` this. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Whom.
    pub user: UserId,
    /// What.
    pub letter: Letter,
}

/// The mail has left. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sent {}

/// The mail will never leave. Replies nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GiveUp {
    /// Why not.
    pub reason: GiveUpReason,
}

/// How do you stand? Replies with the [`NoticeStatus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {}

/// What is told. Only facts: the words are made when the mail is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Letter {
    /// A link that shows that the address is the user's own.
    #[serde(rename = "verify_address")]
    VerifyAddress {
        /// The link's number.
        number: u32,
    },
    /// A link with which a new password can be set.
    #[serde(rename = "reset_password")]
    ResetPassword {
        /// The link's number.
        number: u32,
    },
    /// The order is paid.
    #[serde(rename = "order_confirmed")]
    OrderConfirmed {
        /// Which one.
        order: OrderId,
        /// What it cost.
        total: Money,
    },
    /// The order will not be.
    #[serde(rename = "order_cancelled")]
    OrderCancelled {
        /// Which one.
        order: OrderId,
        /// Why.
        reason: CancelReason,
    },
    /// The paid order was called off.
    #[serde(rename = "order_revoked")]
    OrderRevoked {
        /// Which one.
        order: OrderId,
        /// What it cost, which goes back.
        total: Money,
    },
    /// Pieces of the order are on their way.
    #[serde(rename = "order_shipped")]
    OrderShipped {
        /// Which one.
        order: OrderId,
        /// The shipment's number.
        #[schemars(schema_with = "crate::schema::number")]
        number: u32,
        /// How the parcel can be followed, if it can.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parcel: Option<Parcel>,
    },
    /// What was returned is here, and money goes back.
    #[serde(rename = "return_accepted")]
    ReturnAccepted {
        /// Of which order.
        order: OrderId,
        /// The return's number.
        #[schemars(schema_with = "crate::schema::number")]
        number: u32,
        /// How much goes back.
        refund: Money,
    },
    /// What was returned is not taken back.
    #[serde(rename = "return_rejected")]
    ReturnRejected {
        /// Of which order.
        order: OrderId,
        /// The return's number.
        #[schemars(schema_with = "crate::schema::number")]
        number: u32,
        /// Why.
        #[serde(deserialize_with = "crate::name::read_name")]
        #[schemars(schema_with = "crate::schema::name")]
        reason: String,
    },
}

/// Why a mail will never leave. A code, not the mail server's words: those may name people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GiveUpReason {
    /// There is no such user.
    #[serde(rename = "unknown_user")]
    UnknownUser,
    /// The address cannot be written into a mail.
    #[serde(rename = "bad_address")]
    BadAddress,
    /// The mail server refused it for good.
    #[serde(rename = "refused")]
    Refused {
        /// The server's reply code, such as 550.
        #[schemars(schema_with = "crate::schema::reply_code")]
        code: u16,
    },
}

/// How a notice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NoticeStatus {
    /// It is to be mailed.
    #[serde(rename = "queued")]
    Queued,
    /// It was.
    #[serde(rename = "sent")]
    Sent,
    /// It will never be.
    #[serde(rename = "given_up")]
    GivenUp {
        /// Why not.
        reason: GiveUpReason,
    },
}

/// Why a notice says no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NoticeError {
    /// Nobody asked for it.
    #[error("the notice was never queued")]
    NotQueued,
    /// It was queued to tell something else, or somebody else.
    #[error("the notice was queued already, with another letter")]
    AlreadyQueued,
    /// It has another outcome already.
    #[error("the notice was settled already, with another outcome")]
    AlreadySettled,
}
