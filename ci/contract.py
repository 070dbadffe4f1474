#!/usr/bin/env python3
"""Holds a running edge to its own document: /openapi.json, by schemathesis, as four clients.

    ci/contract.py URL        with `callboard dev` behind it

Two customers, staff and an admin ask whatever the document allows, and what it does not: the answers
must have the statuses, headers and shapes that it says, none may be a 5xx, and none may tell a
customer what is another's. CALLBOARD is the command that grants roles (target/debug/callboard),
CALLBOARD_DATA the folder of that `dev`. The seed is fixed, so a failure can be repeated.
"""

import json
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile
import time

import requests

HERE = pathlib.Path(__file__).parent
CASES_MIN = 2_000
# Requests of each customer for what is the other's.
FOR_OTHERS_MIN = 50
# Those whom each client may log out.
SPARES = 12
# Not the one of the document's examples: with it, they would change the client's, and end its session.
PASSWORD = "seven plums in a hat"
# Who asks, how many examples of each operation, and what of it: an admin only what is for admins,
# where no answer leads to another request.
ONLY_ADMINS = ["--include-tag", "People", "--include-tag", "Ledger", "--phases", "examples,coverage,fuzzing"]
CLIENTS = [
    ("ada", [], 12, []),
    ("bob", [], 12, []),
    ("sam", ["staff"], 12, []),
    ("root", ["admin"], 12, ONLY_ADMINS),
]


def main(url):
    run = secrets.token_hex(4)
    people = {name: Person(url, f"{name}-{run}", roles) for name, roles, *_ in CLIENTS}
    # Before anybody guesses passwords, which makes everybody here wait.
    spares = {name: [Person(url, f"spare-{name}-{n}-{run}", []).token for n in range(SPARES)] for name in people}
    sku = f"CUP-{run}"
    item = {"sku": sku, "name": "Cup", "price": {"amount": 900, "currency": "EUR"}}
    people["sam"].post("/v1/items", item, 201)
    people["sam"].post(f"/v1/items/{sku}/stock", {"quantity": 10_000}, 200)
    for name in ("ada", "bob"):
        people[name].buys(sku)

    total, failed = 0, []
    for name, _, examples, only in CLIENTS:
        contract = {"token": people[name].token, "spares": spares[name], "others": [], "others_ids": {}}
        # Staff and admins may see others' things, as the document says.
        other = {"ada": people["bob"], "bob": people["ada"]}.get(name)
        if other is not None:
            contract |= {"others": other.secrets, "others_ids": other.ids}
        begun = time.monotonic()
        cases, for_others, status = ask(url, name, contract, examples, only)
        took = time.monotonic() - begun
        print(f"{name}: {cases} cases, {for_others} for another's, in {took:.0f} s, exit status {status}", flush=True)
        total += cases
        # Whoever is logged out half-way is only told so, which would look like all is well.
        people[name].must_still_be_logged_in()
        if status != 0 or (other is not None and for_others < FOR_OTHERS_MIN):
            failed.append(name)
    print(f"{total} cases in all")
    if failed:
        sys.exit(f"FAIL  the edge does not keep to its document, as asked by: {', '.join(failed)}")
    if total < CASES_MIN:
        sys.exit(f"FAIL  {total} cases are fewer than {CASES_MIN}: was everything asked?")


class Person:
    """Somebody with an account, logged in."""

    def __init__(self, url, name, roles):
        self.url, self.token = url, None
        self.login = {"email": f"{name}@example.com", "password": PASSWORD}
        user = self.post("/v1/users", {**self.login, "name": f"Name of {name}"}, 201)
        self.secrets = [user["id"], self.login["email"], f"Name of {name}"]
        # What is asked for where a path begins so.
        self.ids = {"/v1/users/{id}": user["id"]}
        for role in roles:
            command = os.environ.get("CALLBOARD", "target/debug/callboard")
            subprocess.run([command, "--log", "off", "grant", role, self.login["email"]], check=True, stdout=subprocess.DEVNULL)
        self.token = self.post("/v1/sessions", self.login, 201)["token"]

    def buys(self, sku):
        body = {"currency": "EUR", "card": "4242424242424242", "lines": [{"sku": sku, "quantity": 1}]}
        order = self.post("/v1/orders", body, 201)["id"]
        self.secrets.append(order)
        self.ids |= {"/v1/orders/{id}": order, "/v1/payments/{id}": order}

    def must_still_be_logged_in(self):
        answer = requests.get(f"{self.url}/v1/users/me", headers={"Authorization": f"Bearer {self.token}"}, timeout=40)
        if answer.status_code != 200:
            sys.exit(f"FAIL  the session of {self.login['email']} ended while the edge was asked")

    def post(self, path, body, expected):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = requests.post(self.url + path, json=body, headers={**headers, "Prefer": "wait=30"}, timeout=40)
        if answer.status_code != expected:
            sys.exit(f"FAIL  {path}: {answer.status_code} {answer.text}")
        return answer.json()


def ask(url, name, contract, examples, only):
    """Runs schemathesis as one client: its requests, those for another's, and its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for_others = work / "for-others"
        for_others.touch()
        (work / "contract.json").write_text(json.dumps(contract | {"for_others": str(for_others)}))
        report = work / "report.json"
        command = [
            str(pathlib.Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(HERE / "schemathesis.toml"), "--no-color", "run", f"{url}/openapi.json"),
            *("--checks", "all", "--max-examples", str(examples)),
            *("--report", "json", "--report-json-path", str(report), *only),
        ]
        environment = os.environ | {"CONTRACT": str(work / "contract.json"), "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "contract_hooks"}
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"---- {name}\n{done.stdout}{done.stderr}")
        return cases_of(report), len(for_others.read_text().splitlines()), done.returncode


def cases_of(report):
    if not report.exists():
        return 0
    return json.loads(report.read_text())["test_cases"]["generated"]


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
