//! What an idle activation costs in memory.

use anyhow::Context;
use tokio::time::Instant;

use super::count;
use crate::{
    actor::OneSlot,
    load,
    place::{Ground, Place, Settings, ids},
    report::{Better, Measured},
    usage::resident,
};

/// Held when counting begins, so that what the process needs anyway is there; and when it ends.
const HELD: [usize; 2] = [200_000, 1_000_000];

/// Growth of this process, in which the node lives, from one count of activations to the other.
/// Each has one commit. Other rows must not have been taken before: memory they left behind
/// would be used again.
pub(super) async fn activations(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let place = Place::start(settings, Ground::One).await?;
    let ids = ids::<1>("held", HELD[1]);
    let mut bytes = Vec::new();
    let mut asked = 0;
    let began = Instant::now();
    for held in HELD {
        load::each(1_024, held - asked, |n| load::put(&place.caller, &ids[asked + n])).await?;
        asked = held;
        bytes.push(resident("self").context("no /proc to count memory with")?);
    }
    let grown = (bytes[1] - bytes[0]) / count((HELD[1] - HELD[0]) as u64);
    let own = count(size_of::<OneSlot>() as u64);
    let rate = count(HELD[1] as u64) / began.elapsed().as_secs_f64();
    place.stop().await;
    Ok(vec![Measured {
        better: Better::Lower,
        goal: Some(1_024.0),
        remarks: vec![format!("1,000,000 actors came to life at {rate:.0}/s, and were all held")],
        ..Measured::plain(
            "activations",
            "an idle activation's memory beside its state, 1,000,000 held",
            "bytes",
            vec![grown - own],
        )
    }])
}
