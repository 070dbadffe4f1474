//! Passivation: who has a past worth a snapshot leaves one behind.

use super::*;
use crate::node::snapshot::tests::{
    Ledger, absent, carry_out, command, fresh, home, pay_in, show, stored,
};

/// An idle actor with `commits` commits, put on its shelf.
async fn idle(kind: &Kind<Ledger<1>>, commits: u64) -> Id<Ledger<1>> {
    let (id, mut presence) = (fresh::<1>(), absent());
    pay_in(kind.any_home(), &id, &mut presence, commits).await;
    kind.desks.seat(id.as_str(), presence);
    id
}

#[tokio::test]
async fn an_actor_with_a_past_leaves_a_snapshot_when_it_is_passivated() {
    let (_server, home) = home().await;
    let tasks = TaskTracker::new();
    let kind = Kind::<Ledger<1>>::new(vec![home.clone()], tasks.clone(), Arc::default());
    let small = idle(&kind, 5).await;
    let mut large = Vec::new();
    for _ in 0..SNAPSHOTS_WRITTEN_MAX + 2 {
        large.push(idle(&kind, u64::from(crate::limits::SNAPSHOT_AT_REST)).await);
    }
    kind.passivate(Duration::from_secs(3_600)).await;
    assert_eq!(kind.desks.active(), large.len() + 1, "none was idle for so long");
    kind.passivate(Duration::ZERO).await;
    assert_eq!(kind.desks.active(), 0, "also those that waited for their turn");
    tasks.close();
    tasks.wait().await;
    assert_eq!(stored(&home, small.as_str()).await, None, "not worth it");
    for id in large {
        assert!(stored(&home, id.as_str()).await.is_some());
        let mut presence = absent();
        let show_all = command("show", &crate::node::snapshot::tests::Show {});
        carry_out(&home, &id, &mut presence, &show_all).await;
        assert!(!presence.wants_snapshot(true), "it was loaded from the snapshot");
        assert!(show(&home, &id, &mut presence).await.last.is_some());
    }
}
