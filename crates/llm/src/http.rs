//! HTTP as all providers use it: one address, its headers, limits on what is read.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};
use testsmith_domain::{ProviderError, ProviderErrorKind};

use crate::redact::{self, Redactor};

/// The largest reply that is read. The longest answer a model writes is a hundredth of it.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
const USER_AGENT: &str = concat!("testsmith/", env!("CARGO_PKG_VERSION"));

/// A server's address, with what is needed to talk to it.
pub(crate) struct Endpoint {
    client: Client,
    url: Url,
    shown: String,
    headers: HeaderMap,
    redactor: Redactor,
    connect_timeout: Duration,
}

/// A whole reply.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// The headers of each request; their values are secret.
#[derive(Default)]
pub(crate) struct SecretHeaders {
    headers: HeaderMap,
    redactor: Redactor,
}

impl SecretHeaders {
    /// Adds a header, unless one of this name is there. `None` if it is no valid header.
    #[must_use]
    pub(crate) fn add(&mut self, name: &str, prefix: &str, secret: &str) -> Option<()> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(&format!("{prefix}{secret}")).ok()?;
        value.set_sensitive(true);
        self.redactor.hide(secret.trim());
        self.headers.entry(name).or_insert(value);
        Some(())
    }

    /// Whether a header of this name is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }
}

/// A client for servers of this kind of address.
///
/// On loopback there is no proxy, and for plain HTTP no list of certificate authorities is read
/// either: a machine without one must be able to use a local model.
pub(crate) fn client(url: &Url, connect_timeout: Duration) -> Result<Client, reqwest::Error> {
    // Fails only if the process has one already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        // There is one retry loop, and it is not down here.
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        // A connection that died while the machine slept must not cost a whole attempt.
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(10));
    if is_loopback(url) {
        builder = builder.no_proxy();
        if url.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
    }
    builder.build()
}

/// Whether the address is of this machine, going by its name.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl Endpoint {
    /// This address, with these headers.
    pub(crate) fn new(
        client: Client,
        url: Url,
        headers: SecretHeaders,
        connect_timeout: Duration,
    ) -> Self {
        let SecretHeaders {
            headers,
            mut redactor,
        } = headers;
        if let Some(password) = url.password() {
            redactor.hide(password);
        }
        for (_, value) in url.query_pairs() {
            redactor.hide(&value);
        }
        let shown = redact::shown(&url);
        Self {
            client,
            url,
            shown,
            headers,
            redactor,
            connect_timeout,
        }
    }

    /// The address without secrets.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// What takes this endpoint's secrets out of texts.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Sends JSON and reads the whole reply, whatever its status.
    pub(crate) async fn post(&self, json: Vec<u8>) -> Result<Reply, ProviderError> {
        self.send(Method::POST, Some(json)).await
    }

    /// Asks for a document.
    pub(crate) async fn get(&self) -> Result<Reply, ProviderError> {
        self.send(Method::GET, None).await
    }

    async fn send(&self, method: Method, json: Option<Vec<u8>>) -> Result<Reply, ProviderError> {
        let mut request = self
            .client
            .request(method, self.url.clone())
            .headers(self.headers.clone());
        if let Some(json) = json {
            request = request.header(CONTENT_TYPE, "application/json").body(json);
        }
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                let message = format!("the reply is larger than {} MiB", MAX_BODY_BYTES >> 20);
                let error = ProviderError::new(ProviderErrorKind::EmptyReply, message);
                return Err(error.with_status(status));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status,
            headers,
            body,
        })
    }

    /// A failure below HTTP. The cause goes without its address, which may hold a secret.
    fn failed(&self, error: reqwest::Error) -> ProviderError {
        let server = self.url.host_str().unwrap_or_default();
        let (kind, message) = if error.is_connect() && error.is_timeout() {
            let time = humantime::format_duration(self.connect_timeout);
            let message = format!("no connection to `{server}` within {time}");
            (ProviderErrorKind::Connect, message)
        } else if error.is_connect() {
            let message = format!("could not connect to `{server}`");
            (ProviderErrorKind::Connect, message)
        } else if error.is_timeout() {
            let message = format!("`{server}` did not reply in time");
            (ProviderErrorKind::Timeout, message)
        } else if error.is_builder() {
            let message = format!("no request can be made for `{}`", self.shown);
            (ProviderErrorKind::Rejected, message)
        } else {
            let message = format!("the connection to `{server}` broke");
            (ProviderErrorKind::Interrupted, message)
        };
        ProviderError::new(kind, message).with_source(error.without_url())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.shown)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_by_name() {
        for (url, expected) in [
            ("http://127.0.0.1:1/v1", true),
            ("http://127.8.0.1/", true),
            ("http://[::1]:8080/", true),
            ("http://localhost/", true),
            ("http://a.localhost/", true),
            ("http://10.0.0.1/", false),
            ("http://localhost.example.com/", false),
            ("https://api.openai.com/v1", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut headers = SecretHeaders::default();
        headers
            .add("authorization", "Bearer ", "sk-canary")
            .unwrap();
        let url: Url = "http://u:canary@127.0.0.1/v1?key=canary".parse().unwrap();
        let client = client(&url, Duration::from_secs(1)).unwrap();
        let endpoint = Endpoint::new(client, url, headers, Duration::from_secs(1));
        assert!(!format!("{endpoint:?} {:?}", endpoint.headers).contains("canary"));
        let cleaned = endpoint.redactor().clean("sk-canary canary", None);
        assert_eq!(cleaned, "[key] [key]");
    }
}
