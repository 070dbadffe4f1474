//! A node: which kinds it hosts, what follows them, and how it starts.
//!
//! The builder lists; [`Host::start`] makes or checks the streams, then serves.

use std::{collections::BTreeMap, future::Future, path::PathBuf, sync::Arc};

use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::{
    asking::bus::Bus,
    discovery::{Described, JsonSchema, Schemas, Service},
    following::{
        follower::Follower,
        letters,
        patience::Patience,
        reaction::{EffectReaction, Following, React, SagaReaction},
    },
    journal::Source,
    limits::{ASK_AGAIN_AFTER_MAX, PROVISION_DEADLINE, SHARDS_MAX},
    model::{
        actor::Actor,
        command_set::{CommandSet, all_differ},
        effect::Effect,
        id::is_token,
        saga::Then,
    },
    node::{
        desks::Room,
        kind::{AnyKind, Kind},
        running::Running,
    },
    placement::Membership,
    projection::{Fold, MemoryRows, Projection, Served, Shelf, SledShelf, query_schemas},
    wire::{
        error::Error,
        subject::{self, Shard},
    },
};

/// A node about to be started.
pub struct Host {
    bus: Bus,
    rows: Option<Arc<dyn Shelf>>,
    tasks: TaskTracker,
    /// What is hosted or followed here.
    shards: Vec<Shard>,
    room: Arc<Room>,
    /// What each service was told of the shapes it takes and gives, by the service's name.
    schemas: BTreeMap<String, Schemas>,
    kinds: Vec<Arc<dyn AnyKind>>,
    followers: Vec<Follower>,
    projections: BTreeMap<&'static str, Box<dyn Served>>,
    patience: Patience,
    fault: Option<String>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("bus", &self.bus).finish_non_exhaustive()
    }
}

