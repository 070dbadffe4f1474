//! Durable commands: one commit each, on disk before the reply.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::{Instant, sleep};

use super::{costs, in_turn, medians, rates};
use crate::{
    actor::ONE_STREAM,
    load::{self, Load, put},
    place::{Ground, Place, Settings, check_stored, ids, no_slow_disk},
    report::{Better, Measured},
};

const ACTORS: usize = 10_000;
const COUNTERPART: &str = "request + version-checked publish + reply, one publish per command";

/// A figure at so many callers: its goal and floor.
struct At {
    callers: usize,
    goal: f64,
    floor: f64,
}

/// The same at different numbers of callers.
async fn all(
    place: &Place,
    settings: &Settings,
    (row, what): (&str, &str),
    figures: [At; 2],
) -> anyhow::Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for at in figures {
        if settings.wants(row, &format!("{row}-c{}", at.callers)) {
            measured.push(busy(place, settings, (row, what), &at).await?);
        }
    }
    Ok(measured)
}

pub(super) async fn one_server(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let place = start(settings, Ground::One).await?;
    let mut measured = Vec::new();
    if settings.wants("durable", "durable-c1") {
        measured.push(lone(&place, settings).await?);
    }
    let named = ("durable", "durable command, 10,000 actors, R1");
    let figures =
        [At { callers: 256, goal: 2.5, floor: 1.2 }, At { callers: 1_024, goal: 4.5, floor: 2.0 }];
    measured.extend(all(&place, settings, named, figures).await?);
    place.stop().await;
    Ok(measured)
}

pub(super) async fn slow_disk(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let what = "the same on a slow disk (loop-mounted ext4)";
    if let Some(why) = no_slow_disk(settings) {
        return Ok(vec![Measured::not_run("slow", what, why)]);
    }
    let place = start(settings, Ground::SlowDisk).await?;
    let figures =
        [At { callers: 256, goal: 6.0, floor: 2.0 }, At { callers: 1_024, goal: 10.0, floor: 3.0 }];
    let measured = all(&place, settings, ("slow", what), figures).await?;
    place.stop().await;
    Ok(measured)
}

pub(super) async fn three_servers(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let place = start(settings, Ground::Three).await?;
    let named = ("r3", "durable command, 10,000 actors, R3 on loopback");
    let figures =
        [At { callers: 256, goal: 1.6, floor: 0.4 }, At { callers: 1_024, goal: 2.0, floor: 0.4 }];
    let measured = all(&place, settings, named, figures).await?;
    place.stop().await;
    Ok(measured)
}

async fn start(settings: &Settings, ground: Ground) -> anyhow::Result<Place> {
    let place = Place::start(settings, ground).await?;
    place.fill::<1>(ACTORS).await?;
    place.fill_raw(ACTORS).await?;
    Ok(place)
}

/// One caller: nothing gathers, and nothing may be added.
async fn lone(place: &Place, settings: &Settings) -> anyhow::Result<Measured> {
    let ours = || ours(place, settings, 1);
    let raw = || raw(place, settings, 1);
    let (our_loads, raw_loads) = in_turn(settings, ours, raw).await?;
    Ok(Measured {
        counterpart: "request + version-checked publish + reply",
        better: Better::Lower,
        goal: Some(1.3),
        floor: Some(3.0),
        raw: medians(&raw_loads),
        remarks: vec![costs(settings, &place.processes(), ours).await?],
        ..Measured::plain(
            "durable-c1",
            "durable command, 10,000 actors, R1, c=1, p50",
            "µs",
            medians(&our_loads),
        )
    })
}

async fn busy(
    place: &Place,
    settings: &Settings,
    (row, what): (&str, &str),
    at: &At,
) -> anyhow::Result<Measured> {
    let callers = at.callers;
    let ours = || ours(place, settings, callers);
    let raw = || raw(place, settings, callers);
    let (our_loads, raw_loads) = in_turn(settings, ours, raw).await?;
    let remarks = vec![
        costs(settings, &place.processes(), ours).await?,
        format!("raw: {}", costs(settings, &place.processes(), raw).await?),
        format!("p50 {:.0} µs, raw {:.0} µs", middle(&our_loads), middle(&raw_loads)),
    ];
    Ok(Measured {
        counterpart: COUNTERPART,
        goal: Some(at.goal),
        floor: Some(at.floor),
        raw: rates(&raw_loads),
        remarks,
        ..Measured::plain(
            &format!("{row}-c{callers}"),
            &format!("{what}, c={callers}"),
            "/s",
            rates(&our_loads),
        )
    })
}

