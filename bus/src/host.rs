//! A node: which kinds it hosts, what follows them, and how it starts and stops.
//!
//! The builder lists; [`Host::start`] makes or checks the streams, then serves; a stop lets
//! followers finish, takes the last requests, answers them, and only then lets go.

use std::{collections::BTreeMap, future::Future, path::PathBuf, sync::Arc};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    actor::Actor,
    bus::Bus,
    command_set::{CommandSet, all_differ},
    counters::Counts,
    desks::Room,
    discovery::{self, Described, JsonSchema, Schemas, Service},
    effect::Effect,
    error::Error,
    follower::Follower,
    id::is_token,
    journal::Source,
    kind::{AnyKind, Kind},
    letters,
    limits::{
        ASK_AGAIN_AFTER_MAX, DRAIN_DEADLINE, FOLLOWERS_DEADLINE, NODE_LEAVE_PAUSE, PASSIVATE_AFTER,
        PASSIVATE_EVERY, PROVISION_DEADLINE,
    },
    patience::Patience,
    placement::Membership,
    projection::{
        AnswerQueries, Fold, MemoryRows, Place, Progress, Projection, Served, Shelf, SledShelf,
        query_schemas,
    },
    reaction::{EffectReaction, Following, React, SagaReaction},
    saga::Then,
    subject::{self, Shard},
    transport::{Inbound, Inbox},
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
        }
        let names = <A::Commands as CommandSet<A>>::NAMES;
        for name in [A::KIND].iter().chain(names) {
            self.check_name(name);
        }
        if self.kinds.iter().any(|kind| &*kind.home().shard.kind == A::KIND) {
            self.fault = Some(format!("two actors are of the kind `{}`", A::KIND));
        }
        let home = self.bus.home(Shard::of(A::KIND));
        self.shards.push(home.shard.clone());
        self.kinds.push(Arc::new(Kind::<A>::new(home, self.tasks.clone(), self.room.clone())));
        self.followers.extend(letters::followers(&self.bus, A::KIND));
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
        on: fn(&crate::commit::Recorded<A>, &mut Then),
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
        let shard = Shard::of(A::KIND);
        let source = Source { stream: shard.stream.clone(), filter: None, follower: name.into() };
        let taken =
            self.followers.iter().any(|f| f.name == name && f.source.stream == source.stream);
        if taken {
            self.fault = Some(format!("two followers of `{}` are named `{name}`", A::KIND));
        }
        self.shards.push(shard);
        self.followers.push(Follower { name, source, reaction });
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
        if let Some(fault) = self.fault {
            return Err(Error::Misconfigured(fault));
        }
        let shelf: Arc<dyn Shelf> = match (self.rows, self.projections.keys().next()) {
            (Some(shelf), _) => shelf,
            (None, None) => Arc::new(MemoryRows::new()),
            (None, Some(name)) => {
                let text = format!("`{name}` needs a folder for its rows: see Host::rows_in");
                return Err(Error::Misconfigured(text));
            }
        };
        until_ready("letters", || self.bus.post().provision_post()).await?;
        for shard in &self.shards {
            until_ready(&shard.stream, || self.bus.journal().provision(shard)).await?;
        }
        for kind in &self.kinds {
            let bucket = subject::snapshot_bucket(&kind.home().shard.kind);
            until_ready(&bucket, || self.bus.cells().provision_bucket(&bucket)).await?;
        }
        if !self.followers.is_empty() {
            let places = subject::PLACES_BUCKET;
            until_ready(places, || self.bus.cells().provision_bucket(places)).await?;
        }
        let kinds: Vec<_> = self.kinds.iter().map(|kind| kind.home().shard.kind.clone()).collect();
        let membership = Membership::of(
            self.bus.node(),
            kinds.iter().map(|kind| &**kind),
            self.bus.cells().clone(),
            self.bus.ambient(),
        );
        let mut services = Vec::new();
        let mut running = Running {
            bus: self.bus.clone(),
            views: Vec::new(),
            kinds,
            membership,
            announcing: Stage::default(),
            following: Stage::default(),
            serving: Stage::default(),
            folding: Stage::default(),
            tasks: self.tasks,
        };
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
            let (bus, patience) = (&self.bus, self.patience);
            for follower in [follower.again(bus), follower] {
                running.following.spawn(|stop| follower.run(bus.clone(), patience, stop));
            }
        }
        self.bus.network().flush().await;
        running.announce().await;
        info!("serving");
        Ok(running)
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

/// A node that serves. Dropped without [`Running::stop`], it lets go of what it holds.
pub struct Running {
    bus: Bus,
    views: Vec<Arc<dyn AnswerQueries>>,
    kinds: Vec<Arc<str>>,
    membership: Membership,
    announcing: Stage,
    following: Stage,
    serving: Stage,
    folding: Stage,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("bus", &self.bus).finish_non_exhaustive()
    }
}

impl Running {
    /// How far the projections of this node are, by name.
    pub async fn projections(&self) -> Vec<Progress> {
        let mut all = Vec::with_capacity(self.views.len());
        for view in &self.views {
            all.push(view.progress().await);
        }
        all
    }

