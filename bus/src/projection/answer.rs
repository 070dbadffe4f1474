//! Answering queries on one node: from its rows when they are whole, else by another node whose
//! rows are, else from older rows that stand in, else by "come back".

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    Projection,
    blocking::{Together, run_blocking},
    progress::{Progress, StreamProgress},
    query::{NotFound, Source, check_conditions, encoded, get, list},
    served::AnswerQueries,
    shapes::{GET, LIST, PROGRESS, QUERIES, WATCH},
    state::{State, View},
    watch::{Renewed, WatchQuery, Watched, push},
};
use crate::{
    asking::{
        bus::Bus,
        transport::{Inbound, Reply},
    },
    discovery::Tally,
    journal::BoxFuture,
    limits::{
        COMMAND_BYTES_MAX, QUERIES_MAX, QUERIES_WAITING_MAX, QUERY_WAIT_MAX, REFUSALS_MAX,
        ROWS_WRITE_DEADLINE, WATCH_LEASE, WATCHES_MAX,
    },
    wire::{
        encoding::Encoding,
        envelope::{Answer, RequestHeaders},
        failure::{Failure, Status},
        subject,
    },
};

/// Serves the queries of one projection.
#[derive(Debug)]
pub(crate) struct Server<P> {
    view: Arc<View<P>>,
    bus: Bus,
    /// What pushes to watchers, until they end.
    tasks: TaskTracker,
    /// For queries to be answered.
    room: Arc<Semaphore>,
    renewals: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    /// For what is looked up at the same time.
    permits: Arc<Semaphore>,
    /// Where single rows are looked up.
    together: Together,
    tally: Arc<Tally>,
}

/// Finds rows, and writes them down.
type Find = fn(&Source, Encoding, &[u8]) -> Result<Vec<u8>, NotFound>;

/// What a query came to.
enum Outcome {
    /// Another node answered.
    Relayed(Reply),
    /// Found here, perhaps in rows of another version.
    Found(Vec<u8>, Option<u32>),
}

impl<P: Projection> AnswerQueries for Server<P> {
    fn take(self: Arc<Self>, inbound: Inbound) {
        let (server, tasks) = (self.clone(), self.tasks.clone());
        if subject::is_watch(&inbound.message.subject) {
            // It waits for nothing, and one that is refused costs its sender a whole query.
            if let Ok(renewing) = self.renewals.clone().try_acquire_owned() {
                tasks.spawn(async move {
                    server.renew_one(inbound).await;
                    drop(renewing);
                });
            }
        } else if let Ok(place) = self.room.clone().try_acquire_owned() {
            tasks.spawn(async move {
                server.answer_one(inbound).await;
                drop(place);
            });
        } else if let Ok(refusing) = self.refusals.clone().try_acquire_owned() {
            tasks.spawn(async move {
                server.refuse(inbound).await;
                drop(refusing);
            });
        }
    }

    fn until_whole(&self, whole: bool) -> BoxFuture<'_, ()> {
        let mut state = self.view.state.subscribe();
        Box::pin(async move {
            if state.wait_for(|state| state.is_whole() == whole).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }

    fn progress(&self) -> BoxFuture<'_, Progress> {
        Box::pin(self.progress_now())
    }

    fn end_watches(&self) {
        self.view.watches.close_all();
    }

    fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }
}

impl<P: Projection> Server<P> {
    pub(crate) fn new(view: Arc<View<P>>, bus: Bus, tasks: TaskTracker) -> Self {
        let room = Arc::new(Semaphore::new(QUERIES_WAITING_MAX));
        let renewals = Arc::new(Semaphore::new(WATCHES_MAX));
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        let permits = Arc::new(Semaphore::new(QUERIES_MAX));
        let (together, tally) = (Together::default(), Arc::new(Tally::new(&QUERIES)));
        Self { view, bus, tasks, room, renewals, refusals, permits, together, tally }
    }

