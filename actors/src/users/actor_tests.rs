//! A user's rules one by one.

use std::collections::BTreeSet;

use bus::{Actor, Timestamp, testing::given};

use super::{
    ChangePassword, ChangeProfile, CheckSession, CloseReason, CloseSession, CloseSessions,
    Credentials, Disable, EmailId, Enable, Grant, ListSessions, OpenSession, PasswordHash,
    PostalAddress, Profile, RefreshSession, Refreshed, Register, Rehash, Rename, RequestReset,
    RequestVerification, ResetPassword, Revoke, SessionId, SetPostalAddresses, Show,
    ShowCredentials, User, UserError, UserEvent, UserId, UserRole, Verify,
};

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g";

fn register(name: &str) -> Register {
    Register {
        name: name.to_owned(),
        address: "ann@example.org".to_owned(),
        email: EmailId::parse("e-1").expect("an id"),
        password_hash: HASH.to_owned(),
    }
}

fn registered() -> UserEvent {
    let Register { name, address, email, password_hash } = register("Ann");
    let password_hash = PasswordHash::new(password_hash);
    UserEvent::Registered { name, address, email, password_hash }
}

fn ann(roles: impl IntoIterator<Item = UserRole>) -> Profile {
    Profile {
        id: UserId::parse("u-1").expect("an id"),
        name: "Ann".to_owned(),
        address: "ann@example.org".to_owned(),
        roles: roles.into_iter().collect(),
        is_verified: false,
        is_disabled: false,
        addresses: Vec::new(),
    }
}

#[test]
fn who_registers_is_a_customer_with_a_tidy_name() {
    given::<User>([])
        .id("u-1")
        .when(register("  Ann "))
        .replies(ann([UserRole::Customer]))
        .then([registered(), first_link()]);
}

#[test]
fn registering_happens_once() {
    given::<User>([registered()]).when(register("Eve")).refuses(UserError::AlreadyRegistered);
}

#[test]
fn a_name_that_cannot_be_shown_is_refused() {
    for bad in ["", "   ", "Ann\r\nBcc: eve@example.org", &"x".repeat(201)] {
        given::<User>([]).when(register(bad)).refuses(UserError::InvalidName);
    }
}

#[test]
fn a_password_is_not_taken_for_a_hash_nor_a_text_for_an_address() {
    let password = Register { password_hash: "correct horse".to_owned(), ..register("Ann") };
    given::<User>([]).when(password).is_malformed("argon2id");
    for bad in ["ann", "@example.org", "ann@", "a@b@c", "ann@exam ple.org", "ann@x\r\nTo: e@x"] {
        let command = Register { address: bad.to_owned(), ..register("Ann") };
        given::<User>([]).when(command).is_malformed("name@domain");
    }
}

#[test]
fn roles_are_granted_and_revoked_once() {
    use UserRole::{Admin, Customer};
    let granted = UserEvent::RoleGranted { role: Admin };
    let revoked = UserEvent::RoleRevoked { role: Admin };
    given::<User>([registered()])
        .id("u-1")
        .when(Grant { role: Admin })
        .replies(ann([Customer, Admin]))
        .then([granted.clone()]);
    given::<User>([registered(), granted.clone()]).when(Grant { role: Admin }).then([]);
    given::<User>([registered(), granted.clone()])
        .id("u-1")
        .when(Revoke { role: Admin })
        .replies(ann([Customer]))
        .then([revoked.clone()]);
    given::<User>([registered(), granted, revoked]).when(Revoke { role: Admin }).then([]);
}

#[test]
fn a_user_shows_who_it_is() {
    let past = [registered(), UserEvent::RoleGranted { role: UserRole::Staff }];
    let roles = BTreeSet::from([UserRole::Customer, UserRole::Staff]);
    given::<User>(past.clone()).id("u-1").when(Show {}).replies(ann(roles.clone())).then([]);
    let credentials = Credentials { password_hash: HASH.to_owned(), roles, is_disabled: false };
    given::<User>(past).when(ShowCredentials {}).replies(credentials).then([]);
}

#[test]
fn nobody_knows_who_never_registered() {
    given::<User>([]).when(Show {}).refuses(UserError::UnknownUser);
    given::<User>([]).when(ShowCredentials {}).refuses(UserError::UnknownUser);
    given::<User>([]).when(Grant { role: UserRole::Admin }).refuses(UserError::UnknownUser);
    given::<User>([]).when(Revoke { role: UserRole::Admin }).refuses(UserError::UnknownUser);
}

