//! JSON Schemas of what a kind takes and gives, for whoever does not have its types.

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};

use crate::model::{
    actor::{Actor, Handle, Wire},
    command_set::CommandSet,
    id::{Id, Key},
    time::Timestamp,
};

/// The schemas of a kind's commands, by the command's name.
pub(crate) type Schemas = BTreeMap<&'static str, Schema>;

/// What one endpoint takes and gives: two JSON Schemas, draft 2020-12, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    /// What is sent.
    pub(crate) request: Option<String>,
    /// What a success is answered with.
    pub(crate) reply: Option<String>,
}

/// The commands of actor `A`, if all of them and their replies have a [`JsonSchema`]. It holds
/// by itself for every tuple of such commands: nobody writes it.
#[diagnostic::on_unimplemented(
    message = "not all of `{A}`'s commands and replies have a JSON Schema",
    note = "put `#[derive(JsonSchema)]` on each command and on what it replies with"
)]
pub trait Described<A: Actor>: CommandSet<A> {
    /// The name and the schema of each command.
    #[must_use]
    fn schemas() -> Vec<(&'static str, Schema)>;
}

impl Schema {
    pub(crate) fn of<Request: JsonSchema, Reply: JsonSchema>() -> Self {
        Self { request: Some(taken::<Request>()), reply: Some(given::<Reply>()) }
    }

    pub(crate) fn of_request<Request: JsonSchema>() -> Self {
        Self { request: Some(taken::<Request>()), reply: None }
    }

    pub(crate) fn of_reply<Reply: JsonSchema>() -> Self {
        Self { request: None, reply: Some(given::<Reply>()) }
    }
}

fn taken<T: JsonSchema>() -> String {
    text::<T>(SchemaSettings::draft2020_12().for_deserialize())
}

pub(super) fn given<T: JsonSchema>() -> String {
    text::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn text<T: JsonSchema>(settings: SchemaSettings) -> String {
    SchemaGenerator::new(settings).into_root_schema_for::<T>().as_value().to_string()
}

fn schema<A: Handle<C>, C: Wire + JsonSchema>() -> (&'static str, Schema)
where
    A::Reply: JsonSchema,
{
    (A::NAME, Schema::of::<C, A::Reply>())
}

macro_rules! described {
    ($($command:ident)+) => {
        impl<A, $($command),+> Described<A> for ($($command,)+)
        where
            $($command: Wire + JsonSchema, A: Handle<$command, Reply: JsonSchema>,)+
        {
            fn schemas() -> Vec<(&'static str, Schema)> {
                vec![$(schema::<A, $command>()),+]
            }
        }
    };
}

described!(C1);
described!(C1 C2);
described!(C1 C2 C3);
described!(C1 C2 C3 C4);
described!(C1 C2 C3 C4 C5);
described!(C1 C2 C3 C4 C5 C6);
described!(C1 C2 C3 C4 C5 C6 C7);
described!(C1 C2 C3 C4 C5 C6 C7 C8);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20 C21);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20 C21 C22);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20 C21 C22 C23);
described!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20 C21 C22 C23 C24);

impl<A> JsonSchema for Id<A> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        "callboard::Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "The id of an actor.",
            "pattern": "^[A-Za-z0-9_-]{1,64}$",
        })
    }
}

impl JsonSchema for Key {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An idempotency key.",
            "pattern": "^[!-~]{1,200}$",
        })
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "integer",
            "description": "Milliseconds since 1970-01-01 UTC.",
            "minimum": 0,
            "maximum": u64::MAX,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_address_is_described_as_it_is_checked() {
        let text = Schema::of::<Id<()>, Option<Timestamp>>().request.expect("there is one");
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["pattern"], "^[A-Za-z0-9_-]{1,64}$");
    }
}
