//! How a receiver knows that a webhook is the gateway's, unchanged, and of now.
//!
//! The header `Gateway-Signature: t=<unix seconds>,v1=<hex>` holds an HMAC-SHA256 of
//! `<t>.<body>` under a secret that only the gateway and its receiver have. The time is signed
//! too, so that who overheard a webhook cannot send it again later. Fields of other names are
//! passed over, and of several `v1` one must be right: so a scheme or a secret can be changed.

use std::{fmt::Write, time::Duration};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::limits::SIGNATURE_BYTES_MAX;

/// The header that carries the signature.
pub const HEADER: &str = "gateway-signature";

/// How far the time of a signature may be from the receiver's, unless it says otherwise.
pub const WINDOW: Duration = Duration::from_secs(300);

/// Why a webhook is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignature {
    /// The header is none.
    #[error("the signature is not of the form t=<unix seconds>,v1=<64 hexadecimal digits>")]
    Malformed,
    /// It was signed with another secret, or for another time or body.
    #[error("the signature is not that of this body")]
    Forged,
    /// It was signed too long ago.
    #[error("the signature is too old")]
    Stale,
    /// It is signed for a time that has not come.
    #[error("the signature is from the future")]
    Future,
}

/// The value of the header for `body`, sent at `t` (unix seconds).
#[must_use]
pub fn sign(secret: &[u8], t: u64, body: &[u8]) -> String {
    let mut header = format!("t={t},v1=");
    for byte in mac(secret, &t.to_string(), body).finalize().into_bytes() {
        write!(header, "{byte:02x}").expect("a string takes all");
    }
    header
}

/// Checks the `header` of a webhook with this `body`, read at `now` (unix seconds), which may
/// differ from the time it was signed at by `window`; see [`WINDOW`].
///
/// The signatures are compared in constant time.
///
/// # Errors
/// [`InvalidSignature`] if the webhook is not to be believed.
pub fn verify(
    secret: &[u8],
    header: &str,
    body: &[u8],
    now: u64,
    window: Duration,
) -> Result<(), InvalidSignature> {
    let Claim { t, signatures } = read(header).ok_or(InvalidSignature::Malformed)?;
    let mac = mac(secret, t, body);
    if !signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok()) {
        return Err(InvalidSignature::Forged);
    }
    // What was signed is a number that fits: this one, or it would be malformed.
    let t: u64 = t.parse().map_err(|_| InvalidSignature::Malformed)?;
    if now.saturating_sub(t) > window.as_secs() {
        return Err(InvalidSignature::Stale);
    }
    if t.saturating_sub(now) > window.as_secs() {
        return Err(InvalidSignature::Future);
    }
    Ok(())
}

fn mac(secret: &[u8], t: &str, body: &[u8]) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length is a key");
    mac.chain_update(t).chain_update(".").chain_update(body)
}

struct Claim<'a> {
    /// As it was written: that is what was signed.
    t: &'a str,
    signatures: Vec<[u8; 32]>,
}

fn read(header: &str) -> Option<Claim<'_>> {
    if header.len() > SIGNATURE_BYTES_MAX {
        return None;
    }
    let (mut t, mut signatures) = (None, Vec::new());
    for field in header.split(',') {
        match field.trim().split_once('=')? {
            ("t", text) => {
                let is_number = text.bytes().all(|b| b.is_ascii_digit());
                if !is_number || text.parse::<u64>().is_err() || t.replace(text).is_some() {
                    return None;
                }
            }
            ("v1", text) => signatures.push(unhex(text)?),
            _ => {}
        }
    }
    let t = t.filter(|_| !signatures.is_empty())?;
    Some(Claim { t, signatures })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| d.try_into().ok()))
        .collect::<Option<_>>()?;
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"whsec-1";
    const BODY: &[u8] = br#"{"id":"wh-1"}"#;
    const T: u64 = 1_700_000_000;

    fn check(header: &str, body: &[u8], now: u64) -> Result<(), InvalidSignature> {
        verify(SECRET, header, body, now, WINDOW)
    }

    #[test]
    fn it_is_the_hmac_that_others_compute_too() {
        // printf '1700000000.{"id":"wh-1"}' | openssl dgst -sha256 -hmac whsec-1
        let expected =
            "t=1700000000,v1=30ec63ea0e9b868b7307af9a8a769c68dbc35f229b03846e3ab07944251144f6";
        assert_eq!(sign(SECRET, T, BODY), expected);
    }

    #[test]
    fn what_was_signed_is_believed_within_the_window() {
        let header = sign(SECRET, T, BODY);
        for now in [T, T + 300, T - 300] {
            assert_eq!(check(&header, BODY, now), Ok(()), "{now}");
        }
        assert_eq!(check(&header, BODY, T + 301), Err(InvalidSignature::Stale));
        assert_eq!(check(&header, BODY, T - 301), Err(InvalidSignature::Future));
        assert_eq!(check(&header, BODY, u64::MAX), Err(InvalidSignature::Stale));
        let narrow = verify(SECRET, &header, BODY, T + 1, Duration::ZERO);
        assert_eq!(narrow, Err(InvalidSignature::Stale));
    }

    #[test]
    fn what_was_forged_is_not() {
        let header = sign(SECRET, T, BODY);
        let later = header.replace("t=1700000000", "t=1700000001");
        let zeros = format!("t={T},v1={}", "0".repeat(64));
        for (forged, body) in [
            (sign(b"whsec-2", T, BODY), BODY),
            (sign(b"", T, BODY), BODY),
            (header.clone(), br#"{"id":"wh-2"}"#.as_slice()),
            (header, b""),
            (later, BODY),
            (zeros, BODY),
        ] {
            assert_eq!(check(&forged, body, T), Err(InvalidSignature::Forged), "{forged}");
        }
        // The secret decides before the time does: nothing is told of a forged time.
        let old = sign(b"whsec-2", 1, BODY);
        assert_eq!(check(&old, BODY, T), Err(InvalidSignature::Forged));
    }

    #[test]
    fn what_is_no_signature_is_called_so() {
        let good = sign(SECRET, T, BODY);
        let hex = &good["t=1700000000,v1=".len()..];
        for bad in [
            String::new(),
            ",".to_owned(),
            hex.to_owned(),
            format!("t={T}"),
            format!("v1={hex}"),
            format!("t=,v1={hex}"),
            format!("t=-1,v1={hex}"),
            format!("t=+{T},v1={hex}"),
            format!("t=99999999999999999999,v1={hex}"),
            format!("t={T},t={T},v1={hex}"),
            format!("t={T},v1="),
            format!("t={T},v1={}", &hex[1..]),
            format!("t={T},v1={hex}0"),
            format!("t={T},v1={}g", &hex[1..]),
            format!("t={T},v1=ä{}", &hex[2..]),
            format!("t={T},v1={hex},x"),
            format!("t={T},v1={hex},pad={}", "x".repeat(512)),
        ] {
            assert_eq!(check(&bad, BODY, T), Err(InvalidSignature::Malformed), "{bad}");
        }
    }

    #[test]
    fn one_of_several_must_be_right() {
        let good = sign(SECRET, T, BODY);
        let hex = &good["t=1700000000,v1=".len()..];
        let zeros = "0".repeat(64);
        let changing = format!("t={T}, v1={zeros}, v1={}, v0=old", hex.to_uppercase());
        assert_eq!(check(&changing, BODY, T), Ok(()));
    }
}
