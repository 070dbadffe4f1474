//! Where the links in letters lead.

use super::Letter;
use crate::users::{LinkKey, Purpose, UserId};

/// What it takes to write the links in mails.
#[derive(Debug, Clone)]
pub struct MailLinks {
    /// The key that signs them.
    pub key: LinkKey,
    /// The address of the shop's pages, without a slash at its end: they hand a link's token on to
    /// the shop.
    pub shop: String,
}

impl MailLinks {
    /// Where `letter` to `user` leads; nowhere if it has no link.
    pub(super) fn of(&self, letter: &Letter, user: &UserId) -> String {
        let (purpose, page, number) = match letter {
            Letter::VerifyAddress { number } => (Purpose::Verify, "verify", *number),
            Letter::ResetPassword { number } => (Purpose::Reset, "new-password", *number),
            Letter::OrderConfirmed { .. }
            | Letter::OrderCancelled { .. }
            | Letter::OrderRevoked { .. }
            | Letter::OrderShipped { .. }
            | Letter::ReturnAccepted { .. }
            | Letter::ReturnRejected { .. } => return String::new(),
        };
        // Behind the #, so that no server on the way writes it into its log.
        format!("{}/{page}#{}", self.shop, self.key.token(purpose, user, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_its_page_and_can_be_read_there() {
        let links = MailLinks { key: LinkKey::new([1; 32]), shop: "https://shop.test".to_owned() };
        let user = UserId::parse("u-1").expect("an id");
        let link = links.of(&Letter::ResetPassword { number: 4 }, &user);
        let token = link.strip_prefix("https://shop.test/new-password#").expect("its page");
        assert_eq!(links.key.read(Purpose::Reset, token), Some((user.clone(), 4)));
        let link = links.of(&Letter::VerifyAddress { number: 1 }, &user);
        assert!(link.starts_with("https://shop.test/verify#verify.u-1.1."), "{link}");
    }
}