    async fn answer_one(self: Arc<Self>, inbound: Inbound) {
        let begun = Instant::now();
        let (headers, encoding) = read_head(&inbound);
        let outcome = match (headers, encoding) {
            (Err(failure), _) => Err(failure),
            _ if inbound.message.body.len() > COMMAND_BYTES_MAX => {
                let text = format!("a query has at most {COMMAND_BYTES_MAX} bytes");
                Err(Failure::new(Status::TooLarge, text))
            }
            (Ok(_), None) => {
                let text = "Content-Type must be application/json or application/msgpack";
                Err(Failure::new(Status::BadCommand, text))
            }
            (Ok(headers), Some(encoding)) => self.find(&inbound, &headers, encoding).await,
        };
        let query = inbound.message.subject.rsplit('.').next().unwrap_or_default();
        self.tally.answered(query, &outcome, begun.elapsed());
        let (outcome, stands_in) = match outcome {
            Ok(Outcome::Relayed(Reply { headers, body })) => {
                return inbound.answer(headers.unwrap_or_default(), body.to_vec()).await;
            }
            Ok(Outcome::Found(body, stands_in)) => (Ok(body), stands_in),
            Err(failure) => (Err(failure), None),
        };
        let answer = Answer { outcome, position: None };
        let (mut headers, body) = answer.into_message(encoding.unwrap_or(Encoding::Json));
        if let Some(version) = stands_in {
            headers.insert(subject::STANDS_IN, version.to_string());
        }
        inbound.answer(headers, body).await;
    }

    async fn find(
        self: &Arc<Self>,
        inbound: &Inbound,
        headers: &RequestHeaders,
        encoding: Encoding,
    ) -> Result<Outcome, Failure> {
        let query = inbound.message.subject.rsplit('.').next().unwrap_or_default();
        let find: (Find, bool) = match query {
            PROGRESS => {
                let body = encoded(encoding, &self.progress_now().await);
                return body.map(|body| Outcome::Found(body, None)).map_err(|e| self.told(e));
            }
            GET => (get::<P>, true),
            LIST => (list::<P>, false),
            // Found another way.
            WATCH => (|_, _, _| Ok(Vec::new()), false),
            _ => {
                let text =
                    format!("`{}` answers `get`, `list`, `watch` and `progress` only", P::NAME);
                return Err(Failure::new(Status::NotFound, text));
            }
        };
        self.check_streams(headers)?;
        let budget = headers.budget.map_or(QUERY_WAIT_MAX, |budget| budget * 3 / 4);
        let deadline = Instant::now() + budget.min(QUERY_WAIT_MAX);
        if let Some(reply) = self.send_on(inbound, query, deadline).await {
            return Ok(Outcome::Relayed(reply));
        }
        let body = &inbound.message.body;
        if query == WATCH {
            self.wait_for(headers, deadline, false).await?;
            return self.watch(body, encoding).await;
        }
        let mut source = self.wait_for(headers, deadline, true).await?;
        if source.is_old {
            match self.look(source, encoding, body, find).await {
                // Our own rows will know.
                Err(NotFound::Broken(_) | NotFound::Unlike) => {}
                found => return found.map_err(|e| self.told(e)),
            }
            source = self.wait_for(headers, deadline, false).await?;
        }
        self.look(source, encoding, body, find).await.map_err(|e| self.told(e))
    }

    fn check_streams(&self, headers: &RequestHeaders) -> Result<(), Failure> {
        let state = self.view.state.borrow();
        let unknown = headers.after.iter().find(|after| !state.streams.contains_key(&after.stream));
        let Some(unknown) = unknown else { return Ok(()) };
        let text = format!("{} is not folded here", unknown.stream);
        let mut failure = Failure::new(Status::BadCommand, text);
        failure.body.field = Some(subject::AFTER.to_owned());
        Err(failure)
    }

