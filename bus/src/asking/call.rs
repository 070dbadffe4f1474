//! How often and how long a request is tried.
//!
//! Every ask has a key, so trying again is safe.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::{
    asking::{bus::Bus, transport::NoReply},
    limits::{
        ASK_AGAIN_AFTER, ASK_AGAIN_AFTER_MAX, ASK_TIMEOUT_MAX, ATTEMPT_TIMEOUT, NODES_AT_ONCE_MAX,
        RETRY_HINT_MAX,
    },
    placement::Way,
    wire::{
        envelope::{Answer, RequestHeaders},
        failure::{Failure, Status},
    },
};

impl Bus {
    /// Sends a request until it is answered or `timeout` is over.
    ///
    /// "Nobody there", "busy" and silence are tried again: while a service moves or restarts,
    /// its callers wait a little and see no error. Commands go to their actor's owner first.
    pub(crate) async fn call(
        &self,
        subject: &str,
        mut headers: RequestHeaders,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Answer, NoAnswer> {
        let deadline = Instant::now() + timeout.min(ASK_TIMEOUT_MAX);
        let (mut attempt_timeout, mut pause) = (ATTEMPT_TIMEOUT, ASK_AGAIN_AFTER);
        let (mut is_in_doubt, mut at_once) = (false, 0);
        let mut way = Way::of(self.placement(), subject, &headers);
        let mut last = Failure::new(Status::Unavailable, "nobody serves this now");
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return if is_in_doubt { Err(NoAnswer(timeout)) } else { Ok(Answer::failed(last)) };
            }
            headers.budget = Some(left);
            let to = way.next(&mut headers);
            let began = Instant::now();
            let attempt = self.network().request(
                to,
                headers.to_map(),
                body.clone(),
                attempt_timeout.min(left),
            );
            match way.follow(attempt).await {
                Ok(message) => {
                    let answer = Answer::from_message(message.headers.as_ref(), &message.body);
                    match answer.outcome {
                        Err(failure) if is_worth_repeating(&failure) => {
                            pause = pause.max(hint(&failure));
                            last = failure;
                        }
                        _ => return Ok(answer),
                    }
                }
                // Its owner has gone; somebody else is asked at once.
                Err(NoReply::NobodyThere) if way.is_direct() && at_once < NODES_AT_ONCE_MAX => {
                    at_once += 1;
                    continue;
                }
                Err(NoReply::NobodyThere) => {}
                Err(NoReply::TooLarge) => {
                    let text = format!("a request of {} bytes is too large", body.len());
                    return Ok(Answer::failed(Failure::new(Status::TooLarge, text)));
                }
                Err(NoReply::NotSent) => {
                    last = Failure::new(Status::Unavailable, "the request could not be sent");
                }
                Err(NoReply::TimedOut) => {
                    is_in_doubt = true;
                    attempt_timeout = attempt_timeout.saturating_mul(2);
                    // A node known to be silent is given up at once; but not again and again.
                    if began.elapsed() >= ASK_AGAIN_AFTER {
                        continue;
                    }
                }
            }
            sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(ASK_AGAIN_AFTER_MAX);
        }
    }
}

/// How long who refused asks to be left alone.
fn hint(failure: &Failure) -> Duration {
    let asked = failure.body.retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
    asked.unwrap_or_default().min(RETRY_HINT_MAX)
}

/// No reply came within this time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoAnswer(pub(crate) Duration);

fn is_worth_repeating(failure: &Failure) -> bool {
    matches!(failure.status, Status::Overloaded | Status::Unavailable)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use async_nats::HeaderMap;
    use tokio::sync::watch;

    use super::*;
    use crate::{
        asking::transport::{Message, Network, Reply, Subscription},
        journal::BoxFuture,
        memory::World,
        wire::{error::Error, subject},
    };

    /// A network on which no request ever brings a reply, and each says so at once.
    #[derive(Debug)]
    struct Empty {
        why: NoReply,
        requests: AtomicU32,
    }

    impl Network for Empty {
        fn request<'a>(
            &'a self,
            _: String,
            _: HeaderMap,
            _: Bytes,
            _: Duration,
        ) -> BoxFuture<'a, Result<Reply, NoReply>> {
            let before = self.requests.fetch_add(1, Ordering::SeqCst);
            // In paused time, whoever spins would never end.
            assert!(before < 1_000, "the caller spins");
            Box::pin(async { Err(self.why) })
        }

        fn publish<'a>(&'a self, _: Message) -> BoxFuture<'a, Result<(), Error>> {
            Box::pin(async { Ok(()) })
        }

        fn subscribe<'a>(
            &'a self,
            _: String,
            _: Option<&'a str>,
        ) -> BoxFuture<'a, Result<Box<dyn Subscription>, Error>> {
            Box::pin(async { Err(Error::Journal("nobody is here".to_owned())) })
        }

        fn flush(&self) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }

        fn connections(&self) -> watch::Receiver<u64> {
            watch::channel(0).1
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_is_turned_away_at_once_pauses() {
        for why in [NoReply::NobodyThere, NoReply::TimedOut, NoReply::NotSent] {
            let network = Arc::new(Empty { why, requests: AtomicU32::new(0) });
            let bus = World::new(1).connect_over(network.clone(), "caller");
            bus.cells().provision_bucket(subject::NODES_BUCKET).await.expect("provisioned");
            // As far as it knows, it hosts the actor itself.
            for node in [bus.node(), "other"] {
                let key = subject::node_key("till", node);
                let put = bus.cells().put(subject::NODES_BUCKET, &key, Bytes::new(), None).await;
                put.expect("a cell");
            }
            bus.placement().watch();
            while bus.placement().owner("till", "t-1").is_none() {
                sleep(ASK_AGAIN_AFTER).await;
            }
            let headers = RequestHeaders::default();
            let span = Duration::from_secs(5);
            let answer = bus.call("cmd.till.t-1.put_in", headers, Bytes::new(), span).await;
            let is_open = matches!(answer, Err(NoAnswer(_)));
            assert_eq!(is_open, why == NoReply::TimedOut, "{why:?}: {answer:?}");
            let requests = network.requests.load(Ordering::SeqCst);
            assert!((5..40).contains(&requests), "{why:?}: {requests}");
        }
    }
}
