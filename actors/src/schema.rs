//! JSON Schemas of what is read by hand: the same rules as the readers have, for whoever writes
//! to us from another language.

use std::borrow::Cow;

use bus::{
    JsonSchema,
    schemars::{Schema, SchemaGenerator, json_schema},
};

use crate::{
    limits::{
        ADDRESS_BYTES_MAX, AMOUNT_MAX, ATTRIBUTES_MAX, DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX,
        NOTE_CHARS_MAX, PASSWORD_HASH_BYTES_MAX, PICTURE_BYTES_MAX, PICTURES_MAX,
        POSTAL_LINE_CHARS_MAX, QUANTITY_MAX, WEBHOOK_ID_BYTES_MAX,
    },
    money::Currency,
    payments::{CardToken, Receipt, WebhookId},
    quantity::Quantity,
};

/// All of one line, in both of JavaScript's and Python's dialects.
const PLAIN: &str = "[^\\u0000-\\u001f\\u007f-\\u009f]";

/// What people and things are called.
pub fn name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": NAME_CHARS_MAX,
        // Something is left when the space around it is taken away.
        "pattern": format!("^(?=.*\\S){PLAIN}*$"),
    })
}

/// A text of several lines.
pub fn description(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": DESCRIPTION_CHARS_MAX,
        "pattern": format!("^({PLAIN}|[\\n\\r\\t])*$"),
    })
}

/// A remark of one line: it may be empty.
pub fn note(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": NOTE_CHARS_MAX, "pattern": format!("^{PLAIN}*$"),
    })
}

/// Below how many pieces stock is low; 0 is never.
pub fn threshold(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": QUANTITY_MAX })
}

pub(crate) fn amount(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "integer",
        "description": "Minor units: cents for EUR, yen for JPY.",
        "minimum": 0,
        "maximum": AMOUNT_MAX,
    })
}

/// A balance, or a line of one: what can be owed as well as owned.
pub(crate) fn signed_amount(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "integer",
        "description": "Minor units: above zero a debit, below zero a credit.",
        "minimum": i64::MIN,
        "maximum": i64::MAX,
    })
}

pub(crate) fn postal_line(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": POSTAL_LINE_CHARS_MAX,
        "pattern": format!("^(?=.*\\S){PLAIN}*$"),
    })
}

pub(crate) fn country(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[A-Z]{2}$" })
}

/// A mail address, in plain characters.
pub fn address(_: &mut SchemaGenerator) -> Schema {
    const ATOM: &str = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
    const LABEL: &str = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    json_schema!({
        "type": "string",
        "maxLength": ADDRESS_BYTES_MAX,
        "pattern": format!("^(?=[^@]{{1,64}}@){ATOM}(\\.{ATOM})*@{LABEL}(\\.{LABEL})*$"),
    })
}

pub(crate) fn password_hash(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "description": "An argon2id string.",
        "maxLength": PASSWORD_HASH_BYTES_MAX,
        "pattern": "^\\$argon2id\\$[!-~]*$",
    })
}

/// What else there is to say of an item.
pub fn attributes(_: &mut SchemaGenerator) -> Schema {
    let text = "^(?=.*\\S)[^\\u0000-\\u001f\\u007f-\\u009f]*$";
    json_schema!({
        "type": "object",
        "maxProperties": ATTRIBUTES_MAX,
        "propertyNames": { "minLength": 1, "maxLength": NAME_CHARS_MAX, "pattern": text },
        "additionalProperties": {
            "type": "string", "minLength": 1, "maxLength": NAME_CHARS_MAX, "pattern": text,
        },
    })
}

/// Where pictures of an item are.
pub fn pictures(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": PICTURES_MAX,
        "items": {
            "type": "string",
            "maxLength": PICTURE_BYTES_MAX,
            "pattern": "^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!#-&(-;=?-\\[\\]-_a-~]*)?$",
        },
    })
}

/// A number of something that was counted, up to the largest there is.
pub fn count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

/// A running number: what `u32` reads.
pub(crate) fn number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
}

/// A running number, where there may be none.
pub(crate) fn optional_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX })
}

/// An SMTP reply code: what `u16` reads.
pub(crate) fn reply_code(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": u16::MAX })
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": QUANTITY_MAX })
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An ISO 4217 code.",
            "maxLength": 3,
            "pattern": "^[A-Z]{3}$",
        })
    }
}

impl JsonSchema for CardToken {
    fn schema_name() -> Cow<'static, str> {
        "CardToken".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "What stands for a card. Never the number of one.",
            "pattern": "^[A-Za-z0-9_-]{1,128}$",
            "anyOf": [{ "pattern": "[A-Za-z]" }, { "not": { "pattern": "([0-9][_-]*){12}" } }],
        })
    }
}

impl JsonSchema for Receipt {
    fn schema_name() -> Cow<'static, str> {
        "Receipt".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[!-~]{1,128}$" })
    }
}

impl JsonSchema for WebhookId {
    fn schema_name() -> Cow<'static, str> {
        "WebhookId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = format!("^[!-~]{{1,{WEBHOOK_ID_BYTES_MAX}}}$");
        json_schema!({ "type": "string", "pattern": pattern })
    }
}
