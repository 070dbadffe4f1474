//! What is spelt reads back, and the wire's page names it.

use super::*;

#[test]
fn subjects_read_back() {
    assert_eq!(parse_event(&Shard::of("order").subject("o-1")), Some(("order", "o-1")));
    assert_eq!(parse_command(&command("order", "o-1", "place")), Ok(("o-1", "place")));
    let direct = node_command("n", "order", "o-1", "place");
    assert_eq!(parse_command(&direct), Ok(("o-1", "place")));
    assert!(is_direct(&direct) && parse_address(&direct).is_none());
    let address = ("order", "o-1", "place");
    assert_eq!(parse_address(&command("order", "o-1", "place")), Some(address));
    assert_eq!(parse_node_key(&node_key("order", "n")), Some(("order", "n")));
}

#[test]
fn patterns_match_as_the_server_does() {
    for (pattern, subject) in [("a.b", "a.b"), ("a.*", "a.b"), ("a.>", "a.b.c"), (">", "a")] {
        assert!(matches(pattern, subject), "{pattern} {subject}");
    }
    for (pattern, subject) in [("a.>", "a"), ("a.*", "a.b.c"), ("a.b", "a"), ("a", "a.b")] {
        assert!(!matches(pattern, subject), "{pattern} {subject}");
    }
}

#[test]
fn every_delivery_has_a_place_among_the_dead_letters() {
    assert_eq!(kind_and_id(&Shard::of("order").subject("o-1")), ("order", "o-1"));
    assert_eq!(kind_and_id(&tell("order", "o-1", "place")), ("order", "o-1"));
    assert_eq!(kind_and_id(&due("order", "o-1", "cancel")), ("order", "o-1"));
    assert_eq!(kind_and_id("evt.order.0.o*1"), ("order", "-"));
    assert_eq!(kind_and_id("do.order"), ("order", "-"));
    assert_eq!(kind_and_id("else"), ("-", "-"));
    assert_eq!(parse_dead(&dead("mail", "order", "o-1")), Some(("mail", "order", "o-1")));
    assert_eq!(followed_kind(&first_stream("my_order"), None), "my_order");
    assert_eq!(followed_kind(TELL_STREAM, Some(&tells("order"))), "order");
}

#[test]
fn all_commands_to_one_actor_share_a_lane() {
    let lane = |subject: &str| lane(&subject.into()).to_string();
    assert_eq!(lane(&tell("item", "A1", "receive")), lane(&tell("item", "A1", "ship")));
    assert_ne!(lane(&tell("item", "A1", "ship")), lane(&tell("item", "A11", "ship")));
    assert_eq!(lane("evt.item.0.A1"), "evt.item.0.A1");
    assert_eq!(parse_letter(&due("item", "A1", "ship")), Some(("item", "A1", "ship")));
    assert_eq!(parse_letter("do.item.A.1.ship"), None);
}

#[test]
fn services_are_asked_all_by_name_or_one() {
    let asked = |verb, name, id| Some(Asked { verb, name, id });
    assert_eq!(parse_discovery("$SRV.PING"), asked(Verb::Ping, None, None));
    assert_eq!(parse_discovery("$SRV.INFO.item"), asked(Verb::Info, Some("item"), None));
    assert_eq!(parse_discovery("$SRV.STATS.item.7"), asked(Verb::Stats, Some("item"), Some("7")));
    for other in ["$SRV", "$SRV.SCHEMA", "$SRV.PING.a.b.c", "SRV.PING"] {
        assert_eq!(parse_discovery(other), None, "{other}");
    }
}

#[test]
fn an_id_with_a_dot_is_told_so() {
    let error = parse_command("cmd.item.A.1.receive").expect_err("five tokens");
    assert!(error.contains("no dots"), "{error}");
    assert!(parse_command("cmd.item.A*1.receive").is_err());
}

#[test]
fn the_wires_page_names_every_header_and_stream() {
    let page = include_str!("../../../../docs/wire.md");
    let headers = [
        KEY,
        KEY_TIME,
        KEY_UNTIL,
        TIMEOUT_MS,
        CAUSE,
        PRINCIPAL,
        EXPECT_VERSION,
        FORWARDED,
        AFTER,
        STANDS_IN,
        KEY_PREFIX,
        RANK,
        SEQ,
        TRACE,
        CONTENT_TYPE,
        ERROR_CODE,
        ERROR,
        DEAD_SUBJECT,
        DEAD_SEQ,
        DEAD_ERROR,
        DEAD_CUT,
        DEAD_ATTEMPTS,
        DEAD_FIRST,
        DEAD_LAST,
        DEAD_LETTER,
        DEAD_WAS,
        MESSAGE_ID,
    ];
    let streams = [TELL_STREAM, TIMER_STREAM, DEAD_STREAM, NODES_BUCKET];
    for name in headers.into_iter().chain(streams) {
        assert!(page.contains(&format!("`{name}")), "docs/wire.md does not name {name}");
    }
}
