//! A transfer: the memory of one payment from account to account.

use bus::{Actor, Context, Handle, Id};
use serde::{Deserialize, Serialize};

use crate::{AccountId, Answer};

/// The id of a transfer.
pub type TransferId = Id<Transfer>;

/// Who pays whom how much, in cents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    pub from: AccountId,
    pub to: AccountId,
    pub amount: u64,
}

/// How a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Begun,
    /// A person is to look at it.
    Held,
    /// A person did, and it goes on.
    Approved,
    /// The money has left the payer.
    Withdrawn,
    /// It goes back to the payer.
    Bounced,
    Arrived,
    /// The payer has the money, still or again.
    Failed,
}

/// A transfer: nothing before it was begun.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Transfer(Option<(Terms, Status)>);

/// What can happen to a transfer. It says all the next step needs: a saga has no memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TransferEvent {
    #[serde(rename = "became")]
    Became { status: Status, terms: Terms },
}

/// Why a transfer says no.
#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TransferError {
    #[error("the transfer was begun already, with other terms")]
    AlreadyBegun,
    #[error("a transfer moves something from one account to another")]
    Pointless,
    #[error("nobody is asked to look at this transfer")]
    NotHeld,
}

/// Pay. Replies how it stands, and that is all it does when it is asked again.
#[derive(Debug, Serialize, Deserialize)]
pub struct Begin(pub Terms);

/// An account has answered this.
#[derive(Debug, Serialize, Deserialize)]
pub struct Note(pub Answer);

/// A person has looked at it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Decide {
    pub is_approved: bool,
}

impl Actor for Transfer {
    const KIND: &'static str = "transfer";
    type Event = TransferEvent;
    type Error = TransferError;
    type Commands = (Begin, Note, Decide);

    fn apply(&mut self, TransferEvent::Became { status, terms }: &TransferEvent) {
        self.0 = Some((terms.clone(), *status));
    }
}

impl Handle<Begin> for Transfer {
    const NAME: &'static str = "begin";
    type Reply = Status;

    fn handle(&self, begin: Begin, ctx: &mut Context<Self>) -> Result<Status, TransferError> {
        let Begin(terms) = begin;
        match &self.0 {
            Some((known, status)) if *known == terms => Ok(*status),
            Some(_) => Err(TransferError::AlreadyBegun),
            None if terms.from == terms.to || terms.amount == 0 => Err(TransferError::Pointless),
            None => {
                ctx.emit(TransferEvent::Became { status: Status::Begun, terms });
                Ok(Status::Begun)
            }
        }
    }
}

impl Handle<Note> for Transfer {
    const NAME: &'static str = "note";
    type Reply = ();

    fn handle(&self, Note(answer): Note, ctx: &mut Context<Self>) -> Result<(), TransferError> {
        let Some((terms, status)) = self.0.clone() else { return Ok(()) };
        let status = match (status, answer) {
            (Status::Begun, Answer::Suspicious) => Status::Held,
            (Status::Begun | Status::Approved, Answer::Withdrawn) => Status::Withdrawn,
            (Status::Begun | Status::Approved, Answer::Lacking) => Status::Failed,
            (Status::Withdrawn, Answer::Deposited) => Status::Arrived,
            (Status::Withdrawn, Answer::Bounced) => Status::Bounced,
            (Status::Bounced, Answer::Deposited) => Status::Failed,
            _ => return Ok(()), // Told twice.
        };
        ctx.emit(TransferEvent::Became { status, terms });
        Ok(())
    }
}

impl Handle<Decide> for Transfer {
    const NAME: &'static str = "decide";
    type Reply = ();

    fn handle(&self, decided: Decide, ctx: &mut Context<Self>) -> Result<(), TransferError> {
        let Some((terms, Status::Held)) = self.0.clone() else {
            return Err(TransferError::NotHeld);
        };
        let status = if decided.is_approved { Status::Approved } else { Status::Failed };
        ctx.emit(TransferEvent::Became { status, terms });
        Ok(())
    }
}
