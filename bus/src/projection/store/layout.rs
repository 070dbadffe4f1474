//! How keys and values are laid out, and sealed against what a disk may do to them.

use super::Broken;
use crate::projection::IndexEntry;

pub(crate) const ROW: u8 = b'r';
pub(crate) const INDEX: u8 = b'i';
pub(crate) const CHECKPOINT: u8 = b'c';
pub(crate) const META: u8 = b'm';

pub(crate) fn key(space: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(rest.len() + 1);
    key.push(space);
    key.extend_from_slice(rest);
    key
}

/// `i <index> 0 <value> 0 <rank, 8 bytes> <row>`: neither name nor value holds a zero.
pub(crate) fn index_key(row: &str, entry: &IndexEntry) -> Vec<u8> {
    let mut key = index_prefix(entry.index, &entry.value, false);
    key.extend_from_slice(&entry.rank.to_be_bytes());
    key.extend_from_slice(row.as_bytes());
    key
}

/// How the keys of an index begin that stand for `value`, or for values beginning so.
pub(crate) fn index_prefix(index: &str, value: &str, is_prefix: bool) -> Vec<u8> {
    let mut prefix = key(INDEX, index.as_bytes());
    prefix.push(0);
    prefix.extend_from_slice(value.as_bytes());
    if !is_prefix {
        prefix.push(0);
    }
    prefix
}

/// The row a scanned key stands for, and the value it is listed under (none for a row's own
/// key).
pub(crate) fn parse_key(key: &[u8]) -> Option<(&str, Option<(&str, u64)>)> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    match key.split_first()? {
        (&ROW, row) => Some((text(row)?, None)),
        (&INDEX, rest) => {
            let mut parts = rest.splitn(3, |byte| *byte == 0);
            let (_index, value, tail) = (parts.next()?, parts.next()?, parts.next()?);
            let (rank, row) = tail.split_at_checked(8)?;
            let rank = u64::from_be_bytes(rank.try_into().ok()?);
            Some((text(row)?, Some((text(value)?, rank))))
        }
        _ => None,
    }
}

/// A value as it is stored: a checksum over key and value, then the value.
pub(crate) fn seal(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(SEAL + value.len());
    sealed.extend_from_slice(&checksum(key, value));
    sealed.extend_from_slice(value);
    sealed
}

/// The value, if it is what was sealed under this key.
pub(crate) fn open<'a>(key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], Broken> {
    match sealed.split_at_checked(SEAL) {
        Some((sum, value)) if sum == checksum(key, value) => Ok(value),
        _ => Err(Broken("a value is not what was written".to_owned())),
    }
}

/// What a sealed value adds to the digest of all: its checksum, stirred, so that sums of
/// different values are different.
pub(crate) fn weight(sealed: &[u8]) -> u64 {
    let sum = sealed.first_chunk::<SEAL>().map_or(0, |sum| u32::from_le_bytes(*sum));
    let mut z = u64::from(sum).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const SEAL: usize = 4;

fn checksum(key: &[u8], value: &[u8]) -> [u8; SEAL] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.finalize().to_le_bytes()
}
