//! Who serves a model, by the host that is asked.

/// The providers of the hosts that we know, under the GenAI conventions' names where they have one. A name that begins
/// with a dot is that of all hosts below it.
const HOSTS: [(&str, &str); 29] = [
    ("api.openai.com", "openai"),
    (".api.openai.com", "openai"),
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".models.ai.azure.com", "azure.ai.inference"),
    ("models.github.ai", "azure.ai.inference"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("codestral.mistral.ai", "mistral_ai"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("openrouter.ai", "openrouter"),
    ("api.together.xyz", "together_ai"),
    ("api.together.ai", "together_ai"),
    ("api.fireworks.ai", "fireworks_ai"),
    ("api.cerebras.ai", "cerebras"),
    ("api.sambanova.ai", "sambanova"),
    ("integrate.api.nvidia.com", "nvidia"),
    ("router.huggingface.co", "hugging_face"),
    ("api.deepinfra.com", "deepinfra"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("ollama.com", "ollama"),
];

/// The provider that answers at `host`, which may have a port; `None` for hosts that are nobody's we know.
pub(super) fn of_host(host: &str) -> Option<&'static str> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    // Regional hosts: `us-east5-aiplatform.googleapis.com`, `bedrock-runtime.eu-west-1.amazonaws.com`.
    if name.ends_with("-aiplatform.googleapis.com") {
        return Some("gcp.vertex_ai");
    }
    if (name.starts_with("bedrock-runtime") || name.contains(".bedrock-runtime.")) && name.contains(".amazonaws.com") {
        return Some("aws.bedrock");
    }
    if port == "11434" {
        return Some("ollama");
    }
    let known = HOSTS.iter().find(|(host, _)| *host == name || (host.starts_with('.') && name.ends_with(host)));
    known.map(|(_, provider)| *provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_with_ports_regions_and_subdomains() {
        for (host, provider) in [
            ("api.openai.com", Some("openai")),
            ("API.OpenAI.com:443", Some("openai")),
            ("eu.api.openai.com", Some("openai")),
            ("acme.openai.azure.com", Some("azure.ai.openai")),
            ("us-east5-aiplatform.googleapis.com", Some("gcp.vertex_ai")),
            ("bedrock-runtime.eu-west-1.amazonaws.com", Some("aws.bedrock")),
            ("bedrock-runtime-fips.us-east-1.amazonaws.com", Some("aws.bedrock")),
            ("vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com", Some("aws.bedrock")),
            ("localhost:11434", Some("ollama")),
            ("localhost:8000", None),
            ("[::1]:11434", Some("ollama")),
            ("notapi.openai.com.evil.example", None),
            ("api.openai.community", None),
            ("", None),
        ] {
            assert_eq!(of_host(host), provider, "{host}");
        }
    }
}
