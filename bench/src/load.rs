//! Asking, and timing the answers.
//!
//! A closed loop has so many callers, each of whom asks again once it is answered: it shows
//! throughput, and the latency at that concurrency. An open loop asks on a schedule, whatever
//! becomes of what was asked before, and counts from the scheduled moment: it shows what callers
//! see who do not wait for each other, stalls included.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};
use bus::{Bus, Id};
use futures_util::future::try_join_all;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::actor::{Put, Slot, payload};

/// Requests of an open loop that may be under way; with more, it is the load that cannot follow.
const OPEN_MAX: usize = 20_000;

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) done: u64,
    pub(crate) span: Duration,
    latencies: Latencies,
}

/// How often each latency was seen, to within two per cent: as small after an hour as at first.
#[derive(Debug)]
struct Latencies(Vec<AtomicU64>);

/// Steps for each doubling of the latency, in microseconds.
const STEPS: u64 = 64;

impl Latencies {
    fn new() -> Self {
        let cells = STEPS * u64::from(u32::BITS);
        Self((0..cells).map(|_| AtomicU64::new(0)).collect())
    }

    fn note(&self, span: Duration) {
        let micros = u32::try_from(span.as_micros()).unwrap_or(u32::MAX);
        self.0[cell_of(u64::from(micros))].fetch_add(1, Ordering::Relaxed);
    }
}

/// Latencies below [`STEPS`] have a cell each; above, each doubling has as many cells.
fn cell_of(micros: u64) -> usize {
    let doublings = u64::from((micros / STEPS).checked_ilog2().map_or(0, |log| log + 1));
    let cell = if doublings == 0 {
        micros
    } else {
        STEPS * doublings + ((micros >> (doublings - 1)) - STEPS)
    };
    usize::try_from(cell).unwrap_or(usize::MAX)
}

/// The least latency of a cell.
fn least_of(cell: usize) -> f64 {
    let (cell, steps) = (cell as u64, STEPS);
    let doublings = cell / steps;
    let micros = if doublings == 0 { cell } else { (steps + cell % steps) << (doublings - 1) };
    micros as f64
}

impl Load {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    pub(crate) fn per_second(&self) -> f64 {
        self.done as f64 / self.span.as_secs_f64()
    }

    /// The latency that this share of the requests did not exceed, in microseconds.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let rank = ((self.done as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = self.latencies.0.iter().position(|count| {
            seen += count.load(Ordering::Relaxed);
            seen >= rank
        });
        reached.map_or(0.0, least_of)
    }
}

/// `callers` at once, each asking `ask` with the next number until `span` is over.
pub(crate) async fn closed<F>(
    callers: usize,
    span: Duration,
    ask: impl Fn(usize) -> F + Send + Sync + 'static,
) -> anyhow::Result<Load>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let (ask, next, began) = (Arc::new(ask), Arc::new(AtomicUsize::new(0)), Instant::now());
    let latencies = Arc::new(Latencies::new());
    let calls = (0..callers).map(|_| {
        let (ask, next, latencies) = (ask.clone(), next.clone(), latencies.clone());
        tokio::spawn(async move {
            let mut done = 0;
            while began.elapsed() < span {
                let sent = Instant::now();
                ask(next.fetch_add(1, Ordering::Relaxed)).await?;
                latencies.note(sent.elapsed());
                done += 1;
            }
            Ok::<u64, anyhow::Error>(done)
        })
    });
    let done = try_join_all(calls).await?.into_iter().sum::<Result<u64, _>>()?;
    let span = began.elapsed();
    let latencies = Arc::into_inner(latencies).context("all callers are done")?;
    Ok(Load { done, span, latencies })
}

/// So many a second, on a schedule.
pub(crate) async fn open<F>(
    per_second: f64,
    span: Duration,
    ask: impl Fn(usize) -> F,
) -> anyhow::Result<Load>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (began, latencies) = (Instant::now(), Arc::new(Latencies::new()));
    let mut calls = JoinSet::new();
    let mut done = 0_u64;
    loop {
        let due = began + Duration::from_secs_f64(done as f64 / per_second);
        if due > began + span {
            break;
        }
        sleep_until(due).await;
        while let Some(ended) = calls.try_join_next() {
            ended??;
        }
        ensure!(calls.len() < OPEN_MAX, "{per_second:.0}/s is more than can be followed");
        let (asked, latencies) = (ask(usize::try_from(done)?), latencies.clone());
        calls.spawn(async move {
            asked.await?;
            latencies.note(due.elapsed());
            Ok::<_, anyhow::Error>(())
        });
        done += 1;
    }
    while let Some(ended) = calls.join_next().await {
        ended??;
    }
    let span = began.elapsed();
    let latencies = Arc::into_inner(latencies).context("all is answered")?;
    Ok(Load { done, span, latencies })
}

/// Asks once for each number below `count`, `callers` at a time.
pub(crate) async fn each<F>(
    callers: usize,
    count: usize,
    ask: impl Fn(usize) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let next = AtomicUsize::new(0);
    let calls = (0..callers).map(|_| async {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok::<_, anyhow::Error>(());
            }
            ask(number).await?;
        }
    });
    try_join_all(calls).await?;
    Ok(())
}

/// Puts something into a slot.
pub(crate) async fn put<const SHARDS: u32>(bus: &Bus, id: &Id<Slot<SHARDS>>) -> anyhow::Result<()> {
    let put = bus.actor(id).ask(Put { payload: payload() });
    put.await.map(drop).map_err(|error| anyhow!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_kept_to_within_two_per_cent() {
        let latencies = Latencies::new();
        for micros in 1..=10_000 {
            latencies.note(Duration::from_micros(micros));
        }
        assert!(cell_of(u64::from(u32::MAX)) < latencies.0.len());
        let load = Load { done: 10_000, span: Duration::from_secs(1), latencies };
        for (share, wanted) in [(0.001, 10.0), (0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let found = load.percentile(share);
            assert!((found / wanted - 1.0_f64).abs() <= 0.02, "{share}: {found}, not {wanted}");
        }
    }
}
