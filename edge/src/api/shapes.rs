//! Schemas of what has no type of its own.

use std::borrow::Cow;

use bus::schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// How many rows a page has.
pub(crate) struct Limit;

/// Where a page begins.
pub(crate) struct Cursor;

/// A "no".
pub(crate) struct Problem;

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": bus::limits::PAGE_ROWS_MAX })
    }
}

impl JsonSchema for Cursor {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl JsonSchema for Problem {
    fn schema_name() -> Cow<'static, str> {
        "Problem".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Why something was not done (RFC 9457). Programs read `error`.",
            "required": ["type", "title", "status", "detail", "error"],
            "properties": {
                "type": {
                    "type": "string",
                    "description": "Names the kind of problem, and leads to what is written of it.",
                },
                "title": { "type": "string", "description": "The kind of problem in words." },
                "status": { "type": "integer", "description": "The status of the answer." },
                "detail": { "type": "string", "description": "What was wrong this time." },
                "error": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {
                        "code": { "type": "string", "description": "The kind of problem." },
                        "message": { "type": "string", "description": "What was wrong this time." },
                        "field": {
                            "type": "string",
                            "description": "Which field, header or parameter was wrong, if it was one.",
                        },
                    },
                    "additionalProperties": false,
                },
            },
            "additionalProperties": false,
        })
    }
}
