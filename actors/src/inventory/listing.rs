//! What an item is listed as: its texts, its status, its price and the prices before.

use std::collections::{BTreeMap, VecDeque};

use bus::{Context, Handle, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Activate, Category, Create, Describe, Item, ItemError, ItemEvent, ItemStatus, LackReason,
    Priced, Retire, SetPrice, ShowPrices,
};
use crate::{
    limits::PRICES_MAX,
    money::{Currency, Money},
};

/// What a created item is sold as.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Listing {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) category: Option<Category>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) pictures: Vec<String>,
    pub(super) status: ItemStatus,
    pub(super) price: Money,
    /// The latest is the price.
    prices: VecDeque<Priced>,
}

impl Listing {
    /// What an item is listed as after `event`.
    pub(super) fn apply(listing: &mut Option<Self>, event: &ItemEvent) {
        match (listing, event) {
            (
                listing,
                ItemEvent::Created {
                    name,
                    description,
                    price,
                    category,
                    attributes,
                    pictures,
                    status,
                    at,
                },
            ) => {
                *listing = Some(Self {
                    name: name.clone(),
                    description: description.clone(),
                    category: category.clone(),
                    attributes: attributes.clone(),
                    pictures: pictures.clone(),
                    status: *status,
                    price: *price,
                    prices: [Priced { price: *price, since: *at }].into(),
                });
            }
            (
                Some(listing),
                ItemEvent::Described { name, description, category, attributes, pictures },
            ) => {
                listing.name.clone_from(name);
                listing.description.clone_from(description);
                listing.category.clone_from(category);
                listing.attributes.clone_from(attributes);
                listing.pictures.clone_from(pictures);
            }
            (Some(listing), ItemEvent::Priced { price, at }) => listing.set_price(*price, *at),
            (Some(listing), ItemEvent::Activated {}) => listing.status = ItemStatus::Active,
            (Some(listing), ItemEvent::Retired {}) => listing.status = ItemStatus::Retired,
            _ => {}
        }
    }

    fn set_price(&mut self, price: Money, at: Timestamp) {
        self.price = price;
        self.prices.push_back(Priced { price, since: Some(at) });
        if self.prices.len() > PRICES_MAX {
            self.prices.pop_front();
        }
    }

    /// What one piece costs an order that is paid in `currency`, or why it gets none.
    pub(super) fn offer(&self, currency: Currency) -> Result<Money, LackReason> {
        match self.status {
            // Nobody knows of it.
            ItemStatus::Draft => Err(LackReason::UnknownItem),
            ItemStatus::Retired => Err(LackReason::Retired),
            ItemStatus::Active if self.price.currency != currency => Err(LackReason::OtherCurrency),
            ItemStatus::Active => Ok(self.price),
        }
    }
}

impl Handle<Create> for Item {
    const NAME: &'static str = "create";
    type Reply = ();

    fn handle(&self, command: Create, ctx: &mut Context<Self>) -> Result<(), ItemError> {
        if self.listing().is_ok() {
            return Err(ItemError::AlreadyCreated);
        }
        let Create { name, description, price, category, attributes, pictures, status } = command;
        let at = Some(ctx.now());
        ctx.emit(ItemEvent::Created {
            name,
            description,
            price,
            category,
            attributes,
            pictures,
            status,
            at,
        });
        Ok(())
    }
}

impl Handle<Describe> for Item {
    const NAME: &'static str = "describe";
    type Reply = ();

    fn handle(&self, command: Describe, ctx: &mut Context<Self>) -> Result<(), ItemError> {
        let now = self.listing()?;
        let Describe { name, description, category, attributes, pictures } = command;
        let is_same = now.name == name
            && now.description == description
            && now.category == category
            && now.attributes == attributes
            && now.pictures == pictures;
        if !is_same {
            ctx.emit(ItemEvent::Described { name, description, category, attributes, pictures });
        }
        Ok(())
    }
}

impl Handle<SetPrice> for Item {
    const NAME: &'static str = "set_price";
    type Reply = ();

    fn handle(&self, command: SetPrice, ctx: &mut Context<Self>) -> Result<(), ItemError> {
        let SetPrice { price } = command;
        if self.listing()?.price != price {
            let at = ctx.now();
            ctx.emit(ItemEvent::Priced { price, at });
        }
        Ok(())
    }
}

impl Handle<Activate> for Item {
    const NAME: &'static str = "activate";
    type Reply = ();

    fn handle(&self, _: Activate, ctx: &mut Context<Self>) -> Result<(), ItemError> {
        if self.listing()?.status != ItemStatus::Active {
            ctx.emit(ItemEvent::Activated {});
        }
        Ok(())
    }
}

impl Handle<Retire> for Item {
    const NAME: &'static str = "retire";
    type Reply = ();

    fn handle(&self, _: Retire, ctx: &mut Context<Self>) -> Result<(), ItemError> {
        if self.listing()?.status != ItemStatus::Retired {
            ctx.emit(ItemEvent::Retired {});
        }
        Ok(())
    }
}

impl Handle<ShowPrices> for Item {
    const NAME: &'static str = "prices";
    type Reply = Vec<Priced>;

    fn handle(&self, _: ShowPrices, _: &mut Context<Self>) -> Result<Vec<Priced>, ItemError> {
        Ok(self.listing()?.prices.iter().rev().cloned().collect())
    }
}
