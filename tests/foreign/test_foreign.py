"""The bus as a foreign client sees it: nats-py and msgpack, and nothing of ours.

It sends what `nats req cmd.item.A1.receive '{"quantity":5}'` would send, and reads what comes back
as anybody could. It starts nothing: NATS_URL names the NATS of a running shop. SKUs are new in each
run, so it can be run again against the same shop.

    NATS_URL=nats://127.0.0.1:4222 python3 -m pytest tests/foreign
"""

import asyncio
import json
import os
import re
import secrets

import msgpack
import nats
import pytest
from nats.errors import NoRespondersError

POSITION = re.compile(r"(EVT_item_0)@(\d+)")
PRICE = {"amount": 1250, "currency": "EUR"}


class Reply:
    """A reply: its body decoded as its Content-Type says, and its headers."""

    def __init__(self, message):
        self.headers = message.headers or {}
        self.raw = message.data
        assert message.data, "a reply is never empty"
        self.type = self.headers["Content-Type"]
        decode = {"application/json": json.loads, "application/msgpack": msgpack.unpackb}[self.type]
        self.body = decode(message.data)

    @property
    def position(self):
        return self.headers.get("Cb-Seq")

    def sequence(self):
        match = POSITION.fullmatch(self.position or "")
        assert match, f"Cb-Seq is {self.position!r}"
        return int(match[2])

    def done(self):
        """The body of a command that was carried out."""
        assert "Nats-Service-Error-Code" not in self.headers, self.body
        return self.body

    def error(self, number, code):
        """The error of a failure with this number and code: headers and body agree."""
        assert self.headers.get("Nats-Service-Error-Code") == str(number), self.body
        assert self.headers.get("Nats-Service-Error"), "the reason is in the header too"
        error = self.body["error"]
        assert error["code"] == code
        assert error["message"], "the reason is in words"
        assert error["retry"] is (number in (429, 503, 504))
        return error


class Client:
    """One connection, driven from plain functions."""

    def __init__(self, url):
        self.loop = asyncio.new_event_loop()
        self.nats = self.run(nats.connect(url, allow_reconnect=False))

    def run(self, work):
        return self.loop.run_until_complete(asyncio.wait_for(work, 30))

    def close(self):
        self.run(self.nats.close())
        self.loop.close()

    async def ask(self, subject, body=b"", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(await self.nats.request(subject, body, timeout=10, headers=named or None))

    def req(self, subject, body="", **headers):
        """As `nats req SUBJECT BODY -H Name:value` does: JSON text, and no Content-Type."""
        body = body.encode() if isinstance(body, str) else body
        return self.run(self.ask(subject, body, **headers))


@pytest.fixture(scope="module")
def client():
    url = os.environ.get("NATS_URL")
    assert url, "NATS_URL must name the NATS of a running shop"
    client = Client(url)
    yield client
    client.close()


@pytest.fixture
def sku():
    """An SKU that nobody used."""
    return f"F-{secrets.token_hex(6)}"


@pytest.fixture
def item(client, sku):
    """The SKU of an item that was just created."""
    created = client.req(f"cmd.item.{sku}.create", json.dumps({"name": f"Foreign {sku}", "price": PRICE}))
    created.done()
    return sku


def test_json_without_a_content_type_is_answered_in_json(client, item):
    received = client.req(f"cmd.item.{item}.receive", '{"quantity":5}')
    assert received.done() == {"received": 5, "available": 5, "held": 0, "shipped": 0}
    assert received.type == "application/json"
    shown = client.req(f"cmd.item.{item}.show", "{}")
    assert shown.done()["available"] == 5
    assert shown.body["sku"] == item
    assert shown.body["price"] == PRICE
    # What only looks moves nothing: the actor is where the last commit left it.
    assert shown.sequence() == received.sequence()
    assert client.req(f"cmd.item.{item}.show").body == shown.body, "no body means {}"


def test_each_commit_moves_the_actor_on(client, item):
    positions = [client.req(f"cmd.item.{item}.receive", '{"quantity":1}').sequence() for _ in range(3)]
    assert positions == sorted(set(positions))


@pytest.mark.parametrize("named", [True, False], ids=["named", "not-named"])
def test_messagepack_is_answered_in_messagepack(client, item, named):
    headers = {"Content_Type": "application/msgpack"} if named else {}
    reply = client.req(f"cmd.item.{item}.receive", msgpack.packb({"quantity": 7}), **headers)
    assert reply.type == "application/msgpack"
    assert reply.done()["available"] == 7
    bad = client.req(f"cmd.item.{item}.receive", msgpack.packb({"quantity": 0}), **headers)
    assert bad.type == "application/msgpack"
    assert bad.error(400, "BAD_COMMAND")["field"] == "quantity"


@pytest.mark.parametrize(
    "quantity", ["0", "-1", "9223372036854775808", "99999999999999999999999", "1.5", '"five"', "null", "1000001"]
)
def test_a_bad_quantity_is_named(client, item, quantity):
    error = client.req(f"cmd.item.{item}.receive", f'{{"quantity":{quantity}}}').error(400, "BAD_COMMAND")
    assert error["field"] == "quantity"
    assert client.req(f"cmd.item.{item}.show").done()["received"] == 0


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ('{"quantity":1,"colour":"red"}', "colour"),
        ("{}", "quantity"),
        ("", "quantity"),
        ('{"quantity":', "EOF"),
        ('{"quantity":1} and more', "trailing"),
        ("[]", "invalid length"),
    ],
)
def test_a_bad_body_is_told_what_is_wrong(client, item, body, part):
    error = client.req(f"cmd.item.{item}.receive", body).error(400, "BAD_COMMAND")
    assert part in f"{error['message']} {error.get('field')}"
    assert client.req(f"cmd.item.{item}.show").done()["received"] == 0


