//! Every bound of the shop, with its unit and its reason.
//!
//! What is stored was within these bounds when it was stored: loosen them at will, but a
//! tighter one must not be applied to events that are read back.

use std::time::Duration;

/// Largest amount of money, in minor units. Sums are checked against it, so that every amount
/// stays exact in a JSON reader that knows only doubles (below 2^53).
pub const AMOUNT_MAX: i64 = 1_000_000_000_000_000;

/// Largest quantity of one line, reservation or delivery.
pub const QUANTITY_MAX: u32 = 1_000_000;

/// Orders of which an item remembers what it was shipped: each costs some sixty bytes of its state.
pub const SHIPMENTS_MAX: usize = 2_000;

/// Returns of one order: each is part of its state, and a number for its items to remember.
pub const RETURNS_MAX: usize = 50;

/// Largest number ever received of one item.
pub const STOCK_MAX: u64 = 1_000_000_000;

/// Warehouses an item is in, `main` among them: all are part of its state and its row.
pub const WAREHOUSES_MAX: usize = 20;

/// Longest name of a warehouse, in bytes: as ids are.
pub const WAREHOUSE_BYTES_MAX: usize = 64;

/// Adjustments an item remembers: with their notes they are part of its state.
pub const ADJUSTMENTS_MAX: usize = 50;

/// Longest note of an adjustment, in characters.
pub const NOTE_CHARS_MAX: usize = 200;

/// Lines of one order: each is a command to an item, carried out one after the other.
pub const LINES_MAX: usize = 50;

/// Shipments of one order: all are part of its state.
pub const ORDER_SHIPMENTS_MAX: usize = 100;

/// Steps of an order that its history keeps, the first ones: more than its lines, shipments and
/// returns can make together.
pub const HISTORY_MAX: usize = 400;

/// Refunds of one payment: one for each of its order's returns, and a few more.
pub const REFUNDS_MAX: usize = 60;

/// Refused webhooks that a payment remembers: enough to see what was tried, and no more than that
/// can be grown by.
pub const WEBHOOKS_REFUSED_MAX: usize = 20;

/// How many of them may be ones that anybody can send: the rest is kept for what the gateway signed.
pub const WEBHOOKS_FORGED_MAX: usize = 10;

/// Longest id of a webhook, in bytes.
pub const WEBHOOK_ID_BYTES_MAX: usize = 64;

/// How long a webhook is waited for before a pending charge is asked for; each time twice as long,
/// up to [`VERDICT_PAUSE_MAX`].
pub const VERDICT_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause between two questions for a pending charge.
pub const VERDICT_PAUSE_MAX: Duration = Duration::from_secs(10 * 60);

/// How often a pending charge is asked for: about a day. Then only a webhook decides.
pub const VERDICT_CHECKS_MAX: u32 = 150;

/// Longest name of a user or an item, in characters.
pub const NAME_CHARS_MAX: usize = 200;

/// Longest description of an item, in characters: it travels with every row that shows it.
pub const DESCRIPTION_CHARS_MAX: usize = 5_000;

/// Longest category of an item, in characters.
pub const CATEGORY_CHARS_MAX: usize = 64;

/// Attributes of an item: they travel with every row that shows it.
pub const ATTRIBUTES_MAX: usize = 32;

/// Pictures of an item.
pub const PICTURES_MAX: usize = 10;

/// Longest URL of a picture, in bytes.
pub const PICTURE_BYTES_MAX: usize = 500;

/// Prices an item remembers, with the one that counts.
pub const PRICES_MAX: usize = 100;

/// Lines of one import.
pub const IMPORT_LINES_MAX: u32 = 50_000;

/// Chunks of one import: each is a commit.
pub const IMPORT_CHUNKS_MAX: u32 = 1_000;

/// Bad lines that an import reports one by one; the others it counts.
pub const IMPORT_REPORT_MAX: usize = 1_000;

/// Lines of an import that are carried out at the same time: enough to keep items busy, and few
/// beside what customers do.
pub const IMPORT_LINES_AT_ONCE: usize = 64;

/// Longest mail address, in bytes: RFC 5321's longest path.
pub const ADDRESS_BYTES_MAX: usize = 254;

/// Longest password hash, in bytes: an argon2id string has about a hundred.
pub const PASSWORD_HASH_BYTES_MAX: usize = 256;

/// Longest card token and receipt, in bytes.
pub const TOKEN_BYTES_MAX: usize = 128;

/// Words an item can be found by: each is an index entry to write when the item changes.
pub const WORDS_MAX: usize = 32;

/// Longest word an item can be found by, in characters; a longer one is cut.
pub const WORD_CHARS_MAX: usize = 64;

/// How long the card gateway may take. Within the runtime's bound for an effect.
pub const GATEWAY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer of the card gateway that are read.
pub const GATEWAY_ANSWER_MAX: usize = 64 * 1024;

/// How long one mail may take to leave. Within the runtime's bound for an effect, with room
/// for the asks around it.
pub const MAIL_TIMEOUT: Duration = Duration::from_secs(15);

/// Payments the simulated gateway remembers having left unanswered.
pub const UNANSWERED_MAX: usize = 10_000;

/// How long the effect that mails waits for each of its two questions, so that both and the
/// mail fit the runtime's bound for an effect.
pub const MAIL_ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a claimed address waits for its user to register. Registering takes seconds; who was
/// cut off may come back, and nobody else should wait long for the address.
pub const CLAIM_TIME: Duration = Duration::from_secs(15 * 60);

/// How long an order may stay unpaid before it is cancelled: a buyer waits no longer for a card
/// that does not answer, and others wait for the pieces.
pub const UNPAID_TIME: Duration = Duration::from_secs(15 * 60);

/// How long an item holds pieces that no order takes. Far longer than [`UNPAID_TIME`], so that an
/// order that is not paid gives them back first, and one that is paid takes them even after an
/// outage of many hours: this is for who reserved and has no order.
pub const HOLD_TIME: Duration = Duration::from_secs(24 * 3_600);

/// Sessions one user may have open at once. Past it, the one idle for longest is closed.
pub const SESSIONS_MAX: usize = 20;

/// How long a session lives without being gone on with.
pub const SESSION_IDLE_TIME: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How long a session lives at most, however busy: then a password is asked for again.
pub const SESSION_TIME: Duration = Duration::from_secs(90 * 24 * 3_600);

/// How long a refresh token that was used gets the same successor again: its answer may have been
/// lost on the way.
pub const REFRESH_AGAIN_TIME: Duration = Duration::from_secs(10);

/// Longest name of a client that opened a session, in characters; a longer one is cut.
pub const CLIENT_CHARS_MAX: usize = 120;

/// How long a link in a mail is good for a new password.
pub const RESET_TIME: Duration = Duration::from_secs(3_600);

/// How long a link in a mail is good for confirming an address.
pub const VERIFY_TIME: Duration = Duration::from_secs(7 * 24 * 3_600);

/// At least this long between two mails of one kind that anybody can have sent to an address.
pub const LINK_PAUSE: Duration = Duration::from_secs(60);

/// Postal addresses one user keeps.
pub const POSTAL_ADDRESSES_MAX: usize = 10;

/// Longest line of a postal address, in characters.
pub const POSTAL_LINE_CHARS_MAX: usize = 100;
