//! The configuration a started server gets: loopback only, JetStream on disk, every write
//! synced before it is acknowledged. `nats.conf` at the root says the same for a deployment.

use std::path::Path;

/// The text of the configuration file. A `port` of `None` lets the server choose.
pub(crate) fn text(store: &Path, ports: &Path, port: Option<u16>, monitor: Option<u16>) -> String {
    let number = |port: Option<u16>| port.map_or("-1".to_owned(), |port| port.to_string());
    format!(
        "server_name: callboard\n\
         listen: \"127.0.0.1:{}\"\n\
         http: \"127.0.0.1:{}\"\n\
         ports_file_dir: {}\n\
         jetstream {{\n  store_dir: {}\n  sync_interval: always\n}}\n",
        number(port),
        number(monitor),
        quoted(ports),
        quoted(store),
    )
}

fn quoted(path: &Path) -> String {
    // A JSON string is one of the configuration's string forms.
    serde_json::Value::String(path.to_string_lossy().into_owned()).to_string()
}
