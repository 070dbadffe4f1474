//! The server: bounded connections, a time limit on headers, and a drain that loses no request
//! that was begun.
//!
//! The accept loop is our own, because `axum::serve` gives hyper no timer: a client that sends its
//! header one byte a minute would hold its connection for ever.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::Router;
use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};
use tracing::{debug, info, warn};

use crate::{
    Settings, api, bank,
    gateway::Gateway,
    limits::{BODY_BYTES_MAX, CONNECTIONS_MAX, DRAIN_DEADLINE, HEADER_TIMEOUT},
    post::Post,
};

/// Serves a gateway on `listener` until `shutdown` resolves; then takes no more connections and
/// waits for the requests and webhooks it has begun, but not for ever. Dropped before, it stops at
/// once, and what was answered is on disk nevertheless.
///
/// # Errors
/// If the settings cannot be kept ([`io::ErrorKind::InvalidInput`]), if the file cannot be read
/// ([`io::ErrorKind::InvalidData`]), if another gateway uses it
/// ([`io::ErrorKind::ResourceBusy`]), or as soon as it cannot be written.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (gateway, file) = Gateway::open(settings).await?;
    let all_is_decided = CancellationToken::new();
    let writing = Arc::clone(&gateway.ledger).write_until(file, all_is_decided.clone());
    let mut writing = AbortOnDropHandle::new(tokio::spawn(writing));
    let deciding = bank::decide_until_stopped(Arc::clone(&gateway));
    let deciding = AbortOnDropHandle::new(tokio::spawn(deciding));
    let sending = match &gateway.webhook_url {
        Some(url) => Post::new(Arc::clone(&gateway), url.clone())?.send_until_stopped().boxed(),
        None => std::future::ready(()).boxed(),
    };
    let sending = AbortOnDropHandle::new(tokio::spawn(sending));

    let door = Door::new(&gateway);
    let _cut_off = door.given_up.clone().drop_guard();
    let failed = tokio::select! {
        () = shutdown => None,
        never = door.accept_all(&listener) => match never {},
        ended = &mut writing => Some(ended),
    };
    door.close(listener).await;
    deciding.await.map_err(io::Error::other)?;
    sending.await.map_err(io::Error::other)?;
    all_is_decided.cancel();
    let ended = match failed {
        Some(ended) => ended,
        None => writing.await,
    };
    ended.map_err(io::Error::other)?
}

struct Door {
    router: Router,
    places: Arc<Semaphore>,
    connections: TaskTracker,
    stopping: CancellationToken,
    given_up: CancellationToken,
}

type Accepted = io::Result<(TcpStream, OwnedSemaphorePermit)>;

impl Door {
    fn new(gateway: &Arc<Gateway>) -> Self {
        Self {
            router: api::router(Arc::clone(gateway)),
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            connections: TaskTracker::new(),
            stopping: gateway.stopping.clone(),
            given_up: CancellationToken::new(),
        }
    }

    async fn accept_all(&self, listener: &TcpListener) -> Infallible {
        loop {
            let accepted = self.accept(listener).await;
            if !self.admit(accepted) {
                // Out of files, most likely: connections that end give some back.
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn accept(&self, listener: &TcpListener) -> Accepted {
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        Ok((stream, place))
    }

    /// Serves an accepted connection beside the others; false if it could not be accepted.
    fn admit(&self, accepted: Accepted) -> bool {
        match accepted {
            Ok((stream, place)) => {
                let (stopping, given_up) = (self.stopping.clone(), self.given_up.clone());
                let connection = serve_connection(stream, self.router.clone(), stopping);
                self.connections.spawn(async move {
                    given_up.run_until_cancelled(connection).await;
                    drop(place);
                });
                true
            }
            Err(error) => {
                warn!(%error, "a connection could not be accepted");
                false
            }
        }
    }

    async fn close(&self, listener: TcpListener) {
        // Who is already in the kernel's queue believes to be connected, and is served.
        while let Some(accepted @ Ok(_)) = self.accept(&listener).now_or_never() {
            self.admit(accepted);
        }
        drop(listener);
        info!(connections = self.connections.len(), "the gateway stops");
        self.stopping.cancel();
        self.connections.close();
        if timeout(DRAIN_DEADLINE, self.connections.wait()).await.is_err() {
            warn!(connections = self.connections.len(), "some requests were cut off");
            self.given_up.cancel();
            self.connections.wait().await;
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router, stopping: CancellationToken) {
    // An answer is written in one go; waiting to fill a packet would only delay it.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection ended before it began");
        return;
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(BODY_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients go away and time out as they like; it is no fault of ours.
        debug!(%error, "a connection ended early");
    }
}
