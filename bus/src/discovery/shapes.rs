//! The shapes that every kind has in common, as `docs/wire.md` has them: headers, what a refusal
//! looks like, and a commit around its events.

use serde_json::{Value, json};

use crate::{
    limits::{HEADER_BYTES_MAX, KEY_BYTES_MAX},
    wire::{failure::Status, subject},
};

/// Of a command or a query.
pub(super) fn request_headers() -> Value {
    let text = |about: &str| json!({ "type": "string", "maxLength": HEADER_BYTES_MAX, "description": about });
    let number =
        |about: &str| json!({ "type": "string", "pattern": "^[0-9]{1,20}$", "description": about });
    json!({
        "type": "object",
        "properties": {
            subject::CONTENT_TYPE: {
                "type": "string",
                "enum": ["application/json", "application/msgpack", "application/x-msgpack", "application/vnd.msgpack"],
                "description": "The body's encoding, and the reply's. Without it JSON, if it reads as JSON.",
            },
            subject::KEY: {
                "type": "string",
                "pattern": format!("^[!-~]{{1,{KEY_BYTES_MAX}}}$"),
                "description": "Idempotency key: one effect at one actor.",
            },
            subject::KEY_TIME: number("When the key was first sent, in ms since 1970."),
            subject::KEY_UNTIL: number("It was first sent then or before, in ms since 1970."),
            subject::TIMEOUT_MS: number("The budget left, in ms."),
            subject::EXPECT_VERSION: number("Carry it out only at this version."),
            subject::CAUSE: text("The commit that made somebody send this."),
            subject::PRINCIPAL: text("In whose name."),
            subject::TRACE: text("W3C trace context."),
            subject::AFTER: { "type": "string", "description": "Queries: positions that the rows are to include, by commas." },
        },
    })
}

pub(super) fn reply_headers() -> Value {
    json!({
        "type": "object",
        "properties": {
            subject::CONTENT_TYPE: { "type": "string", "enum": ["application/json", "application/msgpack"] },
            subject::SEQ: {
                "type": "string",
                "pattern": "^EVT_[A-Za-z0-9_-]+_[0-9]+@[0-9]+$",
                "description": "Commands: where the actor stands. Behind the @ is its version.",
            },
            subject::ERROR_CODE: { "type": "string", "pattern": "^[45][0-9]{2}$", "description": "Only of a refusal." },
            subject::ERROR: { "type": "string", "description": "The refusal's message, in one line." },
        },
    })
}

/// A refusal. `own` is how the kind itself says no; else the runtime does.
pub(super) fn problem(own: Option<&Value>) -> Value {
    let common = json!({
        "type": "object",
        "required": ["code", "message", "retry"],
        "properties": {
            "code": { "type": "string", "description": "For programs." },
            "message": { "type": "string", "description": "For people." },
            "retry": { "type": "boolean", "description": "Whether asking again, with the same key, may help." },
            "retry_after_ms": { "type": "integer", "minimum": 0, "description": "When." },
            "field": { "type": "string", "description": "The path of what was wrong." },
        },
    });
    let error = match own {
        Some(own) => {
            json!({ "allOf": [common, { "anyOf": [own, { "$ref": "#/components/schemas/runtime.error" }] }] })
        }
        None => common,
    };
    json!({ "type": "object", "required": ["error"], "properties": { "error": error } })
}

/// The codes with which the runtime itself refuses.
pub(super) fn runtime_error() -> Value {
    let mut codes = Status::ALL.map(Status::code).to_vec();
    codes.extend(["NO_ROW", "DISARMED"]);
    json!({
        "type": "object",
        "required": ["code"],
        "properties": { "code": { "enum": codes } },
    })
}

/// What one command left, around events like `event`.
pub(super) fn commit(event: &Value) -> Value {
    json!({
        "type": "object",
        "description": "MessagePack on the wire. Fields that are not known are to be ignored.",
        "required": ["commit", "at", "command", "key", "digest", "events"],
        "properties": {
            "shape": { "type": "integer", "minimum": 2, "description": "Of the events; without it 1." },
            "commit": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
            "at": { "type": "integer", "minimum": 0, "description": "When it was decided, in ms since 1970." },
            "command": { "type": "string" },
            "key": { "type": "string" },
            "digest": { "type": "string", "description": "Of the command's name and body, in hexadecimal." },
            "cause": { "type": "string" },
            "principal": { "type": "string" },
            "trace": { "type": "string" },
            "events": { "type": "array", "items": event },
            "timers": { "type": "array", "items": { "type": "object" } },
            "reply": true,
        },
    })
}
