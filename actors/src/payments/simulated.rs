//! A gateway that charges nobody: what it does is told by documented card numbers.
//!
//! | number              | what happens                                                   |
//! |---------------------|----------------------------------------------------------------|
//! | 4242 4242 4242 4242 | approved                                                       |
//! | 4000 0000 0000 0002 | declined: `card_declined`                                      |
//! | 4000 0000 0000 9995 | declined: `insufficient_funds`                                 |
//! | 4000 0000 0000 0119 | never answered: every call times out                           |
//! | 4000 0000 0000 0259 | a payment's first call times out, from the second on: approved |
//! | 4000 0000 0000 3063 | pending at a payment's first call, from the second on: approved |
//! | 4000 0000 0000 3097 | the same, from the second on declined: `card_declined`         |
//! | any other           | declined: `unknown_card`                                       |
//!
//! The receipt is made from the payment's id, so the same payment always has the same one.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::sleep;

use super::{
    CardToken, Charge, Charged, DeclineReason, Gateway, GatewayError, PaymentId, Receipt, Verdict,
};
use crate::limits::UNANSWERED_MAX;

/// What the gateway does with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Approve,
    Decline(DeclineReason),
    NeverAnswer,
    AnswerSecondCall,
    ApproveLater,
    DeclineLater(DeclineReason),
}

/// The documented cards: number, token, behaviour.
const CARDS: [(&str, &str, Behaviour); 7] = [
    ("4242424242424242", "sim-4242", Behaviour::Approve),
    ("4000000000000002", "sim-0002", Behaviour::Decline(DeclineReason::CardDeclined)),
    ("4000000000009995", "sim-9995", Behaviour::Decline(DeclineReason::InsufficientFunds)),
    ("4000000000000119", "sim-0119", Behaviour::NeverAnswer),
    ("4000000000000259", "sim-0259", Behaviour::AnswerSecondCall),
    ("4000000000003063", "sim-3063", Behaviour::ApproveLater),
    ("4000000000003097", "sim-3097", Behaviour::DeclineLater(DeclineReason::CardDeclined)),
];

/// How long a call hangs before it counts as timed out.
const SILENCE: Duration = Duration::from_secs(1);

/// Why a text is no card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a card number has 12 to 19 digits, the last of which checks the others")]
pub struct InvalidCard;

/// The token that stands for the card with this number. Spaces between digits are allowed.
///
/// # Errors
/// [`InvalidCard`] if it is no card number. What was sent is not repeated.
pub fn tokenise(number: &str) -> Result<CardToken, InvalidCard> {
    let digits: String = number.chars().filter(|c| *c != ' ').collect();
    let are_digits = digits.bytes().all(|b| b.is_ascii_digit());
    if !are_digits || !(12..=19).contains(&digits.len()) || !passes_luhn(&digits) {
        return Err(InvalidCard);
    }
    let documented = CARDS.iter().find(|(number, ..)| *number == digits);
    let token = match documented {
        Some((_, token, _)) => (*token).to_owned(),
        // Not `sim-<last four>`: it must not be taken for a documented card.
        None => format!("sim-unknown-{}", &digits[digits.len() - 4..]),
    };
    CardToken::parse(&token).map_err(|_| InvalidCard)
}

/// Luhn's check: every second digit from the right doubled, the sum of digits ends in 0.
fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .map(|b| u32::from(b - b'0'))
        .enumerate()
        .map(|(place, digit)| if place % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    sum.is_multiple_of(10)
}

/// The simulated gateway.
#[derive(Debug, Default)]
pub struct SimulatedGateway {
    // A std mutex, because nothing is awaited while it is held.
    left_unanswered: Mutex<HashSet<PaymentId>>,
}

impl SimulatedGateway {
    /// Whether this is the first call for `payment`, as far as this process remembers.
    fn is_first_call(&self, payment: &PaymentId) -> bool {
        let mut left = self.left_unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        // A bound before exactness: who is forgotten times out once more.
        if left.len() >= UNANSWERED_MAX {
            left.clear();
        }
        left.insert(payment.clone())
    }
}

