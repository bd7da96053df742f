//! Requests and responses of each API, as their references show them, and what becomes of them.

use serde_json::{Value, json};

use super::{Input, Output, definitions};

/// What the conventions' schemas ask of messages: a role, and parts with a type and its fields.
fn assert_valid(messages: &[Value], is_output: bool) {
    for message in messages {
        assert!(message["role"].is_string(), "{message}");
        assert_eq!(message["finish_reason"].is_string(), is_output, "{message}");
        for part in message["parts"].as_array().unwrap() {
            let required: &[&str] = match part["type"].as_str().unwrap() {
                "text" | "reasoning" => &["content"],
                "tool_call" => &["name"],
                "tool_call_response" => &["response"],
                "uri" => &["modality", "uri"],
                "blob" => &["modality", "content"],
                "file" => &["modality", "file_id"],
                _ => &[],
            };
            assert!(required.iter().all(|field| part.get(*field).is_some()), "{part}");
        }
    }
}

fn input(request: &Value) -> Input {
    let input = Input::of(request);
    assert_valid(&input.messages, false);
    input
}

fn output(response: &Value) -> Output {
    let output = Output::of(Some(response), None);
    assert_valid(&output.messages, true);
    output
}

fn text(content: &str) -> Value {
    json!({"type": "text", "content": content})
}

fn message(role: &str, content: &str) -> Value {
    json!({"role": role, "parts": [text(content)]})
}

#[test]
fn openai_chat() {
    let input = input(&json!({
        "model": "gpt-4o",
        "messages": [
            {"role": "developer", "content": "be nice"},
            {"role": "user", "name": "jo", "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/cat.png", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "..", "format": "wav"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":\"cat\"}"}},
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "description": "looks", "parameters": {}}}],
    }));
    assert!(input.system.is_empty(), "it is part of the conversation");
    assert_eq!(input.messages[0], message("system", "be nice"));
    assert_eq!(
        input.messages[1],
        json!({"role": "user", "name": "jo", "parts": [
            text("what is this?"),
            {"type": "uri", "modality": "image", "uri": "https://example.com/cat.png"},
            {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": ".."},
        ]})
    );
    let call = json!({"type": "tool_call", "id": "call_1", "name": "look", "arguments": {"at": "cat"}});
    assert_eq!(input.messages[2], json!({"role": "assistant", "parts": [call]}));
    let response = json!({"type": "tool_call_response", "id": "call_1", "response": "a cat"});
    assert_eq!(input.messages[3], json!({"role": "tool", "parts": [response]}));
    let tool = json!({"type": "function", "name": "look", "description": "looks", "parameters": {}});
    assert_eq!(input.tools, [tool]);

    let output = output(&json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "a cat"}, "finish_reason": "length"},
            {"index": 1, "message": {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": "no json"}},
            ]}, "finish_reason": "tool_calls"},
        ],
    }));
    assert_eq!(output.finish_reasons, ["length", "tool_calls"]);
    assert_eq!(output.messages[0]["finish_reason"], "length");
    assert_eq!(output.messages[1]["finish_reason"], "tool_call");
    assert_eq!(output.messages[1]["parts"][0]["arguments"], "no json");
    assert_eq!((output.model.as_deref(), output.id.as_deref()), (Some("gpt-4o-2024-08-06"), Some("chatcmpl-1")));
}

#[test]
fn openai_responses() {
    let input = input(&json!({
        "model": "o3",
        "instructions": "be nice",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "weather?"}, {"type": "input_image", "file_id": "f-1"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a tool knows"}]},
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{\"in\":\"Zürich\"}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
        ],
        "tools": [{"type": "function", "name": "weather", "parameters": {}}],
    }));
    assert_eq!(input.system, [text("be nice")]);
    let roles: Vec<_> = input.messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "assistant", "tool"]);
    assert_eq!(input.messages[0]["parts"][1], json!({"type": "file", "modality": "image", "file_id": "f-1"}));
    assert_eq!(input.messages[1]["parts"][0], json!({"type": "reasoning", "content": "a tool knows"}));
    assert_eq!(input.messages[2]["parts"][0]["arguments"], json!({"in": "Zürich"}));
    assert_eq!(input.messages[3]["parts"][0]["response"], "rain");
    assert_eq!(input.tools[0]["name"], "weather");

    let plain = Input::of(&json!({"model": "o3", "input": "weather?"}));
    assert_eq!(plain.messages, [message("user", "weather?")]);

    let output = output(&json!({
        "id": "resp_1",
        "model": "o3-2025-04-16",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "it ra", "annotations": []}]},
            {"type": "function_call", "call_id": "call_2", "name": "weather", "arguments": "{}"},
        ],
    }));
    assert_eq!(output.messages.len(), 1, "one answer of several items");
    let parts = json!([text("it ra"), {"type": "tool_call", "id": "call_2", "name": "weather", "arguments": {}}]);
    assert_eq!(output.messages[0], json!({"role": "assistant", "parts": parts, "finish_reason": "length"}));
    assert_eq!(output.finish_reasons, ["max_output_tokens"]);
}

