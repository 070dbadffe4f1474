//! Sends webhooks: at least once, again after growing pauses, and not for ever.
//!
//! One of a charge is under way at a time, so that its webhooks arrive in order unless the
//! receiver fails or mischief holds one back.

use std::{collections::HashSet, io, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use reqwest::{Client, StatusCode, Url, header::CONTENT_TYPE, redirect::Policy};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::{
    clock::{millis, now_ms},
    gateway::Gateway,
    ledger::{Line, Next},
    limits::{WEBHOOK_TIMEOUT, WEBHOOKS_UNDER_WAY_MAX},
    signature::{self, sign},
    webhook::Delivery,
};

/// Sends webhooks to one address.
pub(crate) struct Post {
    gateway: Arc<Gateway>,
    client: Client,
    url: Url,
    under_way: FuturesUnordered<BoxFuture<'static, Sent>>,
    /// Charges of which one is under way.
    busy: HashSet<String>,
}

struct Sent {
    delivery: Delivery,
    outcome: Result<(), NotTaken>,
}

/// Why a webhook was not taken.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error("the receiver answered {0}")]
    Answered(StatusCode),
    #[error("the receiver was not reached: {0}")]
    NotReached(#[source] reqwest::Error),
    #[error("the webhook is not JSON: {0}")]
    Unwritable(#[source] serde_json::Error),
}

impl Post {
    pub(crate) fn new(gateway: Arc<Gateway>, url: Url) -> io::Result<Self> {
        let client = Client::builder()
            .timeout(WEBHOOK_TIMEOUT)
            // The receiver is the one that was named, and nobody it or the environment names.
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        let (under_way, busy) = (FuturesUnordered::new(), HashSet::new());
        Ok(Self { gateway, client, url, under_way, busy })
    }

    /// Sends what is due until the gateway stops, and then waits for what is under way.
    pub(crate) async fn send_until_stopped(mut self) {
        let mut progress = self.gateway.ledger.progress();
        let gateway = Arc::clone(&self.gateway);
        loop {
            let written = progress.borrow_and_update().written;
            let pause = self.send_what_is_due(written);
            tokio::select! {
                () = gateway.stopping.cancelled() => break,
                // More may be due; the sender is ours, so there is no other end.
                _ = progress.changed() => {}
                Some(sent) = self.under_way.next() => self.conclude(sent),
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
        while let Some(sent) = self.under_way.next().await {
            self.conclude(sent);
        }
    }

    /// How long nothing else is due, if that is known.
    fn send_what_is_due(&mut self, written: u64) -> Option<Duration> {
        while self.under_way.len() < WEBHOOKS_UNDER_WAY_MAX {
            let now = now_ms();
            match self.gateway.ledger.read(|books| books.outbox.next(now, written, &self.busy)) {
                Next::Send(delivery) => self.send(*delivery),
                Next::Wait(until) => return Some(Duration::from_millis(until - now)),
                Next::Idle => return None,
            }
        }
        None
    }

    fn send(&mut self, delivery: Delivery) {
        self.busy.insert(delivery.webhook.charge.clone());
        let (client, url) = (self.client.clone(), self.url.clone());
        let secret = self.gateway.settings.secret.clone();
        self.under_way.push(Box::pin(async move {
            let outcome = try_once(&client, url, &secret, &delivery).await;
            Sent { delivery, outcome }
        }));
    }

    fn conclude(&mut self, Sent { delivery, outcome }: Sent) {
        let Delivery { number, webhook, failures, .. } = delivery;
        self.busy.remove(&webhook.charge);
        let failures = failures + 1;
        match outcome {
            Ok(()) => debug!(id = webhook.id, "a webhook was taken"),
            Err(error) if failures >= self.gateway.settings.attempts_max => {
                warn!(id = webhook.id, failures, %error, "a webhook was given up");
            }
            Err(error) => {
                info!(id = webhook.id, failures, %error, "a webhook was not taken");
                return self.try_again(number, failures);
            }
        }
        if let Err(refusal) = self.gateway.ledger.note(|_| Ok(Line::delivered(number))) {
            warn!(id = webhook.id, %refusal, "a webhook will be sent again");
            self.try_again(number, failures);
        }
    }

    fn try_again(&self, number: u64, failures: u32) {
        let settings = &self.gateway.settings;
        let pause = pause_after(failures, settings.first_pause, settings.pause_max);
        self.gateway.ledger.postpone(number, now_ms() + millis(pause));
    }
}

async fn try_once(
    client: &Client,
    url: Url,
    secret: &str,
    delivery: &Delivery,
) -> Result<(), NotTaken> {
    let body = serde_json::to_vec(&delivery.webhook).map_err(NotTaken::Unwritable)?;
    let signature = sign(secret.as_bytes(), now_ms() / 1_000, &body);
    let request = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(signature::HEADER, signature)
        .body(body);
    // The address may hold a password.
    let answer = request.send().await.map_err(|error| NotTaken::NotReached(error.without_url()))?;
    if answer.status().is_success() { Ok(()) } else { Err(NotTaken::Answered(answer.status())) }
}

/// Twice as long after each failure, up to a bound.
fn pause_after(failures: u32, first: Duration, max: Duration) -> Duration {
    let doubled = 2_u32.checked_pow(failures.saturating_sub(1));
    doubled.and_then(|times| first.checked_mul(times)).map_or(max, |pause| pause.min(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let (first, max) = (Duration::from_millis(500), Duration::from_secs(60));
        let pauses = [1, 2, 3, 7, 8, 20, u32::MAX].map(|n| pause_after(n, first, max).as_millis());
        assert_eq!(pauses, [500, 1_000, 2_000, 32_000, 60_000, 60_000, 60_000]);
    }
}