    /// Has a node answer whose rows are whole, if ours are not, and there is one.
    async fn send_on(&self, inbound: &Inbound, query: &str, deadline: Instant) -> Option<Reply> {
        let message = &inbound.message;
        if self.view.state.borrow().is_whole() || subject::is_whole_view(&message.subject) {
            return None;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let headers = message.headers.clone().unwrap_or_default();
        let subject = subject::whole_view(P::NAME, query);
        let asked = self.bus.network().request(subject, headers, message.body.clone(), left);
        asked.await.ok()
    }

    async fn look(
        &self,
        source: Source,
        encoding: Encoding,
        body: &bytes::Bytes,
        (find, is_short): (Find, bool),
    ) -> Result<Outcome, NotFound> {
        let permit = self.permits.clone().try_acquire_owned();
        let permit = permit.map_err(|_| NotFound::Told(busy()))?;
        let stands_in = source.is_old.then(|| source.store.version());
        let (store, body) = (source.store.clone(), body.clone());
        let blocks = self.view.shelf.blocks();
        let found = move || {
            let _permit = permit;
            find(&source, encoding, &body)
        };
        let found = if is_short {
            self.together.run(blocks, ROWS_WRITE_DEADLINE, found).await
        } else {
            run_blocking(blocks, ROWS_WRITE_DEADLINE, found).await
        };
        let found = found.unwrap_or_else(|broken| Err(broken.into()));
        if let Err(NotFound::Broken(broken)) = &found {
            self.view.condemn(&store, broken);
        }
        found.map(|body| Outcome::Found(body, stands_in))
    }

    /// Waits until the rows are whole, and include what the caller wants included; or until
    /// older ones do, if they will do.
    async fn wait_for(
        &self,
        headers: &RequestHeaders,
        deadline: Instant,
        old_will_do: bool,
    ) -> Result<Source, Failure> {
        let mut state = self.view.state.subscribe();
        let source = |state: &State| {
            if state.is_whole() {
                let store = state.store.clone().filter(|_| state.includes(&headers.after));
                return store.map(|store| Source { store, is_old: false });
            }
            let old = state.old.as_ref().filter(|old| old_will_do && old.includes(&headers.after));
            old.map(|old| Source { store: old.store.clone(), is_old: true })
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = timeout(left, state.wait_for(|state| source(state).is_some())).await;
        match waited {
            Ok(Ok(state)) => source(&state).ok_or_else(|| self.not_yet()),
            Ok(Err(_)) => Err(Failure::new(Status::Unavailable, "this node is stopping")),
            Err(_) => Err(self.not_yet()),
        }
    }

    fn not_yet(&self) -> Failure {
        let state = self.view.state.borrow();
        let text = if state.is_whole() {
            "the rows do not include that position yet".to_owned()
        } else {
            format!("the rows are still being folded: {} %", state.percent())
        };
        Failure::new(Status::Unavailable, text)
    }

    fn told(&self, not_found: NotFound) -> Failure {
        match not_found {
            NotFound::Told(failure) => failure,
            NotFound::Broken(_) | NotFound::Unlike => self.not_yet(),
        }
    }

    /// Opens a watch: rows and changes together are what they would be without a break, because
    /// nothing is written in between.
    async fn watch(self: &Arc<Self>, body: &[u8], encoding: Encoding) -> Result<Outcome, Failure> {
        let query: WatchQuery = encoding.decode(body).map_err(Failure::malformed)?;
        check_conditions(&query.select)?;
        if !subject::is_inbox(&query.inbox) {
            let mut failure = Failure::new(Status::BadCommand, "an inbox begins with `_INBOX.`");
            failure.body.field = Some("inbox".to_owned());
            return Err(failure);
        }
        let gate = self.view.gate.lock().await;
        let (store, at) = {
            let state = self.view.state.borrow();
            let at: Vec<_> = state.positions().iter().map(ToString::to_string).collect();
            (state.store.clone().filter(|_| state.is_whole()), at)
        };
        let store = store.ok_or_else(|| self.not_yet())?;
        let (source, wanted) = (Source { store: store.clone(), is_old: false }, query.clone());
        let blocks = self.view.shelf.blocks();
        let rows = run_blocking(blocks, ROWS_WRITE_DEADLINE, move || {
            source.watched::<P>(wanted.row.as_deref(), &wanted.select)
        });
        let rows = rows.await.unwrap_or_else(|broken| Err(broken.into()));
        if let Err(NotFound::Broken(broken)) = &rows {
            self.view.condemn(&store, broken);
        }
        let rows = rows.map_err(|e| self.told(e))?;
        let token = self.view.ambient.token();
        let pushing = self.view.watches.open(&token, &query);
        drop(gate);
        let pushing = pushing.ok_or_else(|| {
            Failure::new(Status::Overloaded, format!("{WATCHES_MAX} watches are open"))
        })?;
        let server = self.clone();
        self.tasks.spawn(async move {
            push::<P>(&server.view.watches, &**server.bus.network(), pushing, encoding).await;
        });
        let renew = subject::watch(self.bus.node(), P::NAME, &token);
        let lease_ms = millis(WATCH_LEASE);
        let watched = Watched { watch: token, renew, lease_ms, rows, at };
        encoded(encoding, &watched).map(|body| Outcome::Found(body, None)).map_err(|e| self.told(e))
    }

    async fn refuse(&self, inbound: Inbound) {
        let outcome = Err(busy());
        let query = inbound.message.subject.rsplit('.').next().unwrap_or_default();
        self.tally.answered(query, &outcome, Duration::ZERO);
        let encoding = read_head(&inbound).1.unwrap_or(Encoding::Json);
        let (headers, body) = Answer { outcome, position: None }.into_message(encoding);
        inbound.answer(headers, body).await;
    }

    async fn renew_one(&self, inbound: Inbound) {
        let (_, encoding) = read_head(&inbound);
        let encoding = encoding.unwrap_or(Encoding::Json);
        let token = inbound.message.subject.rsplit('.').next().unwrap_or_default();
        let outcome = match self.view.watches.renew(token) {
            Some(number) => encoded(encoding, &Renewed { number }).map_err(|e| self.told(e)),
            None => Err(Failure::new(Status::NotFound, "there is no such watch")),
        };
        let (headers, body) = Answer { outcome, position: None }.into_message(encoding);
        inbound.answer(headers, body).await;
    }

    async fn progress_now(&self) -> Progress {
        let state = self.view.state.borrow().clone();
        let mut streams = Vec::new();
        for (stream, folded) in &state.streams {
            let bounds = self.bus.journal().bounds(stream).await;
            // Where the journal does not answer, what is known of it counts.
            let known = if folded.target == u64::MAX { 0 } else { folded.target };
            let last = bounds.map_or(known, |bounds| bounds.last_sequence).max(folded.sequence);
            streams.push(StreamProgress {
                stream: stream.to_string(),
                folded: folded.sequence,
                last,
                lag: last - folded.sequence,
                skipped: folded.skipped,
            });
        }
        Progress {
            projection: P::NAME.to_owned(),
            version: P::VERSION,
            node: self.bus.node().to_owned(),
            whole: state.is_whole(),
            percent: state.percent(),
            stands_in: state.old.map(|old| old.store.version()),
            streams,
        }
    }
}

fn read_head(inbound: &Inbound) -> (Result<RequestHeaders, Failure>, Option<Encoding>) {
    let headers = RequestHeaders::parse(inbound.message.headers.as_ref());
    let named = headers.as_ref().ok().and_then(|headers| headers.content_type.clone());
    let encoding = Encoding::detect(named.as_deref(), &inbound.message.body);
    (headers, encoding)
}

fn busy() -> Failure {
    Failure::new(Status::Overloaded, "too many queries at the same time")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
