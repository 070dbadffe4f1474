//! A running server: a child that cannot outlive its parent.
//!
//! Between us and the server stands a small shell that holds one end of a pipe from us. When
//! we end, in whatever way, the pipe closes and the shell stops the server. Both are in a
//! process group of their own, so that ctrl-c reaches us alone and we can drain first.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    time::{Instant, sleep, timeout},
};
use tracing::warn;

use crate::{Binary, Error, binary::make_folder, config, file_error};

/// Runs `$@`, says its process id, and stops it when standard input ends.
///
/// Standard error is the store's lock file: the server gets it as descriptor 9 and so holds the
/// lock for as long as it lives, whatever becomes of us and the shell.
const WATCH: &str = r#"
"$@" 9>&2 </dev/null >>"$LOG" 2>&1 &
server=$!
echo "$server"
exec 3<&0
( read -r _ <&3; kill -TERM "$server"; sleep 10; kill -KILL "$server" ) >/dev/null 2>&1 &
watch=$!
wait "$server"
status=$?
kill "$watch" 2>/dev/null
exit "$status"
"#;

/// How long a server may take to come up. Reading a large store takes time.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// How long a server may take to stop before it is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder for the store, the configuration and the log.
    pub folder: PathBuf,
    /// The port on 127.0.0.1; `None` for a free one.
    pub port: Option<u16>,
    /// The monitoring port; `None` for a free one.
    pub monitor_port: Option<u16>,
    /// Acknowledge writes before they are on disk: only to show that this is refused.
    pub lazy_sync: bool,
    /// Its place in a cluster, if it is in one.
    pub member: Option<Member>,
}

/// One server's place in a cluster on this machine.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name in the cluster.
    pub name: String,
    /// The port on 127.0.0.1 where the others reach it.
    pub route_port: u16,
    /// The ports of the others.
    pub others: Vec<u16>,
}

impl Options {
    /// A server that keeps everything in `folder`, on free ports.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            port: None,
            monitor_port: None,
            lazy_sync: false,
            member: None,
        }
    }
}

/// A running nats-server.
#[derive(Debug)]
pub struct Server {
    options: Options,
    pid: u32,
    watch: Child,
    /// While this is open, the server runs.
    lifeline: Option<ChildStdin>,
}

impl Server {
    /// Finds a binary and starts it.
    ///
    /// # Errors
    /// If there is none, a port is taken, or it does not come up.
    pub async fn start(mut options: Options) -> Result<Self, Error> {
        let found = tokio::task::spawn_blocking(Binary::find).await;
        let binary = found.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let ports = options.folder.join("ports");
        make_folder(&ports)?;
        forget_old(&ports);
        let log = options.folder.join("nats-server.log");
        let lock = lock(&options.folder).await?;
        for port in [options.port, options.monitor_port].into_iter().flatten() {
            if std::net::TcpListener::bind(("127.0.0.1", port)).is_err() {
                return Err(Error::PortTaken(port));
            }
        }
        let (watch, lifeline, pid) = spawn(&binary, &options, &ports, &log, lock).await?;
        let mut server = Self { options: options.clone(), pid, watch, lifeline: Some(lifeline) };
        let (port, monitor) = server.wait_until_up(&ports, &log).await?;
        options.port = Some(port);
        options.monitor_port = Some(monitor);
        server.options = options;
        Ok(server)
    }

