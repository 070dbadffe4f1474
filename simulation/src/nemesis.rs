//! What goes wrong: nodes die, sleep and lose their connection, at seeded moments. Losses of
//! single messages are the world's own faults; this is for what befalls whole processes.

use std::time::Duration;

use bus::World;
use tokio::time::{Instant, sleep};

use crate::{dice::Dice, nodes::Nodes};

/// For how long things go wrong.
pub(crate) const TROUBLE: Duration = Duration::from_secs(25);

/// Troubles the nodes until the time is over. Dead nodes are replaced.
pub(crate) async fn trouble(world: &World, nodes: &mut Nodes, mut dice: Dice) {
    // A quarter of all seeds is spared: quiet runs find what noise hides.
    let is_quiet = dice.chance(250);
    let until = Instant::now() + TROUBLE;
    while Instant::now() < until {
        sleep(Duration::from_millis(400 + dice.below(2_500))).await;
        nodes.replace_the_dead(world).await;
        if is_quiet {
            continue;
        }
        let which = usize::try_from(dice.below(nodes.len() as u64)).unwrap_or(0);
        let name = nodes.name(which);
        match dice.below(4) {
            0 => world.kill(&name),
            1 => world.pause(&name, Duration::from_millis(500 + dice.below(15_000))),
            2 => world.cut(&name, Duration::from_millis(50 + dice.below(3_000))),
            _ => nodes.stop(world, which).await,
        }
    }
    nodes.replace_the_dead(world).await;
}
