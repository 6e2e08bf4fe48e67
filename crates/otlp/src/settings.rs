//! The standard variables.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Where spans go, and what they say of this process.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) endpoint: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    /// Attributes of the process, its name first.
    pub(crate) resource: Vec<(String, String)>,
}

/// A variable that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    /// It is no address.
    #[error("`{0}` is no address of a collector; write for instance http://127.0.0.1:4318")]
    Endpoint(&'static str),
    /// It holds no list of headers.
    #[error("`{0}` is no list of headers; write NAME=VALUE,NAME=VALUE")]
    Headers(&'static str),
    /// It asks for a protocol that is not spoken.
    #[error("`{0}` asks for another protocol than `http/json`, the only one that testsmith speaks")]
    Protocol(&'static str),
    /// There can be no client.
    #[error("no client for the collector can be made")]
    Client(#[from] reqwest::Error),
    /// There can be no thread.
    #[error("no thread for the collector can be started")]
    Thread(#[from] std::io::Error),
}

const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
const HEADERS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_HEADERS",
];
const TIMEOUTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
];
const OWN_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

impl Settings {
    /// What the environment says; `None` if it names no endpoint, or turns traces off.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, BadSettings> {
        let get = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let first = |names: [&'static str; 2]| {
            let mut found = names
                .into_iter()
                .filter_map(|name| Some((name, get(name)?)));
            found.next()
        };
        let is_off = get("OTEL_SDK_DISABLED")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || get("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        if is_off {
            return Ok(None);
        }
        let endpoint = match (get(OWN_ENDPOINT), get(ENDPOINT)) {
            // The one for traces is whole, the common one is a base.
            (Some(own), _) => address(OWN_ENDPOINT, &own)?,
            (None, Some(base)) => {
                let base = base.trim_end_matches('/');
                address(ENDPOINT, &format!("{base}/v1/traces"))?
            }
            (None, None) => return Ok(None),
        };
        if let Some((name, value)) = first(PROTOCOLS)
            && value != "http/json"
        {
            return Err(BadSettings::Protocol(name));
        }
        let headers = match first(HEADERS) {
            Some((name, list)) => headers(&list).ok_or(BadSettings::Headers(name))?,
            None => HeaderMap::new(),
        };
        let timeout = first(TIMEOUTS).and_then(|(_, value)| value.trim().parse().ok());
        let mut resource = vec![
            (
                "service.name".to_owned(),
                get("OTEL_SERVICE_NAME").unwrap_or_else(|| "testsmith".to_owned()),
            ),
            (
                "service.version".to_owned(),
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
        ];
        resource.extend(pairs(&get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default()));
        Ok(Some(Self {
            endpoint,
            headers,
            timeout: Duration::from_millis(timeout.unwrap_or(10_000)),
            resource,
        }))
    }
}

fn address(name: &'static str, text: &str) -> Result<Url, BadSettings> {
    let url = Url::parse(text).map_err(|_| BadSettings::Endpoint(name))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err(BadSettings::Endpoint(name))
    }
}

/// `a=b,c=d` with values percent-encoded where they have to be.
fn pairs(list: &str) -> impl Iterator<Item = (String, String)> {
    list.split(',').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        // What parts a form's fields stands for itself here.
        let value = value.trim().replace('+', "%2B").replace('=', "%3D");
        let value = value.replace('&', "%26");
        let value = form_urlencoded::parse(value.as_bytes())
            .next()?
            .0
            .into_owned();
        Some((name.trim().to_owned(), value))
    })
}

fn headers(list: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(list) {
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    (!headers.is_empty()).then_some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Settings>, BadSettings> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::from_env(&get)
    }

    fn endpoint(variables: &[(&str, &str)]) -> Option<String> {
        of(variables).ok()?.map(|found| found.endpoint.to_string())
    }

    #[test]
    fn nothing_is_sent_unless_an_endpoint_is_named() {
        assert!(matches!(of(&[]), Ok(None)));
        assert!(matches!(of(&[(ENDPOINT, " ")]), Ok(None)));
        let here = (ENDPOINT, "http://127.0.0.1:4318/");
        assert_eq!(
            endpoint(&[here]).as_deref(),
            Some("http://127.0.0.1:4318/v1/traces")
        );
        assert_eq!(
            endpoint(&[here, (OWN_ENDPOINT, "https://traces.example/in")]).as_deref(),
            Some("https://traces.example/in")
        );
        for off in [
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ] {
            assert!(matches!(of(&[here, off]), Ok(None)), "{off:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let here = (ENDPOINT, "http://127.0.0.1:4318");
        for (variable, wanted) in [
            ((ENDPOINT, "127.0.0.1:4318"), ENDPOINT),
            ((PROTOCOLS[1], "grpc"), PROTOCOLS[1]),
            ((HEADERS[1], "nonsense"), HEADERS[1]),
        ] {
            let error = of(&[variable, here]).err().map(|error| error.to_string());
            assert!(
                error.as_ref().is_some_and(|e| e.contains(wanted)),
                "{error:?}"
            );
        }
    }

    #[test]
    fn headers_are_decoded_and_not_shown() {
        let found = of(&[
            (ENDPOINT, "http://127.0.0.1:4318"),
            (HEADERS[1], "authorization=Basic%20ab+c=, x-team = blue"),
            ("OTEL_SERVICE_NAME", "mine"),
        ]);
        let found = found.ok().flatten();
        let headers = found.as_ref().map(|found| &found.headers);
        let get = |name| headers.and_then(|headers| headers.get(name)?.to_str().ok());
        assert_eq!(get("authorization"), Some("Basic ab+c="));
        assert_eq!(get("x-team"), Some("blue"));
        assert!(!format!("{found:?}").contains("ab+c"), "{found:?}");
        assert!(found.is_some_and(|found| found.resource[0].1 == "mine"));
    }
}
