//! What each provider's call says, field by field; the same, whether its answer came whole or in pieces.

use serde_json::{Value, json};

use super::fixtures::{self, Fixture};
use super::{Seen, said};
use crate::testing::{RecordedSpan, RecordedStatus};
use crate::{TenantId, TokenUsage};

/// The span of the answer that came whole, after it was seen that all others say the same, however they are cut.
#[track_caller]
fn the_same_of_all(fixture: &Fixture) -> RecordedSpan {
    let (content_type, whole) = &fixture.answers[0];
    let whole = Seen { content_type, ..fixture.seen }.in_all_cuts(whole);
    assert_eq!(whole.status, RecordedStatus::Completed, "{:?}", whole.error);
    assert_eq!(whole.tenant, Some(TenantId::try_from("acme").unwrap()));
    assert!(whole.call.time_to_first_token.is_none(), "it came at once");
    for (content_type, stream) in &fixture.answers[1..] {
        let mut streamed = Seen { content_type, ..fixture.seen }.in_all_cuts(stream);
        assert!(streamed.call.time_to_first_token.take().is_some(), "{content_type}");
        assert_eq!(said(&streamed), said(&whole), "{content_type}");
    }
    whole
}

fn text(content: &str) -> Value {
    json!({"type": "text", "content": content})
}

fn thought() -> Value {
    json!({"type": "reasoning", "content": "marzipan is sweet"})
}

fn call(id: &str) -> Value {
    json!({"type": "tool_call", "id": id, "name": "stock", "arguments": {"of": "marzipan"}})
}

fn answer(parts: &[Value], reason: &str) -> Value {
    json!([{"role": "assistant", "parts": parts, "finish_reason": reason}])
}

