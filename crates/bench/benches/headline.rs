//! The headline table: `cargo bench -p testsmith-bench --bench headline`.

use std::io::Write as _;

use testsmith_bench::headline::{Size, measure};

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let size = Size::default();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} files × {} functions, {} ms per call, {} permits",
        size.files,
        size.functions,
        size.latency.as_millis(),
        size.permits
    )?;
    let table = runtime.block_on(measure(size, |_| {}))?;
    writeln!(out, "{table}")?;
    for row in &table.0 {
        writeln!(out, "{:<34} {}", row.run, row.cache)?;
    }
    Ok(())
}