    /// `nats://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.options.port.unwrap_or_default())
    }

    /// `http://127.0.0.1:<port>`: the monitoring address.
    #[must_use]
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.options.monitor_port.unwrap_or_default())
    }

    /// What a new server in the same folder on the same ports is started with.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options.clone()
    }

    /// The server's own process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Resolves when the server has ended, for whatever reason.
    pub async fn ended(&mut self) {
        if let Err(error) = self.watch.wait().await {
            warn!(%error, "cannot wait for nats-server");
        }
    }

    /// Stops the server as SIGTERM does, and waits until it is gone.
    pub async fn stop(mut self) {
        self.lifeline = None;
        if timeout(STOP_DEADLINE, self.ended()).await.is_err() {
            warn!(pid = self.pid, "nats-server does not stop; killing it");
            self.kill().await;
        }
    }

    /// Kills the server as SIGKILL does, and waits until it is gone.
    pub async fn kill(&mut self) {
        if self.watch.try_wait().is_ok_and(|ended| ended.is_some()) {
            return; // Its process id may be somebody else's by now.
        }
        let killed = Command::new("kill").args(["-KILL", &self.pid.to_string()]).status().await;
        if !killed.is_ok_and(|status| status.success()) {
            warn!(pid = self.pid, "nats-server could not be killed; it may be gone already");
        }
        self.ended().await;
    }

    /// The ports it listens on, once it does.
    async fn wait_until_up(&mut self, ports: &Path, log: &Path) -> Result<(u16, u16), Error> {
        let deadline = Instant::now() + START_DEADLINE;
        let failed = |reason: String| Error::DidNotStart { reason, log: log.display().to_string() };
        loop {
            if let Some(found) = read_ports(ports, self.pid)
                && tokio::net::TcpStream::connect(("127.0.0.1", found.0)).await.is_ok()
            {
                return Ok(found);
            }
            if let Ok(Some(status)) = self.watch.try_wait() {
                return Err(failed(format!("it ended at once ({status})")));
            }
            if Instant::now() > deadline {
                return Err(failed(format!("it was not up after {START_DEADLINE:?}")));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Locks the store, once a server of an earlier run is gone: two on one store would spoil it.
async fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let what = format!("cannot lock {}", path.display());
    let file = File::create(&path).map_err(file_error(what.clone()))?;
    let deadline = Instant::now() + STOP_DEADLINE * 2;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                sleep(Duration::from_millis(20)).await;
            }
            Err(TryLockError::WouldBlock) => {
                let reason = "another server still uses its folder".to_owned();
                return Err(Error::DidNotStart { reason, log: folder.display().to_string() });
            }
            Err(TryLockError::Error(source)) => return Err(Error::File { what, source }),
        }
    }
}

async fn spawn(
    binary: &Binary,
    options: &Options,
    ports: &Path,
    log: &Path,
    lock: File,
) -> Result<(Child, ChildStdin, u32), Error> {
    let folder = &options.folder;
    let conf = folder.join("nats-server.conf");
    let text = config::text(&folder.join("jetstream"), ports, options);
    std::fs::write(&conf, text).map_err(file_error(format!("cannot write {}", conf.display())))?;
    let mut watch = Command::new("sh")
        .args(["-c", WATCH, "sh"])
        .arg(binary.path())
        .arg("-c")
        .arg(&conf)
        .env("LOG", log)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(lock)
        .process_group(0)
        .spawn()
        .map_err(file_error("cannot run sh"))?;
    let failed = |reason: &str| Error::DidNotStart {
        reason: reason.to_owned(),
        log: log.display().to_string(),
    };
    let (Some(lifeline), Some(stdout)) = (watch.stdin.take(), watch.stdout.take()) else {
        return Err(failed("its pipes are missing"));
    };
    let mut line = String::new();
    let read = BufReader::new(stdout).read_line(&mut line).await;
    read.map_err(|e| failed(&format!("cannot read its process id: {e}")))?;
    let pid = line.trim().parse().map_err(|_| failed("it has no process id"))?;
    Ok((watch, lifeline, pid))
}

/// A file of an earlier server with our process id would name ports that are not ours.
fn forget_old(ports: &Path) {
    let Ok(files) = std::fs::read_dir(ports) else { return };
    for file in files.flatten() {
        if let Err(error) = std::fs::remove_file(file.path()) {
            warn!(%error, file = %file.path().display(), "an old ports file stays");
        }
    }
}

/// The client and monitoring ports that the server wrote down, if it has.
fn read_ports(folder: &Path, pid: u32) -> Option<(u16, u16)> {
    let text = std::fs::read_to_string(folder.join(format!("nats-server_{pid}.ports"))).ok()?;
    let ports: Value = serde_json::from_str(&text).ok()?;
    let port = |name: &str| -> Option<u16> {
        let url = ports.get(name)?.get(0)?.as_str()?;
        url.rsplit_once(':')?.1.parse().ok()
    };
    Some((port("nats")?, port("monitoring")?))
}
