# One binary on a small Debian. Three stages: the manifests, the build, and the image that runs.
# Cargo.toml sets the oldest Rust that works; this is the version the tests run with.

# The manifests with empty sources. As long as the manifests do not change, neither does the result of
# this stage, and the layer with the compiled dependencies comes from the cache.
FROM rust:1.95-slim-bookworm AS manifests
WORKDIR /src
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -path './.cargo/*' -delete \
    && find . -mindepth 1 -type d -empty -delete \
    && for crate in crates/*; do \
        mkdir -p "$crate/src" && touch "$crate/src/lib.rs" \
        && echo 'fn main() {}' > "$crate/src/main.rs"; \
    done

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY --from=manifests /src .
RUN cargo build --locked --release -p botarmy-server
COPY . .
# Cargo compares modification times, and the empty files above are newer than the real ones.
RUN find crates -name '*.rs' -exec touch {} + \
    && cargo build --locked --release -p botarmy-server

FROM debian:bookworm-slim
# The authorities that PostgreSQL's certificate is checked against with sslmode=require.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# A numeric user, so that an orchestrator can see that it is not root. Volumes inherit the owner.
RUN install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /src/target/release/botarmy-server /usr/local/bin/
COPY config/workflows /etc/botarmy/workflows
USER 10001:10001
WORKDIR /data
VOLUME /data
# Two arenas of the C library's allocator: it would keep freed memory in many.
ENV MALLOC_ARENA_MAX=2
# Loopback inside a container cannot be reached from outside, so the server listens on all addresses.
# There it starts only with keys, and with BOTARMY_HTTP__ALLOW_REMOTE, BOTARMY_HTTP__HOSTS, and TLS or
# BOTARMY_HTTP__TRUSTED_PROXIES, which the image does not set: they depend on where it runs.
ENV BOTARMY_HTTP__HOST=0.0.0.0 \
    BOTARMY_HTTP__PORT=8080 \
    BOTARMY_ACCESS__MODE=keys \
    BOTARMY_STORE__DATA_DIR=/data \
    BOTARMY_WORKFLOWS__DIR=/etc/botarmy/workflows
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["botarmy-server", "health-check"]
ENTRYPOINT ["botarmy-server"]
CMD ["serve"]
