//! What each endpoint of a service has done since it started: counted on the way of every
//! request, so with atomics alone.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::wire::failure::Failure;

/// The counts of one service, by endpoint.
#[derive(Debug)]
pub(crate) struct Tally {
    /// In the order of the endpoints; few enough to be looked through.
    endpoints: Vec<(&'static str, Counter)>,
}

/// What one endpoint has done.
#[derive(Debug, Default)]
struct Counter {
    requests: AtomicU64,
    errors: AtomicU64,
    nanoseconds: AtomicU64,
    /// Locked by failures alone.
    last_error: Mutex<String>,
}

/// The counts of one endpoint, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) name: &'static str,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) nanoseconds: u64,
    pub(crate) last_error: String,
}

impl Tally {
    pub(crate) fn new(endpoints: &[&'static str]) -> Self {
        Self { endpoints: endpoints.iter().map(|name| (*name, Counter::default())).collect() }
    }

    /// Counts a request that was answered after `took`. One without such an endpoint counts
    /// nowhere.
    pub(crate) fn answered<T>(&self, endpoint: &str, outcome: &Result<T, Failure>, took: Duration) {
        let Some(counter) = self.counter(endpoint) else { return };
        counter.requests.fetch_add(1, Ordering::Relaxed);
        counter.nanoseconds.fetch_add(nanoseconds(took), Ordering::Relaxed);
        if let Err(failure) = outcome {
            counter.errors.fetch_add(1, Ordering::Relaxed);
            // The code and not the message: anybody may ask for it, and a message may name
            // somebody.
            let text = format!("{}:{}", failure.status.number(), failure.body.code);
            *counter.last_error.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
    }

    /// How long a request to `endpoint` took so far, on average.
    pub(crate) fn average(&self, endpoint: &str) -> Duration {
        let Some(counter) = self.counter(endpoint) else { return Duration::ZERO };
        let requests = counter.requests.load(Ordering::Relaxed).max(1);
        Duration::from_nanos(counter.nanoseconds.load(Ordering::Relaxed) / requests)
    }

    pub(crate) fn counted(&self) -> Vec<Counted> {
        let counted = self.endpoints.iter().map(|(name, counter)| Counted {
            name,
            requests: counter.requests.load(Ordering::Relaxed),
            errors: counter.errors.load(Ordering::Relaxed),
            nanoseconds: counter.nanoseconds.load(Ordering::Relaxed),
            last_error: counter.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        });
        counted.collect()
    }

    fn counter(&self, endpoint: &str) -> Option<&Counter> {
        self.endpoints.iter().find(|(name, _)| *name == endpoint).map(|(_, counter)| counter)
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::failure::Status;

    #[test]
    fn requests_are_counted_where_they_belong() {
        let tally = Tally::new(&["put_in", "count"]);
        let refusal = Err(Failure::new(Status::Refused, "Ada has too little"));
        tally.answered("put_in", &Ok(()), Duration::from_nanos(30));
        tally.answered::<()>("put_in", &refusal, Duration::from_nanos(10));
        tally.answered("explode", &Ok(()), Duration::from_nanos(10));
        let [put_in, count] = &tally.counted()[..] else { panic!("two endpoints") };
        assert_eq!((put_in.requests, put_in.errors, put_in.nanoseconds), (2, 1, 40));
        assert_eq!(put_in.last_error, "409:REFUSED", "and nobody's name");
        assert_eq!(tally.average("put_in"), Duration::from_nanos(20));
        assert_eq!((count.requests, count.errors), (0, 0));
    }
}
