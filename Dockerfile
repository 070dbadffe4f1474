# The `callboard` command in a small image: one image for every role.
#
#   docker build -t callboard:0.1.0 .
#
# The build needs BuildKit (the default of docker since 23) for the cache mounts.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive the layer, so a changed line does not build every dependency again; what they
# hold is gone from the layer, hence the copy in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package callboard \
    && cp target/release/callboard /callboard

FROM debian:bookworm-slim
# Numbers, so that an orchestrator can see that it is not root. The folder is made here because a
# fresh named volume takes its owner and mode from the image.
RUN groupadd --system --gid 10001 callboard \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin callboard \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data /data/keys /data/keys/mail
COPY --from=build /callboard /usr/local/bin/callboard
USER 10001:10001
ENV CALLBOARD_DATA=/data
WORKDIR /data
# SIGTERM goes straight to the process, which drains on it.
ENTRYPOINT ["callboard"]
# Which role to run must be said: bare `callboard` would start a NATS server of its own.
CMD ["--help"]
