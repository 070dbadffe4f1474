//! `callboard health`: whether a part is up, for health checks of containers.

use std::time::Duration;

use actors::Role;
use anyhow::{Context, bail};
use clap::Args;

use crate::config::Nats;

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Arguments {
    /// Ask this address, which must answer 200: `http://127.0.0.1:8080/readyz`.
    #[arg(long)]
    url: Option<String>,

    /// Ask whether these kinds of actors are served.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Role>,
}

#[derive(Debug, Args)]
pub(crate) struct WithNats {
    #[command(flatten)]
    pub(crate) asked: Arguments,

    #[command(flatten)]
    pub(crate) nats: Nats,
}

const DEADLINE: Duration = Duration::from_secs(4);

pub(crate) async fn run(arguments: WithNats) -> anyhow::Result<()> {
    let WithNats { asked, nats } = arguments;
    let checks = async {
        if let Some(url) = &asked.url {
            let answer =
                reqwest::get(url).await.with_context(|| format!("{url} does not answer"))?;
            if !answer.status().is_success() {
                bail!("{url} answers {}", answer.status());
            }
        }
        if !asked.only.is_empty() {
            let bus = nats.connect().await?;
            for role in &asked.only {
                if !bus.is_served(&role.to_string(), DEADLINE / 2).await {
                    bail!("nobody serves `{role}`");
                }
            }
        }
        Ok(())
    };
    tokio::time::timeout(DEADLINE, checks).await.context("no answer in time")?
}
