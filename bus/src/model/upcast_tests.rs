//! Commits of every age, read by the code of today.

use serde::{Deserialize, Serialize};

use super::*;
use crate::model::{actor::Handle, commit::Stored, time::Timestamp};

#[derive(Default, Serialize, Deserialize)]
struct Scale(u64);

/// Shape 1 had `weighed {kg}`, `tared {}` and `off`; shape 2 called the weight `grams`; shape 3
/// calls the event `measured` and says by whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Scaled {
    #[serde(rename = "measured")]
    Measured { grams: u64, by: Option<String> },
    #[serde(rename = "tared")]
    Tared {},
    #[serde(rename = "switched_off")]
    SwitchedOff,
    #[serde(rename = "set")]
    Set(i64),
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("no")]
struct No;

#[derive(Serialize, Deserialize)]
struct Look {}

impl Actor for Scale {
    const KIND: &'static str = "scale";
    const SHAPE: u32 = 3;
    type Event = Scaled;
    type Error = No;
    type Commands = (Look,);

    fn apply(&mut self, event: &Scaled) {
        if let Scaled::Measured { grams, .. } = event {
            self.0 += grams;
        }
    }

    fn upcast(from: u32, event: &mut OldEvent) -> Result<(), NoUpcaster> {
        match (from, event.name()) {
            (1, "weighed") => event.rename_field("kg", "grams"),
            (1, "off") => event.rename("switched_off"),
            (2, "weighed") => {
                event.rename("measured");
                event.default_field("by", "nobody");
            }
            (1 | 2, _) => {}
            _ => return Err(NoUpcaster { from }),
        }
        Ok(())
    }
}

impl Handle<Look> for Scale {
    const NAME: &'static str = "look";
    type Reply = u64;

    fn handle(&self, _: Look, _: &mut crate::Context<Self>) -> Result<u64, No> {
        Ok(self.0)
    }
}

fn stored<E: Serialize>(shape: u32, events: Vec<E>) -> Vec<u8> {
    let commit = Stored {
        shape,
        commit: "c".into(),
        at: Timestamp::from_millis(1),
        command: "weigh".into(),
        key: "k".into(),
        digest: "d".into(),
        cause: None,
        principal: None,
        trace: None,
        events,
        timers: Vec::new(),
        reply: (),
    };
    Encoding::MessagePack.encode(&commit).expect("plain data")
}

#[derive(Serialize)]
enum First {
    #[serde(rename = "weighed")]
    Weighed { kg: u64 },
    #[serde(rename = "tared")]
    Tared {},
    #[serde(rename = "off")]
    Off,
    #[serde(rename = "set")]
    Set(i64),
}

#[test]
fn an_old_shape_is_brought_up_step_by_step_and_nothing_is_lost() {
    let first =
        vec![First::Weighed { kg: u64::MAX }, First::Tared {}, First::Off, First::Set(i64::MIN)];
    let read = events_of::<Scale>(&stored(1, first)).expect("there are upcasters");
    let by = Some("nobody".to_owned());
    let expected = [
        Scaled::Measured { grams: u64::MAX, by },
        Scaled::Tared {},
        Scaled::SwitchedOff,
        Scaled::Set(i64::MIN),
    ];
    assert_eq!(read.events, expected);
    let second = vec![serde_json::json!({"weighed": {"grams": 7, "by": "Ann"}})];
    let read = events_of::<Scale>(&stored(2, second)).expect("there is an upcaster");
    assert_eq!(read.events, [Scaled::Measured { grams: 7, by: Some("Ann".to_owned()) }]);
}

#[test]
fn the_present_shape_is_decoded_as_it_is() {
    let events = vec![Scaled::Measured { grams: 3, by: None }, Scaled::SwitchedOff];
    let read = events_of::<Scale>(&stored(3, events.clone())).expect("as written");
    assert_eq!(read.events, events);
}

#[test]
fn a_newer_shape_is_not_guessed_at() {
    // It would decode.
    let bytes = stored(4, vec![Scaled::Tared {}]);
    let error = events_of::<Scale>(&bytes).expect_err("newer");
    assert_eq!(error, Unreadable::Newer { stored: 4, known: 3 });
}

#[test]
fn what_has_no_upcaster_is_named() {
    let unknown = events_of::<Scale>(&stored(0, vec![First::Off])).expect_err("never stored");
    assert_eq!(unknown, Unreadable::Malformed("there is no upcaster from shape 0".to_owned()));
    let foreign = events_of::<Scale>(&stored(2, vec![First::Off])).expect_err("not of shape 2");
    assert!(foreign.to_string().contains("`off`, brought up from shape 2"), "{foreign}");
}

#[test]
fn only_a_shape_in_its_place_counts() {
    assert_eq!(shape_of(&stored(1, vec![First::Off])), FIRST_SHAPE);
    assert_eq!(shape_of(&stored(70_000, vec![First::Off])), 70_000);
    assert_eq!(shape_of(b""), FIRST_SHAPE);
    assert_eq!(shape_of(b"\x81\xa5shape"), FIRST_SHAPE);
    #[derive(Serialize)]
    struct Late<'a> {
        commit: &'a str,
        shape: u32,
        at: u64,
        command: &'a str,
        key: &'a str,
        digest: &'a str,
        events: [Scaled; 0],
        reply: (),
    }
    let late = Late {
        commit: "c",
        shape: 4,
        at: 1,
        command: "",
        key: "",
        digest: "",
        events: [],
        reply: (),
    };
    let bytes = Encoding::MessagePack.encode(&late).expect("plain data");
    // As if of the first shape; that it says otherwise later on must not be overlooked.
    assert!(events_of::<Scale>(&bytes).is_err());
}
