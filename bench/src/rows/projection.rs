//! Folding commits into rows.

use std::time::Duration;

use anyhow::{Context, ensure};
use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use bus::Host;
use futures_util::StreamExt;
use tokio::time::{Instant, sleep};

use super::count;
use crate::{
    actor::{ONE_STREAM, OneSlot, SlotRow},
    load,
    place::{Ground, Place, Settings, folder, ids},
    report::Measured,
};

const COMMITS: u64 = 500_000;
const ACTORS: usize = 10_000;

pub(super) async fn projection(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let place = Place::start(settings, Ground::One).await?;
    let ids = ids::<1>("s", ACTORS);
    let commits = usize::try_from(COMMITS)?;
    load::each(1_024, commits, |n| load::put(&place.caller, &ids[n % ACTORS])).await?;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..settings.runs {
        raw.push(read_all(&place).await?);
        ours.push(fold_all(&place, settings).await?);
    }
    place.stop().await;
    Ok(vec![Measured {
        counterpart: "ordered consumer reading them",
        goal: Some(0.3),
        raw,
        ..Measured::plain("projection", "folding 500,000 commits into sled", "/s", ours)
    }])
}

/// A node of its own that folds everything from the first commit on.
async fn fold_all(place: &Place, settings: &Settings) -> anyhow::Result<f64> {
    let rows = folder(&settings.data)?;
    let host = Host::new(place.connect().await?).projection::<SlotRow, OneSlot>();
    let began = Instant::now();
    let running = host.rows_in(rows.path()).start().await?;
    loop {
        let progress = running.projections().await.pop().context("one is served")?;
        let folded: u64 = progress.streams.iter().map(|stream| stream.folded).sum();
        if folded >= COMMITS {
            ensure!(
                progress.streams.iter().all(|stream| stream.skipped == 0),
                "commits were skipped"
            );
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    let rate = count(COMMITS) / began.elapsed().as_secs_f64();
    running.stop().await;
    Ok(rate)
}

async fn read_all(place: &Place) -> anyhow::Result<f64> {
    let jetstream = jetstream::new(async_nats::connect(place.url()).await?);
    let stream = jetstream.get_stream(ONE_STREAM).await?;
    let began = Instant::now();
    let consumer = stream.create_consumer(OrderedConfig::default()).await?;
    let mut messages = consumer.messages().await?.take(usize::try_from(COMMITS)?);
    while let Some(message) = messages.next().await {
        message?;
    }
    Ok(count(COMMITS) / began.elapsed().as_secs_f64())
}
