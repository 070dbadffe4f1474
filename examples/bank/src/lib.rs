//! A small bank on the bus: accounts, transfers between them, and a fraud check.
//!
//! The saga `transfers`. Money that has left the payer either arrives or goes back:
//!
//! | when a transfer became | then                                        | undo, if a later step fails |
//! |------------------------|---------------------------------------------|-----------------------------|
//! | `begun`                | `account.withdraw` from the payer           | `account.deposit` back      |
//! | `approved`             | `account.withdraw`, without the fraud check | `account.deposit` back      |
//! | `withdrawn`            | `account.deposit` to the payee              | –                           |
//! | `bounced`              | `account.deposit` back to the payer         | –                           |
//! | `held`                 | nothing, until a person sends `decide`      | –                           |
//!
//! And when an account `answered`, then `transfer.note` says so to the transfer. Accounts keep
//! no list of transfers: the saga's commands have keys made from the commit they follow, so what
//! is delivered twice is done once.

mod account;
mod transfer;

use bus::{Bus, Host, Recorded, Then};

pub use account::{
    Account, AccountError, AccountEvent, AccountId, Answer, Balance, Deposit, OFTEN, Open,
    SUSPICIOUS, Withdraw,
};
pub use transfer::{
    Begin, Decide, Note, Status, Terms, Transfer, TransferError, TransferEvent, TransferId,
};

/// All that runs here.
#[must_use]
pub fn bank(bus: Bus) -> Host {
    Host::new(bus)
        .actor::<Account>()
        .actor::<Transfer>()
        .saga("transfers", on_account)
        .saga("transfers", on_transfer)
}

/// The transfer is told what an account answered.
pub fn on_account(account: &Recorded<Account>, then: &mut Then) {
    if let AccountEvent::Answered { transfer, answer, .. } = &account.event {
        then.ask(transfer, &Note(*answer));
    }
}

/// The payer gives, the payee takes, or the payer takes back.
pub fn on_transfer(transfer: &Recorded<Transfer>, then: &mut Then) {
    let TransferEvent::Became { status, terms } = &transfer.event;
    let (transfer, amount) = (transfer.id.clone(), terms.amount);
    match status {
        Status::Begun | Status::Approved => {
            let is_approved = *status == Status::Approved;
            then.ask(&terms.from, &Withdraw { transfer, amount, is_approved });
        }
        Status::Withdrawn => then.ask(&terms.to, &Deposit { transfer, amount }),
        Status::Bounced => then.ask(&terms.from, &Deposit { transfer, amount }),
        Status::Held | Status::Arrived | Status::Failed => {}
    }
}
