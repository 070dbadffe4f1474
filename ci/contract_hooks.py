"""What schemathesis is told of the shop, beside its document.

Read by ci/contract.py's runs. CONTRACT names the file with who asks and what is others'.
"""

import itertools
import json
import os
import re
import threading

import schemathesis
from hypothesis import strategies

with open(os.environ["CONTRACT"], encoding="utf-8") as file:
    CONTRACT = json.load(file)


@schemathesis.auth()
class Token:
    """Not as an option of the command, which would win over the header of another's session."""

    def get(self, case, context):
        return CONTRACT["token"]

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


# They end the session they are asked in, or one of those that a list told of.
LOGS_OUT = {"closeSession", "closeSessions", "closeCurrentSession"}
EVENT = re.compile(r"^[0-9]+-[0-9]+$")
POSITION = re.compile(r"^EVT_[a-z]+_0@[0-9]+")


class Spares:
    """People who may be logged out: nobody else's session is needed for that.

    When all are, what they ask is refused, as it may be.
    """

    def __init__(self, tokens):
        self.tokens, self.lock = tokens, threading.Lock()

    def logged_in(self):
        with self.lock:
            return self.tokens[0]

    def logged_out(self):
        with self.lock:
            if len(self.tokens) > 1:
                self.tokens.pop(0)


SPARES = Spares(CONTRACT["spares"])


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
# Headers whose pattern it forgets where it wants a value of the least length.
FORMATS = {
    "^(\\*|\"[0-9]{1,18}\")$": ("etag-or-any", ["*", '"0"', '"12"', '"999999999999999999"']),
    "^[0-9]{1,18}-[0-9]{1,18}$": ("event-id", ["0-0", "12-1"]),
}
for name, values in FORMATS.values():
    schemathesis.openapi.format(name, strategies.sampled_from(values))


@schemathesis.hook
def before_load_schema(context, raw_schema):
    def ease(value):
        if isinstance(value, dict):
            pattern = value.get("pattern")
            for start, easier in EASIER.items():
                if isinstance(pattern, str) and pattern.startswith(start):
                    value["pattern"] = easier
            if pattern in FORMATS:
                value["format"] = FORMATS[pattern][0]
        if isinstance(value, (dict, list)):
            for inner in value.values() if isinstance(value, dict) else value:
                ease(inner)

    ease(raw_schema)
    # OpenAPI 3.1 has no words for one event of a stream, and each is held to those for all of them.
    raw_schema["paths"]["/v1/orders/{id}/events"]["get"]["responses"]["200"]["content"]["text/event-stream"].pop("schema")


def is_meant_to_be_good(case):
    return case.meta is not None and case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE


def others_id(case):
    """What the other customer has where this request's path names one, if anything."""
    for start, id in CONTRACT["others_ids"].items():
        if case.operation.path.startswith(start):
            return id
    return None


def ask_for_others(case):
    """Every second request that names one of a kind names the other customer's.

    Only of those with the client's own token: checks make more of each request, without it.
    """
    other = others_id(case)
    if other is not None and has_own_token(case) and next(ASKED) % 2 == 0:
        case.path_parameters["id"] = other


def has_own_token(case):
    return CONTRACT["token"] in str((case.headers or {}).get("Authorization"))


ASKED = itertools.count()


@schemathesis.hook
def before_call(context, case, kwargs):
    ask_for_others(case)
    headers = case.headers
    after = headers.get("Cb-After") if headers else None
    if after is not None and (is_meant_to_be_good(case) or POSITION.match(str(after))):
        # A commit that never comes is waited for, and then 503, as the document says.
        headers["Cb-After"] = "EVT_item_0@1"
    if headers and EVENT.match(str(headers.get("Last-Event-ID"))):
        # An event that has not happened is waited for without end.
        headers["Last-Event-ID"] = "0-0"
    if operation_id(case) in LOGS_OUT and has_own_token(case):
        headers["Authorization"] = f"Bearer {SPARES.logged_in()}"


@schemathesis.hook
def after_call(context, case, response):
    if operation_id(case) in LOGS_OUT and response.status_code == 204:
        SPARES.logged_out()


@schemathesis.check
def nothing_of_others(ctx, response, case):
    """What is another customer's is refused, and no answer holds anything of theirs, unless the request did."""
    if is_for_others(case):
        with open(CONTRACT["for_others"], "a", encoding="utf-8") as file:
            file.write(f"{operation_id(case)} {response.status_code}\n")
        assert response.status_code >= 400, "is answered, though it is another customer's"
    told = response.content.decode("utf-8", "replace")
    asked = json.dumps([case.path_parameters, case.query, str(case.body)], default=str)
    for secret in CONTRACT["others"]:
        assert secret not in told or secret in asked, f"tells {secret}, which is another customer's"


def is_for_others(case):
    other = others_id(case)
    return other is not None and has_own_token(case) and (case.path_parameters or {}).get("id") == other
