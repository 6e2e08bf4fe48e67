# The steps of .ci/run, one by one. `just ci` runs them all as CI does.

default:
    @just --list

# Everything CI does, from installing what the tests need.
ci:
    .ci/run

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets --locked -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

test:
    cargo test --workspace

# Licences, advisories, duplicates. Needs cargo-deny.
deny:
    cargo deny check

# The headline table of docs/benchmarks.md.
bench:
    cargo bench -p testsmith-bench --bench headline

# Ten minutes of one fuzz target. Needs a nightly toolchain and cargo-fuzz.
fuzz target="batch_answer":
    cargo +nightly fuzz run {{target}} -- -max_total_time=600
