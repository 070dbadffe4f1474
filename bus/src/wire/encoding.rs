//! JSON and MessagePack: the two encodings of bodies, and errors that name the field.

use serde::{Serialize, de::DeserializeOwned};

/// How deeply MessagePack may be nested: a reader's stack is not endless. JSON has its own bound.
const DEPTH_MAX: usize = 64;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`.
    Json,
    /// `application/msgpack`, structs as maps with named fields.
    MessagePack,
}

/// Why a body is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", field.as_ref().map(|field| format!("`{field}`: ")).unwrap_or_default())]
pub struct Malformed {
    /// The path of what was wrong (`lines[1].quantity`), if it can be told.
    pub field: Option<String>,
    /// What was wrong.
    pub message: String,
}

impl Encoding {
    /// The value of the `Content-Type` header.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MessagePack => "application/msgpack",
        }
    }

    /// Which encoding `body` is in: as its content type says, else JSON if it parses as JSON.
    /// An empty body is JSON. `None` for a content type that is neither.
    pub(crate) fn detect(content_type: Option<&str>, body: &[u8]) -> Option<Self> {
        let named = content_type.map(|value| value.split(';').next().unwrap_or("").trim());
        match named {
            Some("application/json") => Some(Self::Json),
            Some("application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack") => {
                Some(Self::MessagePack)
            }
            Some(_) => None,
            None if body.is_empty() => Some(Self::Json),
            None => match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
                Ok(_) => Some(Self::Json),
                // Cut or misspelt JSON should be told so, and not that it is bad MessagePack.
                Err(_) => match body.trim_ascii_start().first() {
                    None | Some(b'{' | b'[' | b'"') => Some(Self::Json),
                    Some(_) => Some(Self::MessagePack),
                },
            },
        }
    }

    /// Which encoding `body` probably is in, without reading it: to refuse it at no cost. No
    /// JSON text begins with a byte above 127, and all maps of MessagePack do.
    pub(crate) fn likely(content_type: Option<&str>, body: &[u8]) -> Self {
        let named = content_type.and_then(|_| Self::detect(content_type, body));
        named.unwrap_or(match body.first() {
            Some(128..) => Self::MessagePack,
            _ => Self::Json,
        })
    }

    /// Writes `value`.
    ///
    /// # Errors
    /// If the type cannot be written in this encoding: its `Serialize` is at fault.
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, Malformed> {
        match self {
            Self::Json => serde_json::to_vec(value).map_err(|e| Malformed::new(&e)),
            Self::MessagePack => rmp_serde::to_vec_named(value).map_err(|e| Malformed::new(&e)),
        }
    }

    /// Reads a value; all of `body` must be used. An empty JSON body stands for `{}`.
    ///
    /// # Errors
    /// [`Malformed`] with what was wrong and where.
    pub fn decode<T: DeserializeOwned>(self, body: &[u8]) -> Result<T, Malformed> {
        match self {
            Self::Json => {
                let body = if body.is_empty() { b"{}" } else { body };
                let mut reader = serde_json::Deserializer::from_slice(body);
                let value = with_path(&mut reader)?;
                reader.end().map_err(|e| Malformed::new(&e))?;
                Ok(value)
            }
            Self::MessagePack => {
                let mut rest = body;
                let mut reader = rmp_serde::Deserializer::new(&mut rest);
                reader.set_max_depth(DEPTH_MAX);
                let value = with_path(&mut reader)?;
                if rest.is_empty() {
                    Ok(value)
                } else {
                    Err(Malformed::new(&format!("{} bytes after the end of the value", rest.len())))
                }
            }
        }
    }
}

impl Malformed {
    pub(crate) fn new(error: &impl ToString) -> Self {
        Self { field: None, message: error.to_string() }
    }
}

fn with_path<'de, D, T>(deserializer: D) -> Result<T, Malformed>
where
    D: serde::Deserializer<'de>,
    T: DeserializeOwned,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let field = (path != "." && path != "?").then_some(path);
        Malformed { field, message: error.into_inner().to_string() }
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        quantity: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        lines: Vec<Line>,
    }

    #[test]
    fn both_encodings_read_what_they_write() {
        let order = Order { lines: vec![Line { quantity: 3 }] };
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let body = encoding.encode(&order).expect("plain data");
            assert_eq!(
                encoding.decode::<Order>(&body),
                Ok(Order { lines: vec![Line { quantity: 3 }] })
            );
            assert_eq!(Encoding::detect(None, &body), Some(encoding));
        }
    }

    #[test]
    fn what_was_wrong_is_named() {
        let json = |body: &str| Encoding::Json.decode::<Order>(body.as_bytes()).expect_err(body);
        let huge = json(r#"{"lines":[{"quantity":9223372036854775808}]}"#);
        assert_eq!(huge.field.as_deref(), Some("lines[0].quantity"));
        let unknown = json(r#"{"lines":[],"colour":1}"#);
        assert!(unknown.message.contains("colour"), "{unknown}");
        assert!(json("{\"lines\":[]} x").message.contains("trailing"));
        assert!(json("").message.contains("lines"));
    }

    #[test]
    fn cut_and_overlong_messagepack_is_refused() {
        let mut body = rmp_serde::to_vec_named(&Order { lines: vec![] }).expect("plain data");
        body.push(0);
        assert!(Encoding::MessagePack.decode::<Order>(&body).is_err());
        body.truncate(3);
        assert!(Encoding::MessagePack.decode::<Order>(&body).is_err());
    }

    #[test]
    fn nesting_has_a_bound_in_both() {
        #[derive(Debug, Deserialize)]
        struct Loose {
            #[allow(dead_code)]
            #[serde(default)]
            known: u32,
        }
        let mut packed = vec![0x81, 0xa1, b'x'];
        packed.extend(std::iter::repeat_n(0x91, 100_000));
        assert!(Encoding::MessagePack.decode::<Loose>(&packed).is_err());
        let json = format!("{{\"x\":{}", "[".repeat(100_000));
        assert!(Encoding::Json.decode::<Loose>(json.as_bytes()).is_err());
    }

    #[test]
    fn a_foreign_content_type_is_neither() {
        assert_eq!(Encoding::detect(Some("text/xml"), b"{}"), None);
        assert_eq!(
            Encoding::detect(Some("application/json; charset=utf-8"), b""),
            Some(Encoding::Json)
        );
        assert_eq!(Encoding::detect(None, b"{\"cut"), Some(Encoding::Json));
    }
}
