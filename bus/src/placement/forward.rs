//! Handing a command on to its actor's owner, for senders who know of no owners.
//!
//! The answer comes back through us. Handed on with its sender's reply subject, a command for a
//! node that has just gone would vanish: a server says "no responders" only to the connection
//! that published, and only if the reply subject is its own.

use async_nats::HeaderMap;
use tokio::time::Instant;

use super::Placement;
use crate::{
    asking::transport::{Inbound, NoReply, Reply},
    limits::FORWARD_ATTEMPTS_MAX,
    model::time::Timestamp,
    node::command::Command,
    wire::{envelope::RequestHeaders, subject},
};

/// What became of a command that belongs elsewhere.
#[derive(Debug)]
pub(crate) enum Relayed {
    Answered(Reply),
    /// Its owner lives and did not answer within the command's budget.
    Expired,
    /// No owner takes it, or answers: whoever has it carries it out.
    NotTaken,
}

impl Placement {
    /// Hands the command on, and waits for its answer.
    ///
    /// The owner gets it as it came, but with what is left of its budget, and with a key, so
    /// that it has one effect also when we carry it out ourselves after all.
    pub(crate) async fn forward(
        &self,
        (kind, id): (&str, &str),
        inbound: &Inbound,
        command: &Command,
        now: Timestamp,
    ) -> Relayed {
        let mut headers = inbound.message.headers.clone().unwrap_or_default();
        put(&mut headers, subject::KEY, command.key.as_str().to_owned());
        let RequestHeaders { key, key_time, key_until, .. } = &command.headers;
        if key_time.is_none() && key_until.is_none() {
            // A key of ours is new; of a caller's that is all we know.
            let age = if key.is_none() { subject::KEY_TIME } else { subject::KEY_UNTIL };
            put(&mut headers, age, now.as_millis().to_string());
        }
        put(&mut headers, subject::FORWARDED, self.me.to_string());
        for _ in 0..FORWARD_ATTEMPTS_MAX {
            let Some(owner) = self.elsewhere(kind, id) else { return Relayed::NotTaken };
            let left = command.deadline.saturating_duration_since(Instant::now());
            put(&mut headers, subject::TIMEOUT_MS, left.as_millis().to_string());
            let to = subject::node_command(&owner, kind, id, &command.name);
            let body = inbound.message.body.clone();
            let asked = self.network.request(to, headers.clone(), body, left);
            let reply = tokio::select! {
                biased;
                reply = asked => reply,
                () = self.silence(kind, &owner) => return Relayed::NotTaken,
            };
            match reply {
                Ok(reply) => {
                    self.heard(kind, &owner);
                    return Relayed::Answered(reply);
                }
                Err(NoReply::TimedOut) => return Relayed::Expired,
                Err(NoReply::NobodyThere) => self.lost(kind, &owner),
                // With our headers it may be too large to be sent on.
                Err(NoReply::TooLarge | NoReply::NotSent) => return Relayed::NotTaken,
            }
        }
        Relayed::NotTaken
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: String) {
    headers.insert(name, value);
}
