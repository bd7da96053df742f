//! The known word that a misspelt one most likely meant.

/// The candidate nearest to `word`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let near = |candidate: &&'a str| (distance(word, candidate), *candidate);
    let (distance, candidate) = candidates.iter().map(near).min()?;
    let tolerated = (candidate.len().max(word.len()) / 3).max(1);
    (distance <= tolerated).then_some(candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let replaced = last[j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                let swapped: &Vec<usize> = &before_last;
                best = best.min(swapped[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KEYS: &[&str] = &["agent", "model", "metadata", "tags", "kind"];

    #[test]
    fn names_the_word_that_was_meant() {
        assert_eq!(nearest("modle", KEYS), Some("model"));
        assert_eq!(nearest("metdata", KEYS), Some("metadata"));
        assert_eq!(nearest("tag", KEYS), Some("tags"));
        assert_eq!(nearest("agnet", KEYS), Some("agent"));
    }

    #[test]
    fn names_nothing_for_a_word_of_its_own() {
        assert_eq!(nearest("retries", KEYS), None);
        assert_eq!(nearest("", KEYS), None);
    }
}
