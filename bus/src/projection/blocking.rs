//! Calls to a store that may block: on threads of their own, and not for ever.

use std::{
    fmt::Display,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::{spawn_blocking, yield_now},
    time::timeout,
};

use super::store::Broken;

/// In how many parts a blocking call is waited for.
const WAIT_PARTS: u32 = 10;

/// Runs what may block: on a thread of its own where it does, else here and now.
///
/// A call that takes longer than anything healthy could is given up; its thread is left behind.
pub(crate) async fn run_blocking<T: Send + 'static>(
    blocks: bool,
    deadline: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Broken> {
    if blocks { wait(deadline, spawn_blocking(|| guarded(call))).await } else { guarded(call) }
}

/// Short calls that are wanted at the same moment share a thread: waking one costs more than
/// each of them.
#[derive(Default)]
pub(crate) struct Together {
    wanted: Arc<Mutex<Vec<Call>>>,
}

type Call = Box<dyn FnOnce() + Send>;

impl Together {
    /// As [`run_blocking`], for what takes microseconds.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        blocks: bool,
        deadline: Duration,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Broken> {
        if !blocks {
            return guarded(call);
        }
        let (tell, told) = oneshot::channel();
        // Who waited may have gone.
        self.want(Box::new(move || drop(tell.send(guarded(call)))));
        wait(deadline, told).await
    }

    fn want(&self, call: Call) {
        let is_first = {
            let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.push(call);
            wanted.len() == 1
        };
        if is_first {
            let wanted = self.wanted.clone();
            tokio::spawn(async move {
                // Everybody who is ready may add theirs.
                yield_now().await;
                let calls = mem::take(&mut *wanted.lock().unwrap_or_else(PoisonError::into_inner));
                spawn_blocking(|| calls.into_iter().for_each(|call| call()));
            });
        }
    }
}

impl std::fmt::Debug for Together {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Together").finish_non_exhaustive()
    }
}

fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|_| Broken("a fold or the row store panicked".to_owned()))
}

/// Waits in parts, so that a process that was paused meanwhile is not taken for a store that
/// hangs.
async fn wait<T, E: Display>(
    deadline: Duration,
    mut running: impl Future<Output = Result<Result<T, Broken>, E>> + Unpin,
) -> Result<T, Broken> {
    for _ in 0..WAIT_PARTS {
        match timeout(deadline / WAIT_PARTS, &mut running).await {
            Ok(Ok(done)) => return done,
            Ok(Err(error)) => return Err(Broken(error.to_string())),
            Err(_) => {}
        }
    }
    Err(Broken(format!("the row store did not answer within {deadline:?}")))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn what_is_wanted_at_once_shares_a_thread_and_a_panic_harms_nobody_else() {
        let together = Together::default();
        let whose = || together.run(true, LONG, || thread::current().id());
        let broken = together.run(true, LONG, || -> () { panic!("on purpose") });
        let (first, broken, second) = tokio::join!(whose(), broken, whose());
        assert_eq!(first.expect("ran"), second.expect("ran"));
        assert!(broken.is_err());
        assert_ne!(whose().await.expect("ran"), thread::current().id());
    }

    #[tokio::test]
    async fn who_hangs_is_given_up_and_holds_up_nobody_who_comes_later() {
        let together = Together::default();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let hanging = together.run(true, Duration::from_millis(50), move || held.recv());
        let given_up = hanging.await.expect_err("it hangs");
        assert!(given_up.0.contains("did not answer"), "{given_up}");
        together.run(true, LONG, || ()).await.expect("ran");
        drop(release);
    }
}
