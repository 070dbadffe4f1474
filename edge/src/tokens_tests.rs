//! Tokens that must not be accepted: one good token, changed in one thing at a time.

use jsonwebtoken::EncodingKey;
use p256::{
    SecretKey,
    pkcs8::{DecodePrivateKey, EncodePublicKey, LineEnding},
};
use serde_json::{Value, json};

use super::*;

fn tokens(folder: &Path) -> Tokens {
    Tokens::open(folder, "https://shop.example", "shop").expect("a key")
}

fn good_claims() -> Value {
    let now = Timestamp::now().as_millis() / 1_000;
    json!({
        "iss": "https://shop.example", "aud": "shop", "sub": "u-1",
        "iat": now, "nbf": now, "exp": now + 600, "roles": ["customer"],
    })
}

fn header(typ: &str) -> Header {
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some(typ.to_owned());
    header
}

fn signed(by: &Tokens, claims: &Value) -> String {
    jsonwebtoken::encode(&header(TYPE), claims, &by.keys().signer(0).private).expect("a token")
}

fn session() -> SessionId {
    SessionId::parse("s-1").expect("an id")
}

#[test]
fn a_token_of_ours_is_accepted() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let user = UserId::parse("u-1").expect("an id");
    let token =
        tokens(folder.path()).issue(&user, &session(), &[UserRole::Customer]).expect("a token");
    // Opened again, it is the same key: a restart logs nobody out.
    let bearer = tokens(folder.path()).check(&token).expect("accepted");
    assert_eq!((bearer.user, bearer.roles), (user, vec![UserRole::Customer]));
    assert!(tokens(folder.path()).check(&signed(&tokens(folder.path()), &good_claims())).is_ok());
}

#[test]
fn a_claim_that_is_missing_or_wrong_is_refused() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let tokens = tokens(folder.path());
    let now = Timestamp::now().as_millis() / 1_000;
    for claim in ["iss", "aud", "sub", "exp", "nbf", "roles"] {
        let mut claims = good_claims();
        claims.as_object_mut().expect("a map").remove(claim);
        assert_eq!(tokens.check(&signed(&tokens, &claims)), Err(Rejected::Invalid), "no {claim}");
    }
    for (claim, value, expected) in [
        ("exp", json!(now - 31), Rejected::Expired),
        ("exp", json!("tomorrow"), Rejected::Invalid),
        ("exp", json!((now + 600).to_string()), Rejected::Invalid),
        ("nbf", json!(now + 60), Rejected::Invalid),
        ("iss", json!("https://elsewhere.example"), Rejected::Invalid),
        ("aud", json!("elsewhere"), Rejected::Invalid),
        ("aud", json!(["elsewhere"]), Rejected::Invalid),
        ("sub", json!("a.b"), Rejected::Invalid),
        ("sub", json!(7), Rejected::Invalid),
        ("roles", json!(["emperor"]), Rejected::Invalid),
    ] {
        let mut claims = good_claims();
        claims[claim] = value.clone();
        let checked = tokens.check(&signed(&tokens, &claims));
        assert_eq!(checked, Err(expected), "{claim} = {value}");
    }
}

#[test]
fn another_type_of_token_is_refused() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let tokens = tokens(folder.path());
    for typ in ["JWT", "logout+jwt", ""] {
        let token =
            jsonwebtoken::encode(&header(typ), &good_claims(), &tokens.keys().signer(0).private);
        assert_eq!(tokens.check(&token.expect("a token")), Err(Rejected::Invalid), "{typ}");
    }
}

