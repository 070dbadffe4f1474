//! Asking without storing anything.

use anyhow::bail;
use bus::AskError;

use super::{costs, in_turn, medians, rates};
use crate::{
    actor::{SlotError, TakeOut, payload},
    load::{self, Load},
    place::{Ground, Place, Settings, ids},
    report::{Better, Measured},
};

const CALLERS: usize = 64;
const ACTORS: usize = 1_000;

/// An ask that is refused: read, decided on, checked to rest on the newest state, and answered.
pub(super) async fn refused(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let place = Place::start(settings, Ground::One).await?;
    place.fill::<1>(ACTORS).await?;
    let ours = || ask_in_vain(&place, settings);
    let raw = || {
        let raw = place.raw.clone();
        load::closed(CALLERS, settings.span, move |_| {
            let raw = raw.clone();
            async move { raw.look().await }
        })
    };
    let (our_loads, raw_loads) = in_turn(settings, ours, raw).await?;
    let remark = costs(settings, &place.processes(), ours).await?;
    let raw_remark = format!("raw: {}", costs(settings, &place.processes(), raw).await?);
    let mut with_headers = Vec::new();
    for _ in 0..settings.runs {
        let raw = place.raw.clone();
        let load = load::closed(CALLERS, settings.span, move |_| {
            let raw = raw.clone();
            async move { raw.look_with_headers().await }
        });
        with_headers.push(load.await?);
    }
    let with_headers = rates(&with_headers);
    let with_headers = crate::report::median(&with_headers).map_or(0.0, |rate| rate);
    let headers_remark = format!(
        "raw with as many headers as a command and its answer have: {}/s",
        crate::report::number(with_headers)
    );
    place.stop().await;
    let throughput = Measured {
        counterpart: "core request-reply",
        goal: Some(0.85),
        floor: Some(0.15),
        raw: rates(&raw_loads),
        remarks: vec![remark, raw_remark, headers_remark],
        ..Measured::plain("refused", "ask refused without an event, c=64", "/s", rates(&our_loads))
    };
    let latency = Measured {
        counterpart: "core request-reply",
        better: Better::Lower,
        goal: Some(1.2),
        floor: Some(8.0),
        raw: medians(&raw_loads),
        ..Measured::plain("refused-p50", "the same, p50", "µs", medians(&our_loads))
    };
    Ok(vec![throughput, latency])
}

async fn ask_in_vain(place: &Place, settings: &Settings) -> anyhow::Result<Load> {
    let (bus, ids) = (place.caller.clone(), ids::<1>("s", ACTORS));
    load::closed(CALLERS, settings.span, move |n| {
        let slot = bus.actor(&ids[n % ACTORS]);
        async move {
            match slot.ask(TakeOut { payload: payload() }).await {
                Err(AskError::Refused(SlotError::Kept)) => Ok(()),
                other => bail!("not refused: {other:?}"),
            }
        }
    })
    .await
}
