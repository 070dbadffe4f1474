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
PASSWORD = "correct horse battery"
# Who asks, how many examples of each operation, and of which operations.
CLIENTS = [
    ("ada", [], 12, []),
    ("bob", [], 12, []),
    ("sam", ["staff"], 12, []),
    ("root", ["admin"], 10, ["--include-tag", "People", "--include-tag", "Users"]),
]


def main(url):
    run = secrets.token_hex(4)
    people = {name: Person(url, f"{name}-{run}", roles) for name, roles, *_ in CLIENTS}
    spare = Person(url, f"spare-{run}", [])
    sku = f"CUP-{run}"
    item = {"sku": sku, "name": "Cup", "price": {"amount": 900, "currency": "EUR"}}
    people["sam"].post("/v1/items", item, 201)
    people["sam"].post(f"/v1/items/{sku}/stock", {"quantity": 10_000}, 200)
    for name in ("ada", "bob"):
        people[name].buys(sku)

    total, failed = 0, []
    for name, _, examples, only in CLIENTS:
        others = [secret for other in ("ada", "bob") if other != name for secret in people[other].secrets]
        contract = {"url": url, "token": people[name].token, "spare": spare.login, "others": others}
        # Staff and admins may see others' accounts, as the document says.
        if name == "root":
            contract["others"] = []
        begun = time.monotonic()
        cases, status = ask(url, name, people[name].token, contract, examples, only)
        print(f"{name}: {cases} cases in {time.monotonic() - begun:.0f} s, exit status {status}", flush=True)
        total += cases
        if status != 0:
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
        for role in roles:
            command = os.environ.get("CALLBOARD", "target/debug/callboard")
            subprocess.run([command, "--log", "off", "grant", role, self.login["email"]], check=True, stdout=subprocess.DEVNULL)
        self.token = self.post("/v1/sessions", self.login, 201)["token"]

    def buys(self, sku):
        body = {"currency": "EUR", "card": "4242424242424242", "lines": [{"sku": sku, "quantity": 1}]}
        self.secrets.append(self.post("/v1/orders", body, 201)["id"])

    def post(self, path, body, expected):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = requests.post(self.url + path, json=body, headers={**headers, "Prefer": "wait=30"}, timeout=40)
        if answer.status_code != expected:
            sys.exit(f"FAIL  {path}: {answer.status_code} {answer.text}")
        return answer.json()


def ask(url, name, token, contract, examples, only):
    """Runs schemathesis as one client: how many requests it made, and its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "contract.json").write_text(json.dumps(contract))
        report = work / "report.json"
        command = [
            str(pathlib.Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(HERE / "schemathesis.toml"), "--no-color", "run", f"{url}/openapi.json"),
            *("--header", f"Authorization: Bearer {token}", "--checks", "all", "--max-examples", str(examples)),
            *("--report", "json", "--report-json-path", str(report), *only),
        ]
        environment = os.environ | {"CONTRACT": str(work / "contract.json"), "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "contract_hooks"}
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"---- {name}\n{done.stdout}{done.stderr}")
        return cases_of(report), done.returncode


def cases_of(report):
    if not report.exists():
        return 0
    return json.loads(report.read_text())["test_cases"]["generated"]


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"))
