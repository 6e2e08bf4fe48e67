//! Servers that take less than the protocol has, over real sockets on loopback.

use serde_json::{Value, json};
use testsmith_domain::ProviderErrorKind as Kind;

use crate::StackSettings;
use crate::testing::{Canned, Server, ask, request, schema_request};

const ANSWER: &str = r#"{"tests":[]}"#;

/// The values that the server was sent for a field, in order.
fn sent(server: &Server, field: &str) -> Vec<Value> {
    server
        .received()
        .iter()
        .map(|received| received.body[field].clone())
        .collect()
}

#[tokio::test]
async fn adapts_the_form_of_answers_and_remembers() {
    let refused = |message: &str| Canned::error(400, &json!({"message": message}));
    let server = Server::start([
        refused("'response_format.type' must be 'text'"),
        Canned::chat(ANSWER),
    ])
    .await;
    let answer = ask(&server.settings(), &request()).await.unwrap();
    assert_eq!(answer.attempts, 2);
    // A stack built anew still knows.
    ask(&server.settings(), &request()).await.unwrap();
    let object = json!({"type": "json_object"});
    assert_eq!(
        sent(&server, "response_format"),
        [object, Value::Null, Value::Null]
    );

    // Another model behind the same endpoint may take it.
    let other = StackSettings {
        model: Some("other".into()),
        ..server.settings()
    };
    ask(&other, &request()).await.unwrap();
    assert_eq!(
        server.received()[3].body["response_format"]["type"],
        "json_object"
    );
}

#[tokio::test]
async fn falls_from_schema_to_object_to_text() {
    let refused = |format: &str| {
        Canned::error(
            400,
            &json!({"message": "unsupported", "param": "response_format",
            "code": format}),
        )
    };
    let server = Server::start([refused("a"), refused("b"), Canned::chat(ANSWER)]).await;
    ask(&server.settings(), &schema_request()).await.unwrap();
    let types: Vec<Value> = sent(&server, "response_format")
        .iter()
        .map(|format| format["type"].clone())
        .collect();
    assert_eq!(
        types,
        [json!("json_schema"), json!("json_object"), Value::Null]
    );

    // LM Studio takes a schema, and no bare object.
    let server = Server::start([Canned::chat(ANSWER)]).await;
    ask(&server.settings(), &schema_request()).await.unwrap();
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_500_for_a_schema_is_put_down_to_the_schema() {
    let broken = Canned::error(
        500,
        &json!({"message": "m", "type": "internal_server_error"}),
    );
    let server = Server::start([broken.clone(), Canned::chat(ANSWER)]).await;
    let answer = ask(&server.settings(), &schema_request()).await.unwrap();
    assert_eq!((answer.attempts, server.received().len()), (2, 2));
    assert_eq!(
        server.received()[1].body["response_format"]["type"],
        "json_object"
    );

    // Not if the server has answered one before.
    let server = Server::start([Canned::chat(ANSWER), broken, Canned::chat(ANSWER)]).await;
    ask(&server.settings(), &schema_request()).await.unwrap();
    ask(&server.settings(), &schema_request()).await.unwrap();
    let received = server.received();
    assert_eq!(received[2].body["response_format"]["type"], "json_schema");
}

#[tokio::test]
async fn adapts_max_tokens_and_temperature_and_remembers() {
    let server = Server::start([
        Canned::error(
            400,
            &json!({"code": "unsupported_parameter", "param": "max_tokens",
            "message": "Unsupported parameter: 'max_tokens' is not supported with this model. \
                Use 'max_completion_tokens' instead."}),
        ),
        Canned::error(
            400,
            &json!({"code": "unsupported_value", "param": "temperature",
            "message": "Unsupported value: 'temperature' does not support 0 with this model."}),
        ),
        Canned::chat(ANSWER),
    ])
    .await;
    let answer = ask(&server.settings(), &request()).await.unwrap();
    assert_eq!(answer.attempts, 3);
    ask(&server.settings(), &request()).await.unwrap();
    assert_eq!(
        sent(&server, "max_tokens"),
        [json!(1500), Value::Null, Value::Null, Value::Null]
    );
    let renamed = sent(&server, "max_completion_tokens");
    assert_eq!(
        renamed,
        [Value::Null, json!(1500), json!(1500), json!(1500)]
    );
    let temperatures = sent(&server, "temperature");
    assert_eq!(
        temperatures,
        [json!(0.0), json!(0.0), Value::Null, Value::Null]
    );
}

#[tokio::test]
async fn adaptation_that_does_not_help_ends() {
    let refused = Canned::error(
        400,
        &json!({"message": "response_format temperature \
        max_completion_tokens"}),
    );
    let server = Server::start([refused]).await;
    let error = ask(&server.settings(), &schema_request())
        .await
        .unwrap_err();
    assert_eq!((error.kind, error.attempts), (Kind::Rejected, 3));
    // Only what was named is left out, one thing at a time.
    assert_eq!(server.received()[2].body.get("response_format"), None);
}

#[tokio::test]
async fn blank_answers_are_asked_for_again_as_text() {
    let server = Server::start([Canned::chat(" \n\n\n"), Canned::chat(ANSWER)]).await;
    ask(&server.settings(), &request()).await.unwrap();
    // For this call only.
    ask(&server.settings(), &request()).await.unwrap();
    let object = json!({"type": "json_object"});
    assert_eq!(
        sent(&server, "response_format"),
        [object.clone(), Value::Null, object]
    );
}

#[tokio::test]
async fn an_answer_spent_on_thinking_is_not_asked_for_the_same_way() {
    let spent = Canned::choice(&json!({"message": {"content": ""}, "finish_reason": "length"}));
    let server = Server::start([spent.clone(), Canned::chat(ANSWER)]).await;
    let answer = ask(&server.settings(), &request()).await.unwrap();
    assert_eq!(answer.attempts, 2);
    ask(&server.settings(), &request()).await.unwrap();
    assert_eq!(
        sent(&server, "max_tokens"),
        [1500, 5596, 5596].map(|cap| json!(cap))
    );

    let server = Server::start([spent.clone()]).await;
    let error = ask(&server.settings(), &request()).await.unwrap_err();
    assert_eq!((error.kind, server.received().len()), (Kind::TooLong, 2));
    assert!(error.to_string().contains("all 5596 tokens"), "{error}");

    // There is nothing to add at the model's limit.
    let server = Server::start([spent]).await;
    let settings = StackSettings {
        max_output_tokens: Some(1000),
        ..server.settings()
    };
    let error = ask(&settings, &request()).await.unwrap_err();
    assert_eq!((error.kind, server.received().len()), (Kind::TooLong, 1));
    assert_eq!(sent(&server, "max_tokens"), [json!(1000)]);
}
