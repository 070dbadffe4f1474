//! `callboard gateway`: the simulated card gateway, a server of its own.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;
use gateway::Settings;
use tokio::net::TcpListener;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen for HTTP; port 0 means a free one.
    #[arg(long, env = "CALLBOARD_GATEWAY_LISTEN", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,

    /// What webhooks are signed with.
    #[arg(long, env = "CALLBOARD_GATEWAY_SECRET", hide_env_values = true)]
    secret: String,

    /// Where webhooks are sent, as http://… Without it there are none.
    #[arg(long, env = "CALLBOARD_GATEWAY_WEBHOOK_URL", hide_env_values = true)]
    webhook_url: Option<String>,

    /// The folder with the gateway's file.
    #[arg(long, env = "CALLBOARD_GATEWAY_DATA", default_value = "gateway-data")]
    data: PathBuf,

    /// Hold answers back for up to so many milliseconds.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=60_000))]
    latency_ms: u64,

    /// The chance that a webhook is sent twice, from 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    duplicate_chance: f64,

    /// The chance that a webhook is held back until later ones have overtaken it, from 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    delay_chance: f64,

    /// With which dice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut settings = Settings::new(arguments.secret);
    settings.webhook_url = arguments.webhook_url;
    settings.data = arguments.data;
    settings.mischief.latency = Duration::ZERO..=Duration::from_millis(arguments.latency_ms);
    settings.mischief.duplicate_chance = arguments.duplicate_chance;
    settings.mischief.delay_chance = arguments.delay_chance;
    settings.mischief.seed = arguments.seed;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    tracing::info!(address = %listener.local_addr()?, "a simulated card gateway is listening");
    gateway::serve(listener, settings, bus::shutdown_signal()).await?;
    Ok(())
}
