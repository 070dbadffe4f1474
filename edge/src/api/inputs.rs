//! What a handler's arguments say about its route.

use axum::extract::State;

use super::route::Route;
use crate::Edge;

/// Something a handler takes of a request.
pub(crate) trait Part {
    /// Writes down what it wants of a client, and how it says no.
    fn describe(route: &mut Route);
}

/// The arguments of a handler, as axum lists them.
pub(crate) trait Inputs {
    fn describe(route: &mut Route);
}

/// What reaches the bus may find it full, silent or gone.
impl Part for State<Edge> {
    fn describe(route: &mut Route) {
        route.may_refuse(429, "OVERLOADED");
        route.may_refuse(500, "INTERNAL");
        route.may_refuse(503, "UNAVAILABLE");
        route.may_refuse(504, "EXPIRED");
    }
}

macro_rules! inputs {
    ($($part:ident)*) => {
        impl<Marker, $($part: Part),*> Inputs for (Marker, $($part,)*) {
            #[allow(unused_variables, reason = "a handler may take nothing")]
            fn describe(route: &mut Route) {
                $($part::describe(route);)*
            }
        }
    };
}

inputs!();
inputs!(P1);
inputs!(P1 P2);
inputs!(P1 P2 P3);
inputs!(P1 P2 P3 P4);
inputs!(P1 P2 P3 P4 P5);
inputs!(P1 P2 P3 P4 P5 P6);
inputs!(P1 P2 P3 P4 P5 P6 P7);
inputs!(P1 P2 P3 P4 P5 P6 P7 P8);
inputs!(P1 P2 P3 P4 P5 P6 P7 P8 P9);