#[test]
fn anthropic() {
    let input = input(&json!({
        "model": "claude-sonnet-4-5",
        "system": [{"type": "text", "text": "be nice", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "[12 kB]"}},
                {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
                {"type": "text", "text": "what is this?"},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "a tool knows", "signature": "x"},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "cat"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "a cat"}]},
            ]},
        ],
        "tools": [{"name": "look", "description": "looks", "input_schema": {"type": "object"}}],
    }));
    assert_eq!(input.system, [text("be nice")]);
    assert_eq!(
        input.messages[0]["parts"],
        json!([
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "[12 kB]"},
            {"type": "uri", "modality": "document", "uri": "https://example.com/a.pdf"},
            text("what is this?"),
        ])
    );
    assert_eq!(
        input.messages[1]["parts"],
        json!([
            {"type": "reasoning", "content": "a tool knows"},
            {"type": "tool_call", "id": "toolu_1", "name": "look", "arguments": {"at": "cat"}},
        ])
    );
    let response = json!({"type": "tool_call_response", "id": "toolu_1", "response": "a cat"});
    assert_eq!(input.messages[2]["parts"], json!([response]));
    let tool = json!({"type": "function", "name": "look", "description": "looks", "parameters": {"type": "object"}});
    assert_eq!(input.tools, [tool]);

    let output = output(&json!({
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": "a cat"}],
        "stop_reason": "end_turn",
    }));
    let answer = json!({"role": "assistant", "parts": [text("a cat")], "finish_reason": "stop"});
    assert_eq!(output.messages, [answer]);
    assert_eq!(output.finish_reasons, ["end_turn"]);
    assert_eq!(output.model.as_deref(), Some("claude-sonnet-4-5-20250929"));
}

#[test]
fn gemini() {
    for (system, data, call) in
        [("systemInstruction", "inlineData", "functionCall"), ("system_instruction", "inline_data", "function_call")]
    {
        let input = input(&json!({
            system: {"parts": [{"text": "be nice"}]},
            "contents": [
                {"role": "user", "parts": [{"text": "what?"}, {data: {"mimeType": "video/mp4", "data": "[1 MB]"}}]},
                {"role": "model", "parts": [{"text": "hm", "thought": true}, {call: {"name": "look", "args": {"at": 1}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"saw": "a cat"}}}]},
            ],
            "tools": [{"functionDeclarations": [{"name": "look", "parameters": {}}]}],
        }));
        assert_eq!(input.system, [text("be nice")]);
        assert_eq!(input.messages[0]["parts"][1]["modality"], "video");
        assert_eq!(
            input.messages[1],
            json!({"role": "assistant", "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "name": "look", "arguments": {"at": 1}},
            ]})
        );
        assert_eq!(input.messages[2]["parts"][0]["response"], json!({"saw": "a cat"}));
        assert_eq!(input.tools, [json!({"type": "function", "name": "look", "parameters": {}})]);
    }
    let output = output(&json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": "a cat"}]}, "finishReason": "SAFETY"}],
        "modelVersion": "gemini-2.5-pro",
    }));
    let answer = json!({"role": "assistant", "parts": [text("a cat")], "finish_reason": "content_filter"});
    assert_eq!(output.messages, [answer]);
    assert_eq!(output.finish_reasons, ["SAFETY"]);
    assert_eq!(output.model.as_deref(), Some("gemini-2.5-pro"));
}

#[test]
fn bedrock_and_ollama() {
    let input = input(&json!({
        "modelId": "anthropic.claude",
        "system": [{"text": "be nice"}],
        "messages": [
            {"role": "user", "content": [{"text": "what?"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "look", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "a cat"}]}}]},
        ],
        "toolConfig": {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}]},
    }));
    assert_eq!(input.system, [text("be nice")]);
    assert_eq!(input.messages[1]["parts"][0]["id"], "t1");
    assert_eq!(input.messages[2]["parts"][0]["response"], "a cat");
    assert_eq!(input.tools[0]["parameters"], json!({"type": "object"}));
    let converse = output(&json!({
        "output": {"message": {"role": "assistant", "content": [{"text": "a cat"}]}},
        "stopReason": "max_tokens",
    }));
    assert_eq!(converse.messages[0]["finish_reason"], "length");
    let ollama = output(
        &json!({"model": "llama3", "message": {"role": "assistant", "content": "a cat"}, "done_reason": "stop"}),
    );
    assert_eq!(ollama.messages[0]["parts"], json!([text("a cat")]));
    assert_eq!(ollama.model.as_deref(), Some("llama3"));
}

