//! The tools that a model was offered.

use serde_json::{Map, Value, json};

/// The tools in `value`, as the conventions define them: `type`, `name`, `description`, `parameters`.
pub(crate) fn definitions(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(definitions).collect(),
        Value::String(name) => vec![json!({"type": "function", "name": name})],
        Value::Object(fields) => definition(fields),
        _ => Vec::new(),
    }
}

fn definition(fields: &Map<String, Value>) -> Vec<Value> {
    let nested = ["function", "toolSpec", "functionDeclarations", "function_declarations"];
    if let Some(inner) = nested.iter().find_map(|name| fields.get(*name)).filter(|inner| !inner.is_string()) {
        return definitions(inner);
    }
    let mut tool = fields.clone();
    if tool.get("name").is_some() {
        tool.entry("type").or_insert_with(|| json!("function"));
    }
    // Anthropic, the Model Context Protocol, Bedrock.
    for name in ["input_schema", "inputSchema"] {
        if let Some(schema) = tool.remove(name) {
            let schema = schema.get("json").cloned().unwrap_or(schema);
            tool.entry("parameters").or_insert(schema);
        }
    }
    vec![Value::Object(tool)]
}
