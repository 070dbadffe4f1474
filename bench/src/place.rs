//! Where things are measured: servers of our own, a node, a caller, and a raw client beside them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use bus::{Bus, Connect, Host, Id, Running};
use nats_server::{Options, Server, TestCluster};
use tempfile::TempDir;

use crate::{
    actor::{OneSlot, Slot},
    load,
    raw::RawSlots,
    usage::Processes,
};

/// Bytes of the file that stands in for a slow disk.
const SLOW_DISK_BYTES: u64 = 4 << 30;

/// How things are measured.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) runs: usize,
    /// How long one run lasts.
    pub(crate) span: Duration,
    pub(crate) soak: Duration,
    /// Whether to count what a command costs as well: that takes runs of its own.
    pub(crate) counts_costs: bool,
    /// Only these figures, if any is named.
    pub(crate) only: Vec<String>,
    pub(crate) stored_max: u64,
    pub(crate) data: PathBuf,
}

impl Settings {
    /// Whether this figure of `row` is to be taken.
    pub(crate) fn wants(&self, row: &str, figure: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == row || name == figure)
    }
}

/// What the servers stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    /// One server on the machine's own disk.
    One,
    /// Three on loopback, that keep every stream threefold.
    Three,
    /// One whose disk is a file with a file system of its own: each sync costs two.
    SlowDisk,
}

/// Servers, and all that is connected to them.
pub(crate) struct Place {
    pub(crate) node: Bus,
    pub(crate) caller: Bus,
    pub(crate) raw: RawSlots,
    running: Option<Running>,
    servers: Servers,
}

enum Servers {
    One(Server, TempDir),
    Slow(Server, Mount),
    Three(TestCluster),
}

impl Place {
    /// Starts all of it, with a node that hosts slots.
    pub(crate) async fn start(settings: &Settings, ground: Ground) -> anyhow::Result<Self> {
        let servers = Servers::start(settings, ground).await?;
        let (node, caller) = (servers.connect().await?, servers.connect().await?);
        let host = Host::new(node.clone()).actor::<OneSlot>().actor::<Slot<4>>();
        let running = Some(host.start().await?);
        let raw = RawSlots::start(&servers.url(), servers.replicas()).await?;
        Ok(Self { node, caller, raw, running, servers })
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> anyhow::Result<Bus> {
        self.servers.connect().await
    }

    pub(crate) fn url(&self) -> String {
        self.servers.url()
    }

    /// Ourselves and the servers, for counting what they use.
    pub(crate) fn processes(&self) -> Processes {
        Processes { servers: self.servers.pids() }
    }

    /// Has each of `count` slots take something, so that all are there, ours and raw ones.
    pub(crate) async fn fill<const SHARDS: u32>(&self, count: usize) -> anyhow::Result<()> {
        let ids = ids::<SHARDS>("s", count);
        load::each(256, count, |n| load::put(&self.caller, &ids[n])).await?;
        Ok(())
    }

    pub(crate) async fn fill_raw(&self, count: usize) -> anyhow::Result<()> {
        load::each(256, count, |n| self.raw.put(n)).await
    }

    /// Stops the node, so that it forgets all, and then everything.
    pub(crate) async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        self.servers.stop().await;
    }

    /// Another node in place of the first: it has no actor in memory.
    pub(crate) async fn restart_node(&mut self) -> anyhow::Result<()> {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        self.node = self.connect().await?;
        let host = Host::new(self.node.clone()).actor::<OneSlot>().actor::<Slot<4>>();
        self.running = Some(host.start().await?);
        Ok(())
    }
}

/// The ids of slots that are named alike.
pub(crate) fn ids<const SHARDS: u32>(prefix: &str, count: usize) -> Arc<[Id<Slot<SHARDS>>]> {
    let id = |n| Id::parse(&format!("{prefix}-{n}")).unwrap_or_else(|_| unreachable!("a token"));
    (0..count).map(id).collect()
}

impl Servers {
    async fn start(settings: &Settings, ground: Ground) -> anyhow::Result<Self> {
        Ok(match ground {
            Ground::One => {
                let folder = folder(&settings.data)?;
                Self::One(Server::start(Options::in_folder(folder.path())).await?, folder)
            }
            Ground::SlowDisk => {
                let mount = Mount::make(&settings.data)?;
                let store = mount.point().join("nats");
                Self::Slow(Server::start(Options::in_folder(store)).await?, mount)
            }
            Ground::Three => Self::Three(TestCluster::start().await),
        })
    }

    fn url(&self) -> String {
        match self {
            Self::One(server, _) | Self::Slow(server, _) => server.url(),
            Self::Three(cluster) => cluster.url(),
        }
    }

    fn replicas(&self) -> usize {
        if matches!(self, Self::Three(_)) { 3 } else { 1 }
    }

    fn pids(&self) -> Vec<u32> {
        match self {
            Self::One(server, _) | Self::Slow(server, _) => vec![server.pid()],
            Self::Three(cluster) => cluster.pids(),
        }
    }

    async fn connect(&self) -> anyhow::Result<Bus> {
        let mut options = Connect::to(&self.url());
        options.replicas = self.replicas();
        options.monitor_urls = match self {
            Self::One(server, _) | Self::Slow(server, _) => vec![server.monitor_url()],
            Self::Three(cluster) => cluster.monitor_urls(),
        };
        Ok(Bus::connect(&options).await?)
    }

    async fn stop(self) {
        match self {
            Self::One(server, _folder) => server.stop().await,
            Self::Slow(server, mount) => {
                server.stop().await;
                drop(mount);
            }
            Self::Three(cluster) => drop(cluster),
        }
    }
}

pub(crate) fn folder(data: &Path) -> anyhow::Result<TempDir> {
    let made = tempfile::Builder::new().prefix("callboard-bench-").tempdir_in(data);
    made.with_context(|| format!("no folder in {}", data.display()))
}

/// A file with an ext4 of its own, mounted; unmounted when dropped.
pub(crate) struct Mount {
    folder: TempDir,
}

impl Mount {
    /// Only root may, and only where the tools are.
    pub(crate) fn make(data: &Path) -> anyhow::Result<Self> {
        let folder = folder(data)?;
        let (image, point) = (folder.path().join("disk"), folder.path().join("mounted"));
        std::fs::create_dir(&point)?;
        std::fs::File::create(&image)?.set_len(SLOW_DISK_BYTES)?;
        tool("mkfs.ext4", &["-q", "-F", &image.to_string_lossy()])?;
        tool("mount", &["-o", "loop", &image.to_string_lossy(), &point.to_string_lossy()])?;
        Ok(Self { folder })
    }

    fn point(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Whoever still writes there is killed as we end; lazily, so that it is gone in any case.
        if let Err(error) = tool("umount", &["-l", &self.point().to_string_lossy()]) {
            crate::report::say(&format!("not unmounted: {error:#}"));
        }
    }
}

fn tool(name: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(name).args(arguments).output();
    let output = output.with_context(|| format!("{name} is not here"))?;
    ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Why a slow disk cannot be had here, if so.
pub(crate) fn no_slow_disk(settings: &Settings) -> Option<String> {
    Mount::make(&settings.data).err().map(|error| format!("not run: {error:#}"))
}

/// Fails if not exactly as many commits are stored as were acknowledged.
pub(crate) fn check_stored(before: u64, after: u64, acknowledged: u64) -> anyhow::Result<()> {
    if after - before != acknowledged {
        bail!("{acknowledged} were acknowledged, {} are stored", after - before);
    }
    Ok(())
}
