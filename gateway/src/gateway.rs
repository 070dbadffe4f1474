//! What the gateway does: decides on charges, and says who is to be told of it.

use std::{io, sync::Arc};

use reqwest::Url;
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Settings,
    cards::{Behaviour, Verdict, behaviour},
    charge::{Change, Charge, Occurrence, Terms},
    clock::{millis, now_ms},
    dice::Dice,
    ledger::{Books, Call, Ledger, LedgerFile, Line},
    limits::SILENCE_MAX,
    refusal::Refusal,
    webhook::{Delivery, Webhook},
};

/// The gateway, as its doors and its tasks share it.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) settings: Settings,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) webhook_url: Option<Url>,
    pub(crate) stopping: CancellationToken,
    dice: Dice,
    silences: Semaphore,
}

impl Gateway {
    /// The gateway that these settings describe, and the file that its ledger writes.
    pub(crate) async fn open(settings: Settings) -> io::Result<(Arc<Self>, LedgerFile)> {
        let webhook_url = settings.check()?;
        let (data, charges_max) = (settings.data.clone(), settings.charges_max);
        let opened = spawn_blocking(move || Ledger::open(&data, charges_max)).await;
        let (ledger, file) = opened.map_err(io::Error::other)??;
        let gateway = Self {
            ledger: Arc::new(ledger),
            webhook_url,
            stopping: CancellationToken::new(),
            dice: Dice::new(settings.mischief.seed),
            silences: Semaphore::new(settings.unanswered_max),
            settings,
        };
        Ok((Arc::new(gateway), file))
    }

    /// Makes a charge, once for each key; none if the call is to be left unanswered.
    pub(crate) async fn authorise(
        &self,
        key: String,
        terms: Terms,
    ) -> Result<Option<Charge>, Refusal> {
        self.ledger.decide(|books| self.take(books, key, terms)).await
    }

    fn take(
        &self,
        books: &Books,
        key: String,
        terms: Terms,
    ) -> Result<(Option<Charge>, Line), Refusal> {
        if let Some(charge) = books.charge_of_key(&key) {
            same(&charge.terms, &terms)?;
            return Ok((Some(charge.clone()), Line::default()));
        }
        let called_before = books.unanswered(&key);
        called_before.map_or(Ok(()), |before| same(before, &terms))?;
        match (behaviour(&terms.token), called_before) {
            (Behaviour::NeverAnswer | Behaviour::DecideAtSecondCall(_), None) => {
                Ok((None, Line::unanswered(Call { key, terms })))
            }
            (Behaviour::NeverAnswer, Some(_)) => Ok((None, Line::default())),
            (Behaviour::Decide(verdict), _) | (Behaviour::DecideAtSecondCall(verdict), Some(_)) => {
                self.make(books, key, terms, verdict)
            }
            (Behaviour::DecideLater(verdict), _) => self.put_off(books, key, terms, verdict),
        }
    }

    fn make(
        &self,
        books: &Books,
        key: String,
        terms: Terms,
        verdict: Verdict,
    ) -> Result<(Option<Charge>, Line), Refusal> {
        check_room(books)?;
        let (charge, occurrence) = Charge::decided(new_id("ch"), key, terms, verdict);
        let line = self.line(books, charge.clone(), occurrence)?;
        Ok((Some(charge), line))
    }

    fn put_off(
        &self,
        books: &Books,
        key: String,
        terms: Terms,
        verdict: Verdict,
    ) -> Result<(Option<Charge>, Line), Refusal> {
        check_room(books)?;
        let until = now_ms() + millis(self.dice.within(&self.settings.pending));
        let charge = Charge::pending(new_id("ch"), key, terms, until, verdict);
        Ok((Some(charge.clone()), Line::charge(charge, Vec::new())))
    }

    /// Changes a charge, if there is anything to change; as it is then.
    pub(crate) async fn change(
        &self,
        id: &str,
        change: impl FnOnce(&Charge) -> Result<Change, Refusal>,
    ) -> Result<Charge, Refusal> {
        let decide = |books: &Books| {
            let charge = books.charge(id).ok_or(Refusal::UnknownCharge)?;
            match change(charge)? {
                None => Ok((charge.clone(), Line::default())),
                Some((charge, occurrence)) => {
                    let line = self.line(books, charge.clone(), occurrence)?;
                    Ok((charge, line))
                }
            }
        };
        self.ledger.decide(decide).await
    }

    /// A charge as it is.
    pub(crate) async fn charge(&self, id: &str) -> Result<Charge, Refusal> {
        self.change(id, |_| Ok(None)).await
    }

    /// The line by which the charge is so from now on, and its owner will be told why.
    pub(crate) fn line(
        &self,
        books: &Books,
        charge: Charge,
        occurrence: Occurrence,
    ) -> Result<Line, Refusal> {
        if self.webhook_url.is_none() {
            return Ok(Line::charge(charge, Vec::new()));
        }
        let room = self.settings.webhooks_max.saturating_sub(books.outbox.len());
        if room == 0 {
            return Err(Refusal::TooManyWebhooks);
        }
        let at = now_ms();
        let webhook = Webhook::of(&charge, occurrence, new_id("wh"), at);
        let is_twice = self.dice.happens(self.settings.mischief.duplicate_chance);
        let copies = if is_twice { room.min(2) } else { 1 };
        let deliveries = (books.outbox.next_number()..)
            .take(copies)
            .map(|number| self.delivery(number, at, webhook.clone()))
            .collect();
        Ok(Line::charge(charge, deliveries))
    }

    fn delivery(&self, number: u64, at: u64, webhook: Webhook) -> Delivery {
        let mischief = &self.settings.mischief;
        let is_late = self.dice.happens(mischief.delay_chance);
        let delay = if is_late { millis(self.dice.within(&mischief.delay)) } else { 0 };
        Delivery { number, due: at + delay, webhook, failures: 0, after: 0 }
    }

    /// Leaves a call unanswered, until its client gives up and this is dropped with it, or nearly
    /// for ever.
    pub(crate) async fn stay_silent(&self) -> Refusal {
        let Ok(_place) = self.silences.try_acquire() else {
            return Refusal::TooManyUnanswered;
        };
        match timeout(SILENCE_MAX, self.stopping.cancelled()).await {
            Ok(()) => Refusal::Stopping,
            Err(_) => Refusal::Unanswered,
        }
    }

    /// Holds an answer back, as the settings have it.
    pub(crate) async fn dawdle(&self) {
        let latency = self.dice.within(&self.settings.mischief.latency);
        tokio::select! {
            () = sleep(latency) => {}
            () = self.stopping.cancelled() => {}
        }
    }
}

fn same(before: &Terms, now: &Terms) -> Result<(), Refusal> {
    if before == now { Ok(()) } else { Err(Refusal::KeyReused) }
}

fn check_room(books: &Books) -> Result<(), Refusal> {
    if books.has_room() { Ok(()) } else { Err(Refusal::TooManyPending) }
}

/// An id that nobody has seen before, and that no restart gives again.
fn new_id(prefix: &str) -> String {
    format!("{prefix}-{}", Uuid::now_v7().simple())
}
