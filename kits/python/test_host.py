"""A foreign host, asked as any other: two processes of it serve one kind at the same time.

    NATS_URL=nats://127.0.0.1:4222 python3 -m pytest kits/python
"""

import asyncio
import json
import os
import pathlib
import secrets
import subprocess
import sys

import msgpack
import nats
import pytest


@pytest.fixture(scope="module")
def hosts():
    program = pathlib.Path(__file__).with_name("host.py")
    hosts = [subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for host in hosts:
            assert host.stdout.readline() == "serving\n"
        yield hosts
    finally:
        for host in hosts:
            host.kill()
            host.wait()


class Client:
    def __init__(self, loop, connection):
        self.loop, self.nats = loop, connection

    def run(self, work):
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    async def ask(self, subject, body, packed=False, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers["Content-Type"] = "application/msgpack" if packed else "application/json"
        data = msgpack.packb(body) if packed else json.dumps(body).encode()
        reply = await self.nats.request(subject, data, timeout=20, headers=headers)
        assert reply.headers["Content-Type"] == headers["Content-Type"]
        body = msgpack.unpackb(reply.data) if packed else json.loads(reply.data)
        return reply.headers.get("Nats-Service-Error-Code"), body, reply.headers.get("Cb-Seq")


@pytest.fixture(scope="module")
def client(hosts):
    loop = asyncio.new_event_loop()
    url = os.environ.get("NATS_URL")
    assert url, "NATS_URL must name a NATS server"
    client = Client(loop, loop.run_until_complete(nats.connect(url)))
    yield client
    client.run(client.nats.close())
    loop.close()


@pytest.fixture
def counter():
    return f"cmd.counter.{secrets.token_hex(8)}"


@pytest.mark.parametrize("packed", [False, True])
def test_it_counts_in_both_encodings(client, counter, packed):
    assert client.run(client.ask(f"{counter}.add", 3, packed))[:2] == (None, 3)
    code, total, position = client.run(client.ask(f"{counter}.add", 4, packed))
    assert (code, total) == (None, 7)
    assert client.run(client.ask(f"{counter}.show", {}, packed)) == (None, 7, position)


def test_two_hosts_agree(client, counter):
    """Each has its own memory of the actor; only the check on each append keeps them right."""

    async def many():
        keys = [secrets.token_hex(8) for _ in range(60)]
        return await asyncio.gather(*(client.ask(f"{counter}.add", 1, Cb_Key=key) for key in keys * 2))

    replies = client.run(many())
    assert all(code is None for code, _, _ in replies), replies
    # Each key twice, and each with one effect: every total from 1 to 60 came twice.
    assert sorted(total for _, total, _ in replies) == sorted([*range(1, 61)] * 2)
    assert client.run(client.ask(f"{counter}.show", {}))[1] == 60


def test_a_key_is_known_to_whoever_is_asked(client, counter):
    first = client.run(client.ask(f"{counter}.add", 5, Cb_Key="k"))
    client.run(client.ask(f"{counter}.add", 1))
    for _ in range(6):
        assert client.run(client.ask(f"{counter}.add", 5, Cb_Key="k")) == first
    code, body, _ = client.run(client.ask(f"{counter}.add", 6, Cb_Key="k"))
    assert (code, body["error"]["code"]) == ("422", "KEY_REUSED")


def test_mistakes_are_told_as_everywhere(client, counter):
    client.run(client.ask(f"{counter}.add", 2**64 - 1))
    for subject, body, headers, expected in [
        (f"{counter}.add", 1, {}, "409"),
        (f"{counter}.add", -1, {}, "400"),
        (f"{counter}.add", "1", {}, "400"),
        (f"{counter}.burn", 1, {}, "404"),
        (f"{counter}.x.add", 1, {}, "400"),
        (f"{counter}.add", 0, {"Cb_Expect_Version": "1"}, "412"),
        (f"{counter}.add", 0, {"Cb_Expect_Version": "x"}, "400"),
        (f"{counter}.add", 0, {"Cb_Timeout_Ms": "0"}, "504"),
        (f"{counter}.add", 0, {"Cb_Timeout_Ms": "soon"}, "400"),
        (f"{counter}.add", "x" * 300_000, {}, "413"),
    ]:
        code, told, _ = client.run(client.ask(subject, body, **headers))
        assert code == expected, told
        assert told["error"]["retry"] is (code == "504")


def test_a_killed_host_leaves_its_actors_to_the_other(hosts, client, counter):
    client.run(client.ask(f"{counter}.add", 3))
    hosts[0].kill()
    hosts[0].wait()
    assert client.run(client.ask(f"{counter}.add", 4))[1] == 7
