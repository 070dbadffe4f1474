//! The accept loop: bounded connections, a time limit on headers, and a drain that loses no
//! request that was begun.
//!
//! Our own, because `axum::serve` gives hyper no timer: a client that sends its header one byte
//! a minute would hold its connection for ever.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::Router;
use futures_util::FutureExt;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use crate::{
    Edge,
    extract::Peer,
    limits::{BODY_BYTES_MAX, CONNECTIONS_MAX, DRAIN_DEADLINE, HEADER_TIMEOUT},
};

/// Serves the edge on `listener` until `shutdown` resolves; then takes no more connections,
/// ends the streams, and waits for the requests it has begun, but not for ever.
pub async fn serve(listener: TcpListener, edge: Edge, shutdown: impl Future<Output = ()> + Send) {
    let door = Door {
        router: crate::router(edge.clone()),
        places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        connections: TaskTracker::new(),
        stopping: edge.stopping().clone(),
        given_up: CancellationToken::new(),
    };
    tokio::select! {
        () = shutdown => {}
        never = door.accept_all(&listener) => match never {},
    }
    // Who is already in the kernel's queue believes to be connected, and is served.
    while let Some(accepted @ Ok(_)) = door.accept(&listener).now_or_never() {
        door.admit(accepted);
    }
    drop(listener);
    door.drain().await;
}

struct Door {
    router: Router,
    places: Arc<Semaphore>,
    connections: TaskTracker,
    stopping: CancellationToken,
    given_up: CancellationToken,
}

type Accepted = io::Result<(TcpStream, Peer, OwnedSemaphorePermit)>;

impl Door {
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
        let (stream, peer) = listener.accept().await?;
        // What an IPv4 client is called where one socket listens for both.
        Ok((stream, Peer(peer.ip().to_canonical()), place))
    }

    /// Serves an accepted connection beside the others; false if it could not be accepted.
    fn admit(&self, accepted: Accepted) -> bool {
        match accepted {
            Ok((stream, peer, place)) => {
                let connection = serve_connection(
                    stream,
                    peer,
                    self.router.clone(),
                    self.stopping.clone(),
                    self.given_up.clone(),
                );
                self.connections.spawn(async move {
                    connection.await;
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

    async fn drain(self) {
        info!(connections = self.connections.len(), "the edge stops");
        self.stopping.cancel();
        self.connections.close();
        if timeout(DRAIN_DEADLINE, self.connections.wait()).await.is_err() {
            warn!(connections = self.connections.len(), "some requests were cut off");
            self.given_up.cancel();
            self.connections.wait().await;
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    stopping: CancellationToken,
    given_up: CancellationToken,
) {
    // An answer is written in one go; waiting to fill a packet would only delay it.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection ended before it began");
        return;
    }
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        service.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(BODY_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = given_up.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        // Clients go away and time out as they like; it is no fault of ours.
        debug!(%error, "a connection ended early");
    }
}
