//! Who takes what is sent to which subject, and who waits for which reply.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::state::State;
use crate::{
    asking::transport::{Message, Reply},
    limits::IN_MEMORY_SUBSCRIPTION_MAX,
    wire::subject,
};

#[derive(Debug)]
pub(super) struct Subscribed {
    pub(super) link: u64,
    pub(super) subject: String,
    pub(super) queue: Option<Box<str>>,
    pub(super) wake: Arc<Notify>,
    /// Delivered, and not yet taken by the subscriber.
    pub(super) waiting: VecDeque<Message>,
    /// How many messages the server has sent so far.
    pub(super) sent: u64,
    /// How many the subscriber has taken.
    pub(super) taken: u64,
    /// After how many messages the server ends the subscription.
    pub(super) ends_after: Option<u64>,
    /// When the last message under way arrives: the next must not overtake it.
    arrives: Instant,
}

impl Subscribed {
    pub(super) fn new(link: u64, subject: String, queue: Option<Box<str>>) -> Self {
        Self {
            link,
            subject,
            queue,
            wake: Arc::new(Notify::new()),
            waiting: VecDeque::new(),
            sent: 0,
            taken: 0,
            ends_after: None,
            arrives: Instant::now(),
        }
    }

    /// Whether the server sends it nothing any more.
    pub(super) fn has_ended(&self) -> bool {
        self.ends_after.is_some_and(|end| self.sent >= end)
    }
}

#[derive(Debug)]
struct ReplyBox {
    link: u64,
    answered: oneshot::Sender<Reply>,
}

#[derive(Debug, Default)]
pub(super) struct Switchboard {
    subscriptions: BTreeMap<u64, Subscribed>,
    /// By what their subjects begin with, so that few are looked at for each message.
    shelves: BTreeMap<String, BTreeSet<u64>>,
    reply_boxes: BTreeMap<u64, ReplyBox>,
}

/// The first two tokens of a subject; nothing, if they are not both plain.
fn shelf(subject: &str) -> &str {
    let second = subject.find('.').map(|dot| dot + 1);
    let end = second.and_then(|start| subject[start..].find('.').map(|dot| start + dot));
    let head = &subject[..end.unwrap_or(subject.len())];
    if second.is_none() || head.contains(['*', '>']) { "" } else { head }
}

impl Switchboard {
    pub(super) fn open(&mut self, number: u64, subscribed: Subscribed) {
        self.shelves.entry(shelf(&subscribed.subject).to_owned()).or_default().insert(number);
        self.subscriptions.insert(number, subscribed);
    }

    pub(super) fn close(&mut self, number: u64) {
        if let Some(subscribed) = self.subscriptions.remove(&number)
            && let Some(shelf) = self.shelves.get_mut(shelf(&subscribed.subject))
        {
            shelf.remove(&number);
        }
    }

    pub(super) fn get(&mut self, number: u64) -> Option<&mut Subscribed> {
        self.subscriptions.get_mut(&number)
    }

    pub(super) fn open_reply_box(
        &mut self,
        number: u64,
        link: u64,
        answered: oneshot::Sender<Reply>,
    ) {
        self.reply_boxes.insert(number, ReplyBox { link, answered });
    }

    pub(super) fn close_reply_box(&mut self, number: u64) {
        self.reply_boxes.remove(&number);
    }

    /// What is on its way to the connection is lost.
    pub(super) fn forget_inboxes(&mut self, link: u64) {
        self.reply_boxes.retain(|_, reply_box| reply_box.link != link);
    }

    pub(super) fn forget_link(&mut self, link: u64) {
        self.forget_inboxes(link);
        let gone = self.subscriptions.iter().filter(|(_, subscribed)| subscribed.link == link);
        let gone: Vec<u64> = gone.map(|(number, _)| *number).collect();
        for number in gone {
            self.close(number);
        }
    }

    fn candidates(&self, subject: &str) -> impl Iterator<Item = (u64, &Subscribed)> {
        let shelf = shelf(subject);
        let special = self.shelves.get(shelf).filter(|_| !shelf.is_empty());
        let general = self.shelves.get("");
        special.into_iter().chain(general).flatten().filter_map(move |number| {
            let subscribed = self.subscriptions.get(number)?;
            let takes = !subscribed.has_ended() && subject::matches(&subscribed.subject, subject);
            takes.then_some((*number, subscribed))
        })
    }
}

impl State {
    /// Sends a message to everyone who is to have it, and says whether anyone is.
    pub(super) fn route(&mut self, message: &Message) -> bool {
        if let Some(number) = subject::parse_reply_box(&message.subject)
            && self.switchboard.reply_boxes.contains_key(&number)
        {
            self.send_reply(number, message);
            return true;
        }
        let mut chosen = Vec::new();
        let mut queues: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (number, subscribed) in self.switchboard.candidates(&message.subject) {
            let is_cut = self.links.get(&subscribed.link).is_none_or(|link| {
                let condition = link.condition();
                condition.is_dead || condition.cut_until.is_some()
            });
            match &subscribed.queue {
                _ if is_cut => {}
                None => chosen.push(number),
                Some(queue) => queues.entry(queue).or_default().push(number),
            }
        }
        for members in queues.values() {
            let member = if members.len() == 1 { 0 } else { self.dice.below(members.len() as u64) };
            chosen.push(members[usize::try_from(member).unwrap_or(0)]);
        }
        for &number in &chosen {
            self.send_to(number, message.clone());
        }
        !chosen.is_empty()
    }

    fn send_to(&mut self, number: u64, message: Message) {
        let delay = self.delay();
        let Some(subscribed) = self.switchboard.get(number) else { return };
        subscribed.sent += 1;
        if subscribed.has_ended() {
            subscribed.wake.notify_one();
        }
        let now = Instant::now();
        let arrives = (now + delay).max(subscribed.arrives);
        subscribed.arrives = arrives;
        self.after(arrives - now, move |state| state.arrive(number, message));
    }

    fn arrive(&mut self, number: u64, message: Message) {
        let Some(subscribed) = self.switchboard.get(number) else { return };
        let is_cut = self.links.get(&subscribed.link).is_none_or(|link| {
            let condition = link.condition();
            condition.is_dead || condition.cut_until.is_some()
        });
        if is_cut {
            return;
        }
        if subscribed.waiting.len() >= IN_MEMORY_SUBSCRIPTION_MAX {
            self.count("slow_subscriber");
            return;
        }
        subscribed.waiting.push_back(message);
        subscribed.wake.notify_one();
    }

    fn send_reply(&mut self, number: u64, message: &Message) {
        let chance = self.faults.reply_lost;
        if self.bites("reply_lost", chance) {
            return;
        }
        let reply = Reply { headers: message.headers.clone(), body: message.body.clone() };
        let delay = self.delay();
        self.after(delay, move |state| {
            if let Some(waiting) = state.switchboard.reply_boxes.remove(&number) {
                // Whoever does not wait any more has given up.
                drop(waiting.answered.send(reply));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_shelved_by_what_they_begin_with() {
        assert_eq!(shelf("cmd.order.o-1.place"), "cmd.order");
        assert_eq!(shelf("cmd.order.>"), "cmd.order");
        assert_eq!(shelf("view.orders"), "view.orders");
        for general in ["cmd.*.o-1", "cmd.>", ">", "one"] {
            assert_eq!(shelf(general), "", "{general}");
        }
    }
}