@pytest.mark.parametrize("body", [b"\xc1\x00", b"\x81\xa8quantity", b"\x81\xa8quantity\x05\x00"])
def test_undecodable_messagepack_is_told_so_in_messagepack(client, item, body):
    reply = client.req(f"cmd.item.{item}.receive", body, Content_Type="application/msgpack")
    assert reply.type == "application/msgpack"
    reply.error(400, "BAD_COMMAND")


def test_an_unknown_content_type_is_refused(client, item):
    reply = client.req(f"cmd.item.{item}.receive", '{"quantity":1}', Content_Type="text/xml")
    assert "Content-Type" in reply.error(400, "BAD_COMMAND")["message"]


def test_an_id_with_a_dot_is_told_so(client):
    error = client.req("cmd.item.A.1.receive", '{"quantity":1}').error(400, "BAD_COMMAND")
    assert "dot" in error["message"]


def test_an_unknown_command_is_named(client, item):
    assert "explode" in client.req(f"cmd.item.{item}.explode", "{}").error(404, "NOT_FOUND")["message"]


def test_an_unknown_kind_has_no_responders(client, sku):
    with pytest.raises(NoRespondersError):
        client.req(f"cmd.unicorn.{sku}.show", "{}")


def test_a_refusal_has_its_own_code(client, sku):
    client.req(f"cmd.item.{sku}.receive", '{"quantity":5}').error(409, "UNKNOWN_ITEM")
    body = json.dumps({"name": "Mug", "price": PRICE})
    client.req(f"cmd.item.{sku}.create", body).done()
    client.req(f"cmd.item.{sku}.create", body).error(409, "ALREADY_CREATED")


def test_an_expired_command_is_not_carried_out(client, item):
    client.req(f"cmd.item.{item}.receive", '{"quantity":1}', Cb_Timeout_Ms="0").error(504, "EXPIRED")
    assert client.req(f"cmd.item.{item}.show").done()["received"] == 0


def test_a_key_has_one_effect_and_one_answer(client, item):
    key = secrets.token_hex(8)
    subject = f"cmd.item.{item}.receive"
    first = client.req(subject, '{"quantity":5}', Cb_Key=key)
    client.req(subject, '{"quantity":2}').done()
    again = client.req(subject, '{"quantity":5}', Cb_Key=key)
    assert again.done() == first.done() == {"received": 5, "available": 5, "held": 0, "shipped": 0}
    assert again.position == first.position
    client.req(subject, '{"quantity":6}', Cb_Key=key).error(422, "KEY_REUSED")
    assert client.req(f"cmd.item.{item}.show").done()["received"] == 7


def test_a_key_sent_many_times_at_once_has_one_effect(client, item):
    async def all_at_once():
        key = secrets.token_hex(8)
        asks = [client.ask(f"cmd.item.{item}.receive", b'{"quantity":5}', Cb_Key=key) for _ in range(16)]
        return await asyncio.gather(*asks)

    replies = client.run(all_at_once())
    assert {reply.done()["received"] for reply in replies} == {5}
    assert len({reply.position for reply in replies}) == 1
    assert client.req(f"cmd.item.{item}.show").done()["received"] == 5


