#!/usr/bin/env python3
"""Holds docker-compose.yml to the Compose specification, and to what docs/deploy.md promises.

There may be no container engine where this runs, so it looks and starts nothing. The schema is the
one that comes with the package check-jsonschema. Exit status 1, and a line for each fault.

    ci/check-compose.py [docker-compose.yml]
"""

import json
import re
import sys
import tomllib
from importlib import resources
from pathlib import Path

import jsonschema
import yaml

ROOT = Path(__file__).resolve().parent.parent

# Who may publish ports, and which of the container's.
PUBLISHED = {"edge": {8080}, "mail": {8025}, "nats": {4222}}

# A stopping process drains for 15 s at most (DRAIN_DEADLINE), and must not be killed before.
DRAIN_SECONDS = 15

# The commands that drain when they are told to stop.
DRAINING = ("serve", "edge", "gateway")

# Those of them that know of no NATS.
WITHOUT_NATS = ("gateway",)

# What the card gateway and the edge must have in common.
GATEWAY_SECRET = "CALLBOARD_GATEWAY_SECRET"


class UniqueKeys(yaml.SafeLoader):
    """PyYAML takes the last of two equal keys; Compose refuses them."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.YAMLError(f"{key.start_mark}: `{key.value}` is there twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def schema_faults(compose):
    folder = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    for error in validator.iter_errors(compose):
        where = ".".join(str(part) for part in error.absolute_path) or "the file"
        yield f"{where}: {error.message[:200]}"


def kinds():
    """The kinds that roles are named after, as the code has them. A role may host others too."""
    roles = (ROOT / "actors" / "src" / "role.rs").read_text("utf-8")
    actors = set(re.findall(r"Self::\w+ => (\w+)::KIND", roles))
    found = set()
    for file in (ROOT / "actors" / "src").rglob("*.rs"):
        kind = r"impl Actor for (\w+) \{\s*const KIND: &'static str = \"(\w+)\""
        for actor, name in re.findall(kind, file.read_text("utf-8")):
            if actor in actors:
                found.add(name)
    return found


def version():
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text("utf-8"))
    return workspace["workspace"]["package"]["version"]


def port_faults(name, service):
    for port in service.get("ports", []):
        match = re.fullmatch(r"(\d+\.\d+\.\d+\.\d+):(\d+):(\d+)", str(port))
        if not match:
            yield f"the port {port!r} is not written as address:port:port"
        elif match[1] != "127.0.0.1":
            yield f"publishes port {match[3]} on {match[1]}, and not only on 127.0.0.1"
        elif int(match[3]) not in PUBLISHED.get(name, set()):
            yield f"publishes port {match[3]}, which must stay private"
    if service.get("network_mode") or service.get("privileged"):
        yield "is not kept apart from the host (network_mode, privileged)"


def image_faults(service):
    image = service.get("image", "")
    _, _, tag = image.rpartition("/")[2].partition(":")
    if not re.search(r"\d", tag) or tag == "latest":
        yield f"the image {image!r} is not pinned to a version"
    elif image.startswith("callboard:") and tag != version():
        yield f"the image is {image}, but the workspace's version is {version()}"


def seconds(text):
    match = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", text)
    return int(match[1] or 0) * 60 + int(match[2] or 0) if match else 0


def process_faults(service, volumes):
    check = service.get("healthcheck", {})
    if not check.get("test") or check.get("disable") or check["test"] == ["NONE"]:
        yield "has no health check"
    if service.get("restart") != "unless-stopped":
        yield "is not restarted"
    if service.get("cap_drop") != ["ALL"] or not service.get("read_only"):
        yield "keeps capabilities, or may write to its image"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "may gain privileges"
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            if not (ROOT / source).is_file():
                yield f"mounts {source}, which is not a file here"
        elif source not in volumes:
            yield f"mounts the volume {source}, which is not declared"
    if (service.get("command") or [""])[0] in DRAINING:
        yield from draining_faults(service)


def draining_faults(service):
    if seconds(str(service.get("stop_grace_period", "10s"))) <= DRAIN_SECONDS:
        yield f"is killed before it has drained: stop_grace_period must exceed {DRAIN_SECONDS}s"
    if not any(volume.endswith(":/data") for volume in service.get("volumes", [])):
        yield "has no volume at /data"
    if service["command"][0] in WITHOUT_NATS:
        return
    if service.get("depends_on", {}).get("nats", {}).get("condition") != "service_healthy":
        yield "does not wait for a healthy NATS"
    if service.get("environment", {}).get("NATS_URL") != "nats://nats:4222":
        yield "is not pointed at NATS"


def gateway_faults(services):
    """The gateway, the payments that ask it and the edge that hears it agree on where and how."""
    gateway = services.get("gateway", {}).get("environment", {})
    edge = services.get("edge", {}).get("environment", {})
    payment = services.get("payment", {}).get("environment", {})
    port = gateway.get("CALLBOARD_GATEWAY_LISTEN", "").rpartition(":")[2]
    if payment.get("CALLBOARD_GATEWAY_URL") != f"http://gateway:{port}":
        yield f"payment does not ask the gateway at http://gateway:{port}"
    if gateway.get("CALLBOARD_GATEWAY_WEBHOOK_URL") != "http://edge:8080/v1/webhooks/gateway":
        yield "the gateway's webhooks do not go to the edge"
    secret = gateway.get(GATEWAY_SECRET, "")
    if secret != edge.get(GATEWAY_SECRET):
        yield "the edge does not check webhooks with the secret that the gateway signs them with"
    if not secret.startswith("${" + GATEWAY_SECRET + ":?"):
        yield f"{GATEWAY_SECRET} is written here, or may be left out"


def role_faults(services):
    """Every kind has a service that serves it, and asks after that very kind in its health check."""
    wanted = kinds()
    if not wanted:
        yield "found no kinds under actors/src: is the constant spelt otherwise now?"
    for kind in sorted(wanted):
        service = services.get(kind, {})
        if service.get("command") != ["serve", "--only", kind]:
            yield f"no service `{kind}` with the command serve --only {kind}"
        elif service["healthcheck"].get("test", [])[-2:] != ["--only", kind]:
            yield f"{kind}: the health check does not ask after `{kind}`"
    for name in PUBLISHED:
        if name not in services:
            yield f"no service `{name}`"


def shared_volume_faults(services):
    """Two processes on one folder of rows would fight over it. Keys are made once and then only read."""
    owner = {}
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            if target.startswith("/data/keys"):
                continue
            if owner.setdefault(source, name) != name:
                yield f"{name} and {owner[source]} share the volume {source}"


def network_faults(compose):
    inside = compose.get("networks", {}).get("inside") or {}
    if not inside.get("internal"):
        yield "the network `inside` is not internal"
    for name, service in compose["services"].items():
        on = set(service.get("networks", []))
        if "inside" not in on:
            yield f"{name} is not on the private network"
        if "outside" in on and name not in PUBLISHED:
            yield f"{name} is reachable from outside, and has no reason to be"


def image_build_faults():
    """The build reads every member of the workspace, so .dockerignore must let each through."""
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text("utf-8"))
    let_through = (ROOT / ".dockerignore").read_text("utf-8").split()
    for member in workspace["workspace"]["members"]:
        if f"!{member}" not in let_through:
            yield f".dockerignore keeps {member} out of the build, which is a member of the workspace"


def faults(compose):
    found = list(schema_faults(compose))
    if found:
        return found
    services, volumes = compose["services"], compose.get("volumes", {})
    for name, service in services.items():
        for each in (port_faults(name, service), image_faults(service), process_faults(service, volumes)):
            found += [f"{name}: {fault}" for fault in each]
    found += role_faults(services)
    found += gateway_faults(services)
    found += shared_volume_faults(services)
    found += network_faults(compose)
    found += image_build_faults()
    return found


def main():
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docker-compose.yml"
    try:
        found = faults(yaml.load(file.read_text("utf-8"), UniqueKeys))
    except yaml.YAMLError as error:
        found = [f"not YAML: {error}"]
    for fault in found:
        print(f"{file.name}: {fault}", file=sys.stderr)
    if not found:
        print(f"{file.name}: as the Compose schema and docs/deploy.md have it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
