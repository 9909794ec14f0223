# One binary on a small Debian. Three stages: what is needed to know the dependencies, the build, and
# what runs. Cargo.toml says how old Rust may be; this is the version the tests are run with.

# The manifests alone, with empty sources: as long as they stay the same, so does this stage's result,
# and the layer with the compiled dependencies is taken from the cache.
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
# Cargo goes by the time of a file, and the empty ones above are younger than the real ones.
RUN find crates -name '*.rs' -exec touch {} + \
    && cargo build --locked --release -p botarmy-server

FROM debian:bookworm-slim
# The certificates PostgreSQL's is checked against where the address says sslmode=require.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# By number, so that an orchestrator can see that it is not root. Volumes take over the owner.
RUN install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /src/target/release/botarmy-server /usr/local/bin/
COPY config/workflows /etc/botarmy/workflows
USER 10001:10001
WORKDIR /data
VOLUME /data
# Inside a container, loopback is nobody's. That others may reach it still has to be said by whoever
# starts it, with BOTARMY_HTTP__ALLOW_REMOTE=true: there is no access control.
ENV BOTARMY_HTTP__HOST=0.0.0.0 \
    BOTARMY_HTTP__PORT=8080 \
    BOTARMY_STORE__DATA_DIR=/data \
    BOTARMY_WORKFLOWS__DIR=/etc/botarmy/workflows
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["botarmy-server", "health-check"]
ENTRYPOINT ["botarmy-server"]
CMD ["serve"]
