//! What happens to an order after its checkout: called off, shipped, delivered, returned.

use bus::{Context, Handle};

use super::{
    AcceptReturn, Cancel, CancelReason, Deliver, Order, OrderError, OrderEvent, OrderStatus,
    Purchase, RejectReturn, Return, ReturnStatus, Returned, Ship, fulfilment::price_of,
    purchase::Stage,
};
use crate::{money::Money, payments::Receipt, users::UserId};

impl Purchase {
    /// Refuses who is not the buyer, if it must be the buyer.
    fn check_asker(&self, buyer: Option<&UserId>) -> Result<(), OrderError> {
        match buyer {
            Some(asker) if *asker != self.buyer => Err(OrderError::NotYours),
            Some(_) | None => Ok(()),
        }
    }

    /// What proves that it is paid; refused if it is not, or not any more.
    fn paid(&self) -> Result<(Money, &Receipt), OrderError> {
        match &self.stage {
            Stage::Confirmed { total, receipt } => Ok((*total, receipt)),
            Stage::Reserving
            | Stage::Paying { .. }
            | Stage::Cancelled { .. }
            | Stage::Revoked { .. } => Err(OrderError::NotPaid),
        }
    }

    /// A return that staff have not looked at yet; refused if there is none such.
    fn undecided(&self, number: u32) -> Result<&Returned, OrderError> {
        let returned = self.fulfilment.returned_as(number)?;
        match returned.status {
            ReturnStatus::Requested => Ok(returned),
            ReturnStatus::Accepted { .. } | ReturnStatus::Rejected { .. } => {
                Err(OrderError::AlreadyDecided { number })
            }
        }
    }
}

impl Handle<Cancel> for Order {
    const NAME: &'static str = "cancel";
    type Reply = OrderStatus;

    fn handle(&self, command: Cancel, ctx: &mut Context<Self>) -> Result<OrderStatus, OrderError> {
        let Cancel { buyer: asker } = command;
        let purchase = self.purchase()?;
        purchase.check_asker(asker.as_ref())?;
        match &purchase.stage {
            // Money that is on its way comes too late, and is given back.
            Stage::Reserving | Stage::Paying { .. } => {
                let reason = match asker {
                    Some(_) => CancelReason::CalledOff,
                    None => CancelReason::ByTheShop,
                };
                purchase.cancel(reason, ctx);
                Ok(OrderStatus::Cancelled)
            }
            Stage::Confirmed { total, receipt } if purchase.fulfilment.shipments.is_empty() => {
                let (buyer, total, receipt) = (purchase.buyer.clone(), *total, receipt.clone());
                let skus = purchase.skus();
                ctx.emit(OrderEvent::Revoked { buyer, total, receipt, skus });
                Ok(OrderStatus::Revoked)
            }
            Stage::Confirmed { .. } => Err(OrderError::AlreadyShipped),
            Stage::Cancelled { .. } => Ok(OrderStatus::Cancelled), // Asked twice.
            Stage::Revoked { .. } => Ok(OrderStatus::Revoked),
        }
    }
}

impl Handle<Ship> for Order {
    const NAME: &'static str = "ship";
    type Reply = u32;

    fn handle(&self, command: Ship, ctx: &mut Context<Self>) -> Result<u32, OrderError> {
        let Ship { portions, parcel, warehouse } = command;
        let purchase = self.purchase()?;
        purchase.paid()?;
        let number = purchase.fulfilment.next_shipment(&portions, &purchase.lines)?;
        let buyer = purchase.buyer.clone();
        ctx.emit(OrderEvent::Shipped { number, buyer, portions, parcel, warehouse });
        Ok(number)
    }
}

impl Handle<Deliver> for Order {
    const NAME: &'static str = "deliver";
    type Reply = ();

    fn handle(&self, command: Deliver, ctx: &mut Context<Self>) -> Result<(), OrderError> {
        let Deliver { shipment: number } = command;
        let purchase = self.purchase()?;
        if !purchase.fulfilment.shipment(number)?.is_delivered {
            ctx.emit(OrderEvent::Delivered { number, buyer: purchase.buyer.clone() });
        }
        Ok(())
    }
}

impl Handle<Return> for Order {
    const NAME: &'static str = "return";
    type Reply = u32;

    fn handle(&self, command: Return, ctx: &mut Context<Self>) -> Result<u32, OrderError> {
        let Return { buyer: asker, portions, reason } = command;
        let purchase = self.purchase()?;
        purchase.check_asker(asker.as_ref())?;
        purchase.paid()?;
        let number = purchase.fulfilment.next_return(&portions)?;
        let buyer = purchase.buyer.clone();
        ctx.emit(OrderEvent::ReturnRequested { number, buyer, portions, reason });
        Ok(number)
    }
}

impl Handle<AcceptReturn> for Order {
    const NAME: &'static str = "accept_return";
    type Reply = Money;

    fn handle(&self, command: AcceptReturn, ctx: &mut Context<Self>) -> Result<Money, OrderError> {
        let AcceptReturn { number, sellable } = command;
        let purchase = self.purchase()?;
        let (_, receipt) = purchase.paid()?;
        let portions = purchase.undecided(number)?.portions.clone();
        // It is part of a total that was within bounds.
        let refund = price_of(&portions, &purchase.lines).map_err(|_| OrderError::NotPaid)?;
        let (buyer, receipt) = (purchase.buyer.clone(), receipt.clone());
        ctx.emit(OrderEvent::ReturnAccepted { number, buyer, portions, sellable, refund, receipt });
        Ok(refund)
    }
}

impl Handle<RejectReturn> for Order {
    const NAME: &'static str = "reject_return";
    type Reply = ();

    fn handle(&self, command: RejectReturn, ctx: &mut Context<Self>) -> Result<(), OrderError> {
        let RejectReturn { number, reason } = command;
        let purchase = self.purchase()?;
        purchase.undecided(number)?;
        let buyer = purchase.buyer.clone();
        ctx.emit(OrderEvent::ReturnRejected { number, buyer, reason });
        Ok(())
    }
}
