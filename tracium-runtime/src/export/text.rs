//! Texts as backends want them.

/// The most tags that backends take.
const MOST_TAGS: usize = 100;

/// Cuts `text` after `most` characters.
pub(super) fn cut(text: &str, most: usize) -> &str {
    // A character is at least one byte, so most texts need no count.
    if text.len() <= most {
        return text;
    }
    text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at])
}

/// At most 100 tags of 128 characters, without repeats in another case.
pub(super) fn unique_tags<'a>(tags: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = std::collections::HashSet::new();
    tags.map(|tag| cut(tag, 128))
        .filter(|tag| !tag.is_empty() && seen.insert(tag.to_lowercase()))
        .take(MOST_TAGS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(cut("会社", 1), "会");
        assert_eq!(cut("ab", 2), "ab");
    }
}