def read_commits(client, sku, up_to):
    """Everything under evt.item.> up to a sequence, by an ordered consumer: what is of `sku`."""

    async def read():
        jetstream = client.nats.jetstream()
        reader = await jetstream.subscribe("evt.item.>", stream="EVT_item_0", ordered_consumer=True)
        commits, sequence = [], 0
        while sequence < up_to:
            message = await reader.next_msg(timeout=10)
            sequence = message.metadata.sequence.stream
            kind, shard, of = message.subject.split(".")[1:]
            assert (kind, shard) == ("item", "0")
            if of == sku:
                commits.append((sequence, msgpack.unpackb(message.data)))
        await reader.unsubscribe()
        return commits

    return client.run(read())


def test_commits_are_messagepack_that_anybody_can_read(client, item):
    key = secrets.token_hex(8)
    body = '{"quantity":5}'
    received = client.req(
        f"cmd.item.{item}.receive", body, Cb_Key=key, Cb_Cause="EVT_order_0@7", Cb_Principal="u-1"
    )
    client.req(f"cmd.item.{item}.receive", body, Cb_Key=key).done()
    client.req(f"cmd.item.{item}.show").done()
    client.req(f"cmd.item.{item}.create", '{"name":"x","price":{"amount":1,"currency":"EUR"}}').error(
        409, "ALREADY_CREATED"
    )
    (_, created), (sequence, commit) = read_commits(client, item, received.sequence())
    assert list(created["events"][0]) == ["created"]
    assert created["events"][0]["created"]["price"] == PRICE
    assert sequence == received.sequence()
    assert commit["events"] == [{"received": {"quantity": 5}}]
    assert commit["command"] == "receive"
    assert commit["key"] == key
    assert commit["reply"] == received.body
    assert commit["cause"] == "EVT_order_0@7"
    assert commit["principal"] == "u-1"
    assert commit["commit"] and commit["digest"] and commit["at"]
    assert commit["commit"] != created["commit"]
    assert created["key"], "the runtime makes a key where the caller sent none"
    # What was refused, repeated or only looked at left nothing: the next commit is the next of ours.
    last = client.req(f"cmd.item.{item}.receive", '{"quantity":1}')
    assert len(read_commits(client, item, last.sequence())) == 3


def test_history_cannot_be_unmade(client, item):
    """deny_delete and deny_purge: not by us, and not by any other client."""

    async def unmake(request, body):
        message = await client.nats.request(f"$JS.API.STREAM.{request}.EVT_item_0", json.dumps(body).encode())
        return json.loads(message.data)

    sequence = client.req(f"cmd.item.{item}.receive", '{"quantity":1}').sequence()
    assert "error" in client.run(unmake("MSG.DELETE", {"seq": sequence}))
    assert "error" in client.run(unmake("PURGE", {"filter": f"evt.item.0.{item}"}))
    assert read_commits(client, item, sequence)[-1][0] == sequence


def test_rows_are_queried_and_include_what_one_has_just_done(client, item):
    received = client.req(f"cmd.item.{item}.receive", '{"quantity":5}')
    body = json.dumps({"row": item})
    row = client.req("view.items.get", body, Cb_After=received.position).done()["row"]
    assert (row["sku"], row["available"], row["price"]) == (item, 5, PRICE)
    packed = client.req("view.items.get", msgpack.packb({"row": item}))
    assert packed.type == "application/msgpack"
    assert packed.done()["row"] == row
    whole_sku = {"index": "word", "value": item.lower()}
    listed = client.req("view.items.list", json.dumps({"select": [whole_sku]})).done()
    assert [row["sku"] for row in listed["rows"]] == [item]


def test_bad_queries_are_told_what_is_wrong(client, sku):
    client.req("view.items.get", json.dumps({"row": sku})).error(404, "NO_ROW")
    client.req("view.items.burn", "{}").error(404, "NOT_FOUND")
    assert client.req("view.items.list", '{"from":"zz"}').error(400, "BAD_COMMAND")["field"] == "from"
    assert "colour" in client.req("view.items.list", '{"colour":1}').error(400, "BAD_COMMAND")["message"]
    client.req("view.items.get", json.dumps({"row": sku}), Cb_After="EVT_unicorn_0@1").error(400, "BAD_COMMAND")
