//! What was measured, shown: a table, JSON, and the page in `docs/`.

use std::{fmt::Write as _, fs, io::Write as _, path::Path, process::Command};

use anyhow::Context;
use serde::Serialize;

use crate::{place::Settings, usage::line_of};

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// One thing that was measured, several times: ours and, in turn with it, the raw counterpart.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) row: String,
    pub(crate) what: String,
    pub(crate) counterpart: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) goal: Option<f64>,
    /// A ratio that even a noisy machine keeps: beyond it something is broken.
    pub(crate) floor: Option<f64>,
    pub(crate) ours: Vec<f64>,
    pub(crate) raw: Vec<f64>,
    pub(crate) remarks: Vec<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    row: &'a str,
    ours: Option<f64>,
    raw: Option<f64>,
    ratio: Option<f64>,
    goal: Option<f64>,
    better: Better,
    unit: &'a str,
    runs: usize,
}

impl Measured {
    /// A figure without a counterpart, goal or remarks.
    pub(crate) fn plain(row: &str, what: &str, unit: &'static str, ours: Vec<f64>) -> Self {
        Self {
            row: row.to_owned(),
            what: what.to_owned(),
            counterpart: "–",
            unit,
            better: Better::Higher,
            goal: None,
            floor: None,
            ours,
            raw: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// A row that could not be taken, and why.
    pub(crate) fn not_run(row: &str, what: &str, why: String) -> Self {
        Self { remarks: vec![why], ..Self::plain(row, what, "", Vec::new()) }
    }

    /// The median of the ratios of each pair that was taken in turn.
    pub(crate) fn ratio(&self) -> Option<f64> {
        median(&self.ours.iter().zip(&self.raw).map(|(ours, raw)| ours / raw).collect::<Vec<_>>())
    }

    /// What is held against the goal: the ratio, or the figure itself where there is nothing to
    /// compare it with.
    fn judged(&self) -> Option<f64> {
        self.ratio().or_else(|| median(&self.ours))
    }

    fn holds(&self, bound: f64) -> bool {
        self.judged().is_some_and(|judged| match self.better {
            Better::Higher => judged >= bound,
            Better::Lower => judged <= bound,
        })
    }

    /// Says so, if it is.
    pub(crate) fn under_its_floor(&self) -> Option<String> {
        let floor = self.floor.filter(|floor| !self.holds(*floor))?;
        let judged = self.judged().map_or("nothing".to_owned(), |judged| format!("{judged:.2}"));
        let side = if self.better == Better::Higher { "under" } else { "over" };
        Some(format!("{}: {judged} is {side} its floor of {floor}", self.row))
    }

    pub(crate) fn line(&self) -> String {
        let figure = |figures: &[f64]| median(figures).map_or("–".to_owned(), number);
        let ratio = self.ratio().map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let goal = self.goal.map_or(String::new(), |goal| {
            let sign = if self.better == Better::Higher { "≥" } else { "≤" };
            let met = if self.holds(goal) { "✓" } else { "✗" };
            format!("{met} {sign} {goal}")
        });
        let remarks = self.remarks.join("; ");
        format!(
            "{:<16} ours {:>9}  raw {:>9} {:<9} ratio {ratio:>5}  {goal:<9} {remarks}",
            self.row,
            figure(&self.ours),
            figure(&self.raw),
            self.unit
        )
    }
}

/// The middle one, if there is any.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// As people read it: 43,600 or 3.25.
pub(crate) fn number(figure: f64) -> String {
    if figure.abs() < 100.0 {
        return format!("{figure:.2}");
    }
    let digits = format!("{:.0}", figure.abs());
    let mut grouped = String::from(if figure < 0.0 { "-" } else { "" });
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// What goes on, for whoever waits.
pub(crate) fn say(line: &str) {
    // Nobody may be there to read it.
    drop(writeln!(std::io::stderr(), "{line}"));
}

pub(crate) fn print(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

pub(crate) fn table(measured: &[Measured]) -> String {
    measured.iter().map(Measured::line).collect::<Vec<_>>().join("\n")
}

pub(crate) fn json(measured: &[Measured]) -> anyhow::Result<String> {
    let lines = measured.iter().map(|one| Line {
        row: &one.row,
        ours: median(&one.ours),
        raw: median(&one.raw),
        ratio: one.ratio(),
        goal: one.goal,
        better: one.better,
        unit: one.unit,
        runs: one.ours.len(),
    });
    Ok(serde_json::to_string_pretty(&lines.collect::<Vec<_>>())?)
}

/// Puts the figures between the marks of the page, and leaves the rest of it as it is.
pub(crate) fn write(out: &Path, settings: &Settings, measured: &[Measured]) -> anyhow::Result<()> {
    let page = fs::read_to_string(out).unwrap_or_else(|_| format!("{BEGIN}\n{END}\n"));
    let (before, rest) = page.split_once(BEGIN).context("the page has no mark where to begin")?;
    let (_, after) = rest.split_once(END).context("the page has no mark where to end")?;
    let figures = figures(settings, measured);
    let page = format!("{before}{BEGIN}\n{figures}{END}{after}");
    fs::write(out, page).with_context(|| format!("cannot write {}", out.display()))
}

fn figures(settings: &Settings, measured: &[Measured]) -> String {
    let mut text = format!("{}\n", surroundings(settings));
    text.push_str(
        "| row | what | raw counterpart | ours: median (range) | raw: median (range) | ratio | goal | met |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for one in measured {
        let goal = one.goal.map_or("report".to_owned(), |goal| {
            format!("{} {goal}", if one.better == Better::Higher { "≥" } else { "≤" })
        });
        let met = one.goal.map_or("", |goal| if one.holds(goal) { "yes" } else { "**no**" });
        let ratio = one.ratio().map_or("–".to_owned(), |ratio| format!("**{ratio:.2}**"));
        let (ours, raw) = (range(&one.ours, one.unit), range(&one.raw, one.unit));
        let Measured { row, what, counterpart, .. } = one;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{row}` | {what} | {counterpart} | {ours} | {raw} | {ratio} | {goal} | {met} |"
        );
    }
    text.push_str("\nBeside them:\n\n");
    for one in measured.iter().filter(|one| !one.remarks.is_empty()) {
        let _ = writeln!(text, "- `{}`: {}", one.row, one.remarks.join("; "));
    }
    text
}

fn range(figures: &[f64], unit: &str) -> String {
    let Some(middle) = median(figures) else { return "–".to_owned() };
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if figures.len() == 1 {
        return format!("{} {unit}", number(middle));
    }
    format!("{} {unit} ({}–{})", number(middle), number(least), number(most))
}

/// The machine, the versions and the settings.
fn surroundings(settings: &Settings) -> String {
    let unknown = |found: anyhow::Result<String>| found.unwrap_or_else(|_| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let processor = unknown(line_of("/proc/cpuinfo", "model name"));
    let memory = unknown(line_of("/proc/meminfo", "MemTotal"));
    let kernel = unknown(line_of("/proc/sys/kernel/osrelease", ""));
    let disk = output("df", &["--output=fstype,source", &settings.data.to_string_lossy()]);
    let disk = disk.lines().nth(1).unwrap_or("unknown").split_whitespace().collect::<Vec<_>>();
    format!(
        "Measured on {processor}, {cores} cores, {memory} of memory, Linux {kernel}, stores on {} \
         — client, node and servers all on it — with nats-server {}, async-nats {}, callboard {}, \
         {}. {} runs of {:.1} s for each figure, ours and raw in turn, after a warm-up.\n",
        disk.join(" of "),
        nats_server::PINNED,
        version_of("async-nats"),
        env!("CARGO_PKG_VERSION"),
        output("rustc", &["--version"]).trim(),
        settings.runs,
        settings.span.as_secs_f64(),
    )
}

/// The version of a dependency that this was built with.
fn version_of(package: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let entry = lock.split_once(&format!("name = \"{package}\"\nversion = \""));
    entry.and_then(|(_, rest)| rest.split('"').next()).unwrap_or("unknown")
}

fn output(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output();
    output.map_or("unknown".to_owned(), |out| String::from_utf8_lossy(&out.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(better: Better, ours: &[f64], raw: &[f64]) -> Measured {
        let (ours, raw) = (ours.to_vec(), raw.to_vec());
        let (goal, floor) = (Some(2.5), Some(1.5));
        Measured { better, raw, goal, floor, ..Measured::plain("a", "b", "/s", ours) }
    }

    #[test]
    fn the_ratio_is_that_of_the_pairs() {
        let one = measured(Better::Higher, &[20.0, 30.0, 80.0], &[10.0, 10.0, 20.0]);
        assert_eq!(one.ratio(), Some(3.0));
        assert!(one.line().contains("✓ ≥ 2.5"), "{}", one.line());
    }

    #[test]
    fn a_ratio_beyond_its_floor_is_named() {
        for (better, ours, is_beyond) in [
            (Better::Higher, 14.0, true),
            (Better::Higher, 16.0, false),
            (Better::Lower, 16.0, true),
            (Better::Lower, 14.0, false),
        ] {
            let one = measured(better, &[ours], &[10.0]);
            assert_eq!(one.under_its_floor().is_some(), is_beyond, "{one:?}");
        }
        let nothing = Measured { floor: Some(1.0), ..measured(Better::Higher, &[], &[]) };
        assert!(nothing.under_its_floor().is_some(), "what was not measured holds nothing");
    }

    #[test]
    fn numbers_are_grouped() {
        let all = [0.5, 99.0, 100.0, 1_234.4, 1_234_567.0, -812.0, -1_659.0].map(number);
        assert_eq!(all, ["0.50", "99.00", "100", "1,234", "1,234,567", "-812", "-1,659"]);
    }
}
