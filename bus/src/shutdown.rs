//! The signal to stop.

use std::{future::Future, io};

/// Resolves at ctrl-c or SIGTERM. Both are caught from the call on, not only while it is awaited:
/// a process that is told to stop while it starts stops in order.
pub fn shutdown_signal() -> impl Future<Output = ()> + Send {
    let caught = catch();
    async move {
        match caught {
            Ok(signals) => signals.await,
            Err(error) => {
                tracing::warn!(%error, "signals cannot be caught");
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(unix)]
fn catch() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn catch() -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "ctrl-c cannot be caught");
            std::future::pending::<()>().await;
        }
    })
}
