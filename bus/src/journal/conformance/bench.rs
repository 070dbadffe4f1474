//! What a journal under test can be put through: more clients, clients that vanish, and a
//! server that is killed.

use std::{sync::Arc, time::Duration};

use nats_server::{TestCluster, TestServer};
use tokio::time::sleep;

use crate::{
    asking::{bus::Bus, transport::nats::NatsNetwork},
    journal::{BoxFuture, Cells, Journal, Post, nats::NatsJournal},
    memory::{Faults, World},
    model::time::Timestamp,
};

/// One client's connection.
pub(super) struct Client {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) post: Arc<dyn Post>,
    pub(super) cells: Arc<dyn Cells>,
    killed: Option<Box<dyn FnOnce() + Send>>,
}

impl Client {
    /// It is gone, without a word. Drop its streams as well.
    pub(super) fn vanish(mut self) {
        if let Some(kill) = self.killed.take() {
            kill();
        }
    }
}

/// A journal under test.
pub(super) trait Bench: Send {
    fn name(&self) -> &'static str;

    /// A connection of its own.
    fn client(&self) -> BoxFuture<'_, Client>;

    /// Kills the server, as by SIGKILL, and starts it again.
    fn kill(&mut self) -> BoxFuture<'_, ()>;

    /// What the server's clock says.
    fn now(&self) -> Timestamp;
}

pub(super) struct InMemory {
    name: &'static str,
    world: World,
    clients: std::sync::atomic::AtomicU32,
}

impl InMemory {
    pub(super) fn new(name: &'static str, max_delay: Duration) -> Self {
        let world = World::new(5);
        world.faults(Faults { max_delay, ..Faults::default() });
        Self { name, world, clients: 0.into() }
    }
}

impl Bench for InMemory {
    fn name(&self) -> &'static str {
        self.name
    }

    fn client(&self) -> BoxFuture<'_, Client> {
        let number = self.clients.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("client-{number}");
        let bus: Bus = self.world.connect(&name);
        let world = self.world.clone();
        let client = Client {
            journal: bus.journal().clone(),
            post: bus.post().clone(),
            cells: bus.cells().clone(),
            killed: Some(Box::new(move || world.kill(&name))),
        };
        Box::pin(std::future::ready(client))
    }

    fn kill(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let span = Duration::from_millis(500);
            self.world.outage(span);
            sleep(span * 2).await;
        })
    }

    fn now(&self) -> Timestamp {
        self.world.now()
    }
}

async fn client_of(url: &str, replicas: usize) -> Client {
    let network = NatsNetwork::connect(url).await.expect("the server is up");
    let journal = Arc::new(NatsJournal::new(&network, replicas));
    Client { journal: journal.clone(), post: journal.clone(), cells: journal, killed: None }
}

pub(super) struct OneServer(pub(super) TestServer);

impl Bench for OneServer {
    fn name(&self) -> &'static str {
        "one nats-server"
    }

    fn client(&self) -> BoxFuture<'_, Client> {
        Box::pin(client_of(&self.0.url, 1))
    }

    fn kill(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.kill_and_restart())
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

pub(super) struct Cluster(pub(super) TestCluster);

impl Bench for Cluster {
    fn name(&self) -> &'static str {
        "three nats-servers"
    }

    fn client(&self) -> BoxFuture<'_, Client> {
        Box::pin(async { client_of(&self.0.url(), 3).await })
    }

    fn kill(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            for n in 0..TestCluster::SERVERS {
                self.0.kill_and_restart(n).await;
            }
        })
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
