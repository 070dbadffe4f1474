//! Roles: what one process of the shop hosts, named like the kinds of its actors.

use std::{fmt, str::FromStr};

use bus::Actor;

use crate::{
    carts::Cart,
    inventory::Item,
    notifications::Notice,
    orders::Order,
    payments::Payment,
    users::{Email, User},
};

/// One kind of actor, and all that follows its commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Mail addresses: each belongs to one user.
    Email,
    /// Users and their registration.
    User,
    /// Items, their stock and their catalogue, and imports of many.
    Item,
    /// Carts, and the orders they become.
    Cart,
    /// Orders, their checkout and their list.
    Order,
    /// Payments, the calls to the card gateway, and the ledger.
    Payment,
    /// Notices, and the mails they become.
    Notice,
}

/// Why a text is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: email, user, item, cart, order, payment or notice")]
pub struct UnknownRole(String);

impl Role {
    /// Every role, so the whole shop.
    pub const ALL: [Self; 7] =
        [Self::Email, Self::User, Self::Item, Self::Cart, Self::Order, Self::Payment, Self::Notice];

    /// The role's name: the kind of its actors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => Email::KIND,
            Self::User => User::KIND,
            Self::Item => Item::KIND,
            Self::Cart => Cart::KIND,
            Self::Order => Order::KIND,
            Self::Payment => Payment::KIND,
            Self::Notice => Notice::KIND,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let role = Self::ALL.into_iter().find(|role| role.name() == text);
        role.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_as_it_is_shown() {
        for (role, name) in Role::ALL
            .into_iter()
            .zip(["email", "user", "item", "cart", "order", "payment", "notice"])
        {
            assert_eq!(role.to_string(), name);
            assert_eq!(name.parse(), Ok(role));
        }
        let error = "orders".parse::<Role>().expect_err("no role");
        assert!(error.to_string().contains("`orders`"), "{error}");
    }
}
