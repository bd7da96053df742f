//! Calls of models as their clients' adapters see them, through the names that users type.

use serde_json::json;
use tracium::TokenUsage;
use tracium::llm::{Exchange, Request};
use tracium::testing::Recorder;

const ASKED: &[u8] = br#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"tea?"}]}"#;
const ANSWERED: &[u8] = b"data: {\"id\":\"c-1\",\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Earl\"}}]}\n\n\
data: {\"id\":\"c-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" Grey\"},\"finish_reason\":\"stop\"}]}\n\n\
data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n\
data: [DONE]\n\n";

fn call() {
    let request = Request::new("POST", "api.openai.com", "/v1/chat/completions").body(ASKED);
    let mut call = Exchange::begin(&request).unwrap();
    call.answered(200, Some("text/event-stream"), |_| None);
    ANSWERED.iter().for_each(|byte| call.chunk(&[*byte]));
}

#[tracium::llm]
fn complete() {
    call();
    tracium::current_span().set_token_usage(TokenUsage::new(9, 2));
}

#[test]
fn the_attribute_and_the_module_of_one_name_live_side_by_side() {
    let recorder = Recorder::install();
    tracium::start_trace("bot").run(complete);
    let [call, function] = &recorder.spans()[..] else { panic!("two spans") };
    assert_eq!((call.kind.as_str(), call.name.as_str()), ("llm", "chat gpt-4o"));
    assert_eq!(call.input, Some(json!([{"role": "user", "content": "tea?"}])));
    assert_eq!(call.output, Some(json!("Earl Grey")));
    assert_eq!(call.usage, Some(TokenUsage::new(9, 2)));
    assert_eq!(call.call.finish_reasons, ["stop"]);
    assert!(call.call.time_to_first_token.is_some());
    assert_eq!(call.parent_id, function.id);
    assert_eq!(function.usage, None, "the tokens count once");
}
