"""What schemathesis is told of the shop, beside its document.

Read by ci/contract.py's runs. CONTRACT names the file with who asks and what is others'.
"""

import json
import os
import re
import threading
import time

import requests
import schemathesis

with open(os.environ["CONTRACT"], encoding="utf-8") as file:
    CONTRACT = json.load(file)

# They end the session they are asked in.
LOGS_OUT = {"closeSessions", "closeCurrentSession"}
POSITION = re.compile(r"^EVT_[a-z]+_0@[0-9]+")


class Spare:
    """Somebody who may be logged out: nobody else's session is needed for that."""

    def __init__(self):
        self.token, self.lock = None, threading.Lock()

    def logged_in(self):
        with self.lock:
            while self.token is None:
                answer = requests.post(CONTRACT["url"] + "/v1/sessions", json=CONTRACT["spare"], timeout=40)
                if answer.status_code == 201:
                    self.token = answer.json()["token"]
                else:
                    # Guesses from this address were wrong: everybody here waits.
                    time.sleep(float(answer.headers.get("Retry-After", "1")))
            return self.token

    def logged_out(self):
        with self.lock:
            self.token = None


SPARE = Spare()


def operation_id(case):
    return case.operation.definition.raw.get("operationId")


# The document's patterns that look ahead, which values are hard to find for, and what allows some of the same.
PLAIN = "[^\\u0000-\\u001f\\u007f-\\u009f]"
ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}"
LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?"
EASIER = {
    "^(?=.*\\S)": f"^{PLAIN}*[^\\s\\u0000-\\u001f\\u007f-\\u009f]{PLAIN}*$",
    "^(?=[^@]": f"^{ATOM}(\\.{ATOM}){{0,1}}@{LABEL}(\\.{LABEL}){{0,3}}$",
}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    def ease(value):
        if isinstance(value, dict):
            pattern = value.get("pattern")
            for start, easier in EASIER.items():
                if isinstance(pattern, str) and pattern.startswith(start):
                    value["pattern"] = easier
        if isinstance(value, (dict, list)):
            for inner in value.values() if isinstance(value, dict) else value:
                ease(inner)

    ease(raw_schema)


def is_meant_to_be_good(case):
    return case.meta is not None and case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE


@schemathesis.hook
def before_call(context, case, kwargs):
    headers = case.headers
    after = headers.get("Cb-After") if headers else None
    if after is not None and (is_meant_to_be_good(case) or POSITION.match(str(after))):
        # A commit that never comes is waited for, and then 503, as the document says.
        headers["Cb-After"] = "EVT_item_0@1"
    if operation_id(case) in LOGS_OUT and headers and CONTRACT["token"] in str(headers.get("Authorization")):
        headers["Authorization"] = f"Bearer {SPARE.logged_in()}"


@schemathesis.hook
def after_call(context, case, response):
    if operation_id(case) in LOGS_OUT and response.status_code == 204:
        SPARE.logged_out()


@schemathesis.check
def nothing_of_others(ctx, response, case):
    """No answer holds anything of the other customer's, unless the request did."""
    told = response.content.decode("utf-8", "replace")
    asked = json.dumps([case.path_parameters, case.query, str(case.body)], default=str)
    for secret in CONTRACT["others"]:
        assert secret not in told or secret in asked, f"tells {secret}, which is another customer's"
