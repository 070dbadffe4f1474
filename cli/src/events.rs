//! `callboard events`: commits, decoded, one event a line.

use std::{io::Write, sync::Arc};

use actors::Role;
use anyhow::bail;
use bus::{AnyCommit, Bus};
use clap::Args;
use futures_util::{StreamExt, stream::BoxStream};

use crate::config::{DataFolder, Nats};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Whose commits: `order`, or `order/o-1`. All kinds by default, in the order of time.
    of: Option<String>,

    /// Go on with commits as they are stored.
    #[arg(long)]
    follow: bool,

    #[command(flatten)]
    nats: Nats,

    #[command(flatten)]
    data: DataFolder,
}

type Commits = BoxStream<'static, Result<AnyCommit, bus::Error>>;

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (kind, id) = match arguments.of.as_deref() {
        None => (None, None),
        Some(of) => match of.split_once('/') {
            None => (Some(of), None),
            Some((kind, id)) => (Some(kind), Some(id)),
        },
    };
    let bus = arguments.nats.connect_or_dev(&arguments.data).await?;
    let mut sources = Vec::new();
    for role in Role::ALL {
        let name = role.to_string();
        if kind.is_none_or(|kind| kind == name) {
            for stream in bus.streams(&name).await? {
                sources.push(Source::open(&bus, stream).await?);
            }
        }
    }
    if sources.is_empty() {
        bail!("there is no kind `{}`", kind.unwrap_or_default());
    }
    let shown = async {
        for commit in in_order_of_time(&mut sources).await? {
            print(&commit, id)?;
        }
        if arguments.follow {
            let mut all = futures_util::stream::select_all(sources.into_iter().map(|s| s.commits));
            while let Some(commit) = all.next().await {
                print(&commit?, id)?;
            }
        }
        Ok(())
    };
    tokio::select! {
        shown = shown => or_closed(shown),
        () = bus::shutdown_signal() => Ok(()),
    }
}

/// One stream's commits, and where its past ends.
struct Source {
    commits: Commits,
    last: u64,
}

impl Source {
    async fn open(bus: &Bus, stream: Arc<str>) -> anyhow::Result<Self> {
        let last = bus.last_sequence(&stream).await?;
        let commits = bus.commits(&stream, 1).await?.boxed();
        Ok(Self { commits, last })
    }

    /// The next commit of the past.
    async fn next(&mut self, read_to: u64) -> anyhow::Result<Option<AnyCommit>> {
        if read_to >= self.last {
            return Ok(None);
        }
        Ok(self.commits.next().await.transpose()?)
    }
}

/// The past of all sources, by time.
async fn in_order_of_time(sources: &mut [Source]) -> anyhow::Result<Vec<AnyCommit>> {
    let mut past = Vec::new();
    for source in sources {
        let mut read_to = 0;
        while let Some(commit) = source.next(read_to).await? {
            read_to = commit.info.position.sequence;
            past.push(commit);
        }
    }
    past.sort_by_key(|commit| commit.info.at);
    Ok(past)
}

fn print(commit: &AnyCommit, id: Option<&str>) -> anyhow::Result<()> {
    if id.is_some_and(|id| id != &*commit.id) {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    for event in &commit.events {
        let (name, fields) = AnyCommit::named(event);
        let AnyCommit { kind, id, info, .. } = commit;
        write!(out, "{} {} {kind}/{id} {name}", info.position, info.at)?;
        if !fields.is_null() {
            write!(out, " {fields}")?;
        }
        if let Some(cause) = &info.cause {
            write!(out, " because of {cause}")?;
        }
        writeln!(out)?;
    }
    out.flush()?;
    Ok(())
}

/// A reader that has seen enough, as `head` has, is no error.
fn or_closed(shown: anyhow::Result<()>) -> anyhow::Result<()> {
    match shown {
        Err(error)
            if error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) =>
        {
            Ok(())
        }
        shown => shown,
    }
}
