//! Whether throughput holds while the journal grows.

use anyhow::{Context, ensure};
use async_nats::jetstream;
use bus::Actor;
use bytes::Bytes;

use super::rates;
use crate::{
    actor::{ONE_STREAM, OneSlot},
    load,
    place::{Ground, Place, Settings, ids},
    raw,
    report::Measured,
};

const ACTORS: usize = 10_000;
/// Other actors, whose commits fill the stream.
const OTHERS: u64 = 200_000;
const STEPS: [u64; 3] = [10_000, 1_000_000, 10_000_000];

pub(super) async fn stored(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let place = Place::start(settings, Ground::One).await?;
    place.fill::<1>(ACTORS).await?;
    let client = async_nats::connect(place.url()).await?;
    let commit = any_commit(&client).await?;
    let mut measured: Vec<Measured> = Vec::new();
    for step in STEPS.into_iter().filter(|step| *step <= settings.stored_max) {
        let stored = place.caller.last_sequence(ONE_STREAM).await?;
        let subject = |n: u64| format!("evt.{}.0.other-{}", OneSlot::KIND, n % OTHERS);
        raw::fill(&client, &commit, stored..step.max(stored), subject).await?;
        ensure!(place.caller.last_sequence(ONE_STREAM).await? >= step, "{step} were not stored");
        let ours = throughput(&place, settings).await?;
        let first = measured.first().map(|first| first.ours.clone()).unwrap_or_default();
        let is_last = step == STEPS[STEPS.len() - 1];
        measured.push(Measured {
            counterpart: if first.is_empty() { "–" } else { "the first of these (ours)" },
            goal: is_last.then_some(0.9),
            raw: first,
            ..Measured::plain(
                &format!("stored-{step}"),
                &format!(
                    "durable command, c=256, on {} stored commits",
                    crate::report::number(step as f64)
                ),
                "/s",
                ours,
            )
        });
    }
    place.stop().await;
    Ok(measured)
}

async fn throughput(place: &Place, settings: &Settings) -> anyhow::Result<Vec<f64>> {
    let mut loads = Vec::new();
    for run in 0..=settings.runs {
        let (bus, ids) = (place.caller.clone(), ids::<1>("s", ACTORS));
        let load = load::closed(256, settings.span, move |n| {
            let (bus, ids) = (bus.clone(), ids.clone());
            async move { load::put(&bus, &ids[n % ACTORS]).await }
        });
        let load = load.await?;
        if run > 0 {
            loads.push(load);
        }
    }
    Ok(rates(&loads))
}

/// The bytes of a real commit.
async fn any_commit(client: &async_nats::Client) -> anyhow::Result<Bytes> {
    let stream = jetstream::new(client.clone()).get_stream(ONE_STREAM).await?;
    let message = stream.get_raw_message(1).await.context("there is a first commit")?;
    Ok(message.payload)
}
