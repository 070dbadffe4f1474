//! In which warehouses the pieces lie that are in the house: available and held ones together.
//!
//! Orders hold pieces of the item, not of a warehouse: only where they are taken from when they
//! leave is decided, so that holding costs nothing here.

use std::collections::BTreeMap;

use bus::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Change, ItemEvent};
use crate::{limits::WAREHOUSES_MAX, quantity::Quantity, warehouse::WarehouseId};

/// How many pieces lie where. Warehouses without any are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct OnHand(BTreeMap<WarehouseId, u64>);

impl OnHand {
    /// The warehouses with pieces, and how many those are, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&WarehouseId, u64)> {
        self.0.iter().map(|(warehouse, pieces)| (warehouse, *pieces))
    }

    /// How many pieces lie there.
    #[must_use]
    pub fn at(&self, warehouse: &WarehouseId) -> u64 {
        self.0.get(warehouse).copied().unwrap_or_default()
    }

    /// All that is in the house.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Whether pieces may be brought there: `main` always has its place among them.
    pub(super) fn has_room_for(&self, warehouse: &WarehouseId) -> bool {
        let others = self.0.keys().filter(|other| !other.is_main()).count();
        warehouse.is_main() || self.0.contains_key(warehouse) || others + 1 < WAREHOUSES_MAX
    }

    /// Where `quantity` pieces are taken from: `first`, if one is named, and then those with most,
    /// and of equals the first by name. What has left the house has left it, also if the books had
    /// fewer pieces in that warehouse: so this never says no.
    pub(super) fn taken_from(
        &self,
        quantity: Quantity,
        first: Option<&WarehouseId>,
    ) -> BTreeMap<WarehouseId, Quantity> {
        let mut order: Vec<_> = self.iter().collect();
        order.sort_by_key(|&(id, pieces)| (Some(id) != first, std::cmp::Reverse(pieces)));
        let mut left = u64::from(quantity);
        let mut from = BTreeMap::new();
        for (warehouse, pieces) in order {
            let part = u32::try_from(pieces.min(left)).unwrap_or(u32::MAX);
            let Ok(part) = Quantity::new(part) else { break }; // Nothing is left to take.
            left -= u64::from(part);
            from.insert(warehouse.clone(), part);
        }
        from
    }

    pub(super) fn apply(&mut self, event: &ItemEvent) {
        match event {
            ItemEvent::Received { quantity, warehouse }
            | ItemEvent::Adjusted { by: Change::Up(quantity), warehouse, .. } => {
                self.bring(warehouse, *quantity);
            }
            ItemEvent::Adjusted { by: Change::Down(quantity), warehouse, .. } => {
                self.take(warehouse, *quantity);
            }
            // It was all from `main`, and a node of an older build knows no other.
            ItemEvent::Shipped { quantity, from, .. } if from.is_empty() => {
                for (warehouse, part) in self.taken_from(*quantity, Some(&WarehouseId::MAIN)) {
                    self.take(&warehouse, part);
                }
            }
            ItemEvent::Shipped { from, .. } => {
                for (warehouse, part) in from {
                    self.take(warehouse, *part);
                }
            }
            ItemEvent::TakenBack { quantity, sellable: true, .. } => {
                self.bring(&WarehouseId::MAIN, *quantity);
            }
            ItemEvent::TakenBack { sellable: false, .. }
            | ItemEvent::Created { .. }
            | ItemEvent::Described { .. }
            | ItemEvent::Priced { .. }
            | ItemEvent::Activated {}
            | ItemEvent::Retired {}
            | ItemEvent::LowStockSet { .. }
            | ItemEvent::StockLow { .. }
            | ItemEvent::Reserved { .. }
            | ItemEvent::Lacked { .. }
            | ItemEvent::Released { .. }
            | ItemEvent::Taken { .. } => {}
        }
    }

    fn bring(&mut self, warehouse: &WarehouseId, quantity: Quantity) {
        *self.0.entry(warehouse.clone()).or_default() += u64::from(quantity);
    }

    /// The handlers see to it that they are there.
    fn take(&mut self, warehouse: &WarehouseId, quantity: Quantity) {
        if let Some(pieces) = self.0.get_mut(warehouse) {
            *pieces -= u64::from(quantity);
            if *pieces == 0 {
                self.0.remove(warehouse);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_hand(all: &[(&str, u64)]) -> OnHand {
        let all = all.iter().map(|(id, pieces)| (id.parse().expect("a warehouse"), *pieces));
        OnHand(all.collect())
    }

    fn taken(from: &OnHand, pieces: u32, first: Option<&str>) -> Vec<(String, u32)> {
        let first = first.map(|id| id.parse().expect("a warehouse"));
        let quantity = Quantity::new(pieces).expect("a quantity");
        let taken = from.taken_from(quantity, first.as_ref());
        taken.into_iter().map(|(id, part)| (id.to_string(), part.get())).collect()
    }

    fn parts(all: &[(&str, u32)]) -> Vec<(String, u32)> {
        all.iter().map(|&(id, pieces)| (id.to_owned(), pieces)).collect()
    }

    #[test]
    fn pieces_are_taken_where_most_are_unless_a_warehouse_is_named() {
        let all = on_hand(&[("a", 3), ("b", 5), ("c", 5)]);
        assert_eq!(taken(&all, 4, None), parts(&[("b", 4)]), "of equals the first by name");
        assert_eq!(taken(&all, 12, None), parts(&[("a", 2), ("b", 5), ("c", 5)]));
        assert_eq!(taken(&all, 2, Some("a")), parts(&[("a", 2)]));
        assert_eq!(taken(&all, 5, Some("a")), parts(&[("a", 3), ("b", 2)]));
        assert_eq!(taken(&all, 1, Some("z")), parts(&[("b", 1)]));
    }

    #[test]
    fn main_always_has_its_place_among_the_warehouses() {
        let others: Vec<String> = (1..WAREHOUSES_MAX).map(|n| format!("w{n}")).collect();
        let all: Vec<(&str, u64)> = others.iter().map(|id| (id.as_str(), 1)).collect();
        let has_room = |all: &[(&str, u64)], id: &str| {
            on_hand(all).has_room_for(&id.parse().expect("a warehouse"))
        };
        assert!(has_room(&all, "main") && has_room(&all, "w1") && !has_room(&all, "more"));
        assert!(has_room(&all[1..], "more"));
    }
}