#[test]
fn openai_chat() {
    let span = the_same_of_all(&fixtures::openai_chat());
    assert_eq!((span.kind.as_str(), span.name.as_str()), ("llm", "chat gpt-4o"));
    assert_eq!(span.model.as_deref(), Some("gpt-4o-2024-08-06"));
    let messages = span.input.unwrap();
    assert_eq!(messages[0], json!({"role": "system", "content": "You know marzipan."}));
    assert_eq!(messages[3], json!({"role": "tool", "tool_call_id": "call_0", "content": "marzipan: 3"}));
    assert_eq!(span.output, Some(json!("Earl Grey, with marzipan.")));
    let tool = json!({"type": "function", "name": "stock", "description": "marzipan left",
        "parameters": {"type": "object", "properties": {"of": {"type": "string"}}}});
    assert_eq!(span.tools, Some(json!([tool])));
    assert_eq!(span.tool_calls, None);
    assert_eq!(span.usage, Some(TokenUsage::new(1_200, 80).cached_input(1_024).reasoning(64)));
    assert_eq!((span.call.operation.as_str(), span.call.provider.as_deref()), ("chat", Some("openai")));
    assert_eq!(span.call.asked_model.as_deref(), Some("gpt-4o"));
    assert_eq!(span.call.answered_model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(span.call.response_id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(span.call.finish_reasons, ["stop"]);
    assert_eq!(span.call.http_status, Some(200));
    assert!(!span.call.stopped);
}

#[test]
fn openai_tools() {
    let span = the_same_of_all(&fixtures::openai_tools());
    let price = json!({"type": "tool_call", "id": "call_2", "name": "price", "arguments": {}});
    assert_eq!(span.tool_calls, Some(json!([call("call_1"), price])));
    assert_eq!(span.output, Some(answer(&[call("call_1"), price], "tool_call")));
    assert_eq!(span.call.finish_reasons, ["tool_calls"]);
    assert_eq!(span.usage, Some(TokenUsage::new(50, 20)));
}

#[test]
fn openai_responses() {
    let span = the_same_of_all(&fixtures::openai_responses());
    assert_eq!(span.name, "chat o3");
    assert_eq!(span.model.as_deref(), Some("o3-2025-04-16"));
    assert_eq!(span.input.unwrap()["instructions"], "You know marzipan.");
    assert_eq!(span.tools, Some(json!([{"type": "function", "name": "stock", "parameters": {"type": "object"}}])));
    let parts = [thought(), text("Earl Grey, with marzipan."), call("call_1")];
    assert_eq!(span.output, Some(answer(&parts, "tool_call")));
    assert_eq!(span.usage, Some(TokenUsage::new(36, 87).cached_input(12).reasoning(64)));
    assert_eq!(span.call.response_id.as_deref(), Some("resp_1"));
}

#[test]
fn anthropic() {
    let span = the_same_of_all(&fixtures::anthropic());
    says_claudes_answer(&span);
    assert_eq!(span.name, "chat claude-sonnet-4-5");
    assert_eq!(span.call.provider.as_deref(), Some("anthropic"));
}

#[test]
fn bedrock_invoke() {
    let span = the_same_of_all(&fixtures::invoke());
    says_claudes_answer(&span);
    assert_eq!(span.call.provider.as_deref(), Some("aws.bedrock"));
}

fn says_claudes_answer(span: &RecordedSpan) {
    assert_eq!(span.model.as_deref(), Some("claude-sonnet-4-5-20250929"));
    assert_eq!(span.input.as_ref().unwrap()["system"][0]["text"], "You know marzipan.");
    assert_eq!(span.tools.as_ref().unwrap()[0]["parameters"]["type"], "object");
    let parts = [thought(), text("Earl Grey, with marzipan."), call("toolu_1")];
    assert_eq!(span.output, Some(answer(&parts, "tool_call")));
    assert_eq!(span.tool_calls, Some(json!([call("toolu_1")])));
    assert_eq!(span.usage, Some(TokenUsage::new(25, 60).cached_input(1_000).cache_creation_input(300)));
    assert_eq!(span.call.finish_reasons, ["tool_use"]);
    assert_eq!(span.call.response_id.as_deref(), Some("msg_1"));
}

#[test]
fn gemini() {
    let span = the_same_of_all(&fixtures::gemini());
    assert_eq!((span.kind.as_str(), span.name.as_str()), ("llm", "generate_content gemini-2.5-pro"));
    assert_eq!(span.input.unwrap()["systemInstruction"]["parts"][0]["text"], "You know marzipan.");
    assert_eq!(span.tools, Some(json!([{"type": "function", "name": "stock", "parameters": {"type": "OBJECT"}}])));
    let call = json!({"type": "tool_call", "name": "stock", "arguments": {"of": "marzipan"}});
    assert_eq!(span.output, Some(answer(&[thought(), text("Earl Grey, with marzipan."), call], "stop")));
    assert_eq!(span.usage, Some(TokenUsage::new(42, 50).cached_input(16).reasoning(30)));
    assert_eq!(span.call.finish_reasons, ["STOP"]);
    assert_eq!(span.call.provider.as_deref(), Some("gcp.gemini"));
    assert_eq!(span.call.response_id.as_deref(), Some("r-1"));
}

#[test]
fn bedrock_converse() {
    let span = the_same_of_all(&fixtures::converse());
    assert_eq!(span.name, "chat us.anthropic.claude-sonnet-4-5-20250929-v1:0");
    assert_eq!(span.input.unwrap()["system"][0]["text"], "You know marzipan.");
    assert_eq!(span.tools.unwrap()[0]["name"], "stock");
    let parts = [thought(), text("Earl Grey, with marzipan."), call("t1")];
    assert_eq!(span.output, Some(answer(&parts, "tool_call")));
    assert_eq!(span.usage, Some(TokenUsage::new(30, 40).cached_input(90).cache_creation_input(10)));
    assert_eq!(span.call.finish_reasons, ["tool_use"]);
    assert_eq!(span.call.provider.as_deref(), Some("aws.bedrock"));
}

#[test]
fn cohere() {
    let span = the_same_of_all(&fixtures::cohere());
    assert_eq!(span.name, "chat command-a-03-2025");
    let plan = json!({"type": "reasoning", "content": "I will count marzipan."});
    let parts = [plan, text("Earl Grey, with marzipan."), call("stock_1")];
    assert_eq!(span.output, Some(answer(&parts, "tool_call")));
    assert_eq!(span.usage, Some(TokenUsage::new(71, 18)));
    assert_eq!(span.call.finish_reasons, ["TOOL_CALL"]);
    assert_eq!(span.call.response_id.as_deref(), Some("c14c80c3"));
}

#[test]
fn ollama() {
    let span = the_same_of_all(&fixtures::ollama());
    assert_eq!((span.name.as_str(), span.call.provider.as_deref()), ("chat llama3.2", Some("ollama")));
    let call = json!({"type": "tool_call", "name": "stock", "arguments": {"of": "marzipan"}});
    assert_eq!(span.output, Some(answer(&[thought(), text("Earl Grey, with marzipan."), call], "stop")));
    assert_eq!(span.usage, Some(TokenUsage::new(26, 11)));
}

/// A call of what has one answer only, and no stream.
fn once(host: &str, path: &str, request: &str, content_type: &str, answer: &str) -> RecordedSpan {
    let seen = Seen { host, path, request: request.as_bytes(), status: 200, content_type };
    seen.in_all_cuts(answer.as_bytes())
}

#[test]
fn embeddings_have_tokens_and_no_vectors() {
    let vector = format!("[{}]", vec!["0.0023064255"; 1_536].join(","));
    let vectors = format!("{{\"object\":\"embedding\",\"index\":0,\"embedding\":{vector}}}");
    let answer = format!(
        "{{\"object\":\"list\",\"data\":[{}],\"model\":\"text-embedding-3-small\",\"usage\":{{\"prompt_tokens\":8,\"total_tokens\":8}}}}",
        vec![vectors.as_str(); 40].join(",")
    );
    let request = r#"{"model":"text-embedding-3-small","input":["marzipan"]}"#;
    let seen = Seen {
        host: "api.openai.com",
        path: "/v1/embeddings",
        request: request.as_bytes(),
        status: 200,
        content_type: "application/json",
    };
    let span = seen.in_pieces(answer.as_bytes().chunks(8_192));
    assert_eq!((span.kind.as_str(), span.name.as_str()), ("embedding", "embeddings text-embedding-3-small"));
    assert_eq!((span.input, span.output), (Some(json!(["marzipan"])), None));
    assert_eq!(span.usage, Some(TokenUsage::new(8, 0)));
}

#[test]
fn what_is_no_chat_has_its_own_operation() {
    let completion = once(
        "api.fireworks.ai",
        "/inference/v1/completions",
        r#"{"model":"llama","prompt":"marz"}"#,
        "application/json",
        r#"{"id":"c","model":"llama-v3","choices":[{"index":0,"text":"ipan","finish_reason":"length"}],"usage":{"prompt_tokens":2,"completion_tokens":1}}"#,
    );
    assert_eq!((completion.name.as_str(), completion.output), ("text_completion llama", Some(json!("ipan"))));
    assert_eq!(completion.call.provider.as_deref(), Some("fireworks_ai"));

    let image = once(
        "api.openai.com",
        "/v1/images/generations",
        r#"{"model":"gpt-image-1","prompt":"marzipan"}"#,
        "application/json",
        r#"{"created":1713833628,"data":[{"url":"https://example.com/1.png"}],"usage":{"input_tokens":50,"output_tokens":1056,"total_tokens":1106}}"#,
    );
    assert_eq!(image.name, "image_generation gpt-image-1");
    assert_eq!(image.output, Some(json!([{"url": "https://example.com/1.png"}])));
    assert_eq!(image.usage, Some(TokenUsage::new(50, 1_056)));

    let moderation = once(
        "api.openai.com",
        "/v1/moderations",
        r#"{"model":"omni-moderation-latest","input":"marzipan"}"#,
        "application/json",
        r#"{"id":"modr-1","model":"omni-moderation-latest","results":[{"flagged":false}]}"#,
    );
    assert_eq!(moderation.output, Some(json!([{"flagged": false}])));
    assert_eq!(moderation.call.response_id.as_deref(), Some("modr-1"));

    let transcript = once(
        "api.openai.com",
        "/v1/audio/transcriptions",
        "",
        "application/json",
        r#"{"text":"marzipan","usage":{"type":"tokens","input_tokens":14,"output_tokens":45,"total_tokens":59}}"#,
    );
    assert_eq!((transcript.name.as_str(), transcript.output), ("transcription", Some(json!("marzipan"))));
    assert_eq!(transcript.usage, Some(TokenUsage::new(14, 45)));

    let speech = once(
        "api.openai.com",
        "/v1/audio/speech",
        r#"{"model":"gpt-4o-mini-tts","input":"marzipan"}"#,
        "audio/mpeg",
        "not{json",
    );
    assert_eq!((speech.name.as_str(), speech.output), ("speech gpt-4o-mini-tts", None));
}

#[test]
fn whoever_speaks_openais_api_is_known_by_the_host_or_by_what_is_asked() {
    for (host, path, provider) in [
        ("acme.openai.azure.com", "/openai/deployments/prod/chat/completions?api-version=1", Some("azure.ai.openai")),
        ("api.groq.com", "/openai/v1/chat/completions", Some("groq")),
        ("api.together.xyz", "/v1/chat/completions", Some("together_ai")),
        ("api.mistral.ai", "/v1/chat/completions", Some("mistral_ai")),
        ("api.deepseek.com", "/chat/completions", Some("deepseek")),
        ("openrouter.ai", "/api/v1/chat/completions", Some("openrouter")),
        ("api.perplexity.ai", "/chat/completions", Some("perplexity")),
        ("api.fireworks.ai", "/inference/v1/chat/completions", Some("fireworks_ai")),
        ("localhost:11434", "/v1/chat/completions", Some("ollama")),
        ("localhost:8000", "/v1/chat/completions", None),
    ] {
        let fixture = fixtures::openai_chat();
        let span = Seen { host, path, ..fixture.seen }.in_pieces([fixture.answers[0].1.as_slice()]);
        assert_eq!(span.call.provider.as_deref(), provider, "{host}");
        assert_eq!(span.usage.map(|usage| usage.input), Some(1_200), "{host}");
    }
}

#[test]
fn families_on_bedrock_and_first_versions_are_read() {
    let bedrock = "bedrock-runtime.us-east-1.amazonaws.com";
    for (path, answer, usage, reason) in [
        (
            "/model/amazon.titan-text-express-v1/invoke",
            r#"{"inputTextTokenCount":5,"results":[{"tokenCount":7,"outputText":"marzipan","completionReason":"FINISH"}]}"#,
            Some(TokenUsage::new(5, 7)),
            "FINISH",
        ),
        (
            "/model/meta.llama3-70b/invoke",
            r#"{"generation":"marzipan","prompt_token_count":5,"generation_token_count":7,"stop_reason":"stop"}"#,
            Some(TokenUsage::new(5, 7)),
            "stop",
        ),
        ("/model/mistral.mixtral/invoke", r#"{"outputs":[{"text":"marzipan","stop_reason":"stop"}]}"#, None, "stop"),
        (
            "/model/cohere.command/invoke",
            r#"{"generations":[{"text":"marzipan","finish_reason":"COMPLETE"}]}"#,
            None,
            "COMPLETE",
        ),
        (
            "/v1/chat",
            r#"{"text":"marzipan","generation_id":"g","finish_reason":"COMPLETE","meta":{"tokens":{"input_tokens":5.0,"output_tokens":7.0}}}"#,
            Some(TokenUsage::new(5, 7)),
            "COMPLETE",
        ),
    ] {
        let host = if path == "/v1/chat" { "api.cohere.com" } else { bedrock };
        let span = once(host, path, r#"{"message":"m","inputText":"m"}"#, "application/json", answer);
        assert_eq!(span.output, Some(json!("marzipan")), "{path}");
        assert_eq!(span.usage, usage, "{path}");
        assert_eq!(span.call.finish_reasons, [reason], "{path}");
    }
}

#[test]
fn streams_of_those_who_speak_openais_api_in_their_own_way_are_read() {
    let usage = r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#;
    let piece =
        |text: &str| format!(r#""choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]"#);
    let (first, second) = (piece("Earl"), piece(" Grey"));
    let last = r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]"#;
    for (who, events) in [
        (
            "Azure, whose first chunk is empty",
            vec![
                r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}"#.to_owned(),
                format!(r#"{{"id":"c","model":"m-1",{first}}}"#),
                format!(r#"{{"id":"c","model":"m-1",{second}}}"#),
                format!(r#"{{"id":"c","model":"m-1",{last}}}"#),
                format!(r#"{{"id":"c","model":"m-1","choices":[],"usage":{usage}}}"#),
            ],
        ),
        (
            "Groq, which counts elsewhere",
            vec![
                format!(r#"{{"id":"c","model":"m-1",{first},"x_groq":{{"id":"req"}}}}"#),
                format!(r#"{{"id":"c","model":"m-1",{second}}}"#),
                format!(r#"{{"id":"c","model":"m-1",{last},"x_groq":{{"id":"req","usage":{usage}}}}}"#),
            ],
        ),
        (
            "Perplexity, which says all so far each time",
            vec![
                format!(r#"{{"id":"c","model":"m-1","usage":{{"prompt_tokens":3,"completion_tokens":1}},{first}}}"#)
                    .replace("\"delta\"", r#""message":{"role":"assistant","content":"Earl"},"delta""#),
                format!(r#"{{"id":"c","model":"m-1","usage":{usage},{second}}}"#)
                    .replace("\"delta\"", r#""message":{"role":"assistant","content":"Earl Grey"},"delta""#)
                    .replace("null", "\"stop\""),
            ],
        ),
        (
            "Mistral, whose content may be parts",
            vec![
                r#"{"id":"c","model":"m-1","choices":[{"index":0,"delta":{"content":[{"type":"text","text":"Earl"}]}}]}"#.to_owned(),
                format!(r#"{{"id":"c","model":"m-1",{second}}}"#),
                format!(r#"{{"id":"c","model":"m-1",{last},"usage":{usage}}}"#),
            ],
        ),
    ] {
        let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).chain(["data: [DONE]\n\n".to_owned()]).collect();
        let seen = Seen { content_type: "text/event-stream", ..fixtures::openai_chat().seen };
        let span = seen.in_all_cuts(stream.as_bytes());
        assert_eq!(span.output, Some(json!("Earl Grey")), "{who}");
        assert_eq!((span.model.as_deref(), span.usage), (Some("m-1"), Some(TokenUsage::new(3, 4))), "{who}");
        assert_eq!(span.call.response_id.as_deref(), Some("c"), "{who}");
        assert_eq!(span.call.finish_reasons, ["stop"], "{who}");
    }
}

#[test]
fn items_of_a_response_that_nobody_knew_stay_as_they_are() {
    let item = json!({"type": "mcp_list_tools", "server_label": "tea", "tools": []});
    let said =
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Earl Grey"}]});
    for (items, parts) in [
        (vec![item.clone()], vec![item.clone()]),
        (vec![item.clone(), said.clone()], vec![item.clone(), text("Earl Grey")]),
    ] {
        let response = json!({"object": "response", "status": "completed", "output": items,
            "text": {"format": {"type": "text"}}, "usage": {"input_tokens": 3, "output_tokens": 2}});
        let span = once(
            "api.openai.com",
            "/v1/responses",
            r#"{"model":"m","input":"tea?"}"#,
            "application/json",
            &response.to_string(),
        );
        assert_eq!(span.output, Some(answer(&parts, "stop")));
        assert_eq!(span.usage, Some(TokenUsage::new(3, 2)));
    }
    let none = json!({"object": "response", "output": [], "text": {"format": {"type": "text"}}}).to_string();
    let span = once("api.openai.com", "/v1/responses", r#"{"model":"m","input":"tea?"}"#, "application/json", &none);
    assert!(!format!("{:?}", span.output).contains("format"), "{:?}", span.output);
}

#[test]
fn a_candidate_that_was_held_back_says_why_and_the_others_are_read() {
    let asked = r#"{"contents":[{"role":"user","parts":[{"text":"tea?"}]}]}"#;
    let path = "/v1beta/models/gemini-2.5-flash:generateContent";
    let host = "generativelanguage.googleapis.com";
    let response = json!({"candidates": [
        {"content": {"role": "model", "parts": [{"text": "Earl Grey"}]}, "finishReason": "STOP", "index": 0},
        {"finishReason": "SAFETY", "index": 1},
    ], "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}});
    let span = once(host, path, asked, "application/json", &response.to_string());
    assert_eq!(span.call.finish_reasons, ["STOP", "SAFETY"]);
    let output = span.output.unwrap();
    assert_eq!(output[0], json!({"role": "assistant", "parts": [text("Earl Grey")], "finish_reason": "stop"}));
    assert_eq!(output[1], json!({"role": "assistant", "parts": [], "finish_reason": "content_filter"}));
    assert_eq!(span.usage, Some(TokenUsage::new(3, 2)));
}

#[test]
fn a_transcript_is_text_whatever_it_begins_with_and_wherever_it_is_cut() {
    let transcript = |answer: &str| {
        let path = "/v1/audio/transcriptions";
        once("api.openai.com", path, r#"{"model":"whisper-1"}"#, "text/plain; charset=utf-8", answer).output.unwrap()
    };
    for said in ["[Music] Earl Grey", "{laughs} Earl Grey", "data: Earl Grey"] {
        assert_eq!(transcript(said), json!(said));
    }
    let long = "\u{7d05}\u{8336}".repeat(2_000);
    let kept = transcript(&long);
    let kept = kept.as_str().unwrap();
    assert!(kept.len() > 4_000 && long.starts_with(kept), "{kept}");
}
