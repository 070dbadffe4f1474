#!/usr/bin/env bash
# The walkthrough of the README, checked: from registering to a confirmed order and its mail, then
# an order with too little stock and one with a declined card. Stops at the first answer that is not
# as it should be, with exit status 1. Needs bash, curl and python3.
#
#   examples/first-order.sh [BASE_URL]        against a running `callboard dev`
#
#   CALLBOARD       the callboard command         (target/release/callboard)
#   CALLBOARD_DATA  the data folder of that `dev` (./data)
#   MAIL_API        where mailpit shows its mails, if mail goes there and not into the data folder
set -euo pipefail

export CALLBOARD_DATA=${CALLBOARD_DATA:-./data}
command=${CALLBOARD:-target/release/callboard}
if [[ $# -gt 0 ]]; then
  base=${1%/}
elif [[ -r $CALLBOARD_DATA/edge-url ]]; then
  base=$(<"$CALLBOARD_DATA/edge-url")
else
  base=http://127.0.0.1:8080
fi
# A command of several words, such as `docker compose run --rm --no-deps edge`, is one too.
if [[ -x $command ]]; then callboard=("$command"); else read -ra callboard <<<"$command"; fi

# Names of this run alone, so that it can be run again against the same shop.
run=$(python3 -c 'import secrets; print("r" + secrets.token_hex(4))')
password="correct horse $run"
mug=MUG-$run
pot=POT-$run
work=$(mktemp -d)
reader=
cleanup() {
  [[ -z $reader ]] || kill "$reader" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

step() { printf '\n== %s\n' "$*"; }
ok() { printf '   ok  %s\n' "$*"; }

fail() {
  {
    printf '   FAIL  %s\n' "$*"
    printf '         last request: %s\n' "${asked:-none}"
    printf '         its answer:   %s ' "${status:-none}"
    [[ ! -s $work/body ]] || head -c 2000 "$work/body"
    printf '\n'
  } >&2
  exit 1
}

# ask METHOD PATH TOKEN [BODY] [CURL OPTION…]: leaves the status in $status, and the answer's body and
# headers in files. TOKEN and BODY may be empty.
ask() {
  local method=$1 path=$2 token=$3 body=${4:-}
  shift $(($# < 4 ? $# : 4))
  local options=(--silent --show-error --max-time 40 --request "$method")
  [[ -z $token ]] || options+=(--header "Authorization: Bearer $token")
  [[ -z $body ]] || options+=(--header 'Content-Type: application/json' --data "$body")
  asked="$method $path"
  : >"$work/body"
  status=$(curl "${options[@]}" "$@" --output "$work/body" --dump-header "$work/headers" \
    --write-out '%{http_code}' "$base$path" 2>"$work/curl") || fail "no answer: $(<"$work/curl")"
}

# evaluate EXPRESSION [NAME=TEXT…]: a Python expression on `b`, the body of the last answer.
evaluate() {
  python3 - "$work/body" "$@" <<'PYTHON'
import json, sys
names = dict(pair.split("=", 1) for pair in sys.argv[3:])
with open(sys.argv[1], encoding="utf-8") as file:
    names["b"] = json.load(file)
print(eval(sys.argv[2], {"json": json, **names}))
PYTHON
}

# expect STATUS EXPRESSION WHAT [NAME=TEXT…]: the last answer has this status, and the expression holds.
expect() {
  local wanted=$1 expression=$2 what=$3 found
  shift 3
  [[ $status == "$wanted" ]] || fail "$what: status $status instead of $wanted"
  found=$(evaluate "bool($expression)" "$@" 2>"$work/python") ||
    fail "$what: $expression: $(tail -n 1 "$work/python")"
  [[ $found == True ]] || fail "$what: not true: $expression"
  ok "$status $what"
}

# within SECONDS WHAT COMMAND…: asks again until the command succeeds.
within() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < deadline)) || fail "$what: not in time"
    sleep 0.1
  done
  ok "$what"
}

ready() {
  local code
  code=$(curl --silent --max-time 5 --output "$work/body" --write-out '%{http_code}' "$base/readyz") ||
    return 1
  [[ $code == 200 ]]
}

# register NAME: registers NAME-<run>@example.com; the id is then in $user.
register() {
  local email=$1-$run@example.com
  ask POST /v1/users "" "{\"email\":\"$email\",\"name\":\"$1 of $run\",\"password\":\"$password\"}"
  expect 201 'b["email"] == email and b["roles"] == ["customer"] and b["id"]' "$email is registered" \
    email="$email"
  user=$(evaluate 'b["id"]')
}

# log_in NAME: the token is then in $token.
log_in() {
  ask POST /v1/sessions "" "{\"email\":\"$1-$run@example.com\",\"password\":\"$password\"}"
  expect 201 'b["token_type"] == "Bearer" and b["token"] and b["expires_in"] > 0' "$1 has logged in"
  token=$(evaluate 'b["token"]')
}

# stock_is SKU AVAILABLE HELD: without a word, for polling.
stock_is() {
  ask GET "/v1/items/$1" ""
  [[ $status == 200 ]] &&
    [[ $(evaluate '(b["available"], b["held"]) == (int(available), int(held))' \
      available="$2" held="$3") == True ]]
}

# place CARD LINES [CURL OPTION…]: an order of the buyer, waited for.
place() {
  local body="{\"currency\":\"EUR\",\"card\":\"$1\",\"lines\":[$2]}"
  shift 2
  ask POST /v1/orders "$buyer_token" "$body" --header 'Prefer: wait=20' "$@"
}

line() { printf '{"sku":"%s","quantity":%s}' "$1" "$2"; }

# mails ADDRESS: what was mailed to the address, one mail a line, as JSON strings.
mails() {
  python3 - "$1" <<'PYTHON'
import email, email.policy, json, os, pathlib, sys, urllib.parse, urllib.request

address = sys.argv[1]

def from_folder():
    for file in (pathlib.Path(os.environ["CALLBOARD_DATA"]) / "mail").glob("*.eml"):
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        body = mail.get_body(preferencelist=("plain",))
        yield str(mail["To"]), f"{mail['Subject']} {body.get_content() if body else ''}"

def from_mailpit(api):
    def get(path):
        with urllib.request.urlopen(f"{api}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)
    query = urllib.parse.quote(f'to:"{address}"')
    for found in get(f"search?query={query}")["messages"]:
        mail = get(f"message/{found['ID']}")
        yield " ".join(to["Address"] for to in mail["To"]), f"{mail['Subject']} {mail['Text']}"

api = os.environ.get("MAIL_API", "").rstrip("/")
for to, text in from_mailpit(api) if api else from_folder():
    if address in to:
        print(json.dumps(text))
PYTHON
}

# has_mail ORDER ADDRESS: exactly one mail about the order went to the address. Two is a failure, and
# no waiting mends it.
has_mail() {
  local count
  mails "$2" >"$work/mails" || fail "the mails cannot be read"
  count=$(grep --count --fixed-strings "$1" "$work/mails" || true)
  ((count < 2)) || fail "$count mails about $1, and not one"
  ((count == 1))
}

# has_link PAGE ADDRESS: a mail to the address leads to the page; its token is then in $link.
has_link() {
  mails "$2" >"$work/mails" || fail "the mails cannot be read"
  link=$(grep --only-matching "/$1#[A-Za-z0-9._-]*" "$work/mails" | tail -n 1 | sed 's/.*#//')
  [[ -n $link ]]
}

# event_names: the names of the events read so far.
event_names() { sed -n 's/^event: *//p' "$work/events" | tr -d '\r' | tr '\n' ' '; }

has_event() { [[ " $(event_names)" == *" $1 "* ]]; }

step "The shop at $base"
within 30 "it is ready: NATS answers, and the journal takes writes" ready
ask GET /healthz ""
expect 200 'b["status"] == "up"' "it is up"

step "Somebody to run the shop, and somebody to buy"
register staff
register buyer
buyer=$user
log_in buyer
buyer_token=$token
ask GET /v1/users/me "$buyer_token"
expect 200 'b["id"] == id and "staff" not in b["roles"]' "the buyer sees her profile" id="$buyer"
item="{\"sku\":\"$mug\",\"name\":\"Mug $run\",\"price\":{\"amount\":1250,\"currency\":\"EUR\"}}"
ask POST /v1/items "$buyer_token" "$item"
expect 403 'b["error"]["code"] == "FORBIDDEN"' "the buyer may not create items"
"${callboard[@]}" grant staff "staff-$run@example.com" >"$work/grant" 2>&1 ||
  fail "callboard grant: $(tail -n 3 "$work/grant")"
ok "callboard grant staff: $(tail -n 1 "$work/grant")"
log_in staff
staff_token=$token

step "A mug and a pot"
ask POST /v1/items "$staff_token" "$item"
expect 201 'b["sku"] == sku and b["price"] == {"amount": 1250, "currency": "EUR"} and b["available"] == 0' \
  "$mug is created" sku="$mug"
ask POST "/v1/items/$mug/stock" "$staff_token" '{"quantity":5}'
expect 200 'b["received"] == 5 and b["available"] == 5 and b["held"] == 0' "5 have come in"
ask POST /v1/items "$staff_token" \
  "{\"sku\":\"$pot\",\"name\":\"Pot $run\",\"price\":{\"amount\":3900,\"currency\":\"EUR\"}}"
expect 201 'b["sku"] == sku' "$pot is created" sku="$pot"
ask POST "/v1/items/$pot/stock" "$staff_token" '{"quantity":1}'
expect 200 'b["available"] == 1' "1 has come in"
written=$(sed -n 's/^cb-seq: *\([^[:space:]]*\).*/\1/Ip' "$work/headers")
ask GET "/v1/items?search=mug%20$run" "" "" --header "Cb-After: $written"
expect 200 '[item["sku"] for item in b["items"]] == [sku]' "a search finds the mug alone" sku="$mug"

step "An order of two mugs"
key=first-order-$run
place 4242424242424242 "$(line "$mug" 2)" --header "Idempotency-Key: $key"
expect 201 'b["status"] == "confirmed"' "the order is confirmed"
expect 201 'b["total"] == {"amount": 2500, "currency": "EUR"}' "it comes to 25.00 EUR"
expect 201 '[(l["sku"], l["quantity"], l["unit_price"]["amount"]) for l in b["lines"]] == [(sku, 2, 1250)]' \
  "it has the one line" sku="$mug"
order=$(evaluate 'b["id"]')
grep -qi "^location: /v1/orders/$order"$'\r*$' "$work/headers" || fail "no Location of the order"
cp "$work/body" "$work/first"
place 4242424242424242 "$(line "$mug" 2)" --header "Idempotency-Key: $key"
expect 201 'b["id"] == id' "the same again with the same key is the same order" id="$order"
cmp -s "$work/first" "$work/body" || fail "the repeat's body is not the first one's: $(<"$work/first")"
ok "and the very same answer"
place 4242424242424242 "$(line "$mug" 3)" --header "Idempotency-Key: $key"
expect 422 'b["error"]["code"] == "KEY_REUSED"' "another order with that key is refused"
ask GET "/v1/orders/$order" "$buyer_token"
expect 200 'b["id"] == id and b["status"] == "confirmed"' "the buyer sees the order" id="$order"
ask GET /v1/orders "$buyer_token"
expect 200 '[o["id"] for o in b["orders"]] == [id] and b["next"] is None' "it is her only one" id="$order"
ask GET "/v1/items/$mug" ""
expect 200 '(b["available"], b["held"], b["received"]) == (3, 2, 5)' "3 mugs are left, 2 are held"

step "What happened to it, as server-sent events"
: >"$work/events"
curl --silent --no-buffer --max-time 30 --header "Authorization: Bearer $buyer_token" \
  "$base/v1/orders/$order/events" >"$work/events" 2>/dev/null &
reader=$!
within 20 "the confirmation was sent" has_event confirmed
kill "$reader" 2>/dev/null || true
wait "$reader" 2>/dev/null || true
reader=
names=$(event_names)
[[ $names == "placed "*" confirmed " || $names == "placed confirmed " ]] ||
  fail "events: $names, and not from placed to confirmed"
ok "$names"

step "Its steps, and all that belongs to it on one page"
ask GET "/v1/orders/$order/history" "$buyer_token"
expect 200 '[(s["step"]["name"], s["by"]) for s in b["steps"]][0::len(b["steps"]) - 1] == [("placed", "customer"), ("confirmed", "shop")]' \
  "from placed by the customer to confirmed by the shop"
ask GET "/v1/orders/$order/page" "$buyer_token"
expect 200 '{b[part]["status"] for part in ("order", "buyer", "payment", "shipments")} == {"available"}' \
  "the order, the buyer, the payment and the shipments are there"
expect 200 'b["payment"]["value"]["amount"]["amount"] == 2500' "25.00 EUR were paid"

step "What lies where, and what can be bought"
ask GET "/v1/availability?skus=$mug,$pot,no-such" ""
expect 200 '[(i["is"], i["available"]) for i in b["items"]] == [("for_sale", 3), ("for_sale", 1), ("unknown", 0)]' \
  "3 mugs, 1 pot, and none of what there is not"
ask POST "/v1/items/$mug/adjustments" "$staff_token" '{"by":-1,"reason":"damaged","note":"the handle broke"}'
[[ $status == 200 || $status == 201 ]] || fail "the mug's books cannot be set right: status $status"
ask POST "/v1/items/$mug/stock" "$staff_token" '{"quantity":1,"warehouse":"north"}'
expect 200 'b["available"] == 3' "one broke, and one came into another warehouse"

step "Its mail"
within 30 "the confirmation was mailed to the buyer, once" has_mail "$order" "buyer-$run@example.com"

step "An order with too little stock"
place 4242424242424242 "$(line "$mug" 1),$(line "$pot" 2)"
expect 201 'b["status"] == "cancelled" and "lacking" in json.dumps(b["reason"]) and pot in json.dumps(b["reason"])' \
  "it is cancelled, because the pot is lacking" pot="$pot"
lacking=$(evaluate 'b["id"]')
within 20 "the mug that was held for it is released: 3 left, 2 held" stock_is "$mug" 3 2
within 20 "the pot was never held" stock_is "$pot" 1 0
within 30 "the buyer was told by mail, once" has_mail "$lacking" "buyer-$run@example.com"

step "An order with a card that is declined"
place 4000000000000002 "$(line "$mug" 1)"
expect 201 'b["status"] == "cancelled" and "declined" in json.dumps(b["reason"])' \
  "it is cancelled, because the card was declined"
declined=$(evaluate 'b["id"]')
within 20 "the mug that was held for it is released: 3 left, 2 held" stock_is "$mug" 3 2
within 30 "the buyer was told by mail, once" has_mail "$declined" "buyer-$run@example.com"

step "Her account"
within 30 "a link to confirm her address was mailed" has_link verify "buyer-$run@example.com"
ask POST /v1/verifications "" "{\"token\":\"$link\"}"
[[ $status == 204 ]] || fail "the link is not good: status $status"
ask GET /v1/users/me "$buyer_token"
expect 200 'b["is_verified"]' "it is confirmed"
log_in buyer
refresh_token=$(evaluate 'b["refresh_token"]')
ask POST /v1/sessions/refresh "" "{\"refresh_token\":\"$refresh_token\"}"
expect 200 'b["token"] and b["refresh_token"] != old' "a second session goes on" old="$refresh_token"
second_token=$(evaluate 'b["token"]')
ask DELETE /v1/sessions/current "$second_token"
[[ $status == 204 ]] || fail "she cannot log out: status $status"
ask GET /v1/users/me "$second_token"
expect 401 'b["error"]["code"] == "UNAUTHORIZED"' "once logged out, its token is good no more"
ask GET /v1/users/me "$buyer_token"
expect 200 'b["id"] == id' "the first session is not touched by it" id="$buyer"

step "Somebody else"
register stranger
log_in stranger
ask GET "/v1/orders/$order" "$token"
expect 404 'b["error"]["code"] == "NOT_FOUND"' "a stranger's look at the order finds nothing"
ask GET /v1/orders "$token"
expect 200 'b["orders"] == []' "nor is it in her list"
ask GET "/v1/orders/$order" ""
expect 401 'b["error"]["code"] == "UNAUTHORIZED"' "without a token nobody sees it"

printf '\nAll as it should be: %s is confirmed.\n' "$order"
