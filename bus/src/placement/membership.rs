//! Saying that we are there: one cell per kind we host, renewed while we live.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    journal::{AppendError, Cells},
    limits::{NODE_RENEW_EVERY, NODE_TIME_TO_LIVE, NODE_WITHDRAW_TIMEOUT},
    model::ambient::Ambient,
    wire::{error::Error, subject},
};

/// A node's cells.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    cells: Arc<dyn Cells>,
    keys: Arc<[String]>,
    /// What the cells hold, for people who look: since when the node is there.
    value: Bytes,
}

impl Membership {
    /// That `node` hosts `kinds`. Nothing is said yet.
    pub(crate) fn of<'a>(
        node: &str,
        kinds: impl Iterator<Item = &'a str>,
        cells: Arc<dyn Cells>,
        ambient: &Ambient,
    ) -> Self {
        let keys = kinds.map(|kind| subject::node_key(kind, node)).collect();
        let value = format!(r#"{{"since":{}}}"#, ambient.now().as_millis());
        Self { cells, keys, value: value.into() }
    }

    /// Says it once, and whether it could. A node that cannot is asked all the same, by those
    /// who ask anybody.
    pub(crate) async fn announce(&self) -> bool {
        let said = self.say().await;
        if let Err(error) = &said {
            warn!(%error, "cannot say that this node is there");
        }
        said.is_ok()
    }

    async fn say(&self) -> Result<(), Error> {
        let puts = join_all(self.keys.iter().map(|key| self.put(key)));
        let puts = timeout(NODE_RENEW_EVERY, puts).await;
        let puts = puts.map_err(|_| Error::Journal("it takes too long".to_owned()))?;
        puts.into_iter().collect()
    }

    /// Says it again and again, until `stop`. One fault is logged once.
    pub(crate) async fn keep(self, mut is_known: bool, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = sleep(NODE_RENEW_EVERY) => {}
            }
            // Not cut short: what is under way is to be there before it is withdrawn.
            is_known = if is_known { self.announce().await } else { self.say().await.is_ok() };
        }
    }

    /// Says that we are no longer there. If that fails, our silence will.
    pub(crate) async fn withdraw(&self) {
        let taken = self.keys.iter().map(|key| self.cells.take_away(subject::NODES_BUCKET, key));
        match timeout(NODE_WITHDRAW_TIMEOUT, join_all(taken)).await {
            Ok(taken) => {
                if let Some(Err(error)) = taken.into_iter().find(Result::is_err) {
                    warn!(%error, "cannot say that this node is leaving");
                }
            }
            Err(_) => warn!("it takes long to say that this node is leaving"),
        }
    }

    /// Puts one cell, into a bucket made for it if there is none.
    async fn put(&self, key: &str) -> Result<(), Error> {
        let bucket = subject::NODES_BUCKET;
        let time_to_live: Option<Duration> = Some(NODE_TIME_TO_LIVE);
        match self.cells.put(bucket, key, self.value.clone(), time_to_live).await {
            Ok(()) => return Ok(()),
            Err(AppendError::Refused(_)) => self.cells.provision_bucket(bucket).await?,
            Err(error) => return Err(Error::Journal(error.to_string())),
        }
        let put = self.cells.put(bucket, key, self.value.clone(), time_to_live).await;
        put.map_err(|error| Error::Journal(error.to_string()))
    }
}
