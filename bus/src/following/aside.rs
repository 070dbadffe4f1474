//! How a follower sets a delivery aside as a dead letter, and does not go on before it is one.

use std::collections::BTreeSet;

use tracing::{error, warn};

use crate::{
    following::{
        dead::{self, GivenUp},
        follower::{Held, Outcome, Work},
    },
    wire::subject,
};

impl Work {
    pub(crate) async fn set_aside_untried(
        &self,
        held: &Held,
        before: &BTreeSet<String>,
    ) -> Outcome {
        let now = self.bus.ambient().now();
        let error = "not tried: it waited behind one that failed, and there was no more room";
        let given_up = GivenUp { error, attempts: 0, first: now, last: now };
        if self.set_aside(held, &given_up, before).await { Outcome::Done } else { Outcome::LetGo }
    }

    /// The positions of the dead letters about the same actor; none if it is no longer ours.
    pub(crate) async fn set_aside_before(&self, held: &Held) -> Option<BTreeSet<String>> {
        let (post, entry) = (self.bus.post(), &held.delivery.entry);
        let mut tries = 0;
        while !held.round.is_cancelled() {
            match dead::set_aside_before(post, self.follower.name, entry).await {
                Ok(before) => return Some(before),
                Err(fault) => self.wait_for_post(held, &mut tries, &fault.to_string()).await,
            }
        }
        None
    }

    /// Makes it a dead letter. Says whether it surely is one.
    pub(crate) async fn set_aside(
        &self,
        held: &Held,
        given_up: &GivenUp<'_>,
        before: &BTreeSet<String>,
    ) -> bool {
        let entry = &held.delivery.entry;
        let (follower, subject, sequence) = (self.follower.name, &entry.subject, entry.sequence);
        let (post, stream) = (self.bus.post(), &self.follower.source.stream);
        let GivenUp { attempts, error, .. } = given_up;
        let mut tries = 0;
        while !held.round.is_cancelled() {
            let stored = if subject::is_again(subject) {
                // Its dead letter is still there.
                post.remove(stream, sequence).await.map(drop).map_err(|e| e.to_string())
            } else {
                let stored = dead::set_aside(post, follower, stream, entry, given_up, before);
                stored.await.map_err(|e| e.to_string())
            };
            let Err(fault) = stored else {
                error!(follower, %subject, sequence, attempts, error, "set aside as a dead letter");
                return true;
            };
            self.wait_for_post(held, &mut tries, &fault).await;
        }
        false
    }

    async fn wait_for_post(&self, held: &Held, tries: &mut u32, fault: &str) {
        let (follower, sequence) = (self.follower.name, held.delivery.entry.sequence);
        *tries += 1;
        if *tries == 1 {
            warn!(follower, sequence, fault, "a dead letter cannot be stored yet");
        }
        self.wait(held, self.patience.pause(sequence, *tries)).await;
    }
}
