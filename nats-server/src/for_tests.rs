//! The server that tests talk to: a given one, or one of their own.

use tempfile::TempDir;

use crate::{Options, Server};

/// A server for one test. Its own one, and its folder, are gone when this is dropped.
#[derive(Debug)]
pub struct TestServer {
    /// Where to connect.
    pub url: String,
    /// Where it is monitored.
    pub monitor_url: String,
    own: Option<(Server, TempDir)>,
}

impl TestServer {
    /// The server at `NATS_URL` (monitored at `CALLBOARD_NATS_MONITOR`), else a new one.
    ///
    /// # Panics
    /// If there is none to be had: the message names the ways to get one.
    pub async fn get() -> Self {
        match std::env::var("NATS_URL") {
            Ok(url) if !url.is_empty() => {
                let monitor = std::env::var("CALLBOARD_NATS_MONITOR");
                let monitor_url = monitor.unwrap_or_else(|_| "http://127.0.0.1:8222".to_owned());
                Self { url, monitor_url, own: None }
            }
            _ => Self::own().await,
        }
    }

    /// A new server, for what would disturb others: wrong streams, killing.
    ///
    /// # Panics
    /// As [`TestServer::get`].
    pub async fn own() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("no folder for a test: {e}"));
        let options = Options::in_folder(folder.path());
        let server = Server::start(options).await.unwrap_or_else(|e| panic!("{e}"));
        let (url, monitor_url) = (server.url(), server.monitor_url());
        Self { url, monitor_url, own: Some((server, folder)) }
    }

    /// Kills an own server as SIGKILL does and starts it again, on the same ports and store.
    ///
    /// # Panics
    /// If the server was given, or does not come up again.
    pub async fn kill_and_restart(&mut self) {
        let Some((mut server, folder)) = self.own.take() else {
            panic!("a given server is not ours to kill");
        };
        server.kill().await;
        let restarted = Server::start(server.options()).await;
        self.own = Some((restarted.unwrap_or_else(|e| panic!("{e}")), folder));
    }
}
