//! The nodes of the shop: three, each hosting everything, replaced when they die.

use std::time::Duration;

use actors::{MailLinks, Mailer, Outbox, Outside, Role};
use bus::{MemoryRows, Running, World};

use crate::outside::Ledger;

/// A node's place: what runs there changes, its disk stays.
struct Place {
    name: String,
    incarnation: u32,
    disk: MemoryRows,
    running: Option<Running>,
}

/// All places.
pub(crate) struct Nodes {
    places: Vec<Place>,
    ledger: Ledger,
    outbox: Outbox,
    pub(crate) replaced: u64,
}

impl Nodes {
    pub(crate) async fn start(world: &World, count: usize, ledger: Ledger, outbox: Outbox) -> Self {
        let mut nodes = Self { places: Vec::new(), ledger, outbox, replaced: 0 };
        for number in 1..=count {
            let mut place = Place {
                name: format!("node-{number}"),
                incarnation: 0,
                disk: MemoryRows::new(),
                running: None,
            };
            nodes.open(world, &mut place).await;
            nodes.places.push(place);
        }
        nodes
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The name under which the world knows who runs there now.
    pub(crate) fn name(&self, which: usize) -> String {
        self.places[which].world_name()
    }

    /// Starts a node at the place, on its old disk.
    async fn open(&self, world: &World, place: &mut Place) {
        place.incarnation += 1;
        let bus = world.connect(&place.world_name());
        let mailer = Mailer::outbox(self.outbox.clone(), "Callboard <shop@shop.example>");
        let mailer = mailer.expect("an address");
        let key = actors::users::LinkKey::new([0; 32]);
        let links = MailLinks { key, shop: "https://shop.example".to_owned() };
        let outside = Outside { gateway: self.ledger.clone(), mailer, links };
        let host = actors::host(bus, &Role::ALL, outside).rows_in_memory_of(&place.disk);
        // One that dies while it starts never ends starting.
        let started = tokio::time::timeout(Duration::from_secs(20), host.start()).await;
        place.running = match started {
            Ok(Ok(running)) => Some(running),
            Ok(Err(_)) | Err(_) => None,
        };
        if place.running.is_none() {
            world.kill(&place.world_name());
        }
    }

    /// Has new nodes take the places of dead ones.
    pub(crate) async fn replace_the_dead(&mut self, world: &World) {
        for which in 0..self.places.len() {
            if !world.is_alive(&self.name(which)) {
                self.replaced += 1;
                let mut place = self.places.remove(which);
                // What is left of the dead one can do nothing any more.
                drop(place.running.take());
                self.open(world, &mut place).await;
                self.places.insert(which, place);
            }
        }
    }

    /// Stops a node as it is asked to, then starts it anew: a redeploy.
    pub(crate) async fn stop(&mut self, world: &World, which: usize) {
        let Some(running) = self.places[which].running.take() else { return };
        let name = self.name(which);
        // A node that is paused or cut off takes its time; no longer than a person would wait.
        drop(tokio::time::timeout(Duration::from_secs(40), running.stop()).await);
        world.kill(&name);
        self.replace_the_dead(world).await;
    }

    /// All nodes die, and nobody is there for that long.
    pub(crate) async fn leave_alone(&mut self, world: &World, span: Duration) {
        for place in &mut self.places {
            drop(place.running.take());
            world.kill(&place.world_name());
        }
        tokio::time::sleep(span).await;
        self.replace_the_dead(world).await;
    }

    pub(crate) async fn stop_all(self) {
        for place in self.places {
            drop(place.running);
        }
    }
}

impl Place {
    fn world_name(&self) -> String {
        format!("{}.{}", self.name, self.incarnation)
    }
}