#[test]
fn another_key_or_algorithm_is_refused() {
    let (ours, theirs) = (tempfile::tempdir(), tempfile::tempdir());
    let (ours, theirs) = (ours.expect("a temp folder"), theirs.expect("a temp folder"));
    let tokens = tokens(ours.path());
    let foreign = signed(&self::tokens(theirs.path()), &good_claims());
    assert_eq!(tokens.check(&foreign), Err(Rejected::Invalid), "another key");

    let pem = std::fs::read_to_string(ours.path().join("jwt-es256.pem")).expect("the key");
    let public = SecretKey::from_pkcs8_pem(&pem).expect("a key").public_key();
    let public = public.to_public_key_pem(LineEnding::LF).expect("a key");
    let mut hs256 = header(TYPE);
    hs256.alg = Algorithm::HS256;
    let secret = EncodingKey::from_secret(public.as_bytes());
    let token = jsonwebtoken::encode(&hs256, &good_claims(), &secret).expect("a token");
    assert_eq!(tokens.check(&token), Err(Rejected::Invalid), "HS256 with the public key");
}

#[test]
fn a_token_that_was_tampered_with_is_refused() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let tokens = tokens(folder.path());
    let good = signed(&tokens, &good_claims());
    let (head, rest) = good.split_once('.').expect("three parts");
    let (claims, signature) = rest.split_once('.').expect("three parts");
    // {"typ":"at+jwt","alg":"none"}
    let unsigned = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJub25lIn0";
    let mut grander = good_claims();
    grander["roles"] = json!(["admin"]);
    let grander = signed(&self::tokens(folder.path()), &grander);
    let grander_claims = grander.split('.').nth(1).expect("three parts");
    for bad in [
        String::new(),
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        format!("{head}.{claims}."),
        format!("{head}.{claims}"),
        format!("{head}.{grander_claims}.{signature}"),
        format!("{unsigned}.{claims}."),
        format!("{unsigned}.{claims}.{signature}"),
        good.repeat(2),
    ] {
        assert_eq!(tokens.check(&bad), Err(Rejected::Invalid), "{bad}");
    }
}

#[test]
fn what_was_found_good_is_so_only_while_it_is_in_force_and_only_as_it_was() {
    let folder = tempfile::tempdir().expect("a temp folder");
    let tokens = tokens(folder.path());
    let token = signed(&tokens, &good_claims());
    let bearer = tokens.check(&token).expect("in force");
    assert_eq!(tokens.check(&token), Ok(bearer.clone()), "remembered as it was");
    let (head, signature) = token.rsplit_once('.').expect("three parts");
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{head}.{first}{}", &signature[1..]);
    assert_eq!(tokens.check(&forged), Err(Rejected::Invalid));
    // As if it had been remembered until its time was over.
    let expires_at = Timestamp::now().minus(TOKEN_LEEWAY + Duration::from_secs(1));
    tokens.checked.insert(Sha256::digest(&token).into(), Bearer { expires_at, ..bearer });
    assert_eq!(tokens.check(&token), Err(Rejected::Expired));
}

#[tokio::test(start_paused = true)]
async fn keys_change_without_a_401_and_a_key_that_is_gone_counts_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = tokens(folder.path());
    let user = UserId::parse("u-1").expect("an id");
    let token = tokens.issue(&user, &session(), &[]).expect("a token");
    tokens.check(&token).expect("good");
    crate::rotate_signing_key(folder.path()).expect("rotated");
    tokio::time::advance(SIGNING_KEYS_FRESH_FOR).await;
    assert_eq!(tokens.public_keys().len(), 2);
    tokens.check(&token).expect("still good");
    let other = tokens.issue(&user, &session(), &[]).expect("a token");
    let kid = |token: &str| jsonwebtoken::decode_header(token).expect("a header").kid;
    assert_eq!(kid(&other), kid(&token), "the new key does not sign yet");

    std::fs::remove_file(folder.path().join("jwt-es256.pem")).expect("removed");
    tokens.check(&token).expect("not noticed yet");
    tokio::time::advance(SIGNING_KEYS_FRESH_FOR).await;
    assert_eq!(tokens.check(&token), Err(Rejected::Invalid));
    let third = tokens.issue(&user, &session(), &[]).expect("a token");
    tokens.check(&third).expect("good");
}
