//! The catalogue, as staff keep it: items are created, described, priced and retired.
//! Their pieces are in `stock`.
//!
//! What staff just did is seen by whoever reads next: a change answers with the row that
//! includes it.

use std::collections::BTreeMap;

use actors::{
    Money,
    inventory::{
        Activate, Category, Create, Describe, Item, ItemError, ItemId, ItemStatus, Retire, SetPrice,
    },
};
use axum::{
    Json as Answer,
    extract::{FromRequestParts, State},
    http::{HeaderName, StatusCode, header, request::Parts},
};
use bus::{Handle, JsonSchema, Wire};
use serde::Deserialize;
use serde_json::json;

use crate::{
    Edge,
    api::{LOCATION, Part, Resource, Route, post, put},
    body::Json,
    conditional::{ETAG_HEADER, IfMatch, Version},
    error::ApiError,
    extract::{IdempotencyKey, PathId, Staff},
    items::{ItemShown, item_after},
    observe::Trace,
    position::{SEQ_HEADER, Seq},
};

pub(crate) fn routes() -> Resource {
    Resource::new("Catalogue", "What the shop sells, as staff keep it.")
        .with(
            post("/v1/items", create)
                .says(
                    "createItem",
                    "Create an item",
                    "For staff. It is sold from now on, unless it is a draft.",
                )
                .example(json!({
                    "sku": "TEA", "name": "Green tea", "description": "100 g, loose.",
                    "price": { "amount": 450, "currency": "EUR" }, "category": "tea",
                    "attributes": { "origin": "Uji" },
                    "pictures": ["https://pictures.example/tea.jpg"], "status": "active",
                }))
                .answers::<ItemShown>(201, "The item.")
                .headers(&[LOCATION, SEQ_HEADER, ETAG_HEADER])
                .then("showItem", "sku", "$response.body#/sku")
                .then("receiveStock", "sku", "$response.body#/sku")
                .refuses(409, &["ALREADY_CREATED"]),
        )
        .with(
            put("/v1/items/{sku}", describe)
                .says("describeItem", "Describe an item anew", "For staff. In whole.")
                .example(json!({
                    "name": "Green tea", "description": "100 g, loose.", "category": "tea",
                    "attributes": { "origin": "Uji" }, "pictures": [],
                }))
                .answers::<ItemShown>(200, "The item.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["UNKNOWN_ITEM"]),
        )
        .with(
            put("/v1/items/{sku}/price", set_price)
                .says("priceItem", "Set what an item costs", "For staff. Orders keep their price.")
                .example(json!({ "amount": 500, "currency": "EUR" }))
                .answers::<ItemShown>(200, "The item.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["UNKNOWN_ITEM"]),
        )
        .with(
            post("/v1/items/{sku}/activation", activate)
                .says(
                    "activateItem",
                    "Sell an item",
                    "For staff. A draft, or one that was retired.",
                )
                .answers::<ItemShown>(200, "The item.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["UNKNOWN_ITEM"]),
        )
        .with(
            post("/v1/items/{sku}/retirement", retire)
                .says(
                    "retireItem",
                    "Sell an item no longer",
                    "For staff. Orders keep what they hold.",
                )
                .answers::<ItemShown>(200, "The item.")
                .headers(&[SEQ_HEADER, ETAG_HEADER])
                .refuses(404, &["UNKNOWN_ITEM"]),
        )
}

/// An item to be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateItem {
    /// Its name for programs, and in its path.
    sku: ItemId,
    /// Its name for people.
    #[schemars(schema_with = "actors::schema::name")]
    name: String,
    /// What it is, at length.
    #[serde(default)]
    #[schemars(schema_with = "actors::schema::description")]
    description: String,
    /// What one piece costs.
    price: Money,
    /// What it is listed under.
    #[serde(default)]
    category: Option<Category>,
    /// What else there is to say of it.
    #[serde(default)]
    #[schemars(schema_with = "actors::schema::attributes")]
    attributes: BTreeMap<String, String>,
    /// Where its pictures are.
    #[serde(default)]
    #[schemars(schema_with = "actors::schema::pictures")]
    pictures: Vec<String>,
    /// Whether it is sold at once.
    #[serde(default)]
    status: ItemStatus,
}

/// What an item is called and listed under.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DescribeItem {
    /// Its name for people.
    #[schemars(schema_with = "actors::schema::name")]
    name: String,
    /// What it is, at length.
    #[serde(default)]
    #[schemars(schema_with = "actors::schema::description")]
    description: String,
    /// What it is listed under.
    #[serde(default)]
    category: Option<Category>,
    /// What else there is to say of it.
    #[serde(default)]
    #[schemars(schema_with = "actors::schema::attributes")]
    attributes: BTreeMap<String, String>,
    /// Where its pictures are.
    #[serde(default)]
    #[schemars(schema_with = "actors::schema::pictures")]
    pictures: Vec<String>,
}

/// Who of the staff changes which item, and under which key.
pub(crate) struct Change {
    edge: Edge,
    trace: Trace,
    user: String,
    sku: ItemId,
    key: IdempotencyKey,
    if_match: IfMatch,
}

/// The item as it is after a change.
pub(crate) type Shown = Result<(Version, Seq, Answer<ItemShown>), ApiError>;

impl FromRequestParts<Edge> for Change {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, ApiError> {
        let trace = Trace::from_request_parts(parts, edge).await?;
        let Staff(user) = Staff::from_request_parts(parts, edge).await?;
        let PathId(sku) = PathId::from_request_parts(parts, edge).await?;
        let key = IdempotencyKey::from_request_parts(parts, edge).await?;
        let if_match = IfMatch::from_request_parts(parts, edge).await?;
        Ok(Self { edge: edge.clone(), trace, user: user.id.to_string(), sku, key, if_match })
    }
}

impl Part for Change {
    fn describe(route: &mut Route) {
        State::<Edge>::describe(route);
        Trace::describe(route);
        Staff::describe(route);
        PathId::<Item>::describe(route);
        IdempotencyKey::describe(route);
        IfMatch::describe(route);
    }
}

impl Change {
    /// Has the item carry `command` out, and answers with the item after it.
    pub(crate) async fn ask<C: Wire>(self, command: C) -> Shown
    where
        Item: Handle<C, Error = ItemError>,
    {
        let Self { edge, trace, user, sku, key, if_match } = self;
        let asked = key.put_on(edge.bus().actor(&sku).ask(command), &user);
        let asked = if_match.put_on(asked);
        let (_, position) = asked.principal(&user).trace(trace.as_str()).positioned().await?;
        let item = item_after(&edge, &sku, &position, &trace).await?;
        Ok((Version(item.version), Seq(position), Answer(item)))
    }
}

/// `POST /v1/items`, for staff: 201 with the item; 409 `ALREADY_CREATED`.
async fn create(
    State(edge): State<Edge>,
    trace: Trace,
    Staff(user): Staff,
    key: IdempotencyKey,
    Json(body): Json<CreateItem>,
) -> Result<(StatusCode, Version, Seq, [(HeaderName, String); 1], Answer<ItemShown>), ApiError> {
    let CreateItem { sku, name, description, price, category, attributes, pictures, status } = body;
    let location = [(header::LOCATION, format!("/v1/items/{sku}"))];
    let change =
        Change { edge, trace, user: user.id.to_string(), sku, key, if_match: IfMatch::ANY };
    let create = Create { name, description, price, category, attributes, pictures, status };
    let (version, seq, item) = change.ask(create).await?;
    Ok((StatusCode::CREATED, version, seq, location, item))
}

/// `PUT /v1/items/{sku}`, for staff: what it is called and listed under, in whole.
async fn describe(change: Change, Json(body): Json<DescribeItem>) -> Shown {
    let DescribeItem { name, description, category, attributes, pictures } = body;
    change.ask(Describe { name, description, category, attributes, pictures }).await
}

/// `PUT /v1/items/{sku}/price`, for staff: what it costs from now on.
async fn set_price(change: Change, Json(price): Json<Money>) -> Shown {
    change.ask(SetPrice { price }).await
}

/// `POST /v1/items/{sku}/activation`, for staff: it is sold, as a draft or again.
async fn activate(change: Change) -> Shown {
    change.ask(Activate {}).await
}

/// `POST /v1/items/{sku}/retirement`, for staff: it is sold no longer; orders keep what they hold.
async fn retire(change: Change) -> Shown {
    change.ask(Retire {}).await
}
