# Builds the server, then puts it beside the interpreters its functions need.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
RUN cargo build --locked --release --package cosette

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates nodejs python3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /data cosette
COPY --from=build /src/target/release/cosette /usr/local/bin/cosette
COPY LICENSE /usr/share/doc/cosette/LICENSE
USER 10001
WORKDIR /data
# Other machines reach a container's address: the server asks for keys of your own then.
ENV COSETTE_LISTEN=0.0.0.0:9000 COSETTE_DATA_DIR=/data
VOLUME /data
EXPOSE 9000
# A signed request to the server itself; its keys are in the environment already.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["cosette", "function", "list"]
# tini takes in what functions leave behind.
ENTRYPOINT ["tini", "--", "cosette"]
CMD ["serve"]
