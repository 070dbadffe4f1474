"""An actor host in Python: a counter that lives by the rules of docs/wire.md, and nothing of ours.

It takes `cmd.counter.<id>.add` (a whole number; answered with the total) and `cmd.counter.<id>.show`,
and stores what happens as commits in the stream EVT_counter_0. Any number of these processes may run
at once, also beside hosts in Rust: the version check on each append keeps them from disagreeing.

    NATS_URL=nats://127.0.0.1:4222 python3 kits/python/host.py
"""

import asyncio
import base64
import hashlib
import json
import os
import time
import uuid

import msgpack
import nats
from nats.errors import Error as NatsError

KIND, STREAM = "counter", "EVT_counter_0"
TOTAL_MAX = 2**64 - 1
BODY_MAX = 256 * 1024
ATTEMPTS = 16

# After each of these the truth is in the stream: wrong last sequence, the same while another write is
# under way, a duplicate under way, temporarily unavailable.
CONFLICTS = {10071, 10164, 10158, 10163}
CODES = {
    400: "BAD_COMMAND", 404: "NOT_FOUND", 409: "REFUSED", 412: "VERSION_MISMATCH", 413: "TOO_LARGE",
    422: "KEY_REUSED", 503: "UNAVAILABLE", 504: "EXPIRED",
}


class Failure(Exception):
    """What a caller is told instead of a reply."""

    def __init__(self, number, message, **more):
        super().__init__(message)
        self.number = number
        code = more.pop("code", CODES[number])
        self.body = {"error": {"code": code, "message": message, "retry": number in (429, 503, 504), **more}}


class Overtaken(Exception):
    """Another commit was first: load again, and decide again."""


class InDoubt(Overtaken):
    """Nobody acknowledged ours, and it is not there. It may still come."""


class Codec:
    """A body's encoding: as its Content-Type says, else JSON if it parses as JSON."""

    def __init__(self, content_type, body):
        named = (content_type or "").split(";")[0].strip()
        if named not in ("", "application/json", "application/msgpack"):
            raise Failure(400, "Content-Type must be application/json or application/msgpack")
        self.name = named or ("application/json" if is_json(body) else "application/msgpack")

    def decode(self, body):
        try:
            return json.loads(body or b"{}") if self.name == "application/json" else msgpack.unpackb(body)
        except Exception as error:
            raise Failure(400, f"the body cannot be read: {error}") from error

    def encode(self, value):
        return json.dumps(value).encode() if self.name == "application/json" else msgpack.packb(value)


def number(headers, name, default=None):
    text = headers.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise Failure(400, f"{name} must be a whole number", field=name)
    return int(text)


def is_json(body):
    try:
        json.loads(body or b"{}")
        return True
    except ValueError:
        return False


class Counter:
    """The state of one actor, folded from its commits; and which keys made which of them."""

    def __init__(self):
        self.total, self.version, self.keys = 0, 0, {}

    def advance(self, sequence, commit):
        for event in commit["events"]:
            self.total += event["added"]
        self.version = sequence
        self.keys[commit["key"]] = sequence, commit["digest"], commit["reply"]

    def decide(self, command, body):
        """The events and the reply. Pure: it reads no clock and stores nothing."""
        if command == "show":
            return [], self.total
        if not isinstance(body, int) or isinstance(body, bool) or not 0 <= body <= TOTAL_MAX:
            raise Failure(400, "a whole number is expected")
        if self.total + body > TOTAL_MAX:
            raise Failure(409, "the counter is full")
        return [{"added": body}], self.total + body