impl Host {
    /// A node that hosts nothing yet.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self {
            bus,
            rows: None,
            tasks: TaskTracker::new(),
            shards: Vec::new(),
            room: Arc::default(),
            schemas: BTreeMap::new(),
            kinds: Vec::new(),
            followers: Vec::new(),
            projections: BTreeMap::new(),
            patience: Patience::default(),
            fault: None,
        }
    }

    /// How long the followers of this node try before a delivery becomes a dead letter.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Where projections keep their rows. The folder may be deleted while the node is down.
    #[must_use]
    pub fn rows_in(mut self, folder: impl Into<PathBuf>) -> Self {
        let ambient = self.bus.ambient().clone();
        self.rows = Some(Arc::new(SledShelf::new(folder.into(), ambient)));
        self
    }

    /// Keeps rows in memory: they are folded anew at every start, from the first commit on.
    #[must_use]
    pub fn rows_in_memory(self) -> Self {
        self.rows_in_memory_of(&MemoryRows::new())
    }

    /// Keeps rows in this memory, which may outlive the node: another one that is started with
    /// it goes on where this one ended, however it ended.
    #[must_use]
    pub fn rows_in_memory_of(mut self, rows: &MemoryRows) -> Self {
        self.rows = Some(Arc::new(rows.clone()));
        self
    }

    /// Hosts the actors of kind `A`.
    #[must_use]
    pub fn actor<A: Actor>(mut self) -> Self {
        const {
            assert!(
                all_differ(<A::Commands as CommandSet<A>>::NAMES),
                "two commands of this actor have the same name"
            );
            assert!(
                A::SHARDS >= 1 && A::SHARDS <= SHARDS_MAX,
                "a kind has at least one shard and at most SHARDS_MAX"
            );
        }
        let names = <A::Commands as CommandSet<A>>::NAMES;
        for name in [A::KIND].iter().chain(names) {
            self.check_name(name);
        }
        if self.kinds.iter().any(|kind| &**kind.name() == A::KIND) {
            self.fault = Some(format!("two actors are of the kind `{}`", A::KIND));
        }
        let shards = Shard::all(A::KIND, A::SHARDS);
        let homes = shards.iter().map(|shard| self.bus.home(shard.clone())).collect();
        self.kinds.push(Arc::new(Kind::<A>::new(homes, self.tasks.clone(), self.room.clone())));
        self.followers.extend(letters::followers(&self.bus, &shards, A::TIMERS));
        self.shards.extend(shards);
        self
    }

    /// Tells whoever discovers the kind `A` the JSON Schemas of its commands and their replies,
    /// which all derive `JsonSchema`. The kind is hosted by [`Host::actor`]; a kind without
    /// schemas is discovered as well, by its commands' names alone.
    #[must_use]
    pub fn described<A: Actor>(mut self) -> Self
    where
        A::Commands: Described<A>,
    {
        self.schemas.insert(A::KIND.to_owned(), A::Commands::schemas().into_iter().collect());
        self
    }

    /// Tells whoever discovers the projection `P` the JSON Schema of its rows. It is served by
    /// [`Host::projection`]; what a query looks like is told in any case.
    #[must_use]
    pub fn described_rows<P: Projection + JsonSchema>(mut self) -> Self {
        self.schemas.insert(subject::view_service(P::NAME), query_schemas::<P>());
        self
    }

    /// Has the saga `name` follow the commits of kind `A`. One saga may follow several kinds.
    #[must_use]
    pub fn saga<A: Actor>(
        self,
        name: &'static str,
        on: fn(&crate::model::commit::Recorded<A>, &mut Then),
    ) -> Self {
        let reaction = SagaReaction { name, bus: self.bus.clone(), on };
        self.follower::<A>(name, Arc::new(reaction))
    }

    /// Has `effect` follow the commits of kind `A`.
    #[must_use]
    pub fn effect<A: Actor, E: Effect<A>>(self, effect: E) -> Self {
        let reaction = EffectReaction { bus: self.bus.clone(), effect };
        let following = Following::<A, E> { reaction, actor: std::marker::PhantomData };
        self.follower::<A>(E::NAME, Arc::new(following))
    }

    /// Serves the projection `P`, folded from kind `A`. Call it once for each kind it folds.
    #[must_use]
    pub fn projection<P: Fold<A>, A: Actor>(mut self) -> Self {
        self.check_name(P::NAME);
        let served = self.projections.remove(P::NAME);
        let served = crate::projection::with_fold::<P, A>(served);
        match served {
            Ok(served) => drop(self.projections.insert(P::NAME, served)),
            Err(text) => self.fault = Some(text),
        }
        self
    }

    fn follower<A: Actor>(mut self, name: &'static str, reaction: Arc<dyn React>) -> Self {
        self.check_name(name);
        for shard in Shard::all(A::KIND, A::SHARDS) {
            let stream = shard.stream.clone();
            let source = Source { stream, filter: None, follower: name.into() };
            let taken =
                self.followers.iter().any(|f| f.name == name && f.source.stream == source.stream);
            if taken {
                self.fault = Some(format!("two followers of `{}` are named `{name}`", A::KIND));
            }
            let (reaction, repeats) = (reaction.clone(), shard.is_first());
            self.followers.push(Follower { name, source, reaction, sweeps: false, repeats });
            self.shards.push(shard);
        }
        self
    }

    fn check_name(&mut self, name: &str) {
        if !is_token(name) {
            self.fault = Some(format!("`{name}` cannot be a name on the wire"));
        }
    }

    /// Makes or checks the streams, and serves.
    ///
    /// # Errors
    /// If a stream has wrong settings, the rows cannot be opened, or two parts share a name.
    pub async fn start(mut self) -> Result<Running, Error> {
        let shelf = self.checked()?;
        self.provision().await?;
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.name().clone()).collect();
        let membership = Membership::of(
            self.bus.node(),
            kinds.iter().map(|kind| &**kind),
            self.bus.cells().clone(),
            self.bus.ambient(),
        );
        let mut services = Vec::new();
        let mut running = Running::new(self.bus.clone(), kinds, membership, self.tasks);
        for kind in self.kinds {
            services.push(Service::of_kind(&kind, &self.bus, &mut self.schemas));
            running.serve_kind(kind).await?;
        }
        for (name, projection) in self.projections {
            let server = running.serve_projection(name, projection, shelf.clone()).await?;
            services.push(Service::of_view(
                name,
                server.tally().clone(),
                &self.bus,
                &mut self.schemas,
            ));
        }
        running.serve_discovery(services).await?;
        for follower in self.followers {
            if follower.repeats {
                running.follow(follower.again(&self.bus), self.patience);
            }
            running.follow(follower, self.patience);
        }
        self.bus.network().flush().await;
        running.announce().await;
        info!("serving");
        Ok(running)
    }

    /// Where the rows are kept, if nothing was found wrong with what was listed.
    fn checked(&mut self) -> Result<Arc<dyn Shelf>, Error> {
        if let Some(fault) = self.fault.take() {
            return Err(Error::Misconfigured(fault));
        }
        match (self.rows.take(), self.projections.keys().next()) {
            (Some(shelf), _) => Ok(shelf),
            (None, None) => Ok(Arc::new(MemoryRows::new())),
            (None, Some(name)) => {
                let text = format!("`{name}` needs a folder for its rows: see Host::rows_in");
                Err(Error::Misconfigured(text))
            }
        }
    }

    async fn provision(&self) -> Result<(), Error> {
        until_ready("letters", || self.bus.post().provision_post()).await?;
        for shard in &self.shards {
            until_ready(&shard.stream, || self.bus.journal().provision(shard)).await?;
        }
        for kind in &self.kinds {
            let bucket = subject::snapshot_bucket(kind.name());
            until_ready(&bucket, || self.bus.cells().provision_bucket(&bucket)).await?;
        }
        if !self.followers.is_empty() {
            let places = subject::PLACES_BUCKET;
            until_ready(places, || self.bus.cells().provision_bucket(places)).await?;
        }
        Ok(())
    }

    /// Serves until `signal`, then stops without losing a request.
    ///
    /// # Errors
    /// As [`Host::start`].
    pub async fn run_until(self, signal: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let running = self.start().await?;
        signal.await;
        running.stop().await;
        Ok(())
    }
}

/// Makes or checks streams; a server that is just being restarted gets time to come back.
async fn until_ready<F>(stream: &str, provision: impl Fn() -> F) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let deadline = Instant::now() + PROVISION_DEADLINE;
    loop {
        match provision().await {
            Err(Error::Journal(reason)) if Instant::now() < deadline => {
                warn!(stream, reason, "the journal is not ready");
                sleep(ASK_AGAIN_AFTER_MAX).await;
            }
            provisioned => return provisioned,
        }
    }
}
