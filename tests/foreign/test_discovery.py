"""What can be found out about a running shop: its services, and the shapes of what they take.

`kits/samples.json` has bodies for each command, good and bad. Whatever a published schema allows must
be read by the host, and what it forbids there must be refused: the two say the same of each sample.
"""

import asyncio
import json
import pathlib
import secrets

import jsonschema
import pytest
from test_foreign import client  # noqa: F401: a fixture

SAMPLES = json.loads((pathlib.Path(__file__).parents[2] / "kits" / "samples.json").read_text())


async def discover(client, verb, name):
    reply = await client.nats.request(f"$SRV.{verb}.{name}", b"", timeout=10)
    return json.loads(reply.data)


def endpoints(client, kind):
    info = client.run(discover(client, "INFO", kind))
    assert info["type"] == "io.nats.micro.v1.info_response"
    return {endpoint["name"]: endpoint for endpoint in info["endpoints"]}


@pytest.mark.parametrize("kind", sorted({name.split(".")[0] for name in SAMPLES}))
def test_every_command_has_samples_and_a_schema(client, kind):
    commands = {f"{kind}.{name}" for name in endpoints(client, kind)}
    assert commands == {name for name in SAMPLES if name.startswith(f"{kind}.")}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_schema_and_its_reader_agree(client, name):
    kind, command = name.split(".")
    endpoint = endpoints(client, kind)[command]
    assert endpoint["subject"] == f"cmd.{kind}.*.{command}"
    validators = []
    for key in ("request_schema", "reply_schema"):
        schema = json.loads(endpoint["metadata"][key])
        jsonschema.Draft202012Validator.check_schema(schema)
        validators.append(jsonschema.Draft202012Validator(schema))
    request, reply = validators
    for verdict in ("good", "bad"):
        for body in SAMPLES[name][verdict]:
            assert request.is_valid(body) is (verdict == "good"), body
            told = client.req(f"cmd.{kind}.s-{secrets.token_hex(8)}.{command}", json.dumps(body))
            code = told.headers.get("Nats-Service-Error-Code")
            assert (code == "400") is (verdict == "bad"), (body, told.body)
            if code is None:
                reply.validate(told.body)


def test_statistics_count_what_was_asked(client):
    def counted():
        stats = client.run(discover(client, "STATS", "item"))
        return next(endpoint for endpoint in stats["endpoints"] if endpoint["name"] == "receive")

    before = counted()
    sku = f"F-{secrets.token_hex(6)}"
    client.req(f"cmd.item.{sku}.receive", '{"quantity":5}').error(409, "UNKNOWN_ITEM")
    after = counted()
    assert after["num_requests"] == before["num_requests"] + 1
    assert after["num_errors"] == before["num_errors"] + 1
    assert after["last_error"] == "409:UNKNOWN_ITEM"


def test_what_is_told_is_carried_out(client):
    sku = f"F-{secrets.token_hex(6)}"
    client.req(f"cmd.item.{sku}.create", '{"name":"Told","price":{"amount":1,"currency":"EUR"}}').done()

    async def tell():
        headers = {"Cb-Key": secrets.token_hex(8)}
        for _ in range(2):
            stored = await client.nats.jetstream().publish(f"do.item.{sku}.receive", b'{"quantity":5}', headers=headers)
            assert stored.stream == "DO"
        await client.nats.jetstream().publish(f"do.item.{sku}.receive", b'{"quantity":2}')

    async def received():
        while True:
            shown = await client.ask(f"cmd.item.{sku}.show")
            if shown.done()["received"] >= 7:
                return shown.body["received"]
            await asyncio.sleep(0.05)

    client.run(tell())
    assert client.run(received()) == 7, "once for each key"