fn middle(loads: &[Load]) -> f64 {
    crate::report::median(&medians(loads)).unwrap_or(0.0)
}

async fn ours(place: &Place, settings: &Settings, callers: usize) -> anyhow::Result<Load> {
    let ids = ids::<1>("s", ACTORS);
    let (bus, before) = (place.caller.clone(), place.caller.last_sequence(ONE_STREAM).await?);
    let load = load::closed(callers, settings.span, move |n| {
        let (bus, ids) = (bus.clone(), ids.clone());
        async move { put(&bus, &ids[n % ACTORS]).await }
    });
    let load = load.await?;
    check_stored(before, place.caller.last_sequence(ONE_STREAM).await?, load.done)?;
    Ok(load)
}

async fn raw(place: &Place, settings: &Settings, callers: usize) -> anyhow::Result<Load> {
    let (raw, before) = (place.raw.clone(), place.raw.stored().await?);
    let load = load::closed(callers, settings.span, move |n| raw.put(n % ACTORS)).await?;
    check_stored(before, place.raw.stored().await?, load.done)?;
    Ok(load)
}

/// All callers ask one actor.
pub(super) async fn hot(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let place = Place::start(settings, Ground::One).await?;
    place.fill::<1>(1).await?;
    let ours = || async {
        let id = ids::<1>("s", 1)[0].clone();
        let (bus, before) = (place.caller.clone(), place.caller.last_sequence(ONE_STREAM).await?);
        let load = load::closed(256, settings.span, move |_| {
            let (bus, id) = (bus.clone(), id.clone());
            async move { put(&bus, &id).await }
        });
        let load = load.await?;
        check_stored(before, place.caller.last_sequence(ONE_STREAM).await?, load.done)?;
        Ok(load)
    };
    let mut raw_rates = Vec::new();
    let mut our_loads = Vec::new();
    for run in 0..=settings.runs {
        let (raw, load) = (publish_in_turn(&place, settings).await?, ours().await?);
        if run > 0 {
            raw_rates.push(raw);
            our_loads.push(load);
        }
    }
    let remark = costs(settings, &place.processes(), ours).await?;
    place.stop().await;
    Ok(vec![Measured {
        counterpart: "publishes to one subject, each checked, one after another",
        goal: Some(4.0),
        floor: Some(1.5),
        raw: raw_rates,
        remarks: vec![remark],
        ..Measured::plain("hot", "one hot actor, c=256, R1", "/s", rates(&our_loads))
    }])
}

/// Publishes a second, each after the one before it.
async fn publish_in_turn(place: &Place, settings: &Settings) -> anyhow::Result<f64> {
    let (is_over, began) = (AtomicBool::new(false), Instant::now());
    let timer = async {
        sleep(settings.span).await;
        is_over.store(true, Ordering::Relaxed);
    };
    let (count, ()) = tokio::join!(place.raw.hot(|| is_over.load(Ordering::Relaxed)), timer);
    Ok(super::count(count?) / began.elapsed().as_secs_f64())
}

/// The same load on a kind with four streams and on one with a single stream.
pub(super) async fn shards(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let place = Place::start(settings, Ground::One).await?;
    place.fill::<1>(ACTORS).await?;
    place.fill::<4>(ACTORS).await?;
    let (four, one) =
        in_turn(settings, || shards_of::<4>(&place, settings), || shards_of::<1>(&place, settings))
            .await?;
    place.stop().await;
    Ok(vec![Measured {
        counterpart: "one shard",
        raw: rates(&one),
        ..Measured::plain("shards", "four shards, 10,000 actors, c=256, R1", "/s", rates(&four))
    }])
}

async fn shards_of<const SHARDS: u32>(place: &Place, settings: &Settings) -> anyhow::Result<Load> {
    let (bus, ids) = (place.caller.clone(), ids::<SHARDS>("s", ACTORS));
    load::closed(256, settings.span, move |n| {
        let (bus, ids) = (bus.clone(), ids.clone());
        async move { put(&bus, &ids[n % ACTORS]).await }
    })
    .await
}
