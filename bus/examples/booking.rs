//! Everything an actor can be part of, on one page: docs/writing.md shows this very code.
//!
//! `cargo test -p bus --example booking` runs its tests; they need no server.
#![allow(dead_code, unreachable_pub)]

// PAGE: the actor
use std::time::Duration;

use bus::{Actor, Context, Handle, Id};
use serde::{Deserialize, Serialize};

/// A seat of a theatre: free, held for a guest who is paying, or sold.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub enum Seat {
    #[default]
    Free,
    Held(Id<Guest>),
    Sold(Id<Guest>),
}

/// What can happen to a seat. Stored for ever: every name is explicit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SeatEvent {
    #[serde(rename = "held")]
    Held { guest: Id<Guest> },
    #[serde(rename = "released")]
    Released {},
    #[serde(rename = "sold")]
    Sold { guest: Id<Guest> },
}

/// Why a seat says no: told to who asked, and to nobody else.
#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SeatError {
    #[error("the seat is taken")]
    Taken,
    #[error("the seat is not held for this guest")]
    NotHeld,
}

/// Keep the seat for a guest, for as long as paying takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hold {
    pub guest: Id<Guest>,
}

/// The guest has paid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sell {
    pub guest: Id<Guest>,
}

/// From the seat to itself: the guest took too long.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lapse {}

pub const HOLD_TIME: Duration = Duration::from_secs(600);

impl Actor for Seat {
    const KIND: &'static str = "seat";
    const TIMERS: bool = true;
    type Event = SeatEvent;
    type Error = SeatError;
    type Commands = (Hold, Sell, Lapse);

    fn apply(&mut self, event: &SeatEvent) {
        *self = match event {
            SeatEvent::Held { guest } => Self::Held(guest.clone()),
            SeatEvent::Released {} => Self::Free,
            SeatEvent::Sold { guest } => Self::Sold(guest.clone()),
        };
    }
}

impl Handle<Hold> for Seat {
    const NAME: &'static str = "hold";
    type Reply = ();

    fn handle(&self, Hold { guest }: Hold, ctx: &mut Context<Self>) -> Result<(), SeatError> {
        match self {
            Self::Free => {
                ctx.emit(SeatEvent::Held { guest });
                ctx.after(HOLD_TIME, Lapse {}); // Durable: it fires even if every node is down now.
                Ok(())
            }
            Self::Held(other) if *other == guest => Ok(()), // Asked twice.
            Self::Held(_) | Self::Sold(_) => Err(SeatError::Taken),
        }
    }
}

impl Handle<Sell> for Seat {
    const NAME: &'static str = "sell";
    type Reply = ();

    fn handle(&self, Sell { guest }: Sell, ctx: &mut Context<Self>) -> Result<(), SeatError> {
        match self {
            Self::Held(holder) if *holder == guest => {
                ctx.emit(SeatEvent::Sold { guest });
                ctx.disarm(&Lapse {});
                Ok(())
            }
            Self::Sold(owner) if *owner == guest => Ok(()),
            Self::Free | Self::Held(_) | Self::Sold(_) => Err(SeatError::NotHeld),
        }
    }
}

impl Handle<Lapse> for Seat {
    const NAME: &'static str = "lapse";
    type Reply = ();

    fn handle(&self, _: Lapse, ctx: &mut Context<Self>) -> Result<(), SeatError> {
        if let Self::Held(_) = self {
            ctx.emit(SeatEvent::Released {});
        }
        Ok(())
    }
}
// PAGE: end

/// A guest, who is given tickets.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guest {
    tickets: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum GuestEvent {
    #[serde(rename = "ticketed")]
    Ticketed { seat: String },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TakeTicket {
    pub seat: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code")]
pub enum GuestError {}

impl Actor for Guest {
    const KIND: &'static str = "guest";
    type Event = GuestEvent;
    type Error = GuestError;
    type Commands = (TakeTicket,);

    fn apply(&mut self, GuestEvent::Ticketed { seat }: &GuestEvent) {
        self.tickets.push(seat.clone());
    }
}

impl Handle<TakeTicket> for Guest {
    const NAME: &'static str = "take_ticket";
    type Reply = usize;

    fn handle(
        &self,
        TakeTicket { seat }: TakeTicket,
        ctx: &mut Context<Self>,
    ) -> Result<usize, GuestError> {
        ctx.emit(GuestEvent::Ticketed { seat });
        Ok(self.tickets.len() + 1)
    }
}

// PAGE: the saga
use bus::{Recorded, Then};

/// A sold seat is a ticket of its guest. Pure: it only says what is to be asked.
pub fn tickets(seat: &Recorded<Seat>, then: &mut Then) {
    if let SeatEvent::Sold { guest } = &seat.event {
        then.ask(guest, &TakeTicket { seat: seat.id.to_string() });
    }
}
// PAGE: the effect
use bus::{Bus, Effect, Retry};

/// What prints. A real one calls a machine, and treats a key that it knows as done.
pub trait Printer: Send + Sync + 'static {
    fn print(&self, key: &str, text: &str) -> Result<(), String>;
}

/// Prints a ticket for every seat that is sold.
#[derive(Debug)]
pub struct PrintTicket<P> {
    pub printer: P,
}

impl<P: Printer> Effect<Seat> for PrintTicket<P> {
    const NAME: &'static str = "print-ticket";

    async fn run(&self, seat: &Recorded<Seat>, _: &Bus, _: &mut Then) -> Result<(), Retry> {
        let SeatEvent::Sold { guest } = &seat.event else { return Ok(()) };
        // At least once: the commit's place is the same whenever this runs again.
        let key = seat.commit.position.to_string();
        self.printer.print(&key, &format!("{} for {guest}", seat.id)).map_err(Retry::because)
    }
}
// PAGE: the projection
use bus::{Fold, IndexEntry, Projection};

/// A seat as the house plan shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SeatCard {
    pub seat: String,
    pub guest: Option<String>,
    pub is_sold: bool,
}