class Host:
    def __init__(self, client):
        self.nats = client
        self.actors, self.locks, self.tasks = {}, {}, set()

    async def api(self, subject, body, timeout=5):
        return json.loads((await self.nats.request(f"$JS.API.{subject}", json.dumps(body).encode(), timeout)).data)

    async def provision(self):
        """Makes the kind's stream, as every host makes it. That it is there already is fine."""
        config = {
            "name": STREAM, "subjects": [f"evt.{KIND}.0.*"], "retention": "limits", "storage": "file",
            "discard": "old", "max_msgs": -1, "max_bytes": -1, "max_msgs_per_subject": -1, "max_msg_size": -1,
            "max_consumers": -1, "max_age": 0, "num_replicas": 1, "deny_delete": True, "deny_purge": True,
            "allow_direct": True, "allow_atomic": True,
        }  # fmt: skip
        made = await self.api(f"STREAM.CREATE.{STREAM}", config)
        if "error" in made and made["error"]["err_code"] != 10058:
            raise SystemExit(f"{STREAM}: {made['error']['description']}")

    async def read(self, request):
        """One stored commit, as the stream's leader has it; none if there is none."""
        found = await self.api(f"STREAM.MSG.GET.{STREAM}", request)
        if found.get("error", {}).get("code") == 404:
            return None
        if "error" in found:
            raise Failure(503, found["error"]["description"])
        message = found["message"]
        return message["seq"], msgpack.unpackb(base64.b64decode(message["data"]))

    async def load(self, id):
        counter = Counter()
        while found := await self.read({"seq": counter.version + 1, "next_by_subj": f"evt.{KIND}.0.{id}"}):
            counter.advance(*found)
        return counter

    async def last(self, id):
        return await self.read({"last_by_subj": f"evt.{KIND}.0.{id}"})

    async def append(self, id, expected, commit):
        """Stores the commit if the actor is still at `expected`; its sequence."""
        headers = {"Nats-Expected-Last-Subject-Sequence": str(expected)}
        try:
            data = msgpack.packb(commit)
            answer = json.loads((await self.nats.request(f"evt.{KIND}.0.{id}", data, 5, headers=headers)).data)
            if "error" not in answer:
                return answer["seq"]
            if answer["error"]["err_code"] not in CONFLICTS:
                raise Failure(503, answer["error"]["description"])
            lost = Overtaken
        except NatsError:
            lost = InDoubt  # The acknowledgement may be what was lost, and not the commit.
        last = await self.last(id)
        if last and last[1]["commit"] == commit["commit"]:
            return last[0]
        raise lost

    async def carry_out(self, id, command, headers, body, codec, deadline):
        if command not in ("add", "show"):
            raise Failure(404, f"`{KIND}` has no command `{command}`; it has: add, show")
        # One key for all attempts, though nobody sent one: else a second one would be a second effect.
        key = headers.get("Cb-Key") or uuid.uuid4().hex
        in_doubt = False
        for _ in range(ATTEMPTS):
            if time.monotonic() >= deadline:
                raise Failure(504, "the command waited longer than its budget")
            try:
                stored, sequence, reply = await self.attempt(id, command, key, headers, body, codec)
                if stored or not in_doubt:
                    return sequence, reply
            except Overtaken as overtaken:
                self.actors.pop(id, None)
                in_doubt = in_doubt or isinstance(overtaken, InDoubt)
                continue
            except Failure as failure:
                if not in_doubt or failure.number in (422, 503):
                    raise
            raise Failure(504, "the command may have been carried out")
        raise Failure(503, "other writers were first, again and again")

    async def attempt(self, id, command, key, headers, body, codec):
        counter = self.actors.get(id) or await self.load(id)
        self.actors[id] = counter
        digest = hashlib.sha256(command.encode() + b"\0" + body).digest()[:16].hex()
        if key in counter.keys:
            sequence, known, reply = counter.keys[key]
            if known != digest:
                raise Failure(422, "this key was used before, with another command or body")
            return True, sequence, reply
        try:
            expected = number(headers, "Cb-Expect-Version")
            if expected is not None and expected != counter.version:
                raise Failure(412, f"the actor is at version {counter.version}, not {expected}")
            events, reply = counter.decide(command, codec.decode(body))
        except Failure as failure:
            if failure.number in (409, 412):
                await self.check_newest(id, counter)
            raise
        if not events:
            await self.check_newest(id, counter)
            return False, counter.version, reply
        commit = {
            "commit": uuid.uuid4().hex, "at": int(time.time() * 1000), "command": command,
            "key": key, "digest": digest, "events": events, "reply": reply,
        }  # fmt: skip
        for field, header in (("cause", "Cb-Cause"), ("principal", "Cb-Principal"), ("trace", "traceparent")):
            if header in headers:
                commit[field] = headers[header]
        sequence = await self.append(id, counter.version, commit)
        counter.advance(sequence, commit)
        return True, sequence, reply

    async def check_newest(self, id, counter):
        """An answer that stores nothing rests on the state: it must be the newest one."""
        last = await self.last(id)
        if (last[0] if last else 0) != counter.version:
            raise Overtaken

    async def answer(self, message):
        headers, told = message.headers or {}, {}
        codec = Codec(None, b"")
        try:
            deadline = time.monotonic() + number(headers, "Cb-Timeout-Ms", 10_000) / 1000
            tokens = message.subject.split(".")
            if len(tokens) != 4:
                raise Failure(400, "a command's subject is cmd.<kind>.<id>.<command>: an id has no dots", field="id")
            if len(message.data) > BODY_MAX:
                raise Failure(413, f"the body has {len(message.data)} bytes, at most {BODY_MAX}")
            codec = Codec(headers.get("Content-Type"), message.data)
            _, _, id, command = tokens
            # One actor decides one thing at a time.
            async with self.locks.setdefault(id, asyncio.Lock()):
                sequence, reply = await self.carry_out(id, command, headers, message.data, codec, deadline)
            told["Cb-Seq"] = f"{STREAM}@{sequence}"
        except Failure as failure:
            told["Nats-Service-Error-Code"], told["Nats-Service-Error"] = str(failure.number), str(failure)
            reply = failure.body
        except Exception as error:
            # Whatever it was, nobody is left without an answer.
            failure = Failure(503, f"the command could not be carried out now: {error}")
            told["Nats-Service-Error-Code"], told["Nats-Service-Error"] = "503", str(failure)
            reply = failure.body
        told["Content-Type"] = codec.name
        if message.reply:
            await self.nats.publish(message.reply, codec.encode(reply), headers=told)

    async def take(self, message):
        task = asyncio.create_task(self.answer(message))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


async def main():
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    host = Host(client)
    await host.provision()
    await client.subscribe(f"cmd.{KIND}.>", queue=KIND, cb=host.take)
    await client.flush()
    print("serving", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
