//! The way of one call: to the actor's owner, else to the next in line, else to anybody.

use std::sync::Arc;

use super::Placement;
use crate::{
    asking::transport::{NoReply, Reply},
    limits::OWNER_TIMEOUTS_MAX,
    wire::{envelope::RequestHeaders, subject},
};

/// Where a call's attempts go, one after another.
#[derive(Debug)]
pub(crate) struct Way<'a> {
    placement: &'a Placement,
    subject: &'a str,
    /// Kind, id and command; nothing for what is not placed, such as queries.
    address: Option<(&'a str, &'a str, &'a str)>,
    /// Whom the present attempt is sent to, if not to anybody.
    node: Option<Arc<str>>,
    /// Attempts that a node that lives did not answer in time.
    timeouts: u32,
    is_in_doubt: bool,
}

impl<'a> Way<'a> {
    /// The way of what is sent to `subject`. What is marked as forwarded goes to anybody.
    pub(crate) fn of(placement: &'a Placement, subject: &'a str, headers: &RequestHeaders) -> Self {
        let address = subject::parse_address(subject).filter(|_| !headers.is_forwarded);
        if address.is_some() {
            placement.watch();
        }
        Self { placement, subject, address, node: None, timeouts: 0, is_in_doubt: false }
    }

    /// Where the next attempt goes.
    pub(crate) fn next(&mut self, headers: &mut RequestHeaders) -> String {
        let Some((kind, id, command)) = self.address else { return self.subject.to_owned() };
        self.node = None;
        if self.timeouts < OWNER_TIMEOUTS_MAX {
            self.node = self.placement.owner(kind, id);
        }
        match &self.node {
            Some(node) => subject::node_command(node, kind, id, command),
            None => {
                // Who gets it now must not hand it to a node that does not answer.
                headers.is_forwarded = self.is_in_doubt;
                self.subject.to_owned()
            }
        }
    }

    /// Whether the present attempt is for one node.
    pub(crate) fn is_direct(&self) -> bool {
        self.node.is_some()
    }

    /// Waits for the attempt, but for one node no longer than that shows signs of life.
    pub(crate) async fn follow(
        &mut self,
        attempt: impl Future<Output = Result<Reply, NoReply>>,
    ) -> Result<Reply, NoReply> {
        let (Some(node), Some((kind, ..))) = (&self.node, self.address) else {
            let reply = attempt.await;
            self.is_in_doubt |= reply.as_ref().is_err_and(|why| *why == NoReply::TimedOut);
            return reply;
        };
        let reply = tokio::select! {
            biased;
            reply = attempt => reply,
            () = self.placement.silence(kind, node) => {
                self.is_in_doubt = true;
                return Err(NoReply::TimedOut);
            }
        };
        match &reply {
            Ok(_) => self.placement.heard(kind, node),
            Err(NoReply::NobodyThere) => self.placement.lost(kind, node),
            Err(NoReply::TimedOut) => {
                self.is_in_doubt = true;
                self.timeouts += 1;
            }
            Err(NoReply::TooLarge | NoReply::NotSent) => {}
        }
        reply
    }
}