#[test]
fn debug_shows_neither_hash_nor_address() {
    let mut user = User::default();
    user.apply(&registered());
    let credentials = Credentials {
        password_hash: HASH.to_owned(),
        roles: BTreeSet::default(),
        is_disabled: false,
    };
    let texts = [
        format!("{user:?}"),
        format!("{:?}", registered()),
        format!("{:?}", register("Ann")),
        format!("{credentials:?}"),
        format!("{:?}", ann([])),
        format!("{:?}", PasswordHash::new(HASH.to_owned())),
    ];
    for text in texts {
        assert!(!text.contains("argon2id") && !text.contains("ann@"), "{text}");
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn first_link() -> UserEvent {
    UserEvent::VerificationDue { number: 1, at: given_now() }
}

/// The time `given` plays at, unless told otherwise.
fn given_now() -> Timestamp {
    Timestamp::from_millis(0)
}

fn session(name: &str) -> SessionId {
    SessionId::parse(name).expect("an id")
}

fn opened(name: &str, seconds: u64) -> UserEvent {
    UserEvent::SessionOpened { session: session(name), client: "curl".to_owned(), at: at(seconds) }
}

fn closed(name: &str, reason: CloseReason) -> UserEvent {
    UserEvent::SessionClosed { session: session(name), reason }
}

fn other_hash() -> String {
    HASH.replace("aGFzaGhhc2g", "b3RoZXJoYXNo")
}

#[test]
fn a_link_verifies_an_address_once_and_for_a_time() {
    let due = UserEvent::VerificationDue { number: 1, at: at(0) };
    let past = [registered(), due];
    let week = 7 * 24 * 3_600;
    given::<User>(past.clone()).at(at(5)).when(Verify { number: 1 }).then([UserEvent::Verified {}]);
    given::<User>(past.clone())
        .at(at(5))
        .when(Verify { number: 2 })
        .refuses(UserError::LinkExpired);
    let late = given::<User>(past.clone()).at(at(week)).when(Verify { number: 1 });
    late.refuses(UserError::LinkExpired);
    let again = UserEvent::VerificationDue { number: 2, at: at(60) };
    given::<User>(past.clone()).at(at(60)).when(RequestVerification {}).then([again]);
    given::<User>(past.clone()).at(at(59)).when(RequestVerification {}).then([]);
    let verified = [past.to_vec(), vec![UserEvent::Verified {}]].concat();
    given::<User>(verified.clone()).at(at(99)).when(RequestVerification {}).then([]);
    given::<User>(verified).at(at(99)).when(Verify { number: 1 }).replies(()).then([]);
}

#[test]
fn a_reset_password_closes_every_session_and_uses_the_link_up() {
    let due = UserEvent::ResetDue { number: 1, at: at(0) };
    let past = vec![registered(), opened("s-1", 0), due];
    let reset = |number| ResetPassword { number, password_hash: other_hash() };
    let changed = UserEvent::PasswordChanged {
        password_hash: PasswordHash::new(other_hash()),
        by_link: true,
    };
    let done = [changed, UserEvent::Verified {}, closed("s-1", CloseReason::PasswordChanged)];
    given::<User>(past.clone()).at(at(10)).when(reset(1)).then(done.clone());
    given::<User>(past.clone()).at(at(10)).when(reset(0)).refuses(UserError::LinkExpired);
    given::<User>(past.clone()).at(at(3_600)).when(reset(1)).refuses(UserError::LinkExpired);
    let after = [past, done.to_vec()].concat();
    given::<User>(after).at(at(11)).when(reset(1)).refuses(UserError::LinkExpired);
}

#[test]
fn who_changes_the_password_stays_logged_in_only_here() {
    let past = [registered(), opened("s-1", 0), opened("s-2", 1)];
    let change = |old: &str| ChangePassword {
        old_hash: old.to_owned(),
        password_hash: other_hash(),
        keep: Some(session("s-2")),
    };
    let changed = UserEvent::PasswordChanged {
        password_hash: PasswordHash::new(other_hash()),
        by_link: false,
    };
    given::<User>(past.clone())
        .at(at(2))
        .when(change(HASH))
        .then([changed, closed("s-1", CloseReason::PasswordChanged)]);
    given::<User>(past).at(at(2)).when(change(&other_hash())).refuses(UserError::PasswordChanged);
}

#[test]
fn a_hash_is_renewed_only_over_the_one_it_was_made_from() {
    let rehash = |old: &str| Rehash { old_hash: old.to_owned(), password_hash: other_hash() };
    let renewed = UserEvent::PasswordRehashed { password_hash: PasswordHash::new(other_hash()) };
    given::<User>([registered()]).when(rehash(HASH)).then([renewed]);
    given::<User>([registered()]).when(rehash(&other_hash())).then([]);
}

#[test]
fn who_is_disabled_is_out_at_once_and_cannot_come_in() {
    let past = [registered(), opened("s-1", 0)];
    let out = [UserEvent::Disabled {}, closed("s-1", CloseReason::Disabled)];
    given::<User>(past.clone()).at(at(1)).when(Disable {}).then(out.clone());
    let after = [past.to_vec(), out.to_vec()].concat();
    let open = OpenSession { session: session("s-2"), client: String::new() };
    given::<User>(after.clone()).at(at(2)).when(open).refuses(UserError::Disabled);
    let check = CheckSession { session: session("s-1") };
    given::<User>(after.clone()).at(at(2)).when(check).replies(None).then([]);
    given::<User>(after.clone()).at(at(2)).when(RequestReset {}).refuses(UserError::Disabled);
    given::<User>(after).at(at(2)).when(Enable {}).then([UserEvent::Enabled {}]);
}

#[test]
fn a_session_goes_on_by_numbers_and_reuse_closes_it() {
    let customer = || BTreeSet::from([UserRole::Customer]);
    let refresh = |generation| RefreshSession { session: session("s-1"), generation };
    let refreshed = |generation, seconds| UserEvent::SessionRefreshed {
        session: session("s-1"),
        generation,
        at: at(seconds),
    };
    let past = [registered(), opened("s-1", 0)];
    given::<User>(past.clone())
        .at(at(5))
        .when(refresh(0))
        .replies((Refreshed::Next { generation: 1 }, customer()))
        .then([refreshed(1, 5)]);
    let gone_on = [past.to_vec(), vec![refreshed(1, 5)]].concat();
    // Its answer was lost: the same successor.
    given::<User>(gone_on.clone())
        .at(at(14))
        .when(refresh(0))
        .replies((Refreshed::Next { generation: 1 }, customer()))
        .then([]);
    given::<User>(gone_on)
        .at(at(16))
        .when(refresh(0))
        .replies((Refreshed::Reused, customer()))
        .then([closed("s-1", CloseReason::Reused)]);
    given::<User>(past)
        .at(at(31 * 24 * 3_600))
        .when(refresh(0))
        .replies((Refreshed::Closed, customer()));
}

#[test]
fn sessions_are_listed_checked_and_closed() {
    let past = [registered(), opened("s-1", 0), opened("s-2", 1)];
    let check = |name| CheckSession { session: session(name) };
    let roles = Some(BTreeSet::from([UserRole::Customer]));
    given::<User>(past.clone()).at(at(2)).when(check("s-1")).replies(roles).then([]);
    given::<User>(past.clone()).at(at(2)).when(check("s-3")).replies(None).then([]);
    let close = CloseSession { session: session("s-1") };
    let gone = closed("s-1", CloseReason::LoggedOut);
    given::<User>(past.clone()).at(at(2)).when(close).then([gone.clone()]);
    given::<User>(past.clone())
        .at(at(2))
        .when(CloseSessions {})
        .replies(2)
        .then([gone.clone(), closed("s-2", CloseReason::LoggedOut)]);
    let left = [past.to_vec(), vec![gone]].concat();
    given::<User>(left.clone()).at(at(2)).when(check("s-1")).replies(None).then([]);
    let mut user = User::default();
    left.iter().for_each(|event| user.apply(event));
    given::<User>(left).at(at(2)).when(ListSessions {}).then([]);
}

#[test]
fn a_profile_changes_only_when_it_is_news() {
    let renamed = UserEvent::Renamed { name: "Anna".to_owned() };
    let rename = || Rename { name: "Anna".to_owned() };
    given::<User>([registered()]).when(rename()).then([renamed.clone()]);
    given::<User>([registered(), renamed]).when(rename()).then([]);
    let addresses: Vec<PostalAddress> = Vec::new();
    given::<User>([registered()])
        .when(SetPostalAddresses { addresses: addresses.clone() })
        .then([]);
    let renamed = UserEvent::Renamed { name: "Anna".to_owned() };
    let change = |name: &str| ChangeProfile {
        name: Some(name.to_owned()),
        addresses: Some(addresses.clone()),
    };
    given::<User>([registered()]).when(change("Anna")).then([renamed.clone()]);
    given::<User>([registered(), renamed]).when(change("Anna")).then([]);
}
