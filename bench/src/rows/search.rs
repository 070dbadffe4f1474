//! Searching a large catalogue through the edge.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actors::{
    Money, Quantity,
    inventory::{Create, Item, Receive},
};
use anyhow::{Context, anyhow, ensure};
use bus::Id;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    load,
    place::Settings,
    report::{Better, Measured},
    shop::Shop,
};

const CATALOGUE: usize = 100_000;
const SEARCHERS: usize = 8;

/// Stocked while others search: an item comes in or is priced anew, so that the index changes.
const CHANGES_PER_SECOND: f64 = 50.0;

const COLOURS: [&str; 10] =
    ["red", "green", "blue", "black", "white", "yellow", "purple", "orange", "grey", "brown"];
const THINGS: [&str; 20] = [
    "lamp", "table", "chair", "shelf", "sofa", "desk", "mirror", "carpet", "curtain", "clock",
    "vase", "candle", "pillow", "blanket", "basket", "bench", "stool", "cabinet", "drawer",
    "frame",
];
const MAKERS: [&str; 50] = [
    "Abel", "Bauer", "Crane", "Dahl", "Eriksen", "Falk", "Grant", "Holm", "Ito", "Jansen", "Kane",
    "Lund", "Moore", "Nash", "Olsen", "Park", "Quinn", "Rossi", "Sato", "Tanaka", "Ueda", "Vega",
    "Weber", "Xu", "Young", "Zeller", "Adler", "Bloom", "Costa", "Dietz", "Ebert", "Frank",
    "Green", "Hauser", "Iversen", "Jung", "Keller", "Lang", "Maier", "Novak", "Otto", "Peters",
    "Reed", "Stone", "Thorn", "Urban", "Vogel", "Wolf", "Yates", "Zimmer",
];

/// What is asked for in turn: broad and narrow words, beginnings of words, filters, every order.
const SEARCHES: [&str; 12] = [
    "search=lamp",
    "search=red%20lamp",
    "search=la",
    "search=b",
    "search=keller%20red%20ch",
    "search=lamp&category=lamp&in_stock=true",
    "search=table&sort=price&min_price=1000&max_price=50000",
    "search=sofa&sort=-price&in_stock=true",
    "search=chair&sort=name",
    "sort=newest&category=desk",
    "search=item-4711",
    "search=nothing%20at%20all",
];

pub(super) async fn search(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let shop = Arc::new(Shop::open(settings).await?);
    load::each(512, CATALOGUE, |n| create(&shop, n)).await?;
    shop.pool.close_idle();
    let began = Instant::now();
    let found = loop {
        let answer = shop.pool.send("GET /v1/items?search=lamp&limit=100", "", "").await?;
        if answer.status == 200 {
            break serde_json::from_slice::<Value>(&answer.body)?;
        }
        ensure!(answer.status == 503, "{}", answer.status);
    };
    let made = began.elapsed();
    ensure!(found["items"].as_array().map(Vec::len) == Some(100), "a full page is found");
    let calm = searches(&shop, settings).await?;
    let changing = {
        let shop = shop.clone();
        tokio::spawn(load::open(CHANGES_PER_SECOND, settings.span, move |n| {
            change(shop.clone(), n)
        }))
    };
    let busy = searches(&shop, settings).await?;
    changing.await??;
    Arc::into_inner(shop).context("somebody still asks")?.close().await;

    let what = format!("search of {CATALOGUE} items over HTTP, c={SEARCHERS}");
    let plain = |row, what: &str, ms| Measured::plain(row, what, "ms", vec![ms]);
    let ms = |load: &load::Load, share| load.percentile(share) / 1_000.0;
    let limit = |measured| Measured { better: Better::Lower, goal: Some(20.0), ..measured };
    Ok(vec![
        Measured {
            remarks: vec![format!("{:.0} searches/s", calm.per_second())],
            ..plain("search-p50", &format!("{what}, p50"), ms(&calm, 0.5))
        },
        limit(plain("search-p99", &format!("{what}, p99"), ms(&calm, 0.99))),
        limit(plain(
            "search-changing-p99",
            &format!("the same while {CHANGES_PER_SECOND} items a second change, p99"),
            ms(&busy, 0.99),
        )),
        plain(
            "search-made",
            "making the index of them from the rows",
            made.as_secs_f64() * 1_000.0,
        ),
    ])
}

async fn searches(shop: &Arc<Shop>, settings: &Settings) -> anyhow::Result<load::Load> {
    shop.pool.close_idle();
    let (pool, next) = (shop.pool.clone(), Arc::new(AtomicUsize::new(0)));
    load::closed(SEARCHERS, settings.span, move |_| {
        let (pool, n) = (pool.clone(), next.fetch_add(1, Ordering::Relaxed));
        async move {
            let request = format!("GET /v1/items?{}", SEARCHES[n % SEARCHES.len()]);
            let answer = pool.send(&request, "", "").await?;
            ensure!(answer.status == 200, "{request}: {}", answer.status);
            Ok(())
        }
    })
    .await
}

/// Straight on the bus, which takes many at once.
async fn create(shop: &Shop, n: usize) -> anyhow::Result<()> {
    let id = item(n)?;
    let (colour, thing) = (COLOURS[n % 10], THINGS[n / 10 % 20]);
    let maker = MAKERS[n / 200 % 50];
    let amount = i64::try_from(n * 7_919 % 100_000)?;
    let price = Money { amount, currency: "EUR".parse()? };
    let create = Create {
        description: format!("A {colour} {thing} by {maker}, number {n} of its kind."),
        category: Some(thing.parse()?),
        ..Create::new(format!("{maker} {thing} {n}, {colour}"), price)
    };
    shop.bus.actor(&id).ask(create).await.map_err(|error| anyhow!("{error}"))?;
    if n.is_multiple_of(2) {
        let quantity = Quantity::new(10).context("ten is a quantity")?;
        let received = shop.bus.actor(&id).ask(Receive::new(quantity)).await;
        received.map_err(|error| anyhow!("{error}"))?;
    }
    Ok(())
}

/// An item that was out of stock comes in.
async fn change(shop: Arc<Shop>, n: usize) -> anyhow::Result<()> {
    let quantity = Quantity::new(10).context("ten is a quantity")?;
    let id = item(n * 2 + 1)?;
    let received = shop.bus.actor(&id).ask(Receive::new(quantity)).await;
    received.map(drop).map_err(|error| anyhow!("{error}"))
}

fn item(n: usize) -> anyhow::Result<Id<Item>> {
    Ok(Id::parse(&format!("item-{n}"))?)
}
