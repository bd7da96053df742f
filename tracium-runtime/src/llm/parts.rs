//! The parts of a message, as the GenAI conventions have them
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>): texts, reasoning, calls of tools and what they
//! answered, media. A part that none of the known APIs has stays as it is, where it says its type.

use serde_json::{Map, Value, json};

/// The parts of a message's content: a text, a part, or a list of either.
pub(super) fn parts(content: &Value) -> Vec<Value> {
    match content {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().flat_map(parts).collect(),
        Value::Object(fields) => part(fields),
        Value::String(content) if content.is_empty() => Vec::new(),
        Value::String(content) => vec![text(content)],
        other => vec![text(&other.to_string())],
    }
}

pub(super) fn text(content: &str) -> Value {
    json!({"type": "text", "content": content})
}

fn reasoning(content: &str) -> Vec<Value> {
    if content.is_empty() { Vec::new() } else { vec![json!({"type": "reasoning", "content": content})] }
}

pub(super) fn tool_call(id: &Value, name: &Value, arguments: &Value) -> Value {
    let mut part = Map::new();
    part.insert("type".to_owned(), json!("tool_call"));
    if !id.is_null() {
        part.insert("id".to_owned(), id.clone());
    }
    part.insert("name".to_owned(), json!(name.as_str().unwrap_or_default()));
    if !arguments.is_null() {
        part.insert("arguments".to_owned(), embedded(arguments));
    }
    Value::Object(part)
}

pub(super) fn tool_call_response(id: &Value, response: &Value) -> Value {
    let mut part = Map::new();
    part.insert("type".to_owned(), json!("tool_call_response"));
    if !id.is_null() {
        part.insert("id".to_owned(), id.clone());
    }
    part.insert("response".to_owned(), plain(response));
    Value::Object(part)
}

/// Arguments that are JSON in a string, as OpenAI writes them, as what they are.
fn embedded(arguments: &Value) -> Value {
    match arguments.as_str().map(serde_json::from_str::<Value>) {
        Some(Ok(value)) => value,
        _ => arguments.clone(),
    }
}

/// What is a list of texts only, as one text.
fn plain(response: &Value) -> Value {
    let Some(items) = response.as_array() else { return response.clone() };
    let texts: Option<Vec<&str>> = items.iter().map(|item| item.as_str().or_else(|| item["text"].as_str())).collect();
    texts.map_or_else(|| response.clone(), |texts| json!(texts.join("\n")))
}

fn part(fields: &Map<String, Value>) -> Vec<Value> {
    let get = |name: &str| fields.get(name).unwrap_or(&Value::Null);
    let string = |name: &str| get(name).as_str().unwrap_or_default();
    match string("type") {
        "text" | "input_text" | "output_text" | "summary_text" | "reasoning_text" => match get("text") {
            Value::String(content) => parts(&json!(content)),
            // In the conventions' own form.
            _ => as_it_is(fields),
        },
        "refusal" => parts(get("refusal")),
        "thinking" => reasoning(string("thinking")),
        "reasoning" => of_reasoning(fields),
        "tool_use" | "server_tool_use" => vec![tool_call(get("id"), get("name"), get("input"))],
        "tool_result" => vec![tool_call_response(get("tool_use_id"), get("content"))],
        "function" | "" if get("function").is_object() => {
            let function = get("function");
            vec![tool_call(get("id"), &function["name"], &function["arguments"])]
        }
        "function_call" => {
            let id = if get("call_id").is_null() { get("id") } else { get("call_id") };
            vec![tool_call(id, get("name"), get("arguments"))]
        }
        "function_call_output" => vec![tool_call_response(get("call_id"), get("output"))],
        "image_url" => {
            let url = get("image_url");
            vec![uri("image", url["url"].as_str().or_else(|| url.as_str()))]
        }
        "input_image" => match get("image_url").as_str() {
            Some(url) => vec![uri("image", Some(url))],
            None => vec![file("image", get("file_id"))],
        },
        "input_audio" => {
            let audio = get("input_audio");
            let mime_type = audio["format"].as_str().map(|format| format!("audio/{format}"));
            vec![blob("audio", mime_type.as_deref(), &audio["data"])]
        }
        "image" | "document" | "video" | "audio" if get("source").is_object() => {
            of_source(string("type"), get("source"))
        }
        "input_file" | "file" => {
            let file_part = if get("file").is_object() { get("file") } else { &Value::Null };
            let id = if file_part.is_null() { get("file_id") } else { &file_part["file_id"] };
            if id.is_null() { as_it_is(fields) } else { vec![file("document", id)] }
        }
        "" => untyped(fields),
        _ => as_it_is(fields),
    }
}

