//! The rows: what is measured, under which short name.

mod asking;
mod cold;
mod durable;
mod logins;
mod memory;
mod projection;
mod search;
mod shop;
mod soak;
mod stored;

use futures_util::future::BoxFuture;

use crate::{load::Load, place::Settings, report::Measured, usage::Processes};

type Taken<'a> = BoxFuture<'a, anyhow::Result<Vec<Measured>>>;

/// One or more figures that are taken together.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Whether a quick check takes it.
    pub(crate) is_quick: bool,
    pub(crate) take: for<'a> fn(&'a Settings) -> Taken<'a>,
}

impl Row {
    /// Whether this is the name of the row or one of its figures.
    pub(crate) fn has(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

macro_rules! rows {
    ($($name:literal $module:ident::$take:ident $($quick:ident)?;)+) => {
        /// All of them, in the order in which they are taken.
        pub(crate) const ALL: &[Row] = &[
            $(Row {
                name: $name,
                is_quick: rows!(@ $($quick)?),
                take: |settings| Box::pin($module::$take(settings)),
            },)+
        ];
    };
    (@ quick) => { true };
    (@) => { false };
}

rows! {
    "activations" memory::activations;
    "refused" asking::refused quick;
    "durable" durable::one_server quick;
    "slow" durable::slow_disk;
    "r3" durable::three_servers quick;
    "hot" durable::hot quick;
    "shards" durable::shards;
    "cold" cold::cold;
    "projection" projection::projection;
    "checkout" shop::checkout;
    "edge" shop::edge;
    "logins" logins::logins;
    "search" search::search;
    "stored" stored::stored;
    "soak" soak::soak;
}

pub(crate) fn is_known(name: &str) -> bool {
    ALL.iter().any(|row| row.has(name))
}

/// Ours and raw in turn, `runs` times, after one of each that does not count.
async fn in_turn<O, R>(
    settings: &Settings,
    mut ours: impl FnMut() -> O,
    mut raw: impl FnMut() -> R,
) -> anyhow::Result<(Vec<Load>, Vec<Load>)>
where
    O: Future<Output = anyhow::Result<Load>>,
    R: Future<Output = anyhow::Result<Load>>,
{
    raw().await?;
    ours().await?;
    let (mut all_ours, mut all_raw) = (Vec::new(), Vec::new());
    for _ in 0..settings.runs {
        all_raw.push(raw().await?);
        all_ours.push(ours().await?);
    }
    Ok((all_ours, all_raw))
}

fn rates(loads: &[Load]) -> Vec<f64> {
    loads.iter().map(Load::per_second).collect()
}

fn medians(loads: &[Load]) -> Vec<f64> {
    loads.iter().map(|load| load.percentile(0.5)).collect()
}

/// What one command costs: processor time of all processes, and syncs where they can be counted.
/// A run of its own, because counting syncs slows the servers down.
async fn costs<F>(
    settings: &Settings,
    processes: &Processes,
    mut ask: impl FnMut() -> F,
) -> anyhow::Result<String>
where
    F: Future<Output = anyhow::Result<Load>>,
{
    if !settings.counts_costs {
        return Ok("costs are not counted in a quick check".to_owned());
    }
    let before = processes.cpu();
    let load = ask().await?;
    let each = |seconds: f64| seconds * 1e6 / count(load.done);
    let cpu = processes.cpu().zip(before).map_or("not counted".to_owned(), |(after, before)| {
        let (own, servers) = (each(after.0 - before.0), each(after.1 - before.1));
        format!("{:.1} µs (of which servers {servers:.1})", own + servers)
    });
    let (counted, syncs) = processes.syncs(ask()).await;
    let counted = counted?;
    let syncs = syncs.map_or("not counted (strace is not here)".to_owned(), |syncs| {
        format!("{:.3}", count(syncs) / count(counted.done))
    });
    Ok(format!("processor {cpu}, syncs {syncs} per command"))
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn count(count: u64) -> f64 {
    count as f64
}
