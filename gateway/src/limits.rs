//! Every bound of the gateway, with its unit and its reason.
//!
//! At a bound we refuse with an answer that says whether asking again helps; nothing queues
//! without end. What a test or a demonstration wants otherwise is in [`Settings`](crate::Settings).

use std::time::Duration;

/// Largest request body, in bytes: the longest charge has less than a tenth of it.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// How much of a body that is too large is read away, in bytes, so that a client still writing
/// gets to read the answer instead of a reset connection.
pub(crate) const BODY_DISCARD_MAX: usize = 4 * 1024 * 1024;

/// How long a client may take to send a body.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections at once. Past it, new ones wait in the kernel's bounded backlog.
pub(crate) const CONNECTIONS_MAX: usize = 1_024;

/// How long a client may take to send the header of a request, and how long an idle connection
/// is kept for the next one.
pub(crate) const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call is left unanswered at most, for clients that never give up.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(300);

/// How long a stopping gateway waits for the requests it has begun.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// Longest idempotency key, in bytes.
pub(crate) const KEY_BYTES_MAX: usize = 200;

/// Longest reference, in bytes.
pub(crate) const REFERENCE_BYTES_MAX: usize = 200;

/// Longest card token, in bytes.
pub(crate) const TOKEN_BYTES_MAX: usize = 128;

/// Digits from which on a token without letters could be a card's number, which must never be
/// stored.
pub(crate) const CARD_DIGITS_MIN: usize = 12;

/// Largest amount, in minor units: exact also for clients that read numbers as floats.
pub(crate) const AMOUNT_MAX: u64 = 1_000_000_000_000_000;

/// Refunds of one charge: all are written again with each.
pub(crate) const REFUNDS_MAX: usize = 100;

/// Keys of calls that were left unanswered. The oldest is forgotten: its next call counts as the
/// first again.
pub(crate) const UNANSWERED_MAX: usize = 10_000;

/// Bytes that wait for the disk. Some thousand changes, so much more than the connections make
/// while one fsync takes.
pub(crate) const UNWRITTEN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The file is written anew when it has grown by so many bytes and by as much again as it held.
pub(crate) const FILE_GROWTH_MIN: u64 = 64 * 1024 * 1024;

/// Longest line of the file, in bytes: a charge with all its refunds, with room.
pub(crate) const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// Webhooks under way at once, of as many charges.
pub(crate) const WEBHOOKS_UNDER_WAY_MAX: usize = 32;

/// How long a receiver may take to answer a webhook.
pub(crate) const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an outcome waits that finds the queue of webhooks full.
pub(crate) const ROOM_PAUSE: Duration = Duration::from_secs(1);

/// The longest span that settings may name: later is never, to whoever waits.
pub(crate) const SPAN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest signature header that is looked at, in bytes: a time and a few signatures.
pub(crate) const SIGNATURE_BYTES_MAX: usize = 512;
