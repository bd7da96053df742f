//! The tokens that an answer counts, under whatever names.

use serde_json::Value;

use crate::trace::TokenUsage;

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) usage: TokenUsage,
    /// Those that a cache had, or was given, are counted beside the tokens read, not among them.
    pub(super) cached_apart: bool,
}

/// The tokens of `value`, an answer; `None` where it counts none.
pub(super) fn of(value: &Value) -> Option<Counted> {
    let usage = [&value["usage"], &value["x_groq"]["usage"]].into_iter().find(|usage| usage.is_object());
    let metrics = &value["amazon-bedrock-invocationMetrics"];
    usage
        .and_then(common)
        .or_else(|| google(&value["usageMetadata"]))
        .or_else(|| google(&value["usage_metadata"]))
        .or_else(|| cohere(usage.unwrap_or(&value["meta"])))
        .or_else(|| bedrock(metrics, ["inputTokenCount", "outputTokenCount"]))
        .or_else(|| family(value))
}

fn number(value: &Value, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| value[*name].as_u64())
}

/// Of `OpenAI` and whoever speaks it, of Anthropic, of Bedrock's converse.
fn common(usage: &Value) -> Option<Counted> {
    if let Some(counted) = bedrock(usage, ["inputTokens", "outputTokens"]) {
        return Some(counted);
    }
    let input = number(usage, &["prompt_tokens", "input_tokens"]);
    let output = number(usage, &["completion_tokens", "output_tokens"]);
    if input.is_none() && output.is_none() {
        return None;
    }
    let mut counted = TokenUsage::new(input.unwrap_or(0), output.unwrap_or(0));
    let details = |names: [&str; 2], count: &str| names.iter().find_map(|name| usage[*name][count].as_u64());
    // Anthropic's; gateways that speak OpenAI's API have them as well, and count them in as that does.
    let (read, created) = (&usage["cache_read_input_tokens"], &usage["cache_creation_input_tokens"]);
    let cached_apart = (read.is_u64() || created.is_u64()) && !usage["prompt_tokens"].is_u64();
    counted.cached_input = read
        .as_u64()
        .or_else(|| details(["prompt_tokens_details", "input_tokens_details"], "cached_tokens"))
        .or_else(|| number(usage, &["prompt_cache_hit_tokens", "cached_tokens"]));
    counted.cache_creation_input = created.as_u64();
    counted.reasoning = details(["completion_tokens_details", "output_tokens_details"], "reasoning_tokens")
        .or_else(|| number(usage, &["reasoning_tokens"]));
    // Some count the reasoning beside the tokens written: their sum tells.
    if let (Some(reasoning @ 1..), Some(total)) = (counted.reasoning, usage["total_tokens"].as_u64())
        && counted.input.checked_add(counted.output).and_then(|sum| sum.checked_add(reasoning)) == Some(total)
    {
        counted.output += reasoning;
    }
    Some(Counted { usage: counted, cached_apart })
}

/// Google counts thoughts, and what tools brought into the prompt, beside the rest.
fn google(usage: &Value) -> Option<Counted> {
    let count = |names: [&str; 2]| number(usage, &names);
    let input = count(["promptTokenCount", "prompt_token_count"])?;
    let brought = count(["toolUsePromptTokenCount", "tool_use_prompt_token_count"]).unwrap_or(0);
    let thoughts = count(["thoughtsTokenCount", "thoughts_token_count"]);
    let output = count(["candidatesTokenCount", "candidates_token_count"]).unwrap_or(0);
    let mut counted = TokenUsage::new(input.saturating_add(brought), output.saturating_add(thoughts.unwrap_or(0)));
    counted.cached_input = count(["cachedContentTokenCount", "cached_content_token_count"]);
    counted.reasoning = thoughts;
    Some(Counted { usage: counted, cached_apart: false })
}

