//! The cards there are: what each does is told by its token.
//!
//! | token    | what happens                                                          |
//! |----------|-----------------------------------------------------------------------|
//! | sim-4242 | authorised                                                            |
//! | sim-0002 | declined: `card_declined`                                             |
//! | sim-9995 | declined: `insufficient_funds`                                        |
//! | sim-0119 | never answered: the call hangs until the client gives up              |
//! | sim-0259 | the first call of a key hangs, from the second on: authorised         |
//! | sim-3063 | pending; authorised some time later, which only a webhook tells       |
//! | sim-3097 | pending; declined some time later: `card_declined`                    |
//! | any other| declined: `unknown_card`                                              |

use serde::{Deserialize, Serialize};

/// What the gateway does when it is asked to authorise a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Decide(Verdict),
    DecideLater(Verdict),
    DecideAtSecondCall(Verdict),
    NeverAnswer,
}

/// Whether a card may be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(crate) enum Verdict {
    Authorised,
    Declined { reason: Reason },
}

/// Why a card may not be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    CardDeclined,
    InsufficientFunds,
    UnknownCard,
}

/// What the card behind `token` does.
pub(crate) fn behaviour(token: &str) -> Behaviour {
    use Behaviour::{Decide, DecideAtSecondCall, DecideLater, NeverAnswer};
    let declined = |reason| Verdict::Declined { reason };
    match token {
        "sim-4242" => Decide(Verdict::Authorised),
        "sim-0002" => Decide(declined(Reason::CardDeclined)),
        "sim-9995" => Decide(declined(Reason::InsufficientFunds)),
        "sim-0119" => NeverAnswer,
        "sim-0259" => DecideAtSecondCall(Verdict::Authorised),
        "sim-3063" => DecideLater(Verdict::Authorised),
        "sim-3097" => DecideLater(declined(Reason::CardDeclined)),
        _ => Decide(declined(Reason::UnknownCard)),
    }
}
