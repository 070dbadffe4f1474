// What a client can rely on, told by one that has nothing of ours: the official NATS library for
// Node, MessagePack and JSON Schema. NATS_URL names the NATS of a running shop.
//
//     NATS_URL=nats://127.0.0.1:4222 node --test

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Svcm } from "@nats-io/services";
import { headers } from "@nats-io/transport-node";
import { decode } from "@msgpack/msgpack";
import Ajv from "ajv/dist/2020.js";

import { Bus } from "./client.js";

const PRICE = { amount: 1250, currency: "EUR" };
let bus;

before(async () => {
  assert.ok(process.env.NATS_URL, "NATS_URL must name the NATS of a running shop");
  bus = await Bus.connect(process.env.NATS_URL);
});

after(() => bus?.close());

const fresh = (prefix) => `${prefix}-${randomUUID()}`;

/** The subject of a command to an item that was just created. */
async function item() {
  const sku = fresh("N");
  await bus.ask(`cmd.item.${sku}.create`, { name: `Node ${sku}`, price: PRICE });
  return { sku, to: (command) => `cmd.item.${sku}.${command}` };
}

/** The failure that `work` ends with. */
async function failure(work, number, code) {
  const failed = await work.then(() => assert.fail("it was carried out"), (error) => error);
  assert.equal(failed.number, number, failed.message);
  assert.equal(failed.code, code);
  assert.ok(failed.message.length > 0);
  assert.equal(failed.retry, [429, 503, 504].includes(number));
  return failed;
}

