//! Buying while others log in as fast as they can.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use tokio::time::sleep;

use super::{count, rates, shop::order};
use crate::{
    load::{self, Load},
    place::Settings,
    report::{Better, Measured, median},
    shop::Shop,
};

/// Enough that there is always one who waits for a place where passwords are hashed.
const LOGGERS: usize = 16;
const ORDERERS: usize = 16;

/// How long who is told to wait does so.
const PAUSE: Duration = Duration::from_millis(20);

/// How many times as long orders may take while the places for passwords are full.
const GOAL: f64 = 1.5;

pub(super) async fn logins(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let shop = Arc::new(Shop::open(settings).await?);
    let buy = {
        let shop = shop.clone();
        move |n: usize| order(shop.clone(), n)
    };
    let mut emails = Vec::new();
    for n in 0..LOGGERS {
        emails.push(shop.register(n).await?);
    }
    let warm = load::closed(ORDERERS, settings.span, buy.clone()).await?;
    let rate = median(&rates(&[warm])).unwrap_or(2.0) / 4.0;
    let (mut calm, mut busy, mut logged_in) = (Vec::new(), Vec::new(), 0);
    for _ in 0..settings.runs {
        shop.pool.close_idle();
        calm.push(p99(&load::open(rate, settings.span, buy.clone()).await?));
        shop.pool.close_idle();
        let crowd = Crowd::enter(&shop, &emails);
        busy.push(p99(&load::open(rate, settings.span, buy.clone()).await?));
        logged_in += crowd.leave().await?;
    }
    drop(buy);
    Arc::into_inner(shop).context("somebody still asks")?.close().await;
    let per_second = count(logged_in) / (settings.span.as_secs_f64() * calm.len() as f64);
    let what = format!("checkout at {rate:.0} orders/s, open loop, p99, while {LOGGERS} log in");
    Ok(vec![Measured {
        counterpart: "the same while nobody does",
        goal: Some(GOAL),
        better: Better::Lower,
        raw: calm,
        remarks: vec![format!("{per_second:.0} logged in a second")],
        ..Measured::plain("logins", &what, "ms", busy)
    }])
}

fn p99(load: &Load) -> f64 {
    load.percentile(0.99) / 1_000.0
}

/// Those who log in, again and again.
struct Crowd {
    stop: Arc<AtomicBool>,
    entered: Arc<AtomicU64>,
    all: Vec<tokio::task::JoinHandle<anyhow::Result<()>>>,
}

impl Crowd {
    fn enter(shop: &Arc<Shop>, emails: &[String]) -> Self {
        let (stop, entered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let all = emails.iter().cloned().map(|email| {
            let (shop, stop, entered) = (shop.clone(), stop.clone(), entered.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    if shop.log_in(&email).await? {
                        entered.fetch_add(1, Ordering::Relaxed);
                    } else {
                        sleep(PAUSE).await;
                    }
                }
                Ok(())
            })
        });
        let all = all.collect();
        Self { stop, entered, all }
    }

    /// How many logged in.
    async fn leave(self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        for one in self.all {
            one.await??;
        }
        Ok(self.entered.load(Ordering::Relaxed))
    }
}