impl Gateway for SimulatedGateway {
    async fn charge(&self, charge: &Charge) -> Result<Verdict, GatewayError> {
        let token = charge.card.as_str();
        let documented = CARDS.iter().find(|(_, known, _)| *known == token);
        match documented.map(|(.., behaviour)| *behaviour) {
            Some(Behaviour::Approve) => approved(&charge.key),
            Some(Behaviour::Decline(reason)) => Ok(Verdict::Declined { reason }),
            Some(Behaviour::NeverAnswer) => silence().await,
            Some(Behaviour::AnswerSecondCall) if self.is_first_call(&charge.key) => silence().await,
            Some(Behaviour::ApproveLater | Behaviour::DeclineLater(_))
                if self.is_first_call(&charge.key) =>
            {
                Ok(Verdict::Pending { charge: receipt_of(&charge.key) })
            }
            Some(Behaviour::AnswerSecondCall | Behaviour::ApproveLater) => approved(&charge.key),
            Some(Behaviour::DeclineLater(reason)) => Ok(Verdict::Declined { reason }),
            None => Ok(Verdict::Declined { reason: DeclineReason::UnknownCard }),
        }
    }

    async fn give_back(&self, _: &Charged) -> Result<(), GatewayError> {
        Ok(())
    }
}

async fn silence() -> Result<Verdict, GatewayError> {
    sleep(SILENCE).await;
    Err(GatewayError::TimedOut)
}

fn approved(payment: &PaymentId) -> Result<Verdict, GatewayError> {
    Ok(Verdict::Approved { receipt: receipt_of(payment) })
}

fn receipt_of(payment: &PaymentId) -> Receipt {
    let receipt = Receipt::parse(&format!("sim-receipt-{payment}"));
    receipt.expect("an id is short and visible")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::tests::eur;

    fn charge(number: &str, payment: &str) -> Charge {
        Charge {
            key: PaymentId::parse(payment).expect("an id"),
            amount: eur(500),
            card: tokenise(number).expect(number),
        }
    }

    async fn verdict(number: &str) -> Result<Verdict, GatewayError> {
        SimulatedGateway::default().charge(&charge(number, "o-1")).await
    }

    fn paid() -> Result<Verdict, GatewayError> {
        let receipt = Receipt::parse("sim-receipt-o-1").expect("a receipt");
        Ok(Verdict::Approved { receipt })
    }

    #[test]
    fn a_number_becomes_a_token_that_does_not_hold_it() {
        let token = |number| tokenise(number).map(|token| token.as_str().to_owned());
        assert_eq!(token("4242 4242 4242 4242"), Ok("sim-4242".to_owned()));
        assert_eq!(token("5555555555554444"), Ok("sim-unknown-4444".to_owned()));
        for bad in
            ["", "4242424242424241", "42424242424", "4242-4242-4242-4242", "abcd", "٤٢٤٢٤٢٤٢٤٢٤٢"]
        {
            assert_eq!(token(bad), Err(InvalidCard), "{bad}");
        }
    }

    #[test]
    fn every_documented_number_is_a_card_number() {
        for (number, token, _) in CARDS {
            assert_eq!(
                tokenise(number).map(|token| token.as_str().to_owned()),
                Ok(token.to_owned())
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_documented_cards_do_what_is_documented() {
        let declined = |reason| Ok(Verdict::Declined { reason });
        assert_eq!(verdict("4242424242424242").await, paid());
        assert_eq!(verdict("4000000000000002").await, declined(DeclineReason::CardDeclined));
        assert_eq!(verdict("4000000000009995").await, declined(DeclineReason::InsufficientFunds));
        assert_eq!(verdict("4000000000000119").await, Err(GatewayError::TimedOut));
        assert_eq!(verdict("5555555555554444").await, declined(DeclineReason::UnknownCard));
    }

    #[tokio::test]
    async fn two_cards_are_decided_on_later() {
        let (approves, declines) = ("4000000000003063", "4000000000003097");
        let pending = Ok(Verdict::Pending { charge: receipt_of(&charge(approves, "o-1").key) });
        let declined = Ok(Verdict::Declined { reason: DeclineReason::CardDeclined });
        for (number, then) in [(approves, paid()), (declines, declined)] {
            let (gateway, charge) = (SimulatedGateway::default(), charge(number, "o-1"));
            assert_eq!(gateway.charge(&charge).await, pending, "{number}");
            assert_eq!(gateway.charge(&charge).await, then, "{number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_card_answers_each_payments_second_call() {
        let gateway = SimulatedGateway::default();
        let first = charge("4000000000000259", "o-1");
        assert_eq!(gateway.charge(&first).await, Err(GatewayError::TimedOut));
        let other = charge("4000000000000259", "o-2");
        assert_eq!(gateway.charge(&other).await, Err(GatewayError::TimedOut));
        assert_eq!(gateway.charge(&first).await, paid());
        assert_eq!(gateway.charge(&first).await, paid());
    }
}
