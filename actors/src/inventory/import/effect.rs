//! Carrying out a chunk of an import: each of its lines at its item.
//!
//! A chunk may be carried out again after a crash. The keys are made from the import and the
//! line, so an item is created once and its pieces come in once.

use bus::{AskError, Bus, Effect, Key, Recorded, Retry, Then, Timestamp};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{BadLine, Import, ImportEvent, ImportId, ImportLine, NoteDone};
use crate::{
    inventory::{Create, Describe, ItemError, Receive, SetPrice, Show},
    limits::IMPORT_LINES_AT_ONCE,
};

/// Carries out what was added to an import.
#[derive(Debug)]
pub struct CarryOut;

impl Effect<Import> for CarryOut {
    const NAME: &'static str = "carry-out";

    async fn run(
        &self,
        import: &Recorded<Import>,
        bus: &Bus,
        then: &mut Then,
    ) -> Result<(), Retry> {
        let ImportEvent::Added { number, lines } = &import.event else { return Ok(()) };
        let carried_out = lines.iter().cloned().map(|line| {
            let (bus, import, at) = (bus.clone(), import.id.clone(), import.commit.at);
            Line { bus, import, at, line }.carried_out()
        });
        let failed = stream::iter(carried_out).buffered(IMPORT_LINES_AT_ONCE);
        let failed = failed.try_collect::<Vec<_>>().await?.into_iter().flatten().collect();
        then.ask(&import.id, &NoteDone { number: *number, failed });
        Ok(())
    }
}

/// A line about to be carried out.
struct Line {
    bus: Bus,
    import: ImportId,
    at: Timestamp,
    line: ImportLine,
}

impl Line {
    /// Carries it out; what is wrong with it, if it cannot be.
    async fn carried_out(self) -> Result<Option<BadLine>, Retry> {
        match self.carry_out().await {
            Ok(()) => Ok(None),
            Err(AskError::Refused(refusal)) => {
                Ok(Some(BadLine { line: self.line.line, message: refusal.to_string() }))
            }
            Err(error) if error.may_ask_again() => Err(Retry::unreachable(error)),
            Err(error) => Err(Retry::because(error)),
        }
    }

    async fn carry_out(&self) -> Result<(), AskError<ItemError>> {
        let ImportLine { sku, name, description, category, price, quantity, .. } = &self.line;
        let item = self.bus.actor(sku);
        let create = Create {
            description: description.clone(),
            category: category.clone(),
            ..Create::new(name.clone(), *price)
        };
        let created = item.ask(create).key(self.key("create")).key_first_sent(self.at).await;
        match created {
            Ok(()) => {}
            Err(AskError::Refused(ItemError::AlreadyCreated)) => self.bring_up_to_date().await?,
            Err(error) => return Err(error),
        }
        if let Some(quantity) = *quantity {
            let received = item.ask(Receive::new(quantity)).key(self.key("receive"));
            received.key_first_sent(self.at).await?;
        }
        Ok(())
    }

    /// The item was there before. What the list does not have stays as it is.
    async fn bring_up_to_date(&self) -> Result<(), AskError<ItemError>> {
        let ImportLine { sku, name, description, category, price, .. } = &self.line;
        let item = self.bus.actor(sku);
        let now = item.ask(Show {}).await?;
        // Without a key: it is the same however often, and may follow from something else then.
        item.ask(Describe {
            name: name.clone(),
            description: description.clone(),
            category: category.clone(),
            attributes: now.attributes,
            pictures: now.pictures,
        })
        .await?;
        item.ask(SetPrice { price: *price }).key(self.key("price")).key_first_sent(self.at).await
    }

    fn key(&self, what: &str) -> Key {
        let text = format!("import/{}/{}/{what}", self.import, self.line.line);
        Key::parse(&text).expect("an id, a number and a word are visible ASCII characters")
    }
}
