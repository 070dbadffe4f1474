//! What a gateway has to be told, and what is wrong with it if it cannot be.

use std::{fmt, io, ops::RangeInclusive, path::PathBuf, time::Duration};

use reqwest::Url;

use crate::limits::SPAN_MAX;

/// What a gateway has to be told.
#[derive(Clone)]
pub struct Settings {
    /// What webhooks are signed with. Never shown.
    pub secret: String,
    /// Where webhooks are sent: an `http` address. Without one, none are kept.
    pub webhook_url: Option<String>,
    /// The folder with the gateway's file. It is made if it is not there.
    pub data: PathBuf,
    /// Charges that are kept. At the bound the oldest that is not pending is forgotten, and its
    /// key with it.
    pub charges_max: usize,
    /// Calls that are left unanswered at once; more are answered 503.
    pub unanswered_max: usize,
    /// Webhooks that wait at once, copies included; what would add another is answered 503.
    pub webhooks_max: usize,
    /// How often a webhook is tried before it is given up.
    pub attempts_max: u32,
    /// The pause after a webhook's first failure; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause between two tries.
    pub pause_max: Duration,
    /// How long a pending charge is pending.
    pub pending: RangeInclusive<Duration>,
    /// What goes wrong on purpose.
    pub mischief: Mischief,
}

/// What goes wrong on purpose, by a seed: none of it, unless said.
#[derive(Debug, Clone)]
pub struct Mischief {
    /// The same seed rolls the same dice for the same calls in the same order.
    pub seed: u64,
    /// How long an answer is held back, after what it tells was done.
    pub latency: RangeInclusive<Duration>,
    /// The chance that a webhook is sent twice, from 0 to 1.
    pub duplicate_chance: f64,
    /// The chance that a webhook is held back, from 0 to 1: later ones overtake it.
    pub delay_chance: f64,
    /// How long it is held back.
    pub delay: RangeInclusive<Duration>,
}

impl Settings {
    /// A gateway that signs with `secret`, tells nobody, and does no mischief; its data is in the
    /// folder `gateway-data`.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self {
            secret: secret.into(),
            webhook_url: None,
            data: PathBuf::from("gateway-data"),
            charges_max: 100_000,
            unanswered_max: 64,
            webhooks_max: 10_000,
            attempts_max: 20,
            first_pause: Duration::from_millis(500),
            pause_max: Duration::from_secs(60),
            pending: Duration::from_secs(2)..=Duration::from_secs(5),
            mischief: Mischief::default(),
        }
    }

    /// The webhooks' address, if all settings can be kept.
    pub(crate) fn check(&self) -> io::Result<Option<Url>> {
        if self.secret.is_empty() {
            return Err(invalid("secret", "must not be empty"));
        }
        let counts = [
            ("charges_max", self.charges_max),
            ("unanswered_max", self.unanswered_max),
            ("webhooks_max", self.webhooks_max),
            ("attempts_max", self.attempts_max as usize),
        ];
        for (name, count) in counts {
            if count == 0 {
                return Err(invalid(name, "must be at least 1"));
            }
        }
        check_span("pending", &self.pending)?;
        check_span("first_pause and pause_max", &(self.first_pause..=self.pause_max))?;
        self.mischief.check()?;
        self.webhook_url.as_deref().map(read_url).transpose()
    }
}

impl Mischief {
    fn check(&self) -> io::Result<()> {
        let chances = [
            ("mischief.duplicate_chance", self.duplicate_chance),
            ("mischief.delay_chance", self.delay_chance),
        ];
        for (name, chance) in chances {
            if !(0.0..=1.0).contains(&chance) {
                return Err(invalid(name, "must be from 0 to 1"));
            }
        }
        check_span("mischief.latency", &self.latency)?;
        check_span("mischief.delay", &self.delay)
    }
}

impl Default for Mischief {
    fn default() -> Self {
        Self {
            seed: 0,
            latency: Duration::ZERO..=Duration::ZERO,
            duplicate_chance: 0.0,
            delay_chance: 0.0,
            delay: Duration::ZERO..=Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password, and the secret is one.
        f.debug_struct("Settings")
            .field("data", &self.data)
            .field("pending", &self.pending)
            .field("mischief", &self.mischief)
            .finish_non_exhaustive()
    }
}

fn read_url(text: &str) -> io::Result<Url> {
    let url = Url::parse(text).map_err(|error| invalid("webhook_url", error))?;
    if url.scheme() == "http" {
        return Ok(url);
    }
    Err(invalid("webhook_url", "must begin with http://: this gateway does not speak TLS"))
}

fn check_span(name: &str, span: &RangeInclusive<Duration>) -> io::Result<()> {
    if span.start() > span.end() {
        return Err(invalid(name, "must begin no later than they end"));
    }
    if *span.end() > SPAN_MAX {
        return Err(invalid(name, format!("must end within {SPAN_MAX:?}")));
    }
    Ok(())
}

fn invalid(name: &str, rule: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the gateway's settings: {name}: {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_named() {
        let second = Duration::from_secs(1);
        let spoil: [(&str, fn(&mut Settings)); 8] = [
            ("secret", |s| s.secret.clear()),
            ("charges_max", |s| s.charges_max = 0),
            ("attempts_max", |s| s.attempts_max = 0),
            ("webhook_url", |s| s.webhook_url = Some("https://shop.example/hooks".to_owned())),
            ("webhook_url", |s| s.webhook_url = Some("shop".to_owned())),
            ("pending", |s| s.pending = s.pause_max..=s.first_pause),
            ("mischief.delay_chance", |s| s.mischief.delay_chance = f64::NAN),
            ("mischief.latency", |s| s.mischief.latency = Duration::ZERO..=Duration::MAX),
        ];
        for (name, spoil) in spoil {
            let mut settings = Settings::new("whsec");
            settings.mischief.latency = Duration::ZERO..=second;
            settings.check().expect("good");
            spoil(&mut settings);
            let error = settings.check().expect_err(name);
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn the_secret_is_never_shown() {
        let mut settings = Settings::new("whsec-hidden");
        settings.webhook_url = Some("http://user:hidden@shop.example/".to_owned());
        assert!(!format!("{settings:?}").contains("hidden"));
    }
}