impl Projection for SeatCard {
    const NAME: &'static str = "seats";

    fn index(&self) -> Vec<IndexEntry> {
        self.guest.iter().map(|guest| IndexEntry::new("guest", guest)).collect()
    }
}

impl Fold<Seat> for SeatCard {
    fn fold(&mut self, _: &str, seat: &Recorded<Seat>) {
        self.seat = seat.id.to_string();
        (self.guest, self.is_sold) = match &seat.event {
            SeatEvent::Held { guest } => (Some(guest.to_string()), false),
            SeatEvent::Released {} => (None, false),
            SeatEvent::Sold { guest } => (Some(guest.to_string()), true),
        };
    }
}
// PAGE: the node
use bus::Host;

/// All that runs here.
pub fn theatre<P: Printer>(bus: Bus, printer: P) -> Host {
    Host::new(bus)
        .actor::<Seat>()
        .actor::<Guest>()
        .saga("tickets", tickets)
        .effect(PrintTicket { printer })
        .projection::<SeatCard, Seat>()
}
// PAGE: end

struct Paper;

impl Printer for Paper {
    fn print(&self, key: &str, text: &str) -> Result<(), String> {
        println!("{key}: {text}");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), bus::Error> {
    let bus = Bus::connect(&bus::Connect::to("nats://127.0.0.1:4222")).await?;
    theatre(bus, Paper).rows_in("./seats").run_until(bus::shutdown_signal()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(name: &str) -> Id<Guest> {
        Id::parse(name).expect("a token")
    }

    // PAGE: testing the rules
    #[test]
    fn a_seat_is_held_for_one_guest_and_for_a_while() {
        use bus::testing::given;
        let held = || SeatEvent::Held { guest: guest("ann") };

        given::<Seat>([])
            .when(Hold { guest: guest("ann") })
            .then([held()])
            .arms(HOLD_TIME, Lapse {});
        given::<Seat>([held()]).when(Hold { guest: guest("bob") }).refuses(SeatError::Taken);
        given::<Seat>([held()])
            .when(Sell { guest: guest("ann") })
            .then([SeatEvent::Sold { guest: guest("ann") }])
            .disarms(&Lapse {});
        given::<Seat>([held()]).when(Lapse {}).then([SeatEvent::Released {}]);
    }
    // PAGE: testing it all
    #[test]
    fn a_ticket_is_printed_once_and_a_seat_that_is_not_paid_for_is_free_again() {
        use std::sync::{Arc, Mutex};

        #[derive(Clone, Default)]
        struct Tray(Arc<Mutex<Vec<String>>>);

        impl Printer for Tray {
            fn print(&self, _: &str, text: &str) -> Result<(), String> {
                self.0.lock().map_err(|e| e.to_string())?.push(text.to_owned());
                Ok(())
            }
        }

        bus::testing::simulate(async {
            let (bus, tray) = (Bus::in_memory(), Tray::default());
            let host = theatre(bus.clone(), tray.clone()).rows_in_memory();
            let running = host.start().await.expect("starts");
            let (a1, a2) = (Id::<Seat>::parse("A1").unwrap(), Id::<Seat>::parse("A2").unwrap());

            bus.actor(&a1).ask(Hold { guest: guest("ann") }).await.expect("free");
            bus.actor(&a2).ask(Hold { guest: guest("ann") }).await.expect("free");
            bus.actor(&a1).ask(Sell { guest: guest("ann") }).await.expect("held");

            // An hour, in no time: what is due within it happens, in its order.
            tokio::time::sleep(Duration::from_secs(3_600)).await;

            assert_eq!(*tray.0.lock().unwrap(), ["A1 for ann"]);
            let card = bus.rows::<SeatCard>().get("A2").await.expect("rows").expect("a row");
            assert_eq!(card.guest, None, "the hold has lapsed");
            bus.actor(&a2).ask(Hold { guest: guest("bob") }).await.expect("free again");
            running.stop().await;
        });
    }
    // PAGE: end

    #[test]
    fn the_page_shows_this_very_code() {
        let (code, page) = (include_str!("booking.rs"), include_str!("../../docs/writing.md"));
        let mut shown = 0;
        for part in code.split("// PAGE: ").skip(1) {
            let (name, text) = part.split_once('\n').expect("a line");
            if name != "end" && !name.contains('"') {
                let text = text.trim_end();
                assert!(page.contains(text), "docs/writing.md differs: {name}\n{text}");
                shown += 1;
            }
        }
        assert_eq!(shown, 7);
    }
}
