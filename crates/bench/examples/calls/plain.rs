//! A loop as one writes it by hand.

use std::sync::Arc;

use anyhow::ensure;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::{Figures, Order, Watch};

pub(crate) async fn run(order: Order) -> anyhow::Result<Figures> {
    // Fails only if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .tcp_nodelay(true)
        .build()?;
    let url: Arc<str> = format!("{}/chat/completions", order.base_url).into();
    let semaphore = Arc::new(Semaphore::new(order.permits));
    let watch = Watch::start();
    let mut calls = JoinSet::new();
    for request in order.requests {
        let (client, url) = (client.clone(), Arc::clone(&url));
        let semaphore = Arc::clone(&semaphore);
        calls.spawn(async move {
            let permit = semaphore.acquire_owned().await?;
            let sent = client
                .post(&*url)
                .header("content-type", "application/json")
                .bearer_auth("none")
                .body(serde_json::to_vec(&request)?);
            let reply = sent.send().await?.error_for_status()?.bytes().await?;
            drop(permit);
            let reply: Value = serde_json::from_slice(&reply)?;
            ensure!(
                reply["choices"][0]["message"]["content"].is_string(),
                "an answer without text"
            );
            anyhow::Ok(())
        });
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    let (wall, processor) = watch.stop();
    Ok(Figures {
        wall,
        processor,
        again: Vec::new(),
    })
}
