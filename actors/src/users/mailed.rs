//! Links in mails, signed: nobody can make one who does not hold the shop's key.
//!
//! Nothing of a link is stored but its number; whoever has the key can write it again.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::UserId;

/// What a mailed link is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To show that the address is one's own.
    Verify,
    /// To set a new password.
    Reset,
}

/// The key that signs the links in mails.
#[derive(Clone)]
pub struct LinkKey([u8; 32]);

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(…)")
    }
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
        }
    }
}

/// Bytes of a signature: nobody guesses 192 bits.
const SIGNATURE_BYTES: usize = 24;

impl LinkKey {
    /// The key that these bytes are. Whoever mails and whoever checks need the same.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What stands in the link with `number` for `user`: `<purpose>.<user>.<number>.<signature>`.
    #[must_use]
    pub fn token(&self, purpose: Purpose, user: &UserId, number: u32) -> String {
        let said = format!("{}.{user}.{number}", purpose.word());
        let mut token = format!("{said}.");
        for byte in &self.mac(&said).finalize().into_bytes()[..SIGNATURE_BYTES] {
            token.push_str(&format!("{byte:02x}"));
        }
        token
    }

    /// Whose link this is, and which, if we signed it for `purpose`.
    #[must_use]
    pub fn read(&self, purpose: Purpose, token: &str) -> Option<(UserId, u32)> {
        let (said, signature) = token.rsplit_once('.')?;
        let signature = from_hex(signature)?;
        self.mac(said).verify_truncated_left(&signature).ok()?;
        let mut parts = said.split('.');
        let (word, user, number) = (parts.next()?, parts.next()?, parts.next()?);
        let is_whole = word == purpose.word() && parts.next().is_none();
        is_whole.then_some(())?;
        Some((UserId::parse(user).ok()?, number.parse().ok()?))
    }

    fn mac(&self, said: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a MAC key");
        mac.update(said.as_bytes());
        mac
    }
}

fn from_hex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let mut bytes = [0; SIGNATURE_BYTES];
    if text.len() != 2 * SIGNATURE_BYTES || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> UserId {
        UserId::parse("u-ann").expect("an id")
    }

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let key = LinkKey::new([7; 32]);
        let token = key.token(Purpose::Reset, &ann(), 3);
        assert!(token.starts_with("reset.u-ann.3."), "{token}");
        assert_eq!(key.read(Purpose::Reset, &token), Some((ann(), 3)));
        assert_eq!(key.read(Purpose::Verify, &token), None, "for something else");
        assert_eq!(LinkKey::new([8; 32]).read(Purpose::Reset, &token), None, "another's");
    }

    #[test]
    fn a_link_that_was_touched_is_none() {
        let key = LinkKey::new([7; 32]);
        let token = key.token(Purpose::Reset, &ann(), 3);
        for bad in [
            token.replace(".3.", ".4."),
            token.replace("u-ann", "u-bob"),
            token[..token.len() - 2].to_owned(),
            format!("{token}00"),
            token.replace("reset", "verify"),
            String::new(),
            "....".to_owned(),
            format!("reset.u-ann.3.{}", "é".repeat(24)),
        ] {
            assert_eq!(key.read(Purpose::Reset, &bad), None, "{bad}");
        }
    }
}
