//! The first command of an actor that is not in memory.

use std::time::Duration;

use anyhow::{anyhow, ensure};
use async_nats::jetstream;
use bus::{Actor, Bus, Id, limits::SNAPSHOT_PAUSE};
use tokio::time::{Instant, sleep};

use crate::{
    actor::{Look, ONE_STREAM, OneSlot},
    load,
    place::{Ground, Place, Settings, ids},
    report::{Better, Measured, median},
};

/// Actors that are woken, once each.
const ACTORS: usize = 1_000;
const SHORT_PAST: usize = 5;
const LONG_PAST: u64 = 100_000;
/// How often the actor with the long past is woken in each run.
const WAKINGS: usize = 10;
const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(60);

pub(super) async fn cold(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let mut place = Place::start(settings, Ground::One).await?;
    let short = ids::<1>("cold", ACTORS);
    for _ in 0..SHORT_PAST {
        load::each(256, ACTORS, |n| load::put(&place.caller, &short[n])).await?;
    }
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..settings.runs {
        place.restart_node().await?;
        let (mut woken, mut read) = (Vec::new(), Vec::new());
        for id in short.iter() {
            read.push(read_five(&place, id).await?);
            woken.push(wake(&place.caller, id, SHORT_PAST as u64).await?);
        }
        ours.push(median(&woken).unwrap_or(0.0));
        raw.push(median(&read).unwrap_or(0.0));
    }
    let short = Measured {
        counterpart: "direct batch get of 5 messages",
        better: Better::Lower,
        goal: Some(2.0),
        raw,
        remarks: vec![
            "a command that only looks, so that loading is what is timed; sequentially".to_owned(),
        ],
        ..Measured::plain("cold", "first command of a cold actor of 5 commits, p50", "µs", ours)
    };
    let long = snapshotted(&mut place, settings, &short.ours).await?;
    place.stop().await;
    Ok(vec![short, long])
}

async fn snapshotted(
    place: &mut Place,
    settings: &Settings,
    short: &[f64],
) -> anyhow::Result<Measured> {
    let id = ids::<1>("long", 1)[0].clone();
    let count = usize::try_from(LONG_PAST)?;
    load::each(256, count, |_| load::put(&place.caller, &id)).await?;
    await_snapshot(place, &id).await?;
    let mut ours = Vec::new();
    for _ in 0..settings.runs {
        let mut woken = Vec::new();
        for _ in 0..WAKINGS {
            place.restart_node().await?;
            // So that finding the new node is not what is timed.
            for other in ids::<1>("unborn", 20).iter() {
                wake(&place.caller, other, 0).await?;
            }
            woken.push(wake(&place.caller, &id, LONG_PAST).await?);
        }
        ours.push(median(&woken).unwrap_or(0.0));
    }
    Ok(Measured {
        counterpart: "the row above (ours)",
        better: Better::Lower,
        goal: Some(3.0),
        raw: short.to_vec(),
        ..Measured::plain(
            "cold-snapshot",
            "the same with 100,000 commits and a snapshot, p50",
            "µs",
            ours,
        )
    })
}

/// Waits until there is a snapshot, and adds what makes a newer one due.
async fn await_snapshot(place: &Place, id: &Id<OneSlot>) -> anyhow::Result<()> {
    let jetstream = jetstream::new(async_nats::connect(place.url()).await?);
    let bucket = format!("SNAP_{}", OneSlot::KIND);
    let stream = jetstream.get_stream(format!("KV_{bucket}")).await?;
    let deadline = Instant::now() + SNAPSHOT_DEADLINE;
    // Two are at least so long apart, and the last one shall be of the last commits.
    sleep(SNAPSHOT_PAUSE + Duration::from_secs(1)).await;
    load::put(&place.caller, id).await?;
    loop {
        sleep(Duration::from_millis(100)).await;
        match stream.get_last_raw_message_by_subject(&format!("$KV.{bucket}.{id}")).await {
            Ok(_) => return Ok(()),
            Err(_) if Instant::now() < deadline => {}
            Err(error) => return Err(anyhow!("no snapshot was written: {error}")),
        }
    }
}

/// In microseconds.
async fn wake(bus: &Bus, id: &Id<OneSlot>, at_least: u64) -> anyhow::Result<f64> {
    let began = Instant::now();
    let count = bus.actor(id).ask(Look {}).await.map_err(|error| anyhow!("{error}"))?;
    let took = began.elapsed();
    ensure!(count >= at_least, "{id} has {count} of {at_least}");
    Ok(took.as_secs_f64() * 1e6)
}

async fn read_five(place: &Place, id: &Id<OneSlot>) -> anyhow::Result<f64> {
    let subject = format!("evt.{}.0.{id}", OneSlot::KIND);
    let began = Instant::now();
    place.raw.read(ONE_STREAM, &subject, SHORT_PAST).await?;
    Ok(began.elapsed().as_secs_f64() * 1e6)
}
