//! Who may do what: every route, asked by everybody, with the exact status each of them gets.
//!
//! The routes are those of the code; a route that is not in [`TABLE`] fails, and so does an entry
//! without a route.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::{APPROVED, Shop, fresh, order};

/// Who asks, in the order of a row: nobody, another customer, the owner, staff, an admin. The
/// owner is the customer whose order, session and account are asked for; where a route has no
/// owner, she is one more customer.
const ASKERS: usize = 5;

/// A route, what is sent, and what each asker gets.
type Row = (&'static str, &'static str, fn(&World) -> Value, [u16; ASKERS]);

/// What is asked about.
struct World {
    order: String,
    owner: String,
    import: String,
    sku: String,
    /// New for every request.
    fresh: String,
}

const NONE: fn(&World) -> Value = |_| Value::Null;

const TABLE: &[Row] = &[
    // Everybody's.
    ("GET", "/healthz", NONE, [200; ASKERS]),
    ("GET", "/readyz", NONE, [200; ASKERS]),
    ("GET", "/docs", NONE, [200; ASKERS]),
    ("GET", "/asyncapi.json", NONE, [200; ASKERS]),
    ("GET", "/openapi.json", NONE, [200; ASKERS]),
    ("GET", "/.well-known/jwks.json", NONE, [200; ASKERS]),
    ("GET", "/v1/items", NONE, [200; ASKERS]),
    ("GET", "/v1/items/{sku}", NONE, [200; ASKERS]),
    ("GET", "/v1/items/{sku}/prices", NONE, [200; ASKERS]),
    ("GET", "/v1/availability?skus={sku}", NONE, [200; ASKERS]),
    ("POST", "/v1/users", registration, [201; ASKERS]),
    ("POST", "/v1/sessions", bad_password, [401; ASKERS]),
    ("POST", "/v1/sessions/refresh", |_| json!({ "refresh_token": "x" }), [401; ASKERS]),
    ("POST", "/v1/verifications", |_| json!({ "token": "x" }), [400; ASKERS]),
    ("POST", "/v1/password-resets", nobodys_address, [202; ASKERS]),
    ("POST", "/v1/passwords", bad_link, [400; ASKERS]),
    // Whoever asks, it is not signed.
    ("POST", "/v1/webhooks/gateway", |_| json!({}), [401; ASKERS]),
    // One's own: whoever asks is shown her own, and is never told of another's.
    ("GET", "/v1/users/me", NONE, [401, 200, 200, 200, 200]),
    ("PATCH", "/v1/users/me", |_| json!({ "name": "Ada" }), [401, 200, 200, 200, 200]),
    ("POST", "/v1/users/me/verification", NONE, [401, 202, 202, 202, 202]),
    ("PUT", "/v1/users/me/password", wrong_password, [401, 403, 403, 403, 403]),
    ("GET", "/v1/sessions", NONE, [401, 200, 200, 200, 200]),
    ("DELETE", "/v1/sessions/{id}", NONE, [401, 204, 204, 204, 204]),
    ("GET", "/v1/orders", NONE, [401, 200, 200, 200, 200]),
    ("GET", "/v1/cart", NONE, [401, 200, 200, 200, 200]),
    ("POST", "/v1/cart/order", |_| json!({ "card": APPROVED }), [401, 409, 409, 409, 409]),
    ("PUT", "/v1/cart/lines/{sku}", |_| json!({ "quantity": 1 }), [401, 200, 200, 200, 200]),
    ("DELETE", "/v1/cart/lines/{sku}", NONE, [401, 200, 200, 200, 200]),
    ("DELETE", "/v1/cart", NONE, [401, 200, 200, 200, 200]),
    ("POST", "/v1/orders", purchase, [401, 201, 201, 201, 201]),
    ("GET", "/v1/orders/{id}", NONE, [401, 404, 200, 200, 200]),
    ("GET", "/v1/orders/{id}/page", NONE, [401, 404, 200, 200, 200]),
    ("GET", "/v1/orders/{id}/history", NONE, [401, 404, 200, 200, 200]),
    ("POST", "/v1/orders/{id}/cancellation", NONE, [401, 404, 409, 409, 409]),
    ("POST", "/v1/orders/{id}/returns", return_of_one, [401, 404, 201, 201, 409]),
    ("GET", "/v1/orders/{id}/events", NONE, [401, 404, 200, 404, 404]),
    // Staff's.
    ("POST", "/v1/items", new_item, [401, 403, 403, 201, 201]),
    ("POST", "/v1/items/{sku}/stock", |_| json!({ "quantity": 1 }), [401, 403, 403, 200, 200]),
    (
        "POST",
        "/v1/items/{sku}/adjustments",
        |_| json!({ "by": 1, "reason": "found" }),
        [401, 403, 403, 200, 200],
    ),
    ("GET", "/v1/items/{sku}/adjustments", NONE, [401, 403, 403, 200, 200]),
    ("PUT", "/v1/items/{sku}/low-stock", |_| json!({ "below": 1 }), [401, 403, 403, 200, 200]),
    ("GET", "/v1/stock", NONE, [401, 403, 403, 200, 200]),
    ("GET", "/v1/board/orders?column=to_ship", NONE, [401, 403, 403, 200, 200]),
    ("POST", "/v1/orders/{id}/shipments", shipment_of_one, [401, 403, 403, 409, 409]),
    ("POST", "/v1/orders/{id}/shipments/{number}/delivery", NONE, [401, 403, 403, 200, 200]),
    (
        "POST",
        "/v1/orders/{id}/returns/{number}/acceptance",
        |_| json!({ "sellable": true }),
        [401, 403, 403, 200, 409],
    ),
    (
        "POST",
        "/v1/orders/{id}/returns/{number}/rejection",
        |_| json!({ "reason": "used" }),
        [401, 403, 403, 409, 409],
    ),
    ("PUT", "/v1/items/{sku}", |_| json!({ "name": "Thing" }), [401, 403, 403, 200, 200]),
    (
        "PUT",
        "/v1/items/{sku}/price",
        |_| json!({ "amount": 100, "currency": "EUR" }),
        [401, 403, 403, 200, 200],
    ),
    ("POST", "/v1/items/{sku}/retirement", NONE, [401, 403, 403, 200, 200]),
    ("POST", "/v1/items/{sku}/activation", NONE, [401, 403, 403, 200, 200]),
    ("POST", "/v1/imports", |_| json!(LIST), [401, 403, 403, 202, 202]),
    ("GET", "/v1/imports/{id}", NONE, [401, 403, 403, 200, 200]),
    ("GET", "/v1/payments/{id}", NONE, [401, 403, 403, 200, 200]),
    // Admins'.
    ("GET", "/v1/users/{id}", NONE, [401, 403, 403, 403, 200]),
    (
        "PUT",
        "/v1/users/{id}/roles",
        |_| json!({ "roles": ["customer"] }),
        [401, 403, 403, 403, 200],
    ),
    (
        "PUT",
        "/v1/users/{id}/status",
        |_| json!({ "is_disabled": false }),
        [401, 403, 403, 403, 200],
    ),
    ("GET", "/v1/ledger", NONE, [401, 403, 403, 403, 200]),
    ("GET", "/v1/ledger/entries", NONE, [401, 403, 403, 403, 200]),
    // Last, because whoever asks is logged out.
    ("DELETE", "/v1/sessions/current", NONE, [401, 204, 204, 204, 204]),
    ("DELETE", "/v1/sessions", NONE, [401, 401, 401, 401, 401]),
];