    /// Stops: followers finish what they hold, the last requests are answered, then all ends.
    /// What is not done within the deadline is left to whoever serves next.
    pub async fn stop(self) {
        info!("stopping");
        // Others are asked from now on; what still comes is answered.
        self.announcing.stop().await;
        self.membership.withdraw().await;
        // Followers first: what they still ask may have to be answered here. But one that waits
        // for the outside world must not keep us from answering requests.
        let following = timeout(FOLLOWERS_DEADLINE, self.following.stop());
        let (followed, ()) = tokio::join!(following, sleep(NODE_LEAVE_PAUSE));
        if followed.is_err() {
            warn!("some commits are left to whoever follows next");
        }
        let answer = async {
            self.serving.stop().await;
            self.tasks.close();
            self.tasks.wait().await;
            // Last, because the last queries may wait for rows.
            self.folding.stop().await;
        };
        if timeout(DRAIN_DEADLINE - FOLLOWERS_DEADLINE, answer).await.is_err() {
            warn!(unanswered = self.tasks.len(), "stopped before everything was answered");
        }
        self.bus.network().flush().await;
        for kind in &self.kinds {
            let Counts { commits, late_writes_refused, forwarded } = self.bus.counts(kind);
            info!(%kind, commits, late_writes_refused, forwarded, "what was done here");
        }
        info!("stopped");
    }

    /// Says that we are there. Only now: whoever hears it may ask us at once.
    async fn announce(&self) {
        if self.kinds.is_empty() {
            return;
        }
        let is_known = self.membership.announce().await;
        self.bus.placement().watch();
        let membership = self.membership.clone();
        self.announcing.spawn(move |stop| membership.keep(is_known, stop));
    }

    async fn serve_kind(&self, kind: Arc<dyn AnyKind>) -> Result<(), Error> {
        let name = kind.home().shard.kind.clone();
        let passivating = kind.clone();
        self.serving.spawn(|stop| passivate(passivating, stop));
        let shared = self.bus.inbox(subject::commands(&name), &name).await?;
        let own = self.bus.own_inbox(subject::node_commands(self.bus.node(), &name)).await?;
        for inbox in [shared, own] {
            let kind = kind.clone();
            let take = move |inbound| kind.clone().take(inbound);
            self.serving.spawn(|stop| serve_inbox(inbox, take, stop));
        }
        Ok(())
    }

    async fn serve_projection(
        &mut self,
        name: &'static str,
        projection: Box<dyn Served>,
        shelf: Arc<dyn Shelf>,
    ) -> Result<Arc<dyn AnswerQueries>, Error> {
        let (bus, tasks) = (self.bus.clone(), self.tasks.clone());
        let place = Place { bus, shelf, stop: self.folding.stop.clone(), tasks };
        let (folding, server) = projection.start(place).await?;
        self.folding.spawn(|_| folding);
        let inbox = self.bus.inbox(subject::views(name), name).await?;
        let (tasks, asked) = (self.tasks.clone(), server.clone());
        let take = move |inbound: Inbound| drop(tasks.spawn(asked.clone().answer(inbound)));
        self.serving.spawn(|stop| serve_inbox(inbox, take, stop));
        let node = self.bus.node().to_owned();
        let inbox = self.bus.inbox(subject::watches(&node, name), &node).await?;
        let (tasks, asked) = (self.tasks.clone(), server.clone());
        let take = move |inbound: Inbound| drop(tasks.spawn(asked.clone().renew(inbound)));
        self.serving.spawn(|stop| serve_inbox(inbox, take, stop));
        let whole = Whole { name, bus: self.bus.clone(), server: server.clone() };
        let tasks = self.tasks.clone();
        self.serving.spawn(|stop| whole.serve(tasks, stop));
        self.views.push(server.clone());
        Ok(server)
    }

    async fn serve_discovery(&self, services: Vec<Service>) -> Result<(), Error> {
        let inbox = self.bus.listen(subject::DISCOVERY.to_owned()).await?;
        self.serving.spawn(|stop| discovery::serve(inbox, services, stop));
        Ok(())
    }
}

/// A projection that answers, while its rows are whole, what other nodes send on.
struct Whole {
    name: &'static str,
    bus: Bus,
    server: Arc<dyn AnswerQueries>,
}

impl Whole {
    async fn serve(self, tasks: TaskTracker, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.server.until_whole(true) => {}
            }
            let inbox = match self.bus.inbox(subject::whole_views(self.name), self.name).await {
                Ok(inbox) => inbox,
                Err(error) => {
                    warn!(%error, "what other nodes send on is not taken");
                    sleep(ASK_AGAIN_AFTER_MAX).await;
                    continue;
                }
            };
            let not_whole = stop.child_token();
            let take = |inbound| drop(tasks.spawn(self.server.clone().answer(inbound)));
            let ending = async {
                tokio::select! {
                    biased;
                    () = not_whole.cancelled() => {}
                    () = self.server.until_whole(false) => not_whole.cancel(),
                }
            };
            tokio::join!(serve_inbox(inbox, take, not_whole.clone()), ending);
        }
        self.server.end_watches();
    }
}

/// Tasks that are told to end together.
#[derive(Debug, Default)]
struct Stage {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Stage {
    fn spawn<F>(&self, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task(self.stop.clone()));
    }

    async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop.cancel();
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

async fn serve_inbox(mut inbox: Inbox, take: impl Fn(Inbound), stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            inbound = inbox.next() => match inbound {
                Some(inbound) => take(inbound),
                None => return,
            },
        }
    }
    inbox.drain(take).await;
}

async fn passivate(kind: Arc<dyn AnyKind>, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep(PASSIVATE_EVERY) => kind.passivate(PASSIVATE_AFTER),
        }
    }
}
