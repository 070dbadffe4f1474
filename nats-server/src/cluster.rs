//! Three servers on this machine that keep every stream threefold, for tests.
//!
//! They find each other by routes on free ports, and a test begins once they have elected who
//! leads JetStream.

use std::{net::TcpListener, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{Error, Member, Options, Server};

/// How long they may take to find each other and elect a leader.
const READY_DEADLINE: Duration = Duration::from_secs(90);
/// A free port may be taken by somebody else before a server has it: how often to try anew.
const ATTEMPTS_MAX: u32 = 5;

/// A cluster for one test. Its servers and their folder are gone when this is dropped.
#[derive(Debug)]
pub struct TestCluster {
    servers: Vec<Option<Server>>,
    _folder: TempDir,
}

impl TestCluster {
    /// How many servers there are.
    pub const SERVERS: usize = 3;

    /// Starts the servers, and waits until JetStream has a leader.
    ///
    /// # Panics
    /// If there is no server to be had, or they do not find each other.
    pub async fn start() -> Self {
        for _ in 1..ATTEMPTS_MAX {
            match Self::try_start().await {
                // Somebody else has one of the ports.
                Err(Error::PortTaken(_) | Error::DidNotStart { .. }) => {}
                started => return started.unwrap_or_else(|e| panic!("{e}")),
            }
        }
        Self::try_start().await.unwrap_or_else(|e| panic!("{e}"))
    }

    async fn try_start() -> Result<Self, Error> {
        let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("no folder for a test: {e}"));
        let routes = free_ports();
        let options = routes.iter().enumerate().map(|(n, &route_port)| {
            let name = format!("callboard-{n}");
            let others = routes.iter().copied().filter(|port| *port != route_port).collect();
            let member = Some(Member { name: name.clone(), route_port, others });
            Options { member, ..Options::in_folder(folder.path().join(name)) }
        });
        let mut servers = Vec::new();
        for options in options {
            servers.push(Some(Server::start(options).await?));
        }
        let cluster = Self { servers, _folder: folder };
        cluster.wait_until_ready().await;
        Ok(cluster)
    }

    /// Where to connect: the first server that runs. It names the others to its clients.
    ///
    /// # Panics
    /// If none runs.
    #[must_use]
    pub fn url(&self) -> String {
        let Some(server) = self.servers.iter().flatten().next() else {
            panic!("no server of the cluster runs");
        };
        server.url()
    }

    /// Where they are monitored.
    #[must_use]
    pub fn monitor_urls(&self) -> Vec<String> {
        self.servers.iter().flatten().map(Server::monitor_url).collect()
    }

    /// The process ids of the servers that run.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.servers.iter().flatten().map(Server::pid).collect()
    }

    /// Kills the `n`-th server as SIGKILL does, starts it again on the same ports and store, and
    /// waits until it has caught up.
    ///
    /// # Panics
    /// If there is no such server, or it does not come up again.
    pub async fn kill_and_restart(&mut self, n: usize) {
        let options = self.kill(n).await;
        self.restart(n, options).await;
    }

    /// Kills the `n`-th server as SIGKILL does. Says what to start it with again.
    ///
    /// # Panics
    /// If there is no such server, or it is down already.
    pub async fn kill(&mut self, n: usize) -> Options {
        let Some(mut server) = self.servers.get_mut(n).and_then(Option::take) else {
            panic!("server {n} does not run");
        };
        server.kill().await;
        server.options()
    }

    /// Starts the `n`-th server again, and waits until all have caught up.
    ///
    /// # Panics
    /// If it does not come up again.
    pub async fn restart(&mut self, n: usize, options: Options) {
        let restarted = Server::start(options).await;
        self.servers[n] = Some(restarted.unwrap_or_else(|e| panic!("{e}")));
        self.wait_until_ready().await;
    }

    /// Waits until every running server says of itself, its streams and its place in the
    /// cluster that they are well.
    async fn wait_until_ready(&self) {
        let deadline = Instant::now() + READY_DEADLINE;
        for server in self.servers.iter().flatten() {
            while !(has_leader(server).await && is_well(server).await) {
                assert!(Instant::now() < deadline, "{} is not ready", server.url());
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Ports nobody uses now. All are held until all are found, so that they differ.
fn free_ports() -> Vec<u16> {
    let bind = |_| TcpListener::bind("127.0.0.1:0");
    let held: Result<Vec<TcpListener>, _> = (0..TestCluster::SERVERS).map(bind).collect();
    let held = held.unwrap_or_else(|e| panic!("no free port: {e}"));
    let ports = held.iter().map(|listener| listener.local_addr().map(|address| address.port()));
    ports.collect::<Result<_, _>>().unwrap_or_else(|e| panic!("no free port: {e}"))
}

async fn is_well(server: &Server) -> bool {
    page(server, "healthz").await.is_some_and(|page| page["status"] == "ok")
}

async fn has_leader(server: &Server) -> bool {
    let page = page(server, "jsz").await.unwrap_or_default();
    let meta = &page["meta_cluster"];
    let is_whole = meta["cluster_size"].as_u64() == Some(TestCluster::SERVERS as u64);
    is_whole && meta["leader"].as_str().is_some_and(|leader| !leader.is_empty())
}

/// A page of the monitoring port, if it is there and well.
async fn page(server: &Server, what: &str) -> Option<Value> {
    let address = server.monitor_url().strip_prefix("http://")?.to_owned();
    let fetch = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("GET /{what} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    let text = timeout(Duration::from_secs(5), fetch).await.ok()?.ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.0 200").then(|| serde_json::from_str(body).ok()).flatten()
}