#[test]
fn texts_lists_of_messages_and_arguments_of_functions() {
    assert_eq!(input(&json!("tea?")).messages, [message("user", "tea?")]);
    assert_eq!(input(&json!({"question": "tea?"})).messages, [message("user", "tea?")], "a function's one argument");
    let list = json!([{"role": "system", "content": "be nice"}, {"role": "user", "content": "tea?"}]);
    let expected = [message("system", "be nice"), message("user", "tea?")];
    assert_eq!(input(&list).messages, expected);
    assert_eq!(input(&json!({"messages": list, "user_id": "u-1"})).messages, expected);
    assert_eq!(input(&json!({"request": {"messages": list}, "user_id": "u-1"})).messages, expected);
    assert_eq!(input(&json!([{"type": "human", "content": "tea?"}])).messages, [message("user", "tea?")]);
    assert_eq!(input(&json!({"prompt": ["a", "b"]})).messages, [message("user", "a"), message("user", "b")]);

    let answer = json!({"role": "assistant", "parts": [text("Earl Grey")], "finish_reason": "stop"});
    assert_eq!(output(&json!("Earl Grey")).messages, std::slice::from_ref(&answer));
    assert_eq!(output(&json!({"return": "Earl Grey"})).messages, std::slice::from_ref(&answer));
    let message = json!({"role": "assistant", "content": "Earl Grey"});
    assert_eq!(output(&message).messages, std::slice::from_ref(&answer));
    assert_eq!(output(&json!([message])).messages, [answer]);
    assert!(output(&json!("Earl Grey")).finish_reasons.is_empty(), "nobody said one");
}

#[test]
fn anything_else_is_shown_whole_as_a_valid_message() {
    let odd = [
        json!({"a": 1, "b": [true, null]}),
        json!([1, 2]),
        json!([]),
        json!({}),
        json!(42),
        json!({"messages": "none"}),
        json!({"messages": [1]}),
        json!({"choices": [1]}),
        json!({"candidates": []}),
        json!({"output": [3], "status": "completed"}),
        json!([{"role": "user"}, "and a text"]),
    ];
    for value in &odd {
        let messages = input(value).messages;
        let shown = messages.iter().flat_map(|message| message["parts"].as_array().unwrap()).count();
        assert!(shown > 0, "{value} is lost: {messages:?}");
        output(value);
    }
    let whole = output(&odd[0]);
    assert_eq!(whole.messages[0]["parts"], json!([text(&odd[0].to_string())]));
    assert_eq!(input(&Value::Null).messages, [json!({"role": "user", "parts": []})]);
    let unknown = json!({"role": "user", "content": [{"type": "hologram", "beam": 7}]});
    assert_eq!(input(&json!([unknown])).messages[0]["parts"], json!([{"type": "hologram", "beam": 7}]));
}

#[test]
fn messages_in_the_conventions_own_form_stay_as_they_are() {
    let messages =
        json!([{"role": "user", "parts": [text("tea?"), {"type": "tool_call", "name": "kettle", "arguments": {}}]}]);
    assert_eq!(json!(input(&messages).messages), messages);
}

#[test]
fn calls_that_were_said_apart_are_parts_once() {
    let calls = json!([{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]);
    let alone = Output::of(None, Some(&calls));
    assert_valid(&alone.messages, true);
    assert_eq!(alone.messages[0]["finish_reason"], "tool_call");
    assert_eq!(alone.messages[0]["parts"].as_array().unwrap().len(), 1);
    let said_twice =
        json!({"choices": [{"message": {"role": "assistant", "tool_calls": calls}, "finish_reason": "tool_calls"}]});
    assert_eq!(Output::of(Some(&said_twice), Some(&calls)).messages[0]["parts"].as_array().unwrap().len(), 1);
    let beside = Output::of(Some(&json!("let me see")), Some(&json!([{"name": "look", "arguments": {"at": 1}}])));
    let parts = json!([text("let me see"), {"type": "tool_call", "name": "look", "arguments": {"at": 1}}]);
    assert_eq!(beside.messages[0]["parts"], parts);
}

#[test]
fn tools_may_be_names_alone() {
    assert_eq!(definitions(&json!(["search"])), [json!({"type": "function", "name": "search"})]);
    assert_eq!(definitions(&json!([{"type": "web_search"}])), [json!({"type": "web_search"})]);
    assert!(definitions(&json!(7)).is_empty());
}
