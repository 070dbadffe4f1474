//! `callboard dev`: everything in one process tree.
//!
//! What it starts it stops, in the order that loses nothing: the edge answers its last
//! requests, then the actors finish, then NATS goes.

use std::{fs::File, net::SocketAddr, time::Duration};

use actors::Role;
use anyhow::{Context, bail};
use clap::Args;
use edge::Edge;
use nats_server::{Options, Server};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::sleep};
use tracing::{error, warn};

use crate::{
    config::{DataFolder, Fitness, Proxies, Webhooks, edge_config},
    outside::{Cards, Mail},
};

/// Pause before a server that did not start is tried again.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);
const NATS_PORT: u16 = 4222;
/// Where a client looks for the monitor of a server it knows by address alone.
const MONITOR_PORT: u16 = 8222;
const EDGE_PORT: u16 = 8080;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen for HTTP. By default 127.0.0.1:8080, or a free port if that is taken;
    /// port 0 means a free one.
    #[arg(long, env = "CALLBOARD_LISTEN")]
    listen: Option<SocketAddr>,

    /// The port of the NATS server that is started. By default 4222, or a free one if that is
    /// taken; 0 means a free one.
    #[arg(long, env = "CALLBOARD_NATS_PORT")]
    nats_port: Option<u16>,

    /// Use this NATS server, as `nats://host:4222`, and start none.
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    nats_url: Option<String>,

    #[command(flatten)]
    fitness: Fitness,

    #[command(flatten)]
    data: DataFolder,

    #[command(flatten)]
    mail: Mail,

    #[command(flatten)]
    cards: Cards,

    #[command(flatten)]
    proxies: Proxies,

    #[command(flatten)]
    webhooks: Webhooks,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    // Asked for first: a signal while starting stops us as well.
    let mut signal = std::pin::pin!(bus::shutdown_signal());
    arguments.data.make()?;
    let _lock = lock(&arguments.data)?;
    let nats = match &arguments.nats_url {
        Some(_) => None,
        None => Some(Supervised::start(start_nats(&arguments).await?)),
    };
    let (url, monitor) = match (&arguments.nats_url, &nats) {
        (Some(url), _) => (url.clone(), None),
        (None, Some(nats)) => (nats.url.clone(), Some(nats.monitor_url.clone())),
        (None, None) => unreachable!("without an address a server was started"),
    };
    let bus = arguments.fitness.connect(&url, monitor.clone()).await?;
    let gateway = arguments.cards.gateway()?;
    let outside = arguments.mail.outside(&arguments.data, gateway)?;
    let host = actors::host(bus.clone(), &Role::ALL, outside).rows_in(arguments.data.rows());
    let running = host.start().await?;
    let edge =
        Edge::new(bus, &edge_config(&arguments.data, arguments.proxies, arguments.webhooks))?;
    let listener = listen(arguments.listen).await?;
    let address = format!("http://{}", listener.local_addr()?);
    arguments.data.write_addresses(&url, monitor.as_deref().unwrap_or_default(), &address)?;
    announce(&address, &url, &arguments.data);
    edge::serve(listener, edge, &mut signal).await;
    running.stop().await;
    if let Some(nats) = nats {
        nats.stop().await;
    }
    Ok(())
}

/// Two that share a folder would share NATS' store.
fn lock(data: &DataFolder) -> anyhow::Result<File> {
    let path = data.data.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!(
                "another `callboard dev` uses {}; name another folder with --data",
                data.data.display()
            )
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).context("cannot lock the data folder")
        }
    }
}

/// Starts the server on the usual ports, or on free ones where those are taken. A port that
/// was asked for is taken or nothing.
async fn start_nats(arguments: &Arguments) -> anyhow::Result<Server> {
    let mut options = Options {
        port: arguments.nats_port.or(Some(NATS_PORT)).filter(|port| *port != 0),
        monitor_port: (arguments.nats_port != Some(0)).then_some(MONITOR_PORT),
        ..Options::in_folder(arguments.data.nats())
    };
    loop {
        match Server::start(options.clone()).await {
            Err(nats_server::Error::PortTaken(MONITOR_PORT)) => options.monitor_port = None,
            Err(nats_server::Error::PortTaken(_)) if arguments.nats_port.is_none() => {
                options.port = None;
            }
            started => return Ok(started?),
        }
    }
}

async fn listen(wanted: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    let default = SocketAddr::from(([127, 0, 0, 1], EDGE_PORT));
    let address = wanted.unwrap_or(default);
    match TcpListener::bind(address).await {
        Err(error) if wanted.is_none() && error.kind() == std::io::ErrorKind::AddrInUse => {
            let free = SocketAddr::from(([127, 0, 0, 1], 0));
            TcpListener::bind(free).await.context("no free port on 127.0.0.1")
        }
        bound => bound.with_context(|| format!("cannot listen on {address}")),
    }
}

/// A NATS server that is started again if it ends by itself.
struct Supervised {
    url: String,
    monitor_url: String,
    stop: oneshot::Sender<()>,
    watching: JoinHandle<()>,
}

impl Supervised {
    fn start(server: Server) -> Self {
        let (url, monitor_url) = (server.url(), server.monitor_url());
        let (stop, stopped) = oneshot::channel();
        let watching = tokio::spawn(watch(server, stopped));
        Self { url, monitor_url, stop, watching }
    }

    async fn stop(self) {
        // A watcher that has given up needs no telling.
        let _ = self.stop.send(());
        if let Err(error) = self.watching.await {
            error!(%error, "NATS was not stopped in order");
        }
    }
}

async fn watch(mut server: Server, mut stopped: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut stopped => return server.stop().await,
            () = server.ended() => {}
        }
        warn!("nats-server ended by itself; starting it again");
        let options = server.options();
        server = loop {
            match Server::start(options.clone()).await {
                Ok(server) => break server,
                Err(error) => error!(%error, "nats-server cannot be started again yet"),
            }
            tokio::select! {
                _ = &mut stopped => return,
                () = sleep(START_AGAIN_AFTER) => {}
            }
        };
    }
}

/// The addresses, and three commands to try.
#[allow(clippy::print_stdout)] // This is what the command has to say.
fn announce(edge: &str, nats: &str, data: &DataFolder) {
    let data = data.data.display();
    println!(
        "Callboard is up.\n\
         \n\
         \x20 edge  {edge}\n\
         \x20 NATS  {nats}\n\
         \x20 data  {data}\n\
         \n\
         Try, in another terminal:\n\
         \n\
         \x20 curl -s {edge}/readyz\n\
         \x20 curl -s {edge}/v1/users -H 'Content-Type: application/json' \\\n\
         \x20   -d '{{\"email\":\"ada@example.com\",\"name\":\"Ada\",\"password\":\"correct horse battery\"}}'\n\
         \x20 CALLBOARD=\"{}\" CALLBOARD_DATA={data} examples/first-order.sh {edge}\n\
         \n\
         Ctrl-c stops everything; the data stays.",
        std::env::current_exe().map_or("callboard".into(), |path| path.display().to_string()),
    );
}
