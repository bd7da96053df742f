//! Pieces of text with their counts, as the families of models on Bedrock have them: Titan, Llama, Mistral, Command.

use serde_json::Value;

use super::{METRICS, Room, Step, object, replace};

const COUNTS: [&str; 8] = [
    "stop_reason",
    "completionReason",
    "finish_reason",
    "stop",
    "inputTextTokenCount",
    "totalOutputTextTokenCount",
    "prompt_token_count",
    "generation_token_count",
];

/// The piece, and the member that has it.
pub(super) fn text(event: &Value) -> Option<(&'static str, &str)> {
    let names = ["outputText", "generation", "completion", "text"];
    let own = names.iter().find_map(|name| Some((*name, event[*name].as_str()?)));
    own.or_else(|| Some(("generation", event["outputs"][0]["text"].as_str()?)))
}

pub(super) fn event(whole: &mut Value, event: &Value, room: &mut Room) -> Step {
    replace(whole, event, &COUNTS);
    replace(whole, &event["outputs"][0], &["stop_reason"]);
    let mut content = false;
    if let Some((name, text)) = text(event) {
        room.append(&mut object(whole)[name], text);
        content = !text.is_empty();
    }
    Step { content, done: event[METRICS].is_object() }
}
