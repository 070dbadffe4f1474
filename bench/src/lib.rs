//! What Callboard's promises cost and win: each figure beside that of raw async-nats doing the
//! least with the same effect, in the same run, on the same servers, in turn.
//!
//! A row measures one thing (`rows`); `raw` is the hand-written counterpart; `load` asks and
//! times, `usage` counts processor time, memory and syncs, `report` shows it all. Nothing is
//! needed but what `nats-server` finds; each run keeps to a folder of its own and leaves nothing.

mod actor;
mod http;
mod load;
mod place;
mod raw;
mod report;
mod rows;
mod shop;
mod usage;

use std::{path::PathBuf, pin::pin, time::Duration};

use anyhow::bail;
use clap::Args;

use crate::{place::Settings, report::Measured, rows::Row};

/// How often each figure is taken unless somebody says otherwise.
const RUNS: usize = 5;
/// How often in a quick check, and how long each time.
const QUICK: (usize, Duration) = (3, Duration::from_millis(700));

/// What to measure.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Measure a few rows shortly, and fail if a ratio is under its floor.
    #[arg(long)]
    quick: bool,

    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,

    /// Measure only these rows, by their short names: `durable` is all of its figures,
    /// `durable-c256` one.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,

    /// How often each figure is taken.
    #[arg(long, default_value_t = RUNS)]
    runs: usize,

    /// How long each time, in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,

    /// How long the soak lasts, in minutes.
    #[arg(long, default_value_t = 10.0)]
    soak: f64,

    /// How many commits are stored at most before throughput is measured on top of them.
    #[arg(long, default_value_t = 10_000_000)]
    stored_max: u64,

    /// Where the figures are written down, between their two marks; a run of only some rows
    /// writes nothing unless this is named.
    #[arg(long)]
    out: Option<PathBuf>,

    /// Where the servers keep their stores. By default a temporary folder.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    data: PathBuf,
}

/// Measures, and shows what came of it.
///
/// # Errors
/// If something could not be measured, a write was lost, a ratio is under its floor, or it was
/// told to stop.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let rows = chosen(&arguments)?;
    let settings = settings(&arguments);
    let mut measured = Vec::new();
    let mut stopped = pin!(bus::shutdown_signal());
    for row in rows {
        report::say(&format!("… {}", row.name));
        let taken = tokio::select! {
            taken = (row.take)(&settings) => taken,
            // What the row has started and made goes with it.
            () = stopped.as_mut() => bail!("stopped in the row {}; nothing is written", row.name),
        };
        let taken = taken.map_err(|error| error.context(format!("row {}", row.name)))?;
        for figure in &taken {
            report::say(&figure.line());
        }
        measured.extend(taken);
    }
    if arguments.json {
        report::print(&report::json(&measured)?);
    } else {
        report::print(&report::table(&measured));
    }
    let is_whole = arguments.only.is_empty() && !arguments.quick;
    let out = arguments.out.or(is_whole.then(|| "docs/benchmarks.md".into()));
    if let Some(out) = out {
        report::write(&out, &settings, &measured)?;
    }
    if arguments.quick { check_floors(&measured) } else { Ok(()) }
}

fn settings(arguments: &Arguments) -> Settings {
    let given = (arguments.runs.max(1), Duration::from_secs_f64(arguments.seconds.max(0.1)));
    let (runs, span) = if arguments.quick { QUICK } else { given };
    Settings {
        runs,
        span,
        soak: Duration::from_secs_f64(arguments.soak.max(0.1) * 60.0),
        counts_costs: !arguments.quick,
        only: arguments.only.clone(),
        stored_max: arguments.stored_max,
        data: arguments.data.clone(),
    }
}

fn chosen(arguments: &Arguments) -> anyhow::Result<Vec<&'static Row>> {
    if let Some(unknown) = arguments.only.iter().find(|name| !rows::is_known(name)) {
        let names: Vec<&str> = rows::ALL.iter().map(|row| row.name).collect();
        bail!("there is no row `{unknown}`; there are: {}", names.join(", "));
    }
    let is_wanted = |row: &&Row| {
        let named = arguments.only.iter().any(|name| row.has(name));
        named || (arguments.only.is_empty() && (row.is_quick || !arguments.quick))
    };
    Ok(rows::ALL.iter().filter(is_wanted).collect())
}

fn check_floors(measured: &[Measured]) -> anyhow::Result<()> {
    let under: Vec<String> = measured.iter().filter_map(Measured::under_its_floor).collect();
    if under.is_empty() { Ok(()) } else { bail!("{}", under.join("; ")) }
}
