//! Settings that several commands share. Each is a flag, or a variable of the environment.

use std::{fmt, io::IsTerminal, net::IpAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use bus::{Bus, Connect, Error};
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How long a starting process waits for a NATS server that is not there yet.
const CONNECT_DEADLINE: Duration = Duration::from_secs(30);

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, to standard error.
#[derive(Debug, Args)]
pub(crate) struct Logging {
    /// Which log lines are written, as `RUST_LOG` has it (`info`, `bus=debug`).
    #[arg(long, global = true, env = "RUST_LOG", default_value = "info,async_nats=warn,sled=warn")]
    log: String,

    /// How log lines are written.
    #[arg(long, global = true, env = "CALLBOARD_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

impl Logging {
    pub(crate) fn start(&self) {
        let filter = EnvFilter::try_new(&self.log).unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => lines.init(),
            LogFormat::Json => lines.json().init(),
        }
    }
}

/// Where NATS is.
#[derive(Debug, Args)]
pub(crate) struct Nats {
    /// The NATS server, as `nats://host:4222`.
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub(crate) nats_url: Option<String>,

    #[command(flatten)]
    pub(crate) fitness: Fitness,
}

/// What is asked of the server.
#[derive(Debug, Clone, Args)]
pub(crate) struct Fitness {
    /// Monitoring addresses of all NATS servers, to see that they sync every write to disk.
    /// By default port 8222 on the server's host.
    #[arg(long, env = "CALLBOARD_NATS_MONITOR", value_delimiter = ',')]
    nats_monitor: Vec<String>,

    /// Go on although the server may lose acknowledged writes with the power. For play.
    #[arg(long, env = "CALLBOARD_ALLOW_LAZY_SYNC")]
    allow_lazy_sync: bool,

    /// How many servers keep each stream that has to be made.
    #[arg(long, env = "CALLBOARD_REPLICAS", default_value_t = 1)]
    replicas: usize,
}

impl Nats {
    /// Connects to the server that was named.
    pub(crate) async fn connect(&self) -> anyhow::Result<Bus> {
        let url =
            self.nats_url.as_deref().context("name the NATS server: --nats-url or NATS_URL")?;
        self.fitness.connect(url, None).await
    }

    /// Connects to the server that was named, else to that of the `dev` running in `data`.
    pub(crate) async fn connect_or_dev(&self, data: &DataFolder) -> anyhow::Result<Bus> {
        if self.nats_url.is_some() {
            return self.connect().await;
        }
        let (url, monitor) = data.read_nats_url()?;
        self.fitness.connect(&url, Some(monitor)).await
    }
}

impl Fitness {
    /// Connects, and waits a while for a server that is not up yet.
    pub(crate) async fn connect(&self, url: &str, monitor: Option<String>) -> anyhow::Result<Bus> {
        let mut options = Connect::to(url);
        options.allow_lazy_sync = self.allow_lazy_sync;
        options.replicas = self.replicas;
        if let Some(monitor) = monitor {
            options.monitor_urls = vec![monitor];
        } else if !self.nats_monitor.is_empty() {
            options.monitor_urls.clone_from(&self.nats_monitor);
        }
        let deadline = tokio::time::Instant::now() + CONNECT_DEADLINE;
        loop {
            match Bus::connect(&options).await {
                Err(error @ (Error::Connect { .. } | Error::NotReady(_)))
                    if tokio::time::Instant::now() < deadline =>
                {
                    tracing::info!(%error, "NATS is not up yet");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                connected => return Ok(connected?),
            }
        }
    }
}

/// The folder for all that a process keeps: rows, keys, mails, and NATS' own store in `dev`.
#[derive(Debug, Args)]
pub(crate) struct DataFolder {
    /// The folder for rows, keys and mails.
    #[arg(long, env = "CALLBOARD_DATA", default_value = "./data")]
    pub(crate) data: PathBuf,
}

impl DataFolder {
    pub(crate) fn rows(&self) -> PathBuf {
        self.data.join("rows")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.data.join("keys")
    }

    pub(crate) fn mail(&self) -> PathBuf {
        self.data.join("mail")
    }

    pub(crate) fn nats(&self) -> PathBuf {
        self.data.join("nats")
    }

    pub(crate) fn make(&self) -> anyhow::Result<()> {
        let shown = self.data.display();
        std::fs::create_dir_all(&self.data).with_context(|| format!("cannot make {shown}"))
    }

    /// Leaves a note where NATS (and its monitor) and the edge are, for scripts and `grant`.
    pub(crate) fn write_addresses(
        &self,
        nats: &str,
        monitor: &str,
        edge: &str,
    ) -> anyhow::Result<()> {
        for (name, text) in [("nats-url", nats), ("nats-monitor-url", monitor), ("edge-url", edge)]
        {
            let file = self.data.join(name);
            std::fs::write(&file, format!("{text}\n"))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }

    fn read_nats_url(&self) -> anyhow::Result<(String, String)> {
        let read = |name: &str| {
            let file = self.data.join(name);
            std::fs::read_to_string(&file).map(|text| text.trim().to_owned()).with_context(|| {
                format!("no --nats-url, and no `callboard dev` left {}", file.display())
            })
        };
        Ok((read("nats-url")?, read("nats-monitor-url")?))
    }
}

/// Who is in front of the edge.
#[derive(Debug, Args)]
pub(crate) struct Proxies {
    /// Proxies in front of the edge, by IP address: their X-Forwarded-For says where a request comes
    /// from. Who guesses passwords is slowed by that address.
    #[arg(long, env = "CALLBOARD_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<IpAddr>,
}

/// Who tells the edge what became of a charge.
#[derive(Args)]
pub(crate) struct Webhooks {
    /// What the card gateway signs its webhooks to `/v1/webhooks/gateway` with. Without it none is
    /// heard, and the gateway's answers alone count.
    #[arg(
        long,
        env = "CALLBOARD_GATEWAY_SECRET",
        hide_env_values = true,
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    gateway_secret: Option<String>,
}

// The secret is not shown.
impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").finish_non_exhaustive()
    }
}

/// How the edge signs: as this shop, for this shop.
pub(crate) fn edge_config(data: &DataFolder, proxies: Proxies, webhooks: Webhooks) -> edge::Config {
    edge::Config {
        keys: data.keys(),
        issuer: "callboard".to_owned(),
        audience: "callboard".to_owned(),
        trusted_proxies: proxies.trusted_proxies,
        gateway_secret: webhooks.gateway_secret,
    }
}