fn registration(world: &World) -> Value {
    json!({ "email": format!("{}@example.org", world.fresh), "name": "A", "password": PASSWORD })
}

fn bad_password(world: &World) -> Value {
    json!({ "email": format!("{}@example.org", world.fresh), "password": "not this one" })
}

fn nobodys_address(world: &World) -> Value {
    json!({ "email": format!("{}@example.org", world.fresh) })
}

fn bad_link(_: &World) -> Value {
    json!({ "token": "x", "password": PASSWORD })
}

fn wrong_password(_: &World) -> Value {
    json!({ "old_password": "not this one", "password": PASSWORD })
}

fn purchase(world: &World) -> Value {
    order(APPROVED, &[(&world.sku, 1)])
}

fn shipment_of_one(world: &World) -> Value {
    json!({ "portions": [{ "sku": world.sku, "quantity": 1 }] })
}

fn return_of_one(world: &World) -> Value {
    json!({ "portions": [{ "sku": world.sku, "quantity": 1 }], "reason": "broken" })
}

fn new_item(world: &World) -> Value {
    json!({ "sku": world.fresh, "name": "T", "price": { "amount": 1, "currency": "EUR" } })
}

/// What is no JSON is sent as CSV.
const LIST: &str = "sku,name,price,currency\n";

const PASSWORD: &str = "correct horse battery";

/// All routes of the code.
fn routes() -> BTreeSet<(String, String)> {
    let paths = edge::openapi()["paths"].as_object().expect("paths");
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").keys();
        methods.map(move |method| (method.to_uppercase(), path.clone()))
    });
    all.collect()
}

