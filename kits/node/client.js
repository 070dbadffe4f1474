// A whole client of the bus, in what fits a screen: any NATS library can do this.

import { connect, headers } from "@nats-io/transport-node";
import { decode, encode } from "@msgpack/msgpack";

/** A failure, as the other side words it. `retry` says whether asking again may help. */
export class Failure extends Error {
  constructor(number, error) {
    super(`${number} ${error.code}: ${error.message}`);
    Object.assign(this, { number, ...error });
  }
}

/** A reply: its body, decoded, and where the actor stands since (`EVT_item_0@17`). */
class Reply {
  constructor(message) {
    this.type = message.headers.get("Content-Type");
    this.position = message.headers.get("Cb-Seq");
    this.body = this.type === "application/json" ? message.json() : decode(message.data);
    const number = message.headers.get("Nats-Service-Error-Code");
    if (number !== "") throw new Failure(Number(number), this.body.error);
  }
}

export class Bus {
  static async connect(servers) {
    return new Bus(await connect({ servers }));
  }

  constructor(nats) {
    this.nats = nats;
  }

  /** Sends a command or a query and waits for its reply; throws its failure. */
  async ask(subject, body, options = {}) {
    const { packed = false, headers: extra = {}, timeout = 10_000 } = options;
    const map = headers();
    map.set("Content-Type", packed ? "application/msgpack" : "application/json");
    map.set("Cb-Timeout-Ms", String(timeout));
    for (const [name, value] of Object.entries(extra)) map.set(name, String(value));
    const data = packed ? encode(body) : JSON.stringify(body);
    return new Reply(await this.nats.request(subject, data, { headers: map, timeout }));
  }

  close() {
    return this.nats.close();
  }
}
