//! The status of every refusal of every actor the edge asks.
//!
//! The matches are exhaustive, so a new refusal is a compile error until it has a status. Code
//! and words are the actor's own.

use actors::{
    carts::CartError,
    inventory::{ItemError, import::ImportError},
    orders::OrderError,
    payments::PaymentError,
    users::{EmailError, UserError},
};
use axum::http::StatusCode;

use crate::error::ApiError;

impl From<EmailError> for ApiError {
    fn from(refusal: EmailError) -> Self {
        match refusal {
            EmailError::Taken => email_taken(),
            EmailError::NotClaimed => Self::refused(StatusCode::CONFLICT, &refusal),
        }
    }
}

impl From<UserError> for ApiError {
    fn from(refusal: UserError) -> Self {
        match refusal {
            UserError::AlreadyRegistered => email_taken(),
            UserError::UnknownUser => Self::refused(StatusCode::NOT_FOUND, &refusal),
            UserError::LinkExpired => Self::refused(StatusCode::GONE, &refusal),
            UserError::PasswordChanged => Self::refused(StatusCode::CONFLICT, &refusal),
            UserError::Disabled => Self::refused(StatusCode::FORBIDDEN, &refusal),
            UserError::InvalidName => Self::refused(StatusCode::BAD_REQUEST, &refusal).at("name"),
        }
    }
}

fn email_taken() -> ApiError {
    let message = "there is an account with this mail address already";
    ApiError::new(StatusCode::CONFLICT, "EMAIL_TAKEN", message).at("email")
}

impl From<ItemError> for ApiError {
    fn from(refusal: ItemError) -> Self {
        match refusal {
            ItemError::UnknownItem => Self::refused(StatusCode::NOT_FOUND, &refusal),
            ItemError::AlreadyCreated | ItemError::NotHeld | ItemError::TooManyReturns => {
                Self::refused(StatusCode::CONFLICT, &refusal)
            }
            ItemError::TooManyWarehouses => {
                Self::refused(StatusCode::CONFLICT, &refusal).at("warehouse")
            }
            ItemError::TooFewFree { .. } => Self::refused(StatusCode::CONFLICT, &refusal).at("by"),
            ItemError::TooMuchStock
            | ItemError::TooFewHeld { .. }
            | ItemError::NotShipped { .. } => {
                Self::refused(StatusCode::CONFLICT, &refusal).at("quantity")
            }
        }
    }
}

impl From<PaymentError> for ApiError {
    fn from(refusal: PaymentError) -> Self {
        match refusal {
            PaymentError::NotRequested
            | PaymentError::AlreadyRequested
            | PaymentError::AlreadySettled
            | PaymentError::NotCaptured
            | PaymentError::RefundNotDue
            | PaymentError::RefundTooLarge { .. }
            | PaymentError::RefundRepeated { .. }
            | PaymentError::TooManyRefunds => Self::refused(StatusCode::CONFLICT, &refusal),
            PaymentError::OtherCharge => Self::refused(StatusCode::CONFLICT, &refusal).at("charge"),
            PaymentError::OtherAmount => Self::refused(StatusCode::CONFLICT, &refusal).at("amount"),
            PaymentError::OtherCurrency => {
                Self::refused(StatusCode::CONFLICT, &refusal).at("currency")
            }
        }
    }
}

impl From<CartError> for ApiError {
    fn from(refusal: CartError) -> Self {
        match refusal {
            CartError::CartFull
            | CartError::OtherCurrency
            | CartError::TotalTooLarge
            | CartError::CartEmpty => Self::refused(StatusCode::CONFLICT, &refusal),
        }
    }
}

impl From<ImportError> for ApiError {
    fn from(refusal: ImportError) -> Self {
        match refusal {
            ImportError::UnknownImport => Self::refused(StatusCode::NOT_FOUND, &refusal),
            // Named by its key, so the key was used before.
            ImportError::OtherList => {
                let message = "this Idempotency-Key was used before, with another list";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "KEY_REUSED", message)
            }
            ImportError::TooLong => Self::refused(StatusCode::PAYLOAD_TOO_LARGE, &refusal),
            ImportError::NoSuchChunk => Self::refused(StatusCode::CONFLICT, &refusal),
        }
    }
}

impl From<OrderError> for ApiError {
    fn from(refusal: OrderError) -> Self {
        match refusal {
            OrderError::Empty | OrderError::TooManyLines | OrderError::LineRepeated { .. } => {
                Self::refused(StatusCode::BAD_REQUEST, &refusal).at("lines")
            }
            OrderError::AlreadyPlaced
            | OrderError::NoSuchLine { .. }
            | OrderError::NotDue
            | OrderError::NotPaid
            | OrderError::AlreadyShipped
            | OrderError::AlreadyDecided { .. }
            | OrderError::TooManySteps => Self::refused(StatusCode::CONFLICT, &refusal),
            OrderError::TooMany { .. } => {
                Self::refused(StatusCode::CONFLICT, &refusal).at("portions")
            }
            // Somebody else's order is as if it were not there.
            OrderError::Unplaced | OrderError::NotYours => {
                Self::refused(StatusCode::NOT_FOUND, &OrderError::Unplaced)
            }
            OrderError::NoSuchShipment { .. } | OrderError::NoSuchReturn { .. } => {
                Self::refused(StatusCode::NOT_FOUND, &refusal)
            }
        }
    }
}
