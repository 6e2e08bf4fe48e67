use serde_json::json;
use testsmith_domain::Retryability;

use super::*;

fn kind(status: u16, body: &Value) -> Kind {
    kind_of(status, &ErrorBody::read(body).unwrap_or_default())
}

#[test]
fn statuses_alone() {
    let transient: Vec<u16> = (300..600)
        .filter(|status| kind(*status, &json!({})).retryability() == Retryability::Transient)
        .collect();
    assert_eq!(
        transient,
        [
            408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529
        ]
    );
}

#[test]
fn words_decide() {
    let error = |code: &str| json!({"error": {"message": "m", "code": code}});
    let of_type = |kind: &str| json!({"error": {"message": "m", "type": kind}});
    let saying = |message: &str| json!({"error": {"message": message}});
    let spend_limit = json!({"type": "error", "error": {"type": "rate_limit_error",
        "message": "m", "details": {"error_code": "enforced_spend_limit_reached"}}});
    let azure_filter = json!({"error": {"message": "m", "code": "content_filter",
        "innererror": {"code": "ResponsibleAIPolicyViolation"}}});
    let table = [
        (429, error("rate_limit_exceeded"), Kind::RateLimited),
        (429, error("slow_down"), Kind::RateLimited),
        (429, error("insufficient_quota"), Kind::Billing),
        (429, of_type("insufficient_quota"), Kind::Billing),
        (429, error("credit_balance_exhausted"), Kind::Billing),
        (
            429,
            error("organization_spend_limit_exceeded"),
            Kind::Billing,
        ),
        (429, error("project_spend_limit_exceeded"), Kind::Billing),
        (
            429,
            error("organization_usage_limit_exceeded"),
            Kind::Billing,
        ),
        (429, spend_limit, Kind::Billing),
        // LiteLLM's own limit.
        (429, of_type("internal_server_error"), Kind::RateLimited),
        (400, of_type("invalid_request_error"), Kind::Rejected),
        (
            400,
            saying("Your credit balance is too low to access the API"),
            Kind::Billing,
        ),
        (400, saying("No connected db."), Kind::Auth),
        (400, azure_filter, Kind::ContentFilter),
        (400, error("context_length_exceeded"), Kind::TooLong),
        (400, of_type("exceed_context_size_error"), Kind::TooLong),
        (
            400,
            saying("prompt is too long: 210000 tokens > 200000"),
            Kind::TooLong,
        ),
        (413, of_type("request_too_large"), Kind::TooLong),
        (401, error("invalid_api_key"), Kind::Auth),
        (403, of_type("permission_error"), Kind::Auth),
        (404, error("model_not_found"), Kind::NotFound),
        (422, json!({"detail": "no"}), Kind::Rejected),
        (529, of_type("overloaded_error"), Kind::Server),
        (501, json!({}), Kind::Rejected),
        // Under status 200.
        (
            200,
            json!({"error": {"code": 502, "message": "m"}}),
            Kind::Server,
        ),
        (200, error("rate_limit_exceeded"), Kind::RateLimited),
        (200, error("insufficient_quota"), Kind::Billing),
        (200, of_type("invalid_request_error"), Kind::Rejected),
        (
            200,
            json!({"error": {"code": 7, "message": "m"}}),
            Kind::EmptyReply,
        ),
        (200, json!({"error": "something"}), Kind::EmptyReply),
    ];
    for (status, body, expected) in table {
        assert_eq!(kind(status, &body), expected, "{status} {body}");
    }
}

#[test]
fn forms_of_error_bodies() {
    let message = |body: Value| ErrorBody::read(&body).map(|body| body.message);
    assert_eq!(message(json!({"error": "plain"})), Some("plain".into()));
    assert_eq!(
        message(json!([{"error": {"message": "google"}}])),
        Some("google".into())
    );
    assert_eq!(
        message(json!({"object": "error", "message": "vllm"})),
        Some("vllm".into())
    );
    assert_eq!(
        message(json!({"detail": "fastapi"})),
        Some("fastapi".into())
    );
    assert_eq!(message(json!({"error": null, "choices": []})), None);
    assert_eq!(message(json!({"choices": []})), None);
    assert_eq!(message(json!("x")), None);
    let detail = json!({"detail": [{"loc": ["body", "response_format", "type"],
        "msg": "bad", "input": "the prompt"}]});
    let body = ErrorBody::read(&detail).unwrap();
    assert_eq!(body.message, "body.response_format.type: bad");
    assert_eq!(body.param, "response_format");
}