/// A part of a type that is nobody's we know, or of the conventions': they allow for any.
fn as_it_is(fields: &Map<String, Value>) -> Vec<Value> {
    vec![Value::Object(fields.clone())]
}

/// OpenAI's reasoning has its texts in lists.
fn of_reasoning(fields: &Map<String, Value>) -> Vec<Value> {
    let texts = ["summary", "content", "text"].iter().filter_map(|name| fields.get(*name));
    let texts = texts.flat_map(|value| match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(|item| item["text"].as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    });
    reasoning(&texts.collect::<Vec<_>>().join("\n"))
}

/// Google's and Bedrock's parts: the name of the one member is the type.
fn untyped(fields: &Map<String, Value>) -> Vec<Value> {
    let get = |names: [&str; 2]| names.iter().find_map(|name| fields.get(*name)).unwrap_or(&Value::Null);
    if let Some(content) = fields.get("text").and_then(Value::as_str) {
        return if fields.get("thought") == Some(&Value::Bool(true)) {
            reasoning(content)
        } else {
            parts(&json!(content))
        };
    }
    let call = get(["functionCall", "function_call"]);
    if call.is_object() {
        return vec![tool_call(&call["id"], &call["name"], &call["args"])];
    }
    let response = get(["functionResponse", "function_response"]);
    if response.is_object() {
        let id = if response["id"].is_null() { &response["name"] } else { &response["id"] };
        return vec![tool_call_response(id, &response["response"])];
    }
    let call = get(["toolUse", "tool_use"]);
    if call.is_object() {
        return vec![tool_call(&call["toolUseId"], &call["name"], &call["input"])];
    }
    let response = get(["toolResult", "tool_result"]);
    if response.is_object() {
        return vec![tool_call_response(&response["toolUseId"], &response["content"])];
    }
    let thought = &get(["reasoningContent", "reasoning_content"])["reasoningText"]["text"];
    if let Some(content) = thought.as_str() {
        return reasoning(content);
    }
    let data = get(["inlineData", "inline_data"]);
    if data.is_object() {
        let mime_type = mime_type(data);
        return vec![blob(modality(mime_type), mime_type, &data["data"])];
    }
    let data = get(["fileData", "file_data"]);
    if data.is_object() {
        let address = data["fileUri"].as_str().or_else(|| data["file_uri"].as_str());
        return vec![uri(modality(mime_type(data)), address)];
    }
    // A call as some clients hand it on: its name and its arguments.
    let (name, arguments) = (get(["name", "tool_name"]), get(["arguments", "args"]));
    if name.is_string() && (!arguments.is_null() || fields.len() <= 2) {
        return vec![tool_call(get(["id", "call_id"]), name, arguments)];
    }
    vec![text(&Value::Object(fields.clone()).to_string())]
}

fn mime_type(data: &Value) -> Option<&str> {
    data["mimeType"].as_str().or_else(|| data["mime_type"].as_str())
}

/// Anthropic's media.
fn of_source(modality: &str, source: &Value) -> Vec<Value> {
    vec![match source["type"].as_str() {
        Some("url") => uri(modality, source["url"].as_str()),
        Some("file") => file(modality, &source["file_id"]),
        Some("text") => text(source["data"].as_str().unwrap_or_default()),
        _ => blob(modality, source["media_type"].as_str(), &source["data"]),
    }]
}

fn modality(mime_type: Option<&str>) -> &str {
    match mime_type.and_then(|mime_type| mime_type.split('/').next()) {
        Some(kind @ ("image" | "audio" | "video")) => kind,
        _ => "document",
    }
}

fn uri(modality: &str, uri: Option<&str>) -> Value {
    json!({"type": "uri", "modality": modality, "uri": uri.unwrap_or_default()})
}

fn file(modality: &str, id: &Value) -> Value {
    json!({"type": "file", "modality": modality, "file_id": id.as_str().unwrap_or_default()})
}

/// What was captured of the bytes is a note of their size already.
fn blob(modality: &str, mime_type: Option<&str>, content: &Value) -> Value {
    let mut part = json!({"type": "blob", "modality": modality, "content": content.as_str().unwrap_or_default()});
    if let Some(mime_type) = mime_type {
        part["mime_type"] = json!(mime_type);
    }
    part
}
