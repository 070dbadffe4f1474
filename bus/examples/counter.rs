//! The smallest whole actor. README.md shows it; a test keeps the two the same.

// README: the counter
use bus::{Actor, Bus, Connect, Context, Handle, Host};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Counter(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Counted {
    #[serde(rename = "added")]
    Added(u64),
}
#[derive(Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("the counter is full")]
struct Full;
#[derive(Serialize, Deserialize)]
struct Add(u64);

impl Actor for Counter {
    const KIND: &'static str = "counter";
    type Event = Counted;
    type Error = Full;
    type Commands = (Add,);
    fn apply(&mut self, Counted::Added(amount): &Counted) {
        self.0 += amount;
    }
}
impl Handle<Add> for Counter {
    const NAME: &'static str = "add";
    type Reply = u64;
    fn handle(&self, Add(amount): Add, ctx: &mut Context<Self>) -> Result<u64, Full> {
        let total = self.0.checked_add(amount).ok_or(Full)?;
        ctx.emit(Counted::Added(amount));
        Ok(total)
    }
}
// README: its node
#[tokio::main]
async fn main() -> Result<(), bus::Error> {
    let bus = Bus::connect(&Connect::to("nats://127.0.0.1:4222")).await?;
    Host::new(bus).actor::<Counter>().run_until(bus::shutdown_signal()).await
}
// README: its test
#[cfg(test)]
mod tests {
    use bus::testing::given;

    use super::{Add, Counted::Added, Counter, Full};

    #[test]
    fn it_counts_until_it_is_full() {
        given::<Counter>([Added(2)]).when(Add(3)).replies(5).then([Added(3)]);
        given::<Counter>([Added(u64::MAX)]).when(Add(1)).refuses(Full);
    }
}
// README: end

#[cfg(test)]
mod readme {
    #[test]
    fn the_readme_shows_this_very_code() {
        let (code, readme) = (include_str!("counter.rs"), include_str!("../../README.md"));
        for part in ["the counter", "its node", "its test"] {
            let (_, rest) = code.split_once(&format!("// README: {part}\n")).expect("marked");
            let (part, _) = rest.split_once("// README:").expect("marked");
            assert!(readme.contains(part), "README.md differs:\n{part}");
        }
    }
}
