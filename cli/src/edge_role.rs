//! `callboard edge`: the HTTP edge on its own.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use edge::Edge;
use tokio::net::TcpListener;

use crate::config::{DataFolder, Nats, Proxies, Webhooks, edge_config};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen for HTTP; port 0 means a free one.
    #[arg(long, env = "CALLBOARD_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    #[command(flatten)]
    nats: Nats,

    #[command(flatten)]
    data: DataFolder,

    #[command(flatten)]
    proxies: Proxies,

    #[command(flatten)]
    webhooks: Webhooks,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    arguments.data.make()?;
    let bus = arguments.nats.connect().await?;
    let edge =
        Edge::new(bus, &edge_config(&arguments.data, arguments.proxies, arguments.webhooks))?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    tracing::info!(address = %listener.local_addr()?, "listening for HTTP");
    edge::serve(listener, edge, bus::shutdown_signal()).await;
    Ok(())
}
