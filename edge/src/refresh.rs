//! Refresh tokens: which session goes on, and which step of it this is, signed.
//!
//! Nothing of them is stored: the user's actor knows the session's number, and the key does the rest.

use std::fmt;

use actors::users::{SessionId, UserId};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The key that signs refresh tokens.
#[derive(Clone)]
pub(crate) struct RefreshKey([u8; 32]);

/// What a refresh token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) generation: u32,
}

impl fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshKey(…)")
    }
}

impl RefreshKey {
    pub(crate) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// `<user>.<session>.<generation>.<signature>`.
    pub(crate) fn sign(&self, token: &RefreshToken) -> String {
        let RefreshToken { user, session, generation } = token;
        let said = format!("{user}.{session}.{generation}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.mac(&said).finalize().into_bytes());
        format!("{said}.{signature}")
    }

    /// What `text` says, if we signed it.
    pub(crate) fn read(&self, text: &str) -> Option<RefreshToken> {
        let (said, signature) = text.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac(said).verify_slice(&signature).ok()?;
        let mut parts = said.split('.');
        let token = RefreshToken {
            user: UserId::parse(parts.next()?).ok()?,
            session: SessionId::parse(parts.next()?).ok()?,
            generation: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(token)
    }

    fn mac(&self, said: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a MAC key");
        mac.update(said.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_signed_and_no_other_is() {
        let key = RefreshKey::new([3; 32]);
        let token = RefreshToken {
            user: UserId::parse("u-1").expect("an id"),
            session: SessionId::parse("s-1").expect("an id"),
            generation: 7,
        };
        let text = key.sign(&token);
        assert_eq!(key.read(&text), Some(token));
        assert_eq!(RefreshKey::new([4; 32]).read(&text), None, "another's key");
        for bad in [
            text.replace(".7.", ".8."),
            text.replace("u-1", "u-2"),
            format!("{text}A"),
            String::new(),
        ] {
            assert_eq!(key.read(&bad), None, "{bad}");
        }
    }
}