#[test]
fn every_route_has_its_row_and_every_row_its_route() {
    let rows = TABLE.iter().map(|(method, path, ..)| {
        let path = path.split_once('?').map_or(*path, |(path, _)| path);
        ((*method).to_owned(), path.to_owned())
    });
    let rows: BTreeSet<_> = rows.collect();
    assert_eq!(rows.len(), TABLE.len(), "a row is there twice");
    let routes = routes();
    let no_row: Vec<_> = routes.difference(&rows).collect();
    let no_route: Vec<_> = rows.difference(&routes).collect();
    assert!(no_row.is_empty(), "routes that are not in the table: {no_row:?}");
    assert!(no_route.is_empty(), "rows of no route: {no_route:?}");
}

/// Registers somebody, gives her `role`, and logs her in: her id and her token.
async fn member(shop: &Shop, role: &str) -> (String, String) {
    let email = format!("{}@example.org", fresh("member"));
    let body = json!({ "email": email, "name": "Ada", "password": PASSWORD });
    let user = shop.post("/v1/users", body).send().await.expect(201);
    let id = user["id"].as_str().expect("an id").to_owned();
    let admin = shop.token_for("u-root", &["admin"]);
    let roles = shop.put(&format!("/v1/users/{id}/roles"), &json!({ "roles": [role] }));
    roles.token(&admin).send().await.expect(200);
    let login = json!({ "email": email, "password": PASSWORD });
    let session = shop.post("/v1/sessions", login).send().await.expect(201);
    (id, session["token"].as_str().expect("a token").to_owned())
}

#[tokio::test]
async fn everybody_gets_exactly_what_the_table_says() {
    let shop = Shop::open().await;
    shop.stock("A1", 100, 1_000).await;
    let (_, other) = member(&shop, "customer").await;
    let (owner, owners) = member(&shop, "customer").await;
    let (_, staff) = member(&shop, "staff").await;
    let (_, admin) = member(&shop, "admin").await;
    // Two of them arrive, and can be returned twice.
    let placed = shop.order(APPROVED, &[("A1", 2)]).token(&owners).send().await.expect(201);
    let order = placed["id"].as_str().expect("an id").to_owned();
    let all = json!({ "portions": [{ "sku": "A1", "quantity": 2 }] });
    let shipments = format!("/v1/orders/{order}/shipments");
    shop.post(&shipments, all).token(&staff).send().await.expect(201);
    let delivery = format!("{shipments}/1/delivery");
    shop.ask(Method::POST, &delivery).token(&staff).send().await.expect(200);
    let list = shop.ask(Method::POST, "/v1/imports").token(&staff);
    let list = crate::shop::Ask(list.0.header("Content-Type", "text/csv").body(LIST));
    let import = list.send().await.expect(202)["id"].as_str().expect("an id").to_owned();
    let (sku, fresh_id) = ("A1".to_owned(), String::new());
    let mut world = World { order, owner, import, sku, fresh: fresh_id };
    let askers = [
        ("nobody", None),
        ("another customer", Some(&other)),
        ("the owner", Some(&owners)),
        ("staff", Some(&staff)),
        ("an admin", Some(&admin)),
    ];
    let mut wrong = Vec::new();
    for (method, path, body, expected) in TABLE {
        for ((who, token), expected) in askers.iter().zip(expected) {
            world.fresh = fresh("new-");
            let url = world.fill(path);
            let mut ask = shop.ask(Method::from_bytes(method.as_bytes()).expect("one"), &url);
            ask = ask.header("Prefer", "wait=30");
            if let Some(token) = token {
                ask = ask.token(token);
            }
            let body = body(&world);
            ask.0 = match body {
                Value::Null => ask.0,
                Value::String(list) => ask.0.header("Content-Type", "text/csv").body(list),
                body => ask.0.json(&body),
            };
            // The status alone: a stream of events has no end.
            let status = ask.0.send().await.expect("an answer").status().as_u16();
            if status != *expected {
                wrong.push(format!("{method} {path} by {who}: {status}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

impl World {
    fn fill(&self, path: &str) -> String {
        let id = match path {
            path if path.starts_with("/v1/orders") => &self.order,
            path if path.starts_with("/v1/payments") => &self.order,
            path if path.starts_with("/v1/imports") => &self.import,
            _ => &self.owner,
        };
        path.replace("{sku}", &self.sku).replace("{id}", id).replace("{number}", "1")
    }
}
