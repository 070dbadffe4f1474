//! What is stored and sent, frozen: `wire/<kind>/<shape>/<event>.json` and its siblings.
//!
//! A journal outlives its code, and callers are not all of one build. Whoever changes one of
//! those files changes what is stored or sent; what is new is a new file. See
//! [`bus::testing::golden`] for what to do when a test here fails.
#![allow(clippy::unwrap_used)] // Test code: a failure is a failed test.

use actors::{
    carts::{self, Cart},
    inventory::{
        self, Item,
        import::{self, Import},
    },
    notifications::{self, Notice},
    orders::{self, Order},
    payments::{self, Payment},
    users::{self, Email, User},
};
use bus::{
    Actor,
    testing::{Golden, golden},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire");

/// The golden files of `A`, and the state after `history`: the names of some of its events.
fn frozen<A: Actor>(history: &[&str]) -> Golden<A> {
    let event = |name: &&str| {
        let file = format!("{FOLDER}/{}/{}/{name}.json", A::KIND, A::SHAPE);
        sample(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
    };
    golden::<A>(FOLDER).state_after(history.iter().map(event))
}

fn sample<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn samples<T: DeserializeOwned>(values: Value) -> Vec<T> {
    sample(values)
}

#[test]
fn addresses_stay_as_they_are() {
    let user = json!([{"user": "u-1"}]);
    frozen::<Email>(&["claimed", "confirmed"])
        .command::<users::Claim>(samples(user.clone()), [()])
        .command::<users::Confirm>(samples(user.clone()), [()])
        .command::<users::Release>(samples(user.clone()), [()])
        .command::<users::Lapse>(samples(user), [()])
        .command([users::Holder {}], samples(json!(["u-1", null])))
        .check();
}

#[test]
fn users_stay_as_they_are() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";
    let register = json!([
        {"name": "Ann", "address": "ann@example.org", "email": "e-1", "password_hash": hash},
    ]);
    let home = json!({
        "name": "Ann", "street": "1 High Street", "postcode": "AB1 2CD", "town": "Leeds", "country": "GB",
    });
    let profile = |roles: Value| {
        let new = json!({"id": "u-1", "name": "Ann", "address": "ann@example.org", "roles": roles});
        let mut whole = new.clone();
        whole["is_verified"] = json!(true);
        whole["is_disabled"] = json!(true);
        whole["addresses"] = json!([home]);
        json!([new, whole])
    };
    let both = profile(json!(["customer", "admin"]));
    let credentials = json!([
        {"password_hash": hash, "roles": ["customer", "staff"]},
        {"password_hash": hash, "roles": ["customer"], "is_disabled": true},
    ]);
    let addresses = json!([{"addresses": [home]}]);
    let changes = json!([{"name": "Anna", "addresses": [home]}, {"name": "Anna"}, {}]);
    let session = json!([{"session": "s-1"}]);
    let number = json!([{"number": 1}]);
    let reset = json!([{"number": 1, "password_hash": hash}]);
    let rehash = json!([{"old_hash": hash, "password_hash": hash}]);
    let change = json!([{"old_hash": hash, "password_hash": hash, "keep": "s-1"}]);
    let open = json!([{"session": "s-1", "client": "curl/8"}]);
    let refresh = json!([{"session": "s-1", "generation": 1}]);
    let refreshed = json!([
        [{"next": {"generation": 2}}, ["customer"]],
        ["closed", ["customer"]],
        ["reused", ["customer"]],
    ]);
    let listed = json!([[{"id": "s-1", "client": "curl/8", "opened_at": 5, "refreshed_at": 6}]]);
    frozen::<User>(&["registered", "role_granted.2", "session_opened", "verified"])
        .command::<users::Register>(samples(register), samples(profile(json!(["customer"]))))
        .command::<users::Grant>(samples(json!([{"role": "admin"}])), samples(both.clone()))
        .command::<users::Revoke>(samples(json!([{"role": "staff"}])), samples(both.clone()))
        .command([users::Show {}], samples(both.clone()))
        .command([users::ShowCredentials {}], samples(credentials))
        .command::<users::Rename>(samples(json!([{"name": "Anna"}])), samples(both.clone()))
        .command::<users::SetPostalAddresses>(samples(addresses), samples(both.clone()))
        .command::<users::ChangeProfile>(samples(changes), samples(both.clone()))
        .command([users::Disable {}], samples(both.clone()))
        .command([users::Enable {}], samples(both))
        .command([users::RequestVerification {}], [()])
        .command::<users::Verify>(samples(number), [()])
        .command([users::RequestReset {}], [()])
        .command::<users::ResetPassword>(samples(reset), [()])
        .command::<users::ChangePassword>(samples(change), [()])
        .command::<users::Rehash>(samples(rehash), [()])
        .command::<users::OpenSession>(samples(open), samples(json!([["customer"]])))
        .command::<users::RefreshSession>(samples(refresh), samples(refreshed))
        .command::<users::CloseSession>(samples(session.clone()), [()])
        .command([users::CloseSessions {}], [1])
        .command([users::ListSessions {}], samples(listed))
        .command::<users::CheckSession>(samples(session), samples(json!([["customer"], null])))
        .check();
}

const LIFE_OF_AN_ITEM: [&str; 13] = [
    "created.2",
    "described",
    "priced",
    "activated",
    "retired",
    "received",
    "received.2",
    "adjusted",
    "low_stock_set",
    "stock_low",
    "reserved",
    "shipped",
    "taken_back",
];

#[test]
fn items_stay_as_they_are() {
    let price = json!({"amount": 250, "currency": "EUR"});
    let mut described = json!({
        "name": "Lamp", "description": "Red.", "category": "lamps",
        "attributes": {"colour": "red"}, "pictures": ["https://a.example/lamp.jpg"],
    });
    let describe = json!([{"name": "Lamp"}, described]);
    described["price"] = price.clone();
    described["status"] = json!("draft");
    let create = json!([{"name": "Lamp", "description": "Red.", "price": price}, described]);
    let prices = json!([[{"price": price, "since": 5}, {"price": price}]]);
    let reserve = json!([{"order": "o-1", "quantity": 2, "currency": "EUR"}]);
    let reservations = json!([
        {"held": {"quantity": 2, "unit_price": price}},
        {"lacking": {"reason": {"out_of_stock": {"available": 1}}}},
    ]);
    let order = json!([{"order": "o-1"}]);
    let ship = json!([
        {"order": "o-1"},
        {"order": "o-1", "quantity": 1},
        {"order": "o-1", "quantity": 1, "warehouse": "north"},
    ]);
    let receive = json!([{"quantity": 5}, {"quantity": 5, "warehouse": "north"}]);
    let adjust = json!([
        {"by": -1, "reason": "damaged", "note": "It fell.", "warehouse": "north"},
        {"by": 2, "reason": "found"},
    ]);
    let adjustments = json!([[
        {"by": 2, "reason": "found", "at": 5},
        {"by": -1, "reason": "other", "note": "It fell.", "warehouse": "north", "who": "u-1", "at": 6},
    ]]);
    let take_back = json!([{"order": "o-1", "quantity": 1, "number": 1, "sellable": false}]);
    let stock = json!([
        {"received": 5, "available": 3, "held": 2, "shipped": 0},
        {"received": 5, "available": 3, "held": 0, "shipped": 1, "written_off": 1},
    ]);
    let piles = json!({"sku": "A1", "received": 5, "available": 3, "held": 2, "shipped": 0});
    let mut card = json!([
        {"name": "Lamp", "description": "Red.", "price": price},
        described,
    ]);
    for card in card.as_array_mut().unwrap() {
        card.as_object_mut().unwrap().extend(piles.as_object().unwrap().clone());
    }
    frozen::<Item>(&LIFE_OF_AN_ITEM)
        .command::<inventory::Create>(samples(create), [()])
        .command::<inventory::Describe>(samples(describe), [()])
        .command::<inventory::SetPrice>(samples(json!([{"price": price}])), [()])
        .command([inventory::Activate {}], [()])
        .command([inventory::Retire {}], [()])
        .command::<inventory::ShowPrices>(samples(json!([{}])), samples(prices))
        .command::<inventory::Receive>(samples(receive), samples(stock.clone()))
        .command::<inventory::Adjust>(samples(adjust), samples(stock.clone()))
        .command::<inventory::ShowAdjustments>(samples(json!([{}])), samples(adjustments))
        .command::<inventory::SetLowStock>(samples(json!([{"below": 3}])), [()])
        .command::<inventory::Reserve>(samples(reserve), samples(reservations))
        .command::<inventory::Release>(samples(order.clone()), [()])
        .command::<inventory::Take>(samples(order.clone()), [()])
        .command::<inventory::Lapse>(samples(order), [()])
        .command::<inventory::Ship>(samples(ship), samples(stock.clone()))
        .command::<inventory::TakeBack>(samples(take_back), samples(stock))
        .command([inventory::Show {}], samples(card))
        .check();
}

#[test]
fn carts_stay_as_they_are() {
    let price = json!({"amount": 250, "currency": "EUR"});
    let line = json!({"sku": "A1", "quantity": 2, "unit_price": price});
    let total = json!({"amount": 500, "currency": "EUR"});
    let views = json!([{"lines": []}, {"lines": [line], "total": total}]);
    let check_out = json!([{"order": "o-1", "card": "sim-4242"}]);
    frozen::<Cart>(&["line_put"])
        .command::<carts::Put>(samples(json!([line])), samples(views.clone()))
        .command::<carts::Remove>(samples(json!([{"sku": "A1"}])), samples(views.clone()))
        .command([carts::Clear {}], samples(views.clone()))
        .command::<carts::CheckOut>(samples(check_out), samples(views.clone()))
        .command([carts::Show {}], samples(views))
        .check();
}

#[test]
fn imports_stay_as_they_are() {
    let price = json!({"amount": 250, "currency": "EUR"});
    let bad = json!([{"line": 3, "message": "no"}]);
    let begin = json!([{"digest": "d", "lines": 3, "chunks": 1, "bad": 1, "report": bad}]);
    let lines = json!([
        {"line": 2, "sku": "A1", "name": "Lamp", "description": "", "price": price},
        {"line": 4, "sku": "A2", "name": "Lamp", "description": "Red.", "price": price,
         "category": "lamps", "quantity": 5},
    ]);
    let add = json!([{"number": 0, "lines": lines}]);
    let progress = |status: &str, missing: Value| {
        json!({"status": status, "begun_at": 5, "lines": 3, "taken": 1, "bad": 1, "report": bad,
               "missing": missing})
    };
    let all = json!([
        progress("receiving", json!([0])),
        progress("running", json!([])),
        progress("done", json!([])),
    ]);
    let begun = json!([progress("receiving", json!([0]))]);
    frozen::<Import>(&["begun", "added", "chunk_done"])
        .command::<import::Begin>(samples(begin), samples(begun))
        .command::<import::Add>(samples(add), [()])
        .command::<import::NoteDone>(samples(json!([{"number": 0, "failed": bad}])), [()])
        .command([import::ShowImport {}], samples(all))
        .check();
}

#[test]
fn orders_stay_as_they_are() {
    let price = json!({"amount": 250, "currency": "EUR"});
    let lines = json!([{"sku": "A1", "quantity": 2}]);
    let priced = json!([{"sku": "A1", "quantity": 2, "unit_price": price}]);
    let expecting = json!([{"sku": "A1", "quantity": 2, "expected_price": price}]);
    let place = json!([
        {"buyer": "u-1", "currency": "EUR", "card": "sim-4242", "lines": lines},
        {"buyer": "u-1", "currency": "EUR", "card": "sim-4242", "lines": expecting},
    ]);
    let reserved = json!([{"sku": "A1", "quantity": 2, "unit_price": price}]);
    let lacking = json!([
        {"sku": "A1", "reason": "unknown_item"},
        {"sku": "A1", "reason": {"out_of_stock": {"available": 1}}},
    ]);
    let statuses = json!(["placed", "paying", "confirmed", "cancelled", "revoked"]);
    let portions = json!([{"sku": "A1", "quantity": 1}]);
    let parcel = json!({"carrier": "Post", "tracking": "RR1"});
    let returned = |number: u32, status: Value| json!({"number": number, "portions": portions, "reason": "broken", "status": status});
    let total = json!({"amount": 500, "currency": "EUR"});
    let shown = json!([
        {"buyer": "u-1", "status": "placed", "currency": "EUR", "lines": lines},
        {"buyer": "u-1", "status": "confirmed", "currency": "EUR", "lines": priced,
         "total": total, "receipt": "sim-receipt-o-1"},
        {"buyer": "u-1", "status": "cancelled", "currency": "EUR", "lines": lines,
         "reason": {"declined": {"reason": "card_declined"}}},
        {"buyer": "u-1", "status": "confirmed", "currency": "EUR", "lines": priced,
         "total": total, "receipt": "sim-receipt-o-1", "progress": "partly_shipped",
         "shipments": [
            {"number": 1, "portions": portions, "parcel": parcel, "is_delivered": true},
         ],
         "returns": [
            returned(1, json!("requested")),
            returned(2, json!({"accepted": {"refund": price}})),
            returned(3, json!({"rejected": {"reason": "used"}})),
         ]},
    ]);
    let cancel = json!([{}, {"buyer": "u-1"}]);
    let ship = json!([{"portions": portions}, {"portions": portions, "parcel": parcel},
        {"portions": portions, "warehouse": "north"}]);
    let give_back = json!([
        {"portions": portions, "reason": "broken"},
        {"buyer": "u-1", "portions": portions, "reason": "broken"},
    ]);
    let accept = json!([{"return": 1, "sellable": true}]);
    let reject = json!([{"return": 1, "reason": "used"}]);
    let reason = json!([{"reason": "card_declined"}]);
    frozen::<Order>(&[
        "placed",
        "line_reserved",
        "payment_due",
        "confirmed",
        "paid_too_late",
        "shipped",
        "delivered",
        "return_requested",
        "return_accepted",
    ])
    .command::<orders::Place>(samples(place), samples(statuses.clone()))
    .command::<orders::Cancel>(samples(cancel), samples(statuses))
    .command::<orders::Ship>(samples(ship), [1])
    .command::<orders::Deliver>(samples(json!([{"shipment": 1}])), [()])
    .command::<orders::Return>(samples(give_back), [1])
    .command::<orders::AcceptReturn>(samples(accept), samples(json!([price])))
    .command::<orders::RejectReturn>(samples(reject), [()])
    .command::<orders::NoteReserved>(samples(reserved), [()])
    .command::<orders::NoteLacking>(samples(lacking), [()])
    .command::<orders::NotePaid>(samples(json!([{"receipt": "sim-receipt-o-1"}])), [()])
    .command::<orders::NoteDeclined>(samples(reason), [()])
    .command([orders::Expire {}], [()])
    .command([orders::Show {}], samples(shown))
    .check();
}

#[test]
fn payments_stay_as_they_are() {
    let total = json!({"amount": 500, "currency": "EUR"});
    let request = json!([{"order": "o-1", "amount": total, "card": "sim-4242"}]);
    let reasons = json!([
        {"reason": "card_declined"}, {"reason": "insufficient_funds"}, {"reason": "unknown_card"},
        {"reason": "card_declined", "charge": "ch-1", "amount": total},
    ]);
    let refund = json!([
        {"receipt": "sim-receipt-o-1"},
        {"receipt": "sim-receipt-o-1", "number": 1, "amount": total},
    ]);
    let confirm = json!([
        {"receipt": "sim-receipt-o-1"}, {"receipt": "sim-receipt-o-1", "number": 1},
        {"receipt": "sim-receipt-o-1", "number": 1, "amount": total},
    ]);
    let capture = json!([
        {"receipt": "sim-receipt-o-1"}, {"receipt": "sim-receipt-o-1", "amount": total},
    ]);
    let authorise = json!([{"charge": "ch-1", "amount": total}]);
    let reason = |reason: &str| json!({"webhook": "wh-1", "reason": reason});
    let refused = json!([
        reason("forged"),
        reason("unsigned"),
        reason("late"),
        reason("future"),
        reason("mismatch"),
        reason("out_of_order"),
        reason("contradiction"),
    ]);
    let view = |status: &str| json!({"order": "o-1", "status": status, "amount": total, "refunded": {"amount": 0, "currency": "EUR"}});
    let mut declined = view("declined");
    declined["reason"] = json!("card_declined");
    let mut whole = view("captured");
    whole["charge"] = json!("ch-1");
    whole["refunds"] = json!([{"number": 1, "amount": total, "is_done": true}]);
    whole["refused_webhooks"] =
        json!([{"webhook": "wh-1", "reason": "late", "at": 1_700_000_000_000_u64}]);
    let views = json!([
        view("requested"),
        view("captured"),
        declined,
        view("pending"),
        view("authorised"),
        whole,
    ]);
    frozen::<Payment>(&[
        "requested",
        "pending",
        "authorised",
        "charge_due",
        "captured",
        "refund_due",
        "refunded",
        "webhook_refused",
    ])
    .command::<payments::Request>(samples(request), [()])
    .command::<payments::NotePending>(samples(json!([{"charge": "ch-1"}])), [()])
    .command::<payments::Authorise>(samples(authorise), [()])
    .command([payments::CheckVerdict {}], [()])
    .command::<payments::Capture>(samples(capture), [()])
    .command::<payments::Decline>(samples(reasons), [()])
    .command::<payments::Refund>(samples(refund), [()])
    .command::<payments::ConfirmRefund>(samples(confirm), [()])
    .command::<payments::NoteRefusedWebhook>(samples(refused), [()])
    .command([payments::Show {}], samples(views))
    .check();
}

#[test]
fn notices_stay_as_they_are() {
    let total = json!({"amount": 500, "currency": "EUR"});
    let queue = json!([
        {"user": "u-1", "letter": {"order_confirmed": {"order": "o-1", "total": total}}},
        {"user": "u-1", "letter": {"order_cancelled": {"order": "o-1", "reason": "total_too_large"}}},
        {"user": "u-1", "letter": {"order_revoked": {"order": "o-1", "total": total}}},
        {"user": "u-1", "letter": {"order_shipped": {"order": "o-1", "number": 1}}},
        {"user": "u-1", "letter": {"order_shipped": {
            "order": "o-1", "number": 2, "parcel": {"carrier": "Post", "tracking": "RR1"},
        }}},
        {"user": "u-1", "letter": {"return_accepted": {"order": "o-1", "number": 1, "refund": total}}},
        {"user": "u-1", "letter": {"return_rejected": {"order": "o-1", "number": 1, "reason": "used"}}},
    ]);
    let reasons = json!([
        {"reason": "unknown_user"}, {"reason": "bad_address"}, {"reason": {"refused": {"code": 550}}},
    ]);
    let statuses = json!(["queued", "sent", {"given_up": {"reason": "bad_address"}}]);
    frozen::<Notice>(&["queued", "given_up.3"])
        .command::<notifications::Queue>(samples(queue), [()])
        .command([notifications::Sent {}], [()])
        .command::<notifications::GiveUp>(samples(reasons), [()])
        .command([notifications::Show {}], samples(statuses))
        .check();
}
