//! Whether a server can keep our promises: new enough, and every write on disk before its
//! acknowledgement.

use std::time::Duration;

use async_nats::{Client, jetstream::response::Response};
use serde::Deserialize;

use crate::wire::error::Error;

/// The oldest server we rely on: atomic batches, message schedules, and I/O errors that stop a
/// stream instead of passing.
const SERVER_MIN: (u32, u32) = (2, 14);
/// JetStream's API level of that server.
const API_LEVEL_MIN: u64 = 4;

#[derive(Deserialize)]
struct AccountInfo {
    api: Api,
}

#[derive(Deserialize)]
struct Api {
    #[serde(default)]
    level: u64,
}

#[derive(Deserialize)]
struct Varz {
    server_id: String,
    jetstream: Option<VarzJetStream>,
}

#[derive(Deserialize)]
struct VarzJetStream {
    config: Option<VarzConfig>,
}

#[derive(Deserialize)]
struct VarzConfig {
    #[serde(default)]
    sync_always: bool,
}

/// Refuses a server that is too old, has no JetStream, or acknowledges before the disk has it.
pub(crate) async fn check_server(
    client: &Client,
    monitors: &[String],
    allow_lazy_sync: bool,
) -> Result<(), Error> {
    let version = client.server_info().version;
    if !is_new_enough(&version) {
        let (major, minor) = SERVER_MIN;
        return Err(Error::Unfit(format!(
            "it is version {version}; {major}.{minor} is the oldest"
        )));
    }
    check_jetstream(client).await?;
    if allow_lazy_sync {
        tracing::warn!("lazy sync is allowed: an acknowledged write may be lost with the power");
        return Ok(());
    }
    if monitors.is_empty() {
        let text = "cannot tell whether it syncs every write to disk: name its monitoring address, \
                    or allow lazy sync";
        return Err(Error::Unfit(text.to_owned()));
    }
    let mut seen = Vec::new();
    for monitor in monitors {
        seen.push(check_sync(monitor).await?);
    }
    let connected = client.server_info().server_id;
    if seen.contains(&connected) {
        Ok(())
    } else {
        Err(Error::Unfit(format!(
            "cannot tell whether it syncs every write to disk: {} is another server's monitor",
            monitors.join(", ")
        )))
    }
}

async fn check_jetstream(client: &Client) -> Result<(), Error> {
    let jetstream = async_nats::jetstream::new(client.clone());
    let info: Result<Response<AccountInfo>, _> = jetstream.request("INFO", &()).await;
    match info {
        Ok(Response::Ok(info)) if info.api.level >= API_LEVEL_MIN => Ok(()),
        Ok(Response::Ok(info)) => Err(Error::Unfit(format!(
            "its JetStream API level is {}; {API_LEVEL_MIN} is the oldest",
            info.api.level
        ))),
        Ok(Response::Err { error }) => Err(Error::Unfit(format!("JetStream answers: {error}"))),
        // It may just be starting.
        Err(error) => Err(Error::NotReady(format!("JetStream does not answer: {error}"))),
    }
}

/// Checks one server, and says which it is.
async fn check_sync(monitor: &str) -> Result<String, Error> {
    let url = format!("{}/varz", monitor.trim_end_matches('/'));
    let unknown = |why: String| {
        Error::Unfit(format!(
            "cannot tell whether it syncs every write to disk: {url}: {why}. Name its monitoring \
             address, or allow lazy sync"
        ))
    };
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build();
    let client = client.map_err(|e| unknown(e.to_string()))?;
    let answer = client.get(&url).send().await.map_err(|e| unknown(e.to_string()))?;
    let varz: Varz = answer.json().await.map_err(|e| unknown(e.to_string()))?;
    let syncs = varz.jetstream.and_then(|js| js.config).is_some_and(|config| config.sync_always);
    if syncs {
        Ok(varz.server_id)
    } else {
        Err(Error::Unfit(format!(
            "it acknowledges writes before they are on disk ({url}): set `sync_interval: always` \
             in its jetstream block, or allow lazy sync"
        )))
    }
}

/// Whether `version` (`2.15.1`, `2.15.0-dev`) is at least [`SERVER_MIN`].
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= SERVER_MIN,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        for good in ["2.14.0", "2.15.1", "2.15.0-dev", "3.0.0"] {
            assert!(is_new_enough(good), "{good}");
        }
        for bad in ["2.9.10", "2.13.9", "1.99.0", "", "new"] {
            assert!(!is_new_enough(bad), "{bad}");
        }
    }
}
