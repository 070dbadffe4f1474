//! Slowing down whoever guesses: a growing delay for each account from each address, and for each
//! address over all accounts. Nobody is locked out: the owner, elsewhere, goes on as ever.
//!
//! A try counts when it begins, so that many at once are no way around; success takes it back.

use std::{
    fmt,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::{
    error::ApiError,
    limits::{
        GUESS_DELAY_MAX, GUESS_DELAY_MAX_PER_ADDRESS, GUESSERS_REMEMBERED_MAX,
        GUESSES_FORGOTTEN_AFTER, GUESSES_FREE, GUESSES_FREE_PER_ADDRESS,
    },
};

/// Who has been trying what.
pub(crate) struct Throttle {
    accounts: Tally<(String, IpAddr)>,
    addresses: Tally<IpAddr>,
}

struct Tally<K>(Cache<K, Arc<Mutex<Tries>>>);

#[derive(Debug)]
struct Tries {
    failed: u32,
    last: Instant,
}

/// A try that was let in. Failed, unless [`succeeded`](Self::succeeded).
#[must_use]
pub(crate) struct Try {
    account: Arc<Mutex<Tries>>,
    address: Arc<Mutex<Tries>>,
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").finish_non_exhaustive()
    }
}

impl Throttle {
    pub(crate) fn new() -> Self {
        let tally = || Cache::new(GUESSERS_REMEMBERED_MAX);
        Self { accounts: Tally(tally()), addresses: Tally(Cache::new(GUESSERS_REMEMBERED_MAX)) }
    }

    /// Lets a try at `account` from `address` in.
    ///
    /// # Errors
    /// 429 with the seconds to wait, for as long as the delay lasts.
    pub(crate) fn enter(&self, account: &str, address: IpAddr) -> Result<Try, ApiError> {
        let now = Instant::now();
        let by_address = self.addresses.of(address, now);
        let by_account = self.accounts.of((account.to_owned(), address), now);
        // One after the other, and always in this order, so that two tries cannot wait in a circle.
        let mut address = by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let mut account = by_account.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = address
            .wait(GUESSES_FREE_PER_ADDRESS, GUESS_DELAY_MAX_PER_ADDRESS, now)
            .max(account.wait(GUESSES_FREE, GUESS_DELAY_MAX, now));
        if !wait.is_zero() {
            return Err(ApiError::throttled(wait));
        }
        address.count(now);
        account.count(now);
        drop((address, account));
        Ok(Try { account: by_account, address: by_address })
    }
}

impl Try {
    /// It came to nothing through no fault of the client's, and counts for nothing.
    pub(crate) fn withdrawn(self) {
        for tries in [self.account, self.address] {
            let mut tries = tries.lock().unwrap_or_else(PoisonError::into_inner);
            tries.failed = tries.failed.saturating_sub(1);
        }
    }

    /// It was no guess: its account begins anew, its address has one fewer.
    pub(crate) fn succeeded(self) {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).failed = 0;
        let mut address = self.address.lock().unwrap_or_else(PoisonError::into_inner);
        address.failed = address.failed.saturating_sub(1);
    }
}

impl<K: Hash + Eq + Clone> Tally<K> {
    fn of(&self, key: K, now: Instant) -> Arc<Mutex<Tries>> {
        let none = || {
            Ok::<_, std::convert::Infallible>(Arc::new(Mutex::new(Tries { failed: 0, last: now })))
        };
        let Ok(tries) = self.0.get_or_insert_with(&key, none);
        {
            let mut known = tries.lock().unwrap_or_else(PoisonError::into_inner);
            if now.duration_since(known.last) > GUESSES_FORGOTTEN_AFTER {
                known.failed = 0;
            }
        }
        tries
    }
}

impl Tries {
    fn wait(&self, free: u32, most: Duration, now: Instant) -> Duration {
        self.delay(free).min(most).saturating_sub(now.duration_since(self.last))
    }

    fn count(&mut self, now: Instant) {
        self.failed = self.failed.saturating_add(1);
        self.last = now;
    }

    /// How long after the last try the next one may come: 1 s after the free ones, then twice as
    /// long each time.
    fn delay(&self, free: u32) -> Duration {
        match self.failed.checked_sub(free) {
            None => Duration::ZERO,
            Some(over) => Duration::from_secs(1 << over.min(16)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[tokio::test(start_paused = true)]
    async fn guesses_wait_longer_and_longer_and_others_do_not() {
        let throttle = Throttle::new();
        for _ in 0..GUESSES_FREE {
            drop(throttle.enter("ann", HERE).expect("free"));
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(throttle.enter("ann", HERE).is_err());
            throttle.enter("ann", ELSEWHERE).expect("the owner, elsewhere").succeeded();
            throttle.enter("bob", HERE).expect("another account").succeeded();
            advance(Duration::from_millis(seconds * 1_000 - 1)).await;
            assert!(throttle.enter("ann", HERE).is_err(), "{seconds} s are not over");
            advance(Duration::from_millis(1)).await;
            drop(throttle.enter("ann", HERE).expect("the delay is over"));
        }
        advance(Duration::from_secs(60)).await;
        throttle.enter("ann", HERE).expect("the owner, here").succeeded();
        for _ in 0..GUESSES_FREE {
            drop(throttle.enter("ann", HERE).expect("success begins anew"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_to_nothing_counts_for_nothing() {
        let throttle = Throttle::new();
        for _ in 0..2 * GUESSES_FREE {
            throttle.enter("ann", HERE).expect("none counted").withdrawn();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_accounts_from_one_address_are_slowed_too() {
        let throttle = Throttle::new();
        for n in 0..GUESSES_FREE_PER_ADDRESS {
            drop(throttle.enter(&format!("user-{n}"), HERE).expect("free"));
        }
        assert!(throttle.enter("one more", HERE).is_err());
        advance(GUESS_DELAY_MAX_PER_ADDRESS).await;
        throttle.enter("a neighbour", HERE).expect("one a second").succeeded();
        assert!(throttle.enter("one more", ELSEWHERE).is_ok());
        advance(GUESSES_FORGOTTEN_AFTER + Duration::from_secs(1)).await;
        assert!(throttle.enter("one more", HERE).is_ok());
    }
}
