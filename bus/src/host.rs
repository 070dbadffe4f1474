//! A node: which kinds it hosts, what follows them, and how it starts and stops.
//!
//! The builder lists; [`Host::start`] makes or checks the streams, then serves; a stop lets
//! followers finish, takes the last requests, answers them, and only then lets go.

use std::{
    collections::HashMap,
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    activation::Home,
    actor::Actor,
    bus::Bus,
    command_set::{CommandSet, all_differ},
    effect::Effect,
    error::Error,
    follower::Follower,
    id::is_token,
    kind::{AnyKind, Kind},
    limits::{
        ASK_AGAIN_AFTER_MAX, DRAIN_DEADLINE, FOLLOWERS_DEADLINE, PASSIVATE_AFTER, PASSIVATE_EVERY,
        PROVISION_DEADLINE,
    },
    projection::{Fold, Served},
    reaction::{EffectReaction, Following, React, SagaReaction},
    saga::Then,
    subject::{self, Shard},
    transport::{Inbound, Inbox},
};

/// A node about to be started.
pub struct Host {
    bus: Bus,
    rows: Option<PathBuf>,
    tasks: TaskTracker,
    kinds: Vec<Arc<dyn AnyKind>>,
    followers: Vec<Follower>,
    projections: HashMap<&'static str, Box<dyn Served>>,
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
            kinds: Vec::new(),
            followers: Vec::new(),
            projections: HashMap::new(),
            fault: None,
        }
    }

    /// Where projections keep their rows. The folder may be deleted while the node is down.
    #[must_use]
    pub fn rows_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.rows = Some(folder.into());
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
        let home = Home { journal: self.bus.journal().clone(), shard: Shard::of(A::KIND) };
        self.kinds.push(Arc::new(Kind::<A>::new(home, self.tasks.clone())));
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
        let taken = self.followers.iter().any(|f| f.name == name && f.shard.stream == shard.stream);
        if taken {
            self.fault = Some(format!("two followers of `{}` are named `{name}`", A::KIND));
        }
        self.followers.push(Follower { name, shard, reaction });
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
    pub async fn start(self) -> Result<Running, Error> {
        if let Some(fault) = self.fault {
            return Err(Error::Misconfigured(fault));
        }
        let folder = match (&self.rows, self.projections.keys().next()) {
            (Some(folder), _) => folder.clone(),
            (None, None) => PathBuf::new(),
            (None, Some(name)) => {
                let text = format!("`{name}` needs a folder for its rows: see Host::rows_in");
                return Err(Error::Misconfigured(text));
            }
        };
        for kind in &self.kinds {
            provision(&self.bus, &kind.home().shard).await?;
        }
        for follower in &self.followers {
            provision(&self.bus, &follower.shard).await?;
        }
        let running = Running {
            bus: self.bus.clone(),
            following: Stage::default(),
            serving: Stage::default(),
            folding: Stage::default(),
            tasks: self.tasks,
        };
        for kind in self.kinds {
            running.serve_kind(kind).await?;
        }
        for (name, projection) in self.projections {
            running.serve_projection(name, projection, &folder).await?;
        }
        for follower in self.followers {
            running.following.spawn(|stop| follower.run(self.bus.journal().clone(), stop));
        }
        self.bus.transport().flush().await;
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
#[derive(Debug)]
pub struct Running {
    bus: Bus,
    following: Stage,
    serving: Stage,
    folding: Stage,
    tasks: TaskTracker,
}

impl Running {
    /// Stops: followers finish what they hold, the last requests are answered, then all ends.
    /// What is not done within the deadline is left to whoever serves next.
    pub async fn stop(self) {
        info!("stopping");
        // Followers first: what they still ask may have to be answered here. But one that waits
        // for the outside world must not keep us from answering requests.
        if timeout(FOLLOWERS_DEADLINE, self.following.stop()).await.is_err() {
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
        self.bus.transport().flush().await;
        info!("stopped");
    }

    async fn serve_kind(&self, kind: Arc<dyn AnyKind>) -> Result<(), Error> {
        let name = kind.home().shard.kind.clone();
        let inbox = self.bus.transport().serve(subject::commands(&name), &name).await?;
        let passivating = kind.clone();
        self.serving.spawn(|stop| passivate(passivating, stop));
        let take = move |inbound| kind.clone().take(inbound);
        self.serving.spawn(|stop| serve_inbox(inbox, take, stop));
        Ok(())
    }

    async fn serve_projection(
        &self,
        name: &'static str,
        projection: Box<dyn Served>,
        folder: &Path,
    ) -> Result<(), Error> {
        let journal = self.bus.journal().clone();
        let (folding, server) = projection.start(folder, journal, self.folding.stop.clone())?;
        self.folding.spawn(|_| folding);
        let inbox = self.bus.transport().serve(subject::views(name), name).await?;
        let tasks = self.tasks.clone();
        let take = move |inbound: Inbound| drop(tasks.spawn(server.clone().answer(inbound)));
        self.serving.spawn(|stop| serve_inbox(inbox, take, stop));
        Ok(())
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

/// Makes or checks a stream; a server that is just being restarted gets time to come back.
async fn provision(bus: &Bus, shard: &Shard) -> Result<(), Error> {
    let deadline = Instant::now() + PROVISION_DEADLINE;
    loop {
        match bus.journal().provision(shard).await {
            Err(Error::Journal(reason)) if Instant::now() < deadline => {
                warn!(stream = %shard.stream, reason, "the journal is not ready");
                sleep(ASK_AGAIN_AFTER_MAX).await;
            }
            provisioned => return provisioned,
        }
    }
}

async fn serve_inbox(mut inbox: Inbox, take: impl Fn(Inbound), stop: CancellationToken) {
    loop {
        tokio::select! {
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
            () = stop.cancelled() => return,
            () = sleep(PASSIVATE_EVERY) => kind.passivate(PASSIVATE_AFTER),
        }
    }
}
