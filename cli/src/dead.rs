//! `callboard dead`: what could not be carried out, looked at, carried out again, or dropped.

use std::{io::Write, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use bus::{DeadLetter, DeadLetters, Error};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::config::{DataFolder, Nats};

/// How long `replay` looks whether it has succeeded. It goes on without us.
const OUTCOME_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List dead letters, oldest first.
    List(With<Chosen>),
    /// Show one with all that is known of it.
    Show(With<One>),
    /// Have it carried out again by the follower that failed, with the same keys.
    Replay(With<Replay>),
    /// Remove for good.
    Drop(With<Several>),
}

/// What a subcommand is asked, where, and how it answers.
#[derive(Debug, Args)]
struct With<A: Args> {
    #[command(flatten)]
    asked: A,

    /// Write JSON, one object a line.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    nats: Nats,

    #[command(flatten)]
    data: DataFolder,
}

#[derive(Debug, Args)]
struct One {
    /// Its number.
    id: u64,
}

#[derive(Debug, Args)]
struct Several {
    /// Their numbers.
    #[arg(required = true)]
    ids: Vec<u64>,
}

#[derive(Debug, Args)]
struct Chosen {
    /// Only those of this saga or effect.
    #[arg(long)]
    follower: Option<String>,

    /// Only those about actors of this kind.
    #[arg(long)]
    kind: Option<String>,
}

#[derive(Debug, Args)]
struct Replay {
    /// Their numbers.
    #[arg(required_unless_present = "all")]
    ids: Vec<u64>,

    /// All of them, oldest first; `--follower` and `--kind` choose.
    #[arg(long, conflicts_with = "ids")]
    all: bool,

    #[command(flatten)]
    chosen: Chosen,

    /// Another body, as JSON. Of a commit, only what is to be changed: `{"events":[…]}`.
    #[arg(long, conflicts_with_all = ["body_file", "all"])]
    body: Option<String>,

    /// Another body, from a file.
    #[arg(long, conflicts_with = "all")]
    body_file: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::List(with) => {
            for letter in all(&with.dead_letters().await?, &with.asked).await? {
                print_line(&letter, with.json)?;
            }
            Ok(())
        }
        Command::Show(with) => {
            let letter = with.dead_letters().await?.read(with.asked.id).await?;
            print_whole(&letter, with.json)
        }
        Command::Replay(with) => {
            replay_all(&with.dead_letters().await?, &with.asked, with.json).await
        }
        Command::Drop(with) => {
            let dead = with.dead_letters().await?;
            for id in &with.asked.ids {
                dead.drop(*id).await?;
                print_outcome(*id, "dropped", with.json)?;
            }
            Ok(())
        }
    }
}

impl<A: Args> With<A> {
    async fn dead_letters(&self) -> anyhow::Result<DeadLetters> {
        Ok(self.nats.connect_or_dev(&self.data).await?.dead_letters())
    }
}

async fn all(dead: &DeadLetters, chosen: &Chosen) -> anyhow::Result<Vec<DeadLetter>> {
    let (follower, kind) = (chosen.follower.as_deref(), chosen.kind.as_deref());
    let (mut letters, mut after) = (Vec::new(), Some(0));
    while let Some(last) = after {
        let page = dead.list(follower, kind, last).await?;
        letters.extend(page.letters);
        after = page.next;
    }
    Ok(letters)
}

async fn replay_all(dead: &DeadLetters, replay: &Replay, as_json: bool) -> anyhow::Result<()> {
    let body = match (&replay.body, &replay.body_file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file);
            Some(text.with_context(|| format!("cannot read {}", file.display()))?)
        }
        (None, None) => None,
    };
    let body: Option<Value> =
        body.map(|text| serde_json::from_str(&text).context("the body is not JSON")).transpose()?;
    let ids: Vec<u64> = match replay.all {
        true => all(dead, &replay.chosen).await?.iter().map(|letter| letter.id).collect(),
        false => replay.ids.clone(),
    };
    if body.is_some() && ids.len() > 1 {
        bail!("one body mends one dead letter");
    }
    for id in &ids {
        match &body {
            Some(body) => dead.replay_with(*id, body).await?,
            None => dead.replay(*id).await?,
        }
    }
    let deadline = Instant::now() + OUTCOME_WITHIN;
    for id in ids {
        let outcome = match is_gone_by(dead, id, deadline).await? {
            true => "carried out",
            false => "asked for, not carried out yet",
        };
        print_outcome(id, outcome, as_json)?;
    }
    Ok(())
}

/// Whether the letter is gone, which says that it was carried out.
async fn is_gone_by(dead: &DeadLetters, id: u64, deadline: Instant) -> anyhow::Result<bool> {
    loop {
        match dead.read(id).await {
            Err(Error::NoDeadLetter(_)) => return Ok(true),
            Err(error) => return Err(error.into()),
            Ok(_) if Instant::now() >= deadline => return Ok(false),
            Ok(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

fn print_line(letter: &DeadLetter, as_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{}", facts(letter))?;
    } else {
        let DeadLetter { id, follower, kind, actor, position, attempts, last, error, .. } = letter;
        let tried = if *attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
        writeln!(out, "{id} {last} {follower} {kind}/{actor} {position} tried {tried}: {error}")?;
    }
    Ok(())
}

fn print_whole(letter: &DeadLetter, as_json: bool) -> anyhow::Result<()> {
    let mut whole = facts(letter);
    let body = letter.decoded();
    whole["is_readable"] = body.is_some().into();
    whole["body"] = body.unwrap_or_else(|| String::from_utf8_lossy(&letter.body).into());
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{whole}")?;
    } else {
        writeln!(out, "{whole:#}")?;
    }
    Ok(())
}

fn print_outcome(id: u64, outcome: &str, as_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{}", json!({"id": id, "outcome": outcome}))?;
    } else {
        writeln!(out, "{id} {outcome}")?;
    }
    Ok(())
}

/// All that is known of a letter but its body.
fn facts(letter: &DeadLetter) -> Value {
    let headers: Vec<Value> =
        letter.headers.iter().map(|(name, value)| json!([name, value])).collect();
    json!({
        "id": letter.id,
        "follower": letter.follower,
        "kind": letter.kind,
        "actor": letter.actor,
        "subject": letter.subject,
        "position": letter.position.to_string(),
        "error": letter.error,
        "attempts": letter.attempts,
        "first": letter.first.to_string(),
        "last": letter.last.to_string(),
        "trace": letter.trace,
        "headers": headers,
        "bytes": letter.body.len(),
    })
}