/** Tries until `check` gives something. */
async function eventually(what, check) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = await check();
    if (found) return found;
    assert.ok(Date.now() < deadline, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("JSON is answered in JSON and MessagePack in MessagePack", async () => {
  const { to } = await item();
  const json = await bus.ask(to("receive"), { quantity: 5 });
  assert.equal(json.type, "application/json");
  assert.deepEqual(json.body, { received: 5, available: 5, held: 0, shipped: 0 });
  const packed = await bus.ask(to("receive"), { quantity: 2 }, { packed: true });
  assert.equal(packed.type, "application/msgpack");
  assert.equal(packed.body.received, 7);
});

test("a body needs no Content-Type", async () => {
  const { to } = await item();
  const reply = await bus.nats.request(to("receive"), '{"quantity":3}');
  assert.equal(reply.json().available, 3);
});

test("a key has one effect and one answer", async () => {
  const { to } = await item();
  const options = { headers: { "Cb-Key": randomUUID(), "Cb-Key-Time": Date.now() } };
  const asks = Array.from({ length: 8 }, () => bus.ask(to("receive"), { quantity: 5 }, options));
  const replies = await Promise.all(asks);
  assert.deepEqual(new Set(replies.map((reply) => reply.body.received)), new Set([5]));
  assert.equal(new Set(replies.map((reply) => reply.position)).size, 1);
  await bus.ask(to("receive"), { quantity: 1 });
  const again = await bus.ask(to("receive"), { quantity: 5 }, options);
  assert.equal(again.body.received, 5, "the first answer, and not how it stands now");
  await failure(bus.ask(to("receive"), { quantity: 6 }, options), 422, "KEY_REUSED");
  assert.equal((await bus.ask(to("show"), {})).body.received, 6);
});

test("refusals and errors say what was wrong", async () => {
  const { sku, to } = await item();
  await failure(bus.ask(to("create"), { name: "x", price: PRICE }), 409, "ALREADY_CREATED");
  const bad = await failure(bus.ask(to("receive"), { quantity: 0 }), 400, "BAD_COMMAND");
  assert.equal(bad.field, "quantity");
  await failure(bus.ask(to("receive"), { quantity: 0 }, { packed: true }), 400, "BAD_COMMAND");
  await failure(bus.ask(to("explode"), {}), 404, "NOT_FOUND");
  await failure(bus.ask(`cmd.item.${sku}.x.show`, {}), 400, "BAD_COMMAND");
  await failure(bus.ask(to("receive"), { quantity: 1, pad: "x".repeat(300_000) }), 413, "TOO_LARGE");
  await assert.rejects(bus.ask("cmd.unicorn.u-1.show", {}), /no responders/i);
});

test("a command may say at which version the actor must be", async () => {
  const { to } = await item();
  const first = await bus.ask(to("receive"), { quantity: 1 });
  const version = first.position.split("@")[1];
  const at = (version) => ({ headers: { "Cb-Expect-Version": version } });
  await bus.ask(to("receive"), { quantity: 1 }, at(version));
  await failure(bus.ask(to("receive"), { quantity: 1 }, at(version)), 412, "VERSION_MISMATCH");
  assert.equal((await bus.ask(to("show"), {})).body.received, 2);
});

test("a command whose time is over is not carried out", async () => {
  const { to } = await item();
  const over = { headers: { "Cb-Timeout-Ms": 0 } };
  await failure(bus.ask(to("receive"), { quantity: 1 }, over), 504, "EXPIRED");
  assert.equal((await bus.ask(to("show"), {})).body.received, 0);
});

test("rows include what one has just done", async () => {
  const { sku, to } = await item();
  const { position } = await bus.ask(to("receive"), { quantity: 4 });
  for (const packed of [false, true]) {
    const options = { packed, headers: { "Cb-After": position } };
    const { row } = (await bus.ask("view.items.get", { row: sku }, options)).body;
    assert.equal(row.available, 4);
  }
  const select = [{ index: "word", value: sku.toLowerCase().split("-")[1] }];
  const listed = (await bus.ask("view.items.list", { select })).body;
  assert.ok(listed.rows.some((row) => row.sku === sku));
  await failure(bus.ask("view.items.get", { row: fresh("N") }), 404, "NO_ROW");
});

test("what is told is carried out, once for each key", async () => {
  const { sku, to } = await item();
  const map = headers();
  map.set("Content-Type", "application/json");
  map.set("Cb-Key", randomUUID());
  for (const _ of [1, 2]) {
    const stored = await jetstream(bus.nats).publish(`do.item.${sku}.receive`, '{"quantity":5}', { headers: map });
    assert.equal(stored.stream, "DO");
  }
  map.set("Cb-Key", randomUUID());
  await jetstream(bus.nats).publish(`do.item.${sku}.receive`, '{"quantity":2}', { headers: map });
  // To one actor in order: when the last is done, all are.
  const done = await eventually("the tells are carried out", async () => {
    const { received } = (await bus.ask(to("show"), {})).body;
    return received >= 7 && received;
  });
  assert.equal(done, 7);
});

test("commits can be read by anybody", async () => {
  const { sku, to } = await item();
  const key = randomUUID();
  const reply = await bus.ask(to("receive"), { quantity: 5 }, { headers: { "Cb-Key": key } });
  const [stream, sequence] = reply.position.split("@");
  const manager = await jetstreamManager(bus.nats);
  const stored = await manager.streams.getMessage(stream, { seq: Number(sequence) });
  assert.equal(stored.subject, `evt.item.0.${sku}`);
  const commit = decode(stored.data);
  assert.deepEqual(commit.events, [{ received: { quantity: 5 } }]);
  assert.equal(commit.command, "receive");
  assert.equal(commit.key, key);
  assert.deepEqual(commit.reply, reply.body);
  await assert.rejects(manager.streams.deleteMessage(stream, Number(sequence)), "history stays");
});

/** The endpoints of a service, by name, as its INFO tells them. */
async function endpoints(name) {
  for await (const info of await new Svcm(bus.nats).client().info(name)) {
    return Object.fromEntries(info.endpoints.map((endpoint) => [endpoint.name, endpoint]));
  }
  return assert.fail(`nobody serves ${name}`);
}

test("services are found by the official client", async () => {
  const names = new Set();
  for await (const ping of await new Svcm(bus.nats).client().ping()) names.add(ping.name);
  for (const name of ["email", "user", "item", "order", "payment", "notice", "view-items"]) {
    assert.ok(names.has(name), `${name} among ${[...names]}`);
  }
  const { receive } = await endpoints("item");
  assert.equal(receive.subject, "cmd.item.*.receive");
  await bus.ask((await item()).to("receive"), { quantity: 1 });
  for await (const stats of await new Svcm(bus.nats).client().stats("item")) {
    const counted = stats.endpoints.find((endpoint) => endpoint.name === "receive");
    assert.ok(counted.num_requests > 0 && counted.average_processing_time > 0);
  }
});

test("what a schema allows is read, and what was read was allowed", async () => {
  const samples = JSON.parse(readFileSync(new URL("../samples.json", import.meta.url)));
  const described = new Set();
  for (const kind of new Set(Object.keys(samples).map((name) => name.split(".")[0]))) {
    for (const [command, { metadata }] of Object.entries(await endpoints(kind))) {
      const name = `${kind}.${command}`;
      described.add(name);
      const ajv = new Ajv({ strict: false, validateFormats: false });
      const request = ajv.compile(JSON.parse(metadata.request_schema));
      const reply = ajv.compile(JSON.parse(metadata.reply_schema));
      const judge = async (body, allowed) => {
        const told = `${name} ${JSON.stringify(body)}`;
        assert.equal(request(body), allowed, `the schema on ${told}: ${ajv.errorsText(request.errors)}`);
        const answer = await bus.ask(`cmd.${kind}.${fresh("s")}.${command}`, body).catch((e) => e);
        assert.equal(answer.number === 400, !allowed, `the reader on ${told}: ${answer.message}`);
        if (answer.number === undefined) {
          assert.ok(reply(answer.body), `the reply to ${told}: ${ajv.errorsText(reply.errors)}`);
        }
      };
      for (const body of samples[name]?.good ?? []) await judge(body, true);
      for (const body of samples[name]?.bad ?? []) await judge(body, false);
    }
  }
  assert.deepEqual([...described].sort(), Object.keys(samples).sort(), "a sample for each command");
});
