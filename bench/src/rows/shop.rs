//! The shop behind its edge.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actors::{
    Quantity,
    inventory::{Item, Receive},
};
use anyhow::{Context, anyhow, ensure};
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use bus::Id;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::net::TcpListener;

use super::{costs, count, in_turn, rates};
use crate::{
    http::{Pool, wrk},
    load::{self, Load},
    place::Settings,
    report::Measured,
    shop::{ITEMS, Shop, sku},
};

const ORDERERS: usize = 64;
const POSTERS: usize = 256;

/// Keys nobody has used yet.
static NEXT: AtomicUsize = AtomicUsize::new(0);

fn fresh_key() -> String {
    format!("k-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// From `POST /v1/orders` to the answer that it is confirmed: placed, reserved, charged.
pub(super) async fn checkout(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let shop = Arc::new(Shop::open(settings).await?);
    let order = {
        let shop = shop.clone();
        move |n: usize| order(shop.clone(), n)
    };
    load::closed(ORDERERS, settings.span, order.clone()).await?;
    let before = shop.commits().await?;
    let mut loads = Vec::new();
    for _ in 0..settings.runs {
        loads.push(load::closed(ORDERERS, settings.span, order.clone()).await?);
    }
    let orders: u64 = loads.iter().map(|load| load.done).sum();
    let commits = count(shop.commits().await? - before) / count(orders);
    let processes = shop.processes();
    let spent =
        costs(settings, &processes, || load::closed(ORDERERS, settings.span, order.clone()));
    let spent = spent.await?.replace("per command", "per order");
    shop.pool.close_idle();
    let half = crate::report::median(&rates(&loads)).unwrap_or(2.0) / 2.0;
    let calm = load::open(half, settings.span * 3, order).await?;
    drop_shop(shop).await?;
    let what = "whole checkout of one line, from POST /v1/orders to confirmed";
    let mut rows = vec![Measured {
        remarks: vec![format!("{commits:.1} commits per order; {spent}")],
        ..Measured::plain("checkout", &format!("{what}, c=64"), "orders/s", rates(&loads))
    }];
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let what = format!("the same at {half:.0} orders/s, open loop, {name}");
        let figure = calm.percentile(share) / 1_000.0;
        rows.push(Measured::plain(&format!("checkout-{name}"), &what, "ms", vec![figure]));
    }
    Ok(rows)
}

async fn drop_shop(shop: Arc<Shop>) -> anyhow::Result<()> {
    Arc::into_inner(shop).context("somebody still asks")?.close().await;
    Ok(())
}

pub(super) async fn order(shop: Arc<Shop>, n: usize) -> anyhow::Result<()> {
    let body = format!(
        r#"{{"currency":"EUR","card":"4242424242424242","lines":[{{"sku":"{}","quantity":1}}]}}"#,
        sku(n % ITEMS)
    );
    let headers = format!("{}Idempotency-Key: {}\r\nPrefer: wait=30\r\n", shop.staff, fresh_key());
    let answer = shop.pool.send("POST /v1/orders", &headers, &body).await?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(text.contains(r#""status":"confirmed""#), "not confirmed: {} {text}", answer.status);
    Ok(())
}

/// Reads and writes through the edge.
pub(super) async fn edge(settings: &Settings) -> anyhow::Result<Vec<Measured>> {
    let shop = Arc::new(Shop::open(settings).await?);
    let get = item(&shop, settings).await?;
    let post = receive(&shop, settings).await?;
    drop_shop(shop).await?;
    Ok(vec![get, post])
}

async fn item(shop: &Arc<Shop>, settings: &Settings) -> anyhow::Result<Measured> {
    let path = format!("/v1/items/{}", sku(0));
    shop.pool.close_idle();
    let shown = shop.pool.send(&format!("GET {path}"), "", "").await?;
    let barest = barest(&shop.url(), shown.body.into()).await?;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    let mut tool = "wrk -t2 -c64";
    for run in 0..=settings.runs {
        for (address, figures) in [(barest, &mut raw), (shop.address, &mut ours)] {
            let rate = match wrk(&format!("http://{address}{path}"), settings.span).await? {
                Some(rate) => rate,
                None => {
                    tool = "our own client, c=64 (wrk is not here)";
                    gets(address, path.clone(), settings).await?.per_second()
                }
            };
            if run > 0 {
                figures.push(rate);
            }
        }
    }
    Ok(Measured {
        counterpart: "the barest axum + one NATS request",
        goal: Some(0.8),
        raw,
        ..Measured::plain("edge-get", &format!("GET /v1/items/{{sku}} by {tool}"), "/s", ours)
    })
}

async fn gets(
    address: std::net::SocketAddr,
    path: String,
    settings: &Settings,
) -> anyhow::Result<Load> {
    let pool = Pool::new(address);
    load::closed(64, settings.span, move |_| {
        let (pool, request) = (pool.clone(), format!("GET {path}"));
        async move {
            let answer = pool.send(&request, "", "").await?;
            ensure!(answer.status == 200, "{}", answer.status);
            Ok(())
        }
    })
    .await
}

/// An HTTP server that sends one request on, and a responder that answers it with `body`.
async fn barest(url: &str, body: Bytes) -> anyhow::Result<std::net::SocketAddr> {
    let (asking, answering) = (async_nats::connect(url).await?, async_nats::connect(url).await?);
    let mut requests = answering.queue_subscribe("barest.*", "barest".to_owned()).await?;
    answering.flush().await?;
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                // Who asked sees no answer, and fails.
                drop(answering.publish(reply, body.clone()).await);
            }
        }
    });
    let show = |State(nats): State<async_nats::Client>, Path(sku): Path<String>| async move {
        let answer = nats.request(format!("barest.{sku}"), Bytes::new()).await;
        answer.map(|message| message.payload).map_err(|_| axum::http::StatusCode::BAD_GATEWAY)
    };
    let router = Router::new().route("/v1/items/{sku}", get(show)).with_state(asking);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn receive(shop: &Arc<Shop>, settings: &Settings) -> anyhow::Result<Measured> {
    let ours = || {
        let shop = shop.clone();
        shop.pool.close_idle();
        load::closed(POSTERS, settings.span, move |n| {
            let shop = shop.clone();
            async move {
                let path = format!("/v1/items/{}/stock", sku(n % ITEMS));
                shop.post(&path, &fresh_key(), r#"{"quantity":1}"#).await.map(drop)
            }
        })
    };
    let raw = || {
        let bus = shop.bus.clone();
        load::closed(POSTERS, settings.span, move |n| {
            let bus = bus.clone();
            async move {
                let id = Id::<Item>::parse(&sku(n % ITEMS))?;
                let quantity = Quantity::new(1).context("one is a quantity")?;
                let received = bus.actor(&id).ask(Receive::new(quantity)).await;
                received.map(drop).map_err(|error| anyhow!("{error}"))
            }
        })
    };
    let (our_loads, raw_loads) = in_turn(settings, ours, raw).await?;
    Ok(Measured {
        counterpart: "the same command straight on the bus",
        goal: Some(0.5),
        raw: rates(&raw_loads),
        ..Measured::plain(
            "edge-post",
            "durable POST /v1/items/{sku}/stock through the edge, c=256",
            "/s",
            rates(&our_loads),
        )
    })
}
