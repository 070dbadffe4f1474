//! Why the gateway says no to a request that it understood.

/// Why the gateway says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is no such charge")]
    UnknownCharge,
    #[error("this Idempotency-Key was used before, with another body")]
    KeyReused,
    #[error("the charge is pending: wait for its webhook")]
    StillPending,
    #[error("the card was declined")]
    Declined,
    #[error("the charge was captured")]
    AlreadyCaptured,
    #[error("the charge was voided")]
    Voided,
    #[error("nothing of the charge was captured")]
    NotCaptured,
    #[error("at most {authorised} can be captured: that is what was authorised")]
    MoreThanAuthorised { authorised: u64 },
    #[error("at most {left} can be refunded: that is what is left of the captured amount")]
    MoreThanCaptured { left: u64 },
    #[error("the charge has as many refunds as a charge can have")]
    TooManyRefunds,
    #[error("so many charges are pending that no other is kept; please try again")]
    TooManyPending,
    #[error("too many webhooks wait for their receiver; please try again")]
    TooManyWebhooks,
    #[error("too much waits for the disk; please try again")]
    TooMuchUnwritten,
    #[error("too many calls are being left unanswered; please try again")]
    TooManyUnanswered,
    #[error("the call was left unanswered")]
    Unanswered,
    #[error("the gateway stops; please try again")]
    Stopping,
    #[error("the gateway cannot write down what it does")]
    Unwritten,
}
