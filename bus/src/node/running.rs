//! A node that serves: its tasks, in the stages in which they end. A stop lets followers finish,
//! takes the last requests, answers them, and only then lets go.

use std::{future::Future, sync::Arc};

use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    asking::{
        bus::Bus,
        transport::{Inbound, Inbox},
    },
    discovery::{self, Service},
    following::{follower::Follower, patience::Patience},
    limits::{
        ASK_AGAIN_AFTER_MAX, DRAIN_DEADLINE, FOLLOWERS_DEADLINE, NODE_LEAVE_PAUSE, PASSIVATE_AFTER,
        PASSIVATE_EVERY,
    },
    node::{counters::Counts, kind::AnyKind},
    placement::Membership,
    projection::{AnswerQueries, Place, Progress, Served, Shelf},
    wire::{error::Error, subject},
};

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
    pub(crate) fn new(
        bus: Bus,
        kinds: Vec<Arc<str>>,
        membership: Membership,
        tasks: TaskTracker,
    ) -> Self {
        let (announcing, following, serving, folding) = Default::default();
        let views = Vec::new();
        Self { bus, views, kinds, membership, announcing, following, serving, folding, tasks }
    }

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

    pub(crate) fn follow(&self, follower: Follower, patience: Patience) {
        let bus = self.bus.clone();
        self.following.spawn(|stop| follower.run(bus, patience, stop));
    }

    /// Says that we are there. Only now: whoever hears it may ask us at once.
    pub(crate) async fn announce(&self) {
        if self.kinds.is_empty() {
            return;
        }
        let is_known = self.membership.announce().await;
        self.bus.placement().watch();
        let membership = self.membership.clone();
        self.announcing.spawn(move |stop| membership.keep(is_known, stop));
    }

    pub(crate) async fn serve_kind(&self, kind: Arc<dyn AnyKind>) -> Result<(), Error> {
        let name = kind.name().clone();
        let passivating = kind.clone();
        self.serving.spawn(|stop| passivate(passivating, stop));
        let shared = self.bus.inbox(subject::commands(&name), &name).await?;
        let own = self.bus.listen(subject::node_commands(self.bus.node(), &name)).await?;
        for inbox in [shared, own] {
            let kind = kind.clone();
            let take = move |inbound| kind.clone().take(inbound);
            self.serving.spawn(|stop| serve_inbox(inbox, take, stop));
        }
        Ok(())
    }

    pub(crate) async fn serve_projection(
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
        let node = self.bus.node().to_owned();
        let renewals = self.bus.inbox(subject::watches(&node, name), &node).await?;
        for inbox in [inbox, renewals] {
            let asked = server.clone();
            let take = move |inbound| asked.clone().take(inbound);
            self.serving.spawn(|stop| serve_inbox(inbox, take, stop));
        }
        let whole = Whole { name, bus: self.bus.clone(), server: server.clone() };
        self.serving.spawn(|stop| whole.serve(stop));
        self.views.push(server.clone());
        Ok(server)
    }

    pub(crate) async fn serve_discovery(&self, services: Vec<Service>) -> Result<(), Error> {
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
    async fn serve(self, stop: CancellationToken) {
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
            let take = |inbound| self.server.clone().take(inbound);
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
    let now_and_then = async {
        loop {
            sleep(PASSIVATE_EVERY).await;
            kind.passivate(PASSIVATE_AFTER).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = now_and_then => {}
    }
}
