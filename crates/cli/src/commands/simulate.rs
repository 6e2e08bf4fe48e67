//! `testsmith simulate`.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use testsmith_simulator::{Latency, Script, Simulator};

use crate::args::SimulateArgs;
use crate::{block_on, exit, output};

pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<u8> {
    let mut script = match &args.script {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            Script::from_toml(&text).with_context(|| format!("in `{}`", path.display()))?
        }
        None => Script::default(),
    };
    if let Some(latency) = &args.latency {
        let delay = humantime::parse_duration(latency)
            .with_context(|| format!("`{latency}` is no duration; write for instance 200ms"))?;
        script = script.latency(Latency::fixed(delay));
    }
    block_on(async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
        let simulator = Simulator::bind(address, script).await?;
        output::line(format_args!("OpenAI     {}", simulator.openai_base_url()))?;
        output::line(format_args!(
            "Anthropic  {}",
            simulator.anthropic_base_url()
        ))?;
        output::line(format_args!(
            "log        http://{}/log",
            simulator.address()
        ))?;
        testsmith_daemon::stop_signal().await?;
        let log = simulator.shutdown().await;
        output::line(format_args!(
            "{} answered",
            output::counted(log.len() as u64, "request")
        ))?;
        Ok(exit::OK)
    })?
}
