//! The ledger: what payments did to the shop's money, for admins.

use actors::{
    Currency,
    payments::{Account, BOOK, Book, EntryEvent, LedgerEntry, LedgerRow, Payment, Posting},
};
use axum::{Json as Answer, extract::State};
use bus::{GetRow, JsonSchema, ListRows, Listed, Selection};
use serde::Serialize;
use serde_json::json;

use crate::{
    Edge,
    api::{Resource, get},
    error::ApiError,
    extract::Admin,
    limits::PAGE_ROWS_DEFAULT,
    position::After,
    query::Query,
};

pub(crate) fn routes() -> Resource {
    let about = "What payments did to the shop's money, as double entry. A debit is above zero, a \
                 credit below.";
    Resource::new("Ledger", about)
        .with(
            get("/v1/ledger", balances)
                .says("showLedger", "Show all balances", "For admins.")
                .answers::<BalancesShown>(200, "The balances, and their sums: zero each."),
        )
        .with(
            get("/v1/ledger/entries", entries)
                .says("listLedgerEntries", "List what changed the balances", "For admins.")
                .paged()
                .answers::<EntriesShown>(200, "A page, newest first."),
        )
}

/// How the accounts stand.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Ledger", example = json!({
    "balances": [
        { "account": "gateway", "currency": "EUR", "amount": 900 },
        { "account": "sales", "currency": "EUR", "amount": -900 },
    ],
    "sums": [{ "currency": "EUR", "amount": 0 }],
}))]
struct BalancesShown {
    /// One for each account and currency that anything was posted to.
    balances: Vec<PostingShown>,
    /// The sum of each currency: zero, or something is wrong.
    sums: Vec<SumShown>,
}

/// One line of an entry, or the balance of an account.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Posting")]
struct PostingShown {
    /// Which account.
    account: Account,
    /// What the units are of.
    currency: Currency,
    /// Minor units: above zero a debit, below zero a credit.
    amount: i64,
}

/// All balances of one currency, together.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LedgerSum")]
struct SumShown {
    /// The currency.
    currency: Currency,
    /// Minor units.
    amount: i64,
}

/// What one event did to the accounts.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LedgerEntry")]
struct EntryShown {
    /// The payment.
    payment: String,
    /// What it was for.
    order: String,
    /// What happened.
    event: EntryEvent,
    /// Which of the payment's refunds, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<u32>,
    /// What it moved: together nothing.
    postings: Vec<PostingShown>,
    /// When (RFC 3339).
    at: String,
}

/// A page of entries.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LedgerEntries")]
struct EntriesShown {
    /// The entries.
    entries: Vec<EntryShown>,
    /// The next page's `cursor`, if there is one.
    next: Option<String>,
}

/// `GET /v1/ledger`, for admins.
async fn balances(
    State(edge): State<Edge>,
    _: Admin,
    after: After,
    query: Query,
) -> Result<Answer<BalancesShown>, ApiError> {
    query.nothing_else()?;
    let row = edge.bus().rows::<LedgerRow>().get(BOOK);
    // Before the first payment there is none.
    let row = after.of::<Payment>().fold(row, GetRow::after).await?;
    let book = if let Some(LedgerRow::Book(book)) = row { book } else { Book::default() };
    let sums = book.sums().into_iter();
    let sums = sums.map(|(currency, amount)| SumShown { currency, amount }).collect();
    let balances = book.balances.into_iter().map(PostingShown::from).collect();
    Ok(Answer(BalancesShown { balances, sums }))
}

/// `GET /v1/ledger/entries?limit=&cursor=`, for admins: a page, newest first.
async fn entries(
    State(edge): State<Edge>,
    _: Admin,
    after: After,
    mut query: Query,
) -> Result<Answer<EntriesShown>, ApiError> {
    let selection = Selection::all()
        .matching("entries", "all")
        .newest_first()
        .limit(query.take_limit(PAGE_ROWS_DEFAULT)?)
        .from(query.take("cursor"));
    query.nothing_else()?;
    let rows = edge.bus().rows::<LedgerRow>().list(selection);
    let page = after.of::<Payment>().fold(rows, ListRows::after).await?;
    Ok(Answer(EntriesShown::from(page)))
}

impl From<Listed<LedgerRow>> for EntriesShown {
    fn from(page: Listed<LedgerRow>) -> Self {
        // Entries alone are listed.
        let entries = page.rows.into_iter().filter_map(|row| match row {
            LedgerRow::Entry(entry) => Some(EntryShown::from(entry)),
            LedgerRow::Empty | LedgerRow::Book(_) => None,
        });
        Self { entries: entries.collect(), next: page.next }
    }
}

impl From<LedgerEntry> for EntryShown {
    fn from(entry: LedgerEntry) -> Self {
        Self {
            payment: entry.payment,
            order: entry.order,
            event: entry.event,
            refund: entry.refund,
            postings: entry.postings.into_iter().map(PostingShown::from).collect(),
            at: entry.at.to_string(),
        }
    }
}

impl From<Posting> for PostingShown {
    fn from(Posting { account, currency, amount }: Posting) -> Self {
        Self { account, currency, amount }
    }
}
