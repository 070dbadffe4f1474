//! The doors of an actor: from a command's name and body on the wire to its typed handler.

use erased_serde::Serialize as ErasedSerialize;
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    model::actor::{Actor, Context, Handle, Wire},
    wire::{
        encoding::{Encoding, Malformed},
        failure::Failure,
    },
};

/// A reply whose type only the door knows.
pub(crate) type AnyReply = Box<dyn ErasedSerialize + Send>;

/// One command of actor `A`, with its types erased.
pub struct Door<A: Actor> {
    pub(crate) name: &'static str,
    /// Decodes the body and lets the actor decide.
    pub(crate) decide: fn(&A, &[u8], Encoding, &mut Context<A>) -> Result<AnyReply, Failure>,
    /// Reads the reply out of a stored commit and writes it in the caller's encoding.
    pub(crate) recorded_reply: fn(&[u8], Encoding) -> Result<Vec<u8>, Malformed>,
}

impl<A: Actor> std::fmt::Debug for Door<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The commands an actor handles: a tuple of up to twenty-four command types.
pub trait CommandSet<A: Actor> {
    /// Their names on the wire.
    const NAMES: &'static [&'static str];

    /// Their doors, in the same order.
    #[must_use]
    fn doors() -> Vec<Door<A>>;
}

fn door<A: Handle<C>, C: Wire>() -> Door<A> {
    Door { name: A::NAME, decide: decide::<A, C>, recorded_reply: recorded_reply::<A::Reply> }
}

fn decide<A: Handle<C>, C: Wire>(
    state: &A,
    body: &[u8],
    encoding: Encoding,
    ctx: &mut Context<A>,
) -> Result<AnyReply, Failure> {
    let command: C = encoding.decode(body).map_err(Failure::malformed)?;
    let reply = state.handle(command, ctx).map_err(|refusal| Failure::refused(&refusal))?;
    Ok(Box::new(reply))
}

fn recorded_reply<R: Wire>(commit: &[u8], encoding: Encoding) -> Result<Vec<u8>, Malformed> {
    #[derive(Deserialize)]
    struct WithReply<R> {
        #[serde(rename = "events")]
        _events: IgnoredAny,
        reply: R,
    }
    let commit: WithReply<R> = Encoding::MessagePack.decode(commit)?;
    encoding.encode(&commit.reply)
}

macro_rules! command_set {
    ($($command:ident)+) => {
        impl<A, $($command),+> CommandSet<A> for ($($command,)+)
        where
            $($command: Wire, A: Handle<$command>,)+
        {
            const NAMES: &'static [&'static str] = &[$(<A as Handle<$command>>::NAME),+];

            fn doors() -> Vec<Door<A>> {
                vec![$(door::<A, $command>()),+]
            }
        }
    };
}

command_set!(C1);
command_set!(C1 C2);
command_set!(C1 C2 C3);
command_set!(C1 C2 C3 C4);
command_set!(C1 C2 C3 C4 C5);
command_set!(C1 C2 C3 C4 C5 C6);
command_set!(C1 C2 C3 C4 C5 C6 C7);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20 C21);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20 C21 C22);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20 C21 C22 C23);
command_set!(C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20 C21 C22 C23 C24);

/// Whether the command named `name` is listed in `names`. Used at build time, so that sending
/// a command nobody listed does not compile.
pub(crate) const fn is_listed(names: &[&str], name: &str) -> bool {
    let mut i = 0;
    while i < names.len() {
        if same(names[i], name) {
            return true;
        }
        i += 1;
    }
    false
}

/// Whether no two of `names` are alike.
pub(crate) const fn all_differ(names: &[&str]) -> bool {
    let mut i = 0;
    while i < names.len() {
        let mut j = i + 1;
        while j < names.len() {
            if same(names[i], names[j]) {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_whole() {
        assert!(is_listed(&["place", "ship"], "ship"));
        assert!(!is_listed(&["place", "ship"], "shi"));
        assert!(all_differ(&["a", "b", "ab"]));
        assert!(!all_differ(&["a", "b", "a"]));
    }
}