/// Cohere's, as tokens or as they are billed.
fn cohere(usage: &Value) -> Option<Counted> {
    let counts =
        [&usage["tokens"], &usage["billed_units"]].into_iter().find(|counts| counts["input_tokens"].is_number())?;
    // They may have a fraction, which is none.
    #[allow(clippy::cast_sign_loss)]
    let count = |name: &str| counts[name].as_u64().or_else(|| counts[name].as_f64().map(|count| count as u64));
    let mut counted = TokenUsage::new(count("input_tokens")?, count("output_tokens").unwrap_or(0));
    counted.cached_input = number(usage, &["cached_tokens"]);
    Some(Counted { usage: counted, cached_apart: false })
}

fn bedrock(usage: &Value, [input, output]: [&str; 2]) -> Option<Counted> {
    let mut counted = TokenUsage::new(usage[input].as_u64()?, usage[output].as_u64().unwrap_or(0));
    counted.cached_input = number(usage, &["cacheReadInputTokens", "cacheReadInputTokenCount"]);
    counted.cache_creation_input = number(usage, &["cacheWriteInputTokens", "cacheWriteInputTokenCount"]);
    let cached_apart = counted.cached_input.is_some() || counted.cache_creation_input.is_some();
    Some(Counted { usage: counted, cached_apart })
}

/// Of Ollama, and of families of models on Bedrock.
fn family(value: &Value) -> Option<Counted> {
    let input = number(value, &["prompt_eval_count", "inputTextTokenCount", "prompt_token_count"]);
    let output = number(value, &["eval_count", "totalOutputTextTokenCount", "generation_token_count"]);
    let output = output.or_else(|| value["results"][0]["tokenCount"].as_u64());
    if input.is_none() && output.is_none() {
        return None;
    }
    let usage = TokenUsage::new(input.unwrap_or(0), output.unwrap_or(0));
    Some(Counted { usage, cached_apart: false })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_found_under_everybodys_names() {
        for (value, usage, cached_apart) in [
            (
                json!({"usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2}}),
                TokenUsage::new(10, 5).cached_input(8),
                false,
            ),
            (
                json!({"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 55, "completion_tokens_details": {"reasoning_tokens": 40}}}),
                TokenUsage::new(10, 45).reasoning(40),
                false,
            ),
            (
                json!({"usage": {"prompt_tokens": 10, "completion_tokens": 45, "total_tokens": 55, "completion_tokens_details": {"reasoning_tokens": 40}}}),
                TokenUsage::new(10, 45).reasoning(40),
                false,
            ),
            (json!({"x_groq": {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}}), TokenUsage::new(1, 2), false),
            (
                json!({"usage": {"input_tokens": 25, "output_tokens": 6, "cache_read_input_tokens": 90}}),
                TokenUsage::new(25, 6).cached_input(90),
                true,
            ),
            (
                json!({"usage": {"prompt_tokens": 115, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 90}, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 0}}),
                TokenUsage::new(115, 6).cached_input(90).cache_creation_input(0),
                false,
            ),
            (json!({"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}}), TokenUsage::new(3, 4), false),
            (
                json!({"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 4}}),
                TokenUsage::new(3, 4),
                false,
            ),
            (
                json!({"usage": {"billed_units": {"input_tokens": 3.0, "output_tokens": 4}}}),
                TokenUsage::new(3, 4),
                false,
            ),
            (json!({"usage_metadata": {"prompt_token_count": 3}}), TokenUsage::new(3, 0), false),
            (json!({"usage": {"prompt_tokens": 3, "total_tokens": 3}}), TokenUsage::new(3, 0), false),
        ] {
            assert_eq!(of(&value), Some(Counted { usage, cached_apart }), "{value}");
        }
        for nothing in
            [json!(null), json!([]), json!({"usage": null}), json!({"usage": {"type": "duration", "seconds": 7}})]
        {
            assert_eq!(of(&nothing), None, "{nothing}");
        }
    }
}
