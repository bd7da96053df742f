//! Files as paragraphs that can be ranked. Nothing of tracium is in here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::{fmt, fs};

use anyhow::Context as _;
use serde::Serialize;

/// How many paragraphs a search finds at most.
const HITS: usize = 4;

/// What a retrieval finds.
#[derive(Clone, Serialize)]
pub(crate) struct Passage {
    pub(crate) file: String,
    pub(crate) score: f64,
    pub(crate) text: String,
}

/// No paragraph has any word of the question.
#[derive(Debug)]
pub(crate) struct NoMatch {
    paragraphs: usize,
    terms: Vec<String>,
}

impl fmt::Display for NoMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "none of {} paragraphs has any of {:?}", self.paragraphs, self.terms)
    }
}

impl std::error::Error for NoMatch {}

/// Files, cut into paragraphs that can be ranked.
#[derive(Default)]
pub(crate) struct Library {
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) paragraphs: Vec<(Passage, Vec<String>)>,
    /// In how many paragraphs a term is.
    spread: HashMap<String, usize>,
}

impl Library {
    pub(crate) fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for text in paragraphs(&text, path.extension().is_some_and(|extension| extension == "rs")) {
            let terms = terms(&text);
            for term in terms.iter().collect::<HashSet<_>>() {
                *self.spread.entry(term.clone()).or_default() += 1;
            }
            self.paragraphs.push((Passage { file: file.clone(), score: 0.0, text }, terms));
        }
        self.files.insert(file, text);
        Ok(())
    }

    /// The best paragraphs for `question`, by Okapi BM25 with its usual constants.
    pub(crate) fn rank(&self, question: &str) -> Result<Vec<Passage>, NoMatch> {
        const K1: f64 = 1.2;
        const B: f64 = 0.75;
        let asked = terms(question);
        let all = number(self.paragraphs.len());
        let mean_length = number(self.paragraphs.iter().map(|(_, terms)| terms.len()).sum()) / all;
        let weight = |term: &String| {
            let spread = number(self.spread.get(term).copied().unwrap_or_default());
            (1.0 + (all - spread + 0.5) / (spread + 0.5)).ln()
        };
        let score = |terms: &[String]| -> f64 {
            let long = K1 * (1.0 - B + B * number(terms.len()) / mean_length);
            let frequency = |asked: &String| number(terms.iter().filter(|term| *term == asked).count());
            asked.iter().map(|term| weight(term) * frequency(term) * (K1 + 1.0) / (frequency(term) + long)).sum()
        };
        let scored = self.paragraphs.iter().map(|(passage, terms)| Passage { score: score(terms), ..passage.clone() });
        let mut hits: Vec<Passage> = scored.filter(|passage| passage.score > 0.0).collect();
        if hits.is_empty() {
            return Err(NoMatch { paragraphs: self.paragraphs.len(), terms: asked });
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits.truncate(HITS);
        Ok(hits)
    }

    /// The file whose size is asked for.
    pub(crate) fn file_to_measure(&self, question: &str) -> Option<&str> {
        let asks = question.starts_with("How many") || question.starts_with("How long");
        self.files.keys().find(|file| asks && question.contains(file.as_str())).map(String::as_str)
    }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// The paragraphs of a text without its code blocks; of a Rust file, of its first docs. Headings, list items and table
/// rows are paragraphs too.
fn paragraphs(text: &str, rust: bool) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut in_code = false;
    for line in text.lines().filter_map(|line| if rust { line.strip_prefix("//!") } else { Some(line) }) {
        let line = line.trim();
        if line.starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let numbered = line.split_once(". ").is_some_and(|(number, _)| number.parse::<u8>().is_ok());
            if line.is_empty() || numbered || line.starts_with(['-', '|', '#']) {
                found.push(String::new());
            }
            let paragraph = found.last_mut().expect("it starts with one");
            paragraph.push_str(&line.trim_matches(['-', '|', '#', ' ']).replace(" | ", ": "));
            paragraph.push(' ');
        }
    }
    found.retain(|paragraph| paragraph.len() > 20);
    found
}

/// The words that tell texts apart, in lower case and singular.
pub(crate) fn terms(text: &str) -> Vec<String> {
    const COMMON: &[&str] = &[
        "and", "are", "but", "can", "does", "for", "from", "has", "have", "how", "into", "its", "many", "may", "not",
        "that", "the", "this", "was", "what", "when", "where", "which", "who", "why", "will", "with",
    ];
    text.split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() > 2 && !COMMON.contains(&word.as_str()))
        .map(|word| match word.strip_suffix('s') {
            Some(singular) if !singular.ends_with('s') => singular.to_owned(),
            _ => word,
        })
        .collect()
}
