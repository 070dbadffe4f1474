//! Imports: a list of items as CSV, for staff.
//!
//! The list is read and checked at once, so that whoever sends it soon sees what is wrong; then
//! it goes to an import actor in chunks, and is carried out from there, also if this process
//! ends. An import is named by who sends it and his key: the same list sent again is the same
//! import, and goes on where it was cut off.

mod list;

use actors::inventory::import::{
    Add, BadLine, Begin, Import, ImportId, ImportProgress, ImportStatus, ShowImport,
};
use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use bus::{JsonSchema, Key};
use serde::Serialize;
use serde_json::json;

use self::list::List;
use crate::{
    Edge,
    api::{LOCATION, Resource, get, post},
    body::Csv,
    error::ApiError,
    extract::{IdempotencyKey, PathId, Staff},
    observe::Trace,
};

pub(crate) fn routes() -> Resource {
    Resource::new("Imports", "Many items brought in at once, for staff.")
        .with(
            post("/v1/imports", import)
                .says(
                    "importItems",
                    "Import items",
                    "A list with the columns sku, name, price and currency, and if wanted \
                     description, category and quantity: pieces that came in. Up to 50,000 lines \
                     in 8 MB. Prices are written as people do: 12.50. Items that are there are \
                     brought up to date. The same list under the same key is the same import.",
                )
                .example(json!("sku,name,price,currency,quantity\nTEA,Green tea,4.50,EUR,5\n"))
                .answers::<ImportShown>(202, "The import, which is carried out from now on.")
                .headers(&[LOCATION])
                .then("showImport", "id", "$response.body#/id")
                .refuses(413, &["TOO_LONG"])
                .refuses(422, &["KEY_REUSED"]),
        )
        .with(
            get("/v1/imports/{id}", show)
                .says("showImport", "Show an import", "How far it is, and which lines were bad.")
                .answers::<ImportShown>(200, "The import.")
                .refuses(404, &["UNKNOWN_IMPORT"]),
        )
}

/// How far an import is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Import")]
struct ImportShown {
    /// Its name.
    id: String,
    /// What is done of it.
    status: ImportStatus,
    /// When it was begun.
    begun_at: String,
    /// Lines of the list.
    lines: u32,
    /// Lines that were taken in.
    taken: u32,
    /// Lines that were not.
    bad: u32,
    /// The first bad lines, in the list's order.
    report: Vec<BadLine>,
}

/// `POST /v1/imports`, for staff: 202 with the import, which is carried out from now on.
async fn import(
    State(edge): State<Edge>,
    trace: Trace,
    Staff(user): Staff,
    key: IdempotencyKey,
    Csv(body): Csv,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<ImportShown>), ApiError> {
    let random = Key::random();
    let sent = key.sent().unwrap_or(&random);
    let id = ImportId::derived("i", &[user.id.as_str(), sent.as_str()]);
    let _place = edge
        .imports()
        .try_acquire()
        .map_err(|_| ApiError::overloaded("too many imports are being read; please try again"))?;
    let read = tokio::task::spawn_blocking(move || List::read(&body)).await;
    let list = read.map_err(|error| ApiError::internal(format!("reading a list: {error}")))??;
    let progress = hand_over(&edge, &trace, user.id.as_str(), &id, list).await?;
    let location = [(header::LOCATION, format!("/v1/imports/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Answer(shown(&id, progress))))
}

/// Gives the import what of the list it does not have yet.
async fn hand_over(
    edge: &Edge,
    trace: &Trace,
    user: &str,
    id: &ImportId,
    list: List,
) -> Result<ImportProgress, ApiError> {
    let List { digest, lines, chunks, bad, report } = list;
    let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let begin = Begin { digest, lines, chunks: count, bad, report };
    let import = edge.bus().actor(id);
    let begun = import.ask(begin).principal(user).trace(trace.as_str()).await?;
    for (number, lines) in (0_u32..).zip(chunks) {
        if begun.missing.binary_search(&number).is_ok() {
            import.ask(Add { number, lines }).principal(user).trace(trace.as_str()).await?;
        }
    }
    Ok(import.ask(ShowImport {}).trace(trace.as_str()).await?)
}

/// `GET /v1/imports/{id}`, for staff: how far it is, and which lines were bad.
async fn show(
    State(edge): State<Edge>,
    trace: Trace,
    Staff(_): Staff,
    PathId(id): PathId<Import>,
) -> Result<Answer<ImportShown>, ApiError> {
    let progress = edge.bus().actor(&id).ask(ShowImport {}).trace(trace.as_str()).await?;
    Ok(Answer(shown(&id, progress)))
}

fn shown(id: &ImportId, progress: ImportProgress) -> ImportShown {
    let ImportProgress { status, begun_at, lines, taken, bad, report, .. } = progress;
    let (id, begun_at) = (id.to_string(), begun_at.to_string());
    ImportShown { id, status, begun_at, lines, taken, bad, report }
}
