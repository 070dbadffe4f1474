//! The configuration a started server gets: loopback only, JetStream on disk, every write
//! synced before it is acknowledged. `nats.conf` at the root says the same for a deployment.

use std::path::Path;

use crate::{Options, process::Member};

/// The text of the configuration file. A port of `None` lets the server choose.
pub(crate) fn text(store: &Path, ports: &Path, options: &Options) -> String {
    let number = |port: Option<u16>| port.map_or("-1".to_owned(), |port| port.to_string());
    let sync = if options.lazy_sync { "2m" } else { "always" };
    let name = options.member.as_ref().map_or("callboard", |member| &member.name);
    let cluster = options.member.as_ref().map(cluster).unwrap_or_default();
    format!(
        "server_name: {name}\n\
         listen: \"127.0.0.1:{}\"\n\
         http: \"127.0.0.1:{}\"\n\
         ports_file_dir: {}\n\
         jetstream {{\n  store_dir: {}\n  sync_interval: {sync}\n}}\n{cluster}",
        number(options.port),
        number(options.monitor_port),
        quoted(ports),
        quoted(store),
    )
}

fn cluster(member: &Member) -> String {
    let routes = member.others.iter().map(|port| format!("\"nats://127.0.0.1:{port}\""));
    format!(
        "cluster {{\n  name: callboard\n  listen: \"127.0.0.1:{}\"\n  routes: [{}]\n}}\n",
        member.route_port,
        routes.collect::<Vec<_>>().join(", "),
    )
}

fn quoted(path: &Path) -> String {
    // A JSON string is one of the configuration's string forms.
    serde_json::Value::String(path.to_string_lossy().into_owned()).to_string()
}
