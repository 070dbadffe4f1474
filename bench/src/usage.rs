//! What processes use: processor time and memory as Linux counts them, syncs as `strace` does.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use tempfile::NamedTempFile;

/// Clock ticks a second in `/proc`: 100 on every Linux.
const TICKS: f64 = 100.0;
/// Bytes of a page, as `/proc` counts memory.
const PAGE: f64 = 4_096.0;

/// Ourselves and the servers we started.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) servers: Vec<u32>,
}

impl Processes {
    /// Processor time so far, in seconds: ours, and that of all servers. None where there is no
    /// `/proc`.
    pub(crate) fn cpu(&self) -> Option<(f64, f64)> {
        let servers = self.servers.iter().map(|pid| cpu_of(&pid.to_string())).sum::<Option<f64>>();
        cpu_of("self").zip(servers)
    }

    /// Syncs of the servers while `work` is done, if they can be counted.
    pub(crate) async fn syncs<T>(&self, work: impl Future<Output = T>) -> (T, Option<u64>) {
        let traces: Option<Vec<Trace>> = self.servers.iter().map(|pid| Trace::of(*pid)).collect();
        if traces.is_some() {
            // Until it has attached to every thread.
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        let done = work.await;
        let count = traces.and_then(|traces| traces.into_iter().map(Trace::end).sum());
        (done, count)
    }
}

fn cpu_of(pid: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may have blanks in it.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

/// Resident memory in bytes; `pid` may be `self`.
pub(crate) fn resident(pid: &str) -> Option<f64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<f64>().ok()? * PAGE)
}

/// A count of one process's syncs that is under way.
struct Trace {
    strace: Child,
    summary: NamedTempFile,
}

impl Trace {
    fn of(pid: u32) -> Option<Self> {
        let summary = NamedTempFile::new().ok()?;
        let strace = Command::new("strace")
            .args(["-f", "-c", "-e", "trace=fsync,fdatasync,sync_file_range", "-o"])
            .arg(summary.path())
            .args(["-p", &pid.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Some(Self { strace: strace.ok()?, summary })
    }

    fn end(mut self) -> Option<u64> {
        // Interrupted, it says what it has counted.
        let ended = Command::new("kill").args(["-INT", &self.strace.id().to_string()]).status();
        ended.ok()?;
        self.strace.wait().ok()?;
        let summary = fs::read_to_string(self.summary.path()).ok()?;
        let calls = summary
            .lines()
            .filter(|line| line.contains("sync"))
            .filter_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
        Some(calls.sum())
    }
}

/// The first line of a file that begins with `key`, without it and what separates them.
pub(crate) fn line_of(file: &str, key: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let line = line.with_context(|| format!("{file} has no {key}"))?;
    Ok(line.trim_start_matches([' ', '\t', ':']).to_owned())
}
