# The steps of .ci/run, one by one. `just ci` runs them all as CI does.

default:
    @just --list

# Everything CI does, from installing what the tests need.
ci:
    .ci/run

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets --features testsmith-cli/otlp --locked -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

test:
    cargo test --workspace

# The storms at full size: an hour or so. Needs bindfs and user namespaces.
storms:
    TESTSMITH_STORMS=full cargo test --release -p testsmith-cli --test storms -- --nocapture --test-threads=1
    cargo bench -p testsmith-cli --bench at_rest -- 100000 20
    cargo bench -p testsmith-cli --bench at_rest -- 1000000 20

# Licences, advisories, duplicates. Needs cargo-deny.
deny:
    cargo deny check

# Beside other tools, in turns; writes the tables of docs/benchmarks.md. See bench/README.md.
bench *parts: bench-build
    bench/run {{parts}}

# What `bench/run` measures.
bench-build:
    cargo build --release --locked -p testsmith-cli
    cargo build --release --locked -p testsmith-bench --examples

# What it is compared with: LiteLLM, OpenAI's client and watchexec, into bench/cache.
bench-peers:
    bench/install

# The other tables of docs/benchmarks.md, in its order; each is printed, none is written.
bench-tables:
    cargo bench -p testsmith-bench --bench headline
    cargo bench -p testsmith-cli --bench save_to_request
    cargo bench -p testsmith-cli --bench at_rest
    cargo bench -p testsmith-lang --bench digest
    cargo bench -p testsmith-cache --bench cache
    cargo bench -p testsmith-generate --bench generate
    cargo bench -p testsmith-cli --bench verification
    cargo bench -p testsmith-cli --bench service

# 1,000 kills, at any moment and at each crash point; what is lost is told at the end: nothing. Another
# number, and the seed that a run printed, to have it again: `just torture 200 1764294000`.
torture kills="1000" seed="":
    TESTSMITH_TORTURE_KILLS={{kills}} TESTSMITH_TORTURE_SEED={{seed}} \
        cargo test -p testsmith-cli --test torture nothing_is_lost -- --nocapture

# Ten minutes of one fuzz target; see fuzz/README.md. Needs a nightly toolchain and cargo-fuzz.
fuzz target="batch_answer":
    cargo +nightly fuzz run -s none {{target}} -- -max_total_time=600

# A release: a static program, its manual pages and completions, a .deb, an .rpm and an archive, all
# in target/dist. Needs musl-gcc, `rustup target add x86_64-unknown-linux-musl`, cargo-deb and
# cargo-generate-rpm.
release: static dist-files
    cargo deb -p testsmith-cli --no-build --no-strip --output target/dist/
    cargo generate-rpm -p crates/cli --output target/dist/
    tar -C target/dist --owner=0 --group=0 -czf target/dist/testsmith-x86_64-linux.tar.gz \
        testsmith testsmith@.service man completions
    cd target/dist && sha256sum *.deb *.rpm *.tar.gz > SHA256SUMS

# The program without any library of the system's: it runs on every Linux of this processor.
static:
    CC_x86_64_unknown_linux_musl=musl-gcc cargo build --release --locked -p testsmith-cli \
        --target x86_64-unknown-linux-musl
    mkdir -p target/dist
    install -m 755 target/x86_64-unknown-linux-musl/release/testsmith target/dist/testsmith

# What goes into packages beside the program, made by it.
dist-files:
    mkdir -p target/dist/completions
    target/dist/testsmith man --dir target/dist/man
    target/dist/testsmith completions bash > target/dist/completions/testsmith
    target/dist/testsmith completions zsh > target/dist/completions/_testsmith
    target/dist/testsmith completions fish > target/dist/completions/testsmith.fish
    sed 's#%h/.cargo/bin/testsmith#/usr/bin/testsmith#' systemd/testsmith@.service > target/dist/testsmith@.service
