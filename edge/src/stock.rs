//! Stock, as staff keep it: what comes in, what the books get wrong, and when little is left.

use actors::{
    Quantity, WarehouseId,
    inventory::{
        Adjust, AdjustReason, Adjustment, Change as By, Item, Receive, SetLowStock, ShowAdjustments,
    },
};
use axum::{Json as Answer, extract::State};
use bus::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Edge,
    api::{Resource, get, post, put},
    body::Json,
    catalogue::{Change, Shown},
    conditional::ETAG_HEADER,
    error::ApiError,
    extract::{PathId, Staff},
    items::ItemShown,
    observe::Trace,
    position::SEQ_HEADER,
    stock_board,
};

pub(crate) fn routes() -> Resource {
    Resource::new("Stock", "How many pieces there are, and where, as staff keep it.")
        .with(
            post("/v1/items/{sku}/stock", receive)
                .says(
                    "receiveStock",
                    "Receive pieces of an item",
                    "For staff. They are put into the warehouse `main` if none is named; an item \
                     is in at most 20.",
                )
                .example(json!({ "quantity": 5, "warehouse": "main" }))
                .answers::<ItemShown>(200, "The item, with these pieces.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["UNKNOWN_ITEM"])
                .refuses(409, &["TOO_MUCH_STOCK", "TOO_MANY_WAREHOUSES"]),
        )
        .with(
            post("/v1/items/{sku}/adjustments", adjust)
                .says(
                    "adjustStock",
                    "Set the books of an item right",
                    "For staff. Up is received, down is written off; never below what is reserved, \
                     nor below what lies in that warehouse: the refusal says how many are free.",
                )
                .example(json!({
                    "by": -2, "reason": "damaged", "note": "They fell.", "warehouse": "main",
                }))
                .answers::<ItemShown>(200, "The item, as it is now.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["UNKNOWN_ITEM"])
                .refuses(409, &["TOO_FEW_FREE", "TOO_MUCH_STOCK", "TOO_MANY_WAREHOUSES"]),
        )
        .with(
            get("/v1/items/{sku}/adjustments", adjustments)
                .says(
                    "listAdjustments",
                    "Show how the books of an item were set right",
                    "For staff. Its last 50 adjustments.",
                )
                .answers::<AdjustmentsShown>(200, "The adjustments, the latest first.")
                .refuses(404, &["UNKNOWN_ITEM"]),
        )
        .with(
            put("/v1/items/{sku}/low-stock", set_low_stock)
                .says(
                    "setLowStock",
                    "Set below how many pieces an item's stock is low",
                    "For staff. When fewer are available this is told once, and again only after \
                     they have been as many. 0 is never.",
                )
                .example(json!({ "below": 10 }))
                .answers::<ItemShown>(200, "The item.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["UNKNOWN_ITEM"]),
        )
        .with(stock_board::route())
}

/// Pieces that came in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReceiveStock {
    /// How many.
    quantity: Quantity,
    /// Where they are put.
    #[serde(default)]
    warehouse: WarehouseId,
}

/// What the books get wrong.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AdjustStock {
    /// How many more there are, or below zero: fewer.
    by: By,
    /// Why.
    reason: AdjustReason,
    /// What else there is to say of it.
    #[serde(default)]
    #[schemars(schema_with = "actors::schema::note")]
    note: String,
    /// Where.
    #[serde(default)]
    warehouse: WarehouseId,
}

/// How the books were once set right.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Adjustment")]
struct AdjustmentShown {
    /// How many more there were, or below zero: fewer.
    by: By,
    /// Why.
    reason: AdjustReason,
    /// What else there is to say of it.
    note: String,
    /// Where.
    warehouse: WarehouseId,
    /// Who said so, if that was recorded.
    who: Option<String>,
    /// When.
    at: String,
}

/// How the books of an item were set right.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Adjustments")]
struct AdjustmentsShown {
    /// The latest first.
    adjustments: Vec<AdjustmentShown>,
}

impl From<Adjustment> for AdjustmentShown {
    fn from(adjustment: Adjustment) -> Self {
        let Adjustment { by, reason, note, warehouse, who, at } = adjustment;
        Self { by, reason, note, warehouse, who, at: at.to_string() }
    }
}

/// `POST /v1/items/{sku}/stock`, for staff: 200 with the item; 404 for one never created.
async fn receive(change: Change, Json(body): Json<ReceiveStock>) -> Shown {
    let ReceiveStock { quantity, warehouse } = body;
    change.ask(Receive { quantity, warehouse }).await
}

/// `POST /v1/items/{sku}/adjustments`, for staff: 200 with the item; 409 `TOO_FEW_FREE`.
async fn adjust(change: Change, Json(body): Json<AdjustStock>) -> Shown {
    let AdjustStock { by, reason, note, warehouse } = body;
    change.ask(Adjust { by, reason, note, warehouse }).await
}

/// `GET /v1/items/{sku}/adjustments`, for staff: the latest first.
async fn adjustments(
    State(edge): State<Edge>,
    _: Staff,
    trace: Trace,
    PathId(sku): PathId<Item>,
) -> Result<Answer<AdjustmentsShown>, ApiError> {
    let asked = edge.bus().actor(&sku).ask(ShowAdjustments {}).trace(trace.as_str());
    let adjustments = asked.await?.into_iter().map(AdjustmentShown::from).collect();
    Ok(Answer(AdjustmentsShown { adjustments }))
}

/// `PUT /v1/items/{sku}/low-stock`, for staff: below how many pieces its stock is low.
async fn set_low_stock(change: Change, Json(command): Json<SetLowStock>) -> Shown {
    change.ask(command).await
}
