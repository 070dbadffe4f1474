//! A long steady load, for latency that nobody hides and memory that must not grow.

use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep};

use crate::{
    actor::ONE_STREAM,
    load,
    place::{Ground, Place, Settings, check_stored, ids},
    report::{Better, Measured},
    usage::resident,
};

const ACTORS: usize = 10_000;
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn soak(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let place = Place::start(settings, Ground::One).await?;
    place.fill::<1>(ACTORS).await?;
    let ids = ids::<1>("s", ACTORS);
    let (bus, all) = (place.caller.clone(), ids.clone());
    let top = load::closed(256, settings.span, move |n| {
        let (bus, ids) = (bus.clone(), all.clone());
        async move { load::put(&bus, &ids[n % ACTORS]).await }
    });
    let rate = top.await?.per_second() / 2.0;
    let before = place.caller.last_sequence(ONE_STREAM).await?;
    let bus = place.caller.clone();
    let asking = load::open(rate, settings.soak, |n| {
        let (bus, id) = (bus.clone(), ids[n % ACTORS].clone());
        async move { load::put(&bus, &id).await }
    });
    let servers = place.processes().servers;
    let server = servers.first().context("there is a server")?.to_string();
    let (asked, grown) = tokio::join!(asking, growth(settings.soak, ["self", &server]));
    let asked = asked?;
    check_stored(before, place.caller.last_sequence(ONE_STREAM).await?, asked.done)?;
    place.stop().await;
    let minutes = settings.soak.as_secs_f64() / 60.0;
    let what = format!("{minutes:.0} min at half of the top rate ({rate:.0}/s), open loop");
    let percentiles = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map(|(name, share)| {
        let row = format!("soak-{name}");
        Measured {
            better: Better::Lower,
            ..Measured::plain(&row, &format!("{what}, {name}"), "µs", vec![asked.percentile(share)])
        }
    });
    let slopes = ["this process", "the server"].into_iter().zip(grown).map(|(whose, slope)| {
        let row = if whose == "the server" { "soak-server" } else { "soak-memory" };
        let what = format!("growth of {whose} in its second half");
        Measured { better: Better::Lower, ..Measured::plain(row, &what, "KiB/min", vec![slope]) }
    });
    Ok(percentiles.into_iter().chain(slopes).collect())
}

/// By how many KiB a minute the processes grow in the second half of `span`: the slope of the
/// line that fits best.
async fn growth(span: Duration, pids: [&str; 2]) -> [f64; 2] {
    let began = Instant::now();
    let mut seen: [Vec<(f64, f64)>; 2] = Default::default();
    while began.elapsed() < span {
        sleep(LOOK_EVERY).await;
        if began.elapsed() < span / 2 {
            continue;
        }
        for (pid, seen) in pids.iter().zip(&mut seen) {
            let minutes = began.elapsed().as_secs_f64() / 60.0;
            seen.extend(resident(pid).map(|bytes| (minutes, bytes / 1024.0)));
        }
    }
    seen.map(|points| slope(&points))
}

fn slope(points: &[(f64, f64)]) -> f64 {
    let count = super::count(points.len() as u64).max(1.0);
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / count, y / count);
    let (up, across) = points.iter().fold((0.0, 0.0), |(up, across), point| {
        (up + (point.0 - x) * (point.1 - y), across + (point.0 - x).powi(2))
    });
    if across == 0.0 { 0.0 } else { up / across }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_slope_is_a_slope() {
        let points: Vec<(f64, f64)> =
            (0..10).map(|n| (f64::from(n), 7.0 + 3.0 * f64::from(n))).collect();
        assert!((super::slope(&points) - 3.0).abs() < 1e-9);
        assert_eq!(super::slope(&[]), 0.0);
    }
}
