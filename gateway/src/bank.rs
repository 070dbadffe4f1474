//! The bank decides on what is pending, when its time has come.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tracing::warn;

use crate::{clock::now_ms, gateway::Gateway, ledger::Line, limits::ROOM_PAUSE};

/// Decides until the gateway stops. What is pending then is decided when it is back.
pub(crate) async fn decide_until_stopped(gateway: Arc<Gateway>) {
    let mut progress = gateway.ledger.progress();
    loop {
        progress.mark_unchanged();
        let pause = decide_what_is_due(&gateway);
        tokio::select! {
            () = gateway.stopping.cancelled() => return,
            // Another charge may be pending; the sender is ours, so there is no other end.
            _ = progress.changed() => {}
            () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// How long nothing else is due; none if nothing is pending.
fn decide_what_is_due(gateway: &Gateway) -> Option<Duration> {
    loop {
        let until = gateway.ledger.read(|books| books.next_pending().map(|(until, _)| until))?;
        let now = now_ms();
        if until > now {
            return Some(Duration::from_millis(until - now));
        }
        let noted = gateway.ledger.note(|books| {
            let settled = books.next_pending().and_then(|(_, charge)| charge.settle());
            settled.map_or(Ok(Line::default()), |(charge, occurrence)| {
                gateway.line(books, charge, occurrence)
            })
        });
        if let Err(refusal) = noted {
            warn!(%refusal, "a pending charge stays so for now");
            return Some(ROOM_PAUSE);
        }
    }
}
