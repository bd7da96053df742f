//! How many columns a text takes on a terminal, and texts made safe to show on one line of it.

/// Characters that take two columns: East Asian wide and full-width ones, and emoji.
///
/// Blocks are taken whole where most of them is wide: a column too many leaves a gap, one too few wraps a line.
const WIDE: &[(u32, u32)] = &[
    (0x1100, 0x115f),
    (0x231a, 0x231b),
    (0x2329, 0x232a),
    (0x23e9, 0x23f3),
    (0x25fd, 0x25fe),
    (0x2614, 0x2615),
    (0x2630, 0x2637),
    (0x2648, 0x2653),
    (0x267f, 0x267f),
    (0x268a, 0x268f),
    (0x2693, 0x2693),
    (0x26a1, 0x26a1),
    (0x26aa, 0x26ab),
    (0x26bd, 0x26be),
    (0x26c4, 0x26c5),
    (0x26ce, 0x26ce),
    (0x26d4, 0x26d4),
    (0x26ea, 0x26ea),
    (0x26f2, 0x26f5),
    (0x26fa, 0x26fa),
    (0x26fd, 0x26fd),
    (0x2705, 0x2705),
    (0x270a, 0x270b),
    (0x2728, 0x2728),
    (0x274c, 0x274e),
    (0x2753, 0x2757),
    (0x2795, 0x2797),
    (0x27b0, 0x27bf),
    (0x2b1b, 0x2b1c),
    (0x2b50, 0x2b55),
    (0x2e80, 0x303e),
    (0x3041, 0x4dbf),
    (0x4e00, 0xa4cf),
    (0xa960, 0xa97c),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe10, 0xfe19),
    (0xfe30, 0xfe6b),
    (0xff01, 0xff60),
    (0xffe0, 0xffe6),
    (0x16fe0, 0x18dff),
    (0x1aff0, 0x1b2ff),
    (0x1d300, 0x1d376),
    (0x1f004, 0x1f004),
    (0x1f0cf, 0x1f0cf),
    (0x1f18e, 0x1f19a),
    (0x1f200, 0x1f265),
    (0x1f300, 0x1f64f),
    (0x1f680, 0x1f6ff),
    (0x1f7e0, 0x1f7f0),
    (0x1f900, 0x1faff),
    (0x20000, 0x3fffd),
];

/// Characters that take none: combining marks, joiners, variation selectors.
///
/// Scripts that are not listed have their marks counted as a column, which is safe.
const ZERO: &[(u32, u32)] = &[
    (0x0300, 0x036f),
    (0x0483, 0x0489),
    (0x0591, 0x05bd),
    (0x0610, 0x061a),
    (0x064b, 0x065f),
    (0x0670, 0x0670),
    (0x06d6, 0x06dc),
    (0x0900, 0x0902),
    (0x093c, 0x093c),
    (0x0941, 0x0948),
    (0x094d, 0x094d),
    (0x0e31, 0x0e31),
    (0x0e34, 0x0e3a),
    (0x0e47, 0x0e4e),
    (0x1ab0, 0x1aff),
    (0x1dc0, 0x1dff),
    (0x200b, 0x200d),
    (0x2060, 0x2060),
    (0x20d0, 0x20ff),
    (0x302a, 0x302d),
    (0x3099, 0x309a),
    (0xfe00, 0xfe0f),
    (0xfe20, 0xfe2f),
    (0xe0100, 0xe01ef),
];

/// Characters that are no text but orders to the terminal, beside `char::is_control`: line and paragraph separators,
/// changes of direction (which reorder what stands around them), invisible tags.
const ORDERS: &[(u32, u32)] = &[
    (0x061c, 0x061c),
    (0x200e, 0x200f),
    (0x2028, 0x202e),
    (0x2061, 0x206f),
    (0xfeff, 0xfeff),
    (0xfff9, 0xfffb),
    (0xe0000, 0xe007f),
];

/// Asks terminals to draw the character before it as an emoji, in two columns.
const EMOJI_STYLE: char = '\u{fe0f}';

/// Stands for a character that must not reach the terminal.
const UNSHOWN: char = '·';

fn within(ranges: &[(u32, u32)], c: char) -> bool {
    let c = c as u32;
    let at = ranges.partition_point(|&(_, last)| last < c);
    ranges.get(at).is_some_and(|&(first, _)| first <= c)
}

fn columns(c: char) -> usize {
    if c.is_ascii() {
        1
    } else if within(ZERO, c) {
        0
    } else if within(WIDE, c) {
        2
    } else {
        1
    }
}

/// The character as it may be shown: none of `text` can move the cursor, end the line or change colours.
fn shown(c: char) -> char {
    if c.is_control() || (!c.is_ascii() && within(ORDERS, c)) { UNSHOWN } else { c }
}

/// `text` made safe, in `most` columns or less, and how many it takes; what is cut off leaves a `…`.
///
/// It looks at no more of `text` than it shows.
pub(super) fn cut(text: &str, most: usize) -> (String, usize) {
    let mut out = String::with_capacity(text.len().min(2 * most));
    let mut used = 0;
    // Where the `…` would go.
    let mut room_until = (0, 0);
    let mut last = 0;
    for (count, c) in text.chars().map(shown).enumerate() {
        let wide = if c == EMOJI_STYLE { usize::from(last == 1) } else { columns(c) };
        // A pile of marks takes no columns and yet no end.
        if used + wide > most || count > 4 * most {
            out.truncate(room_until.0);
            if most > 0 {
                out.push('…');
            }
            return (out, room_until.1 + most.min(1));
        }
        out.push(c);
        used += wide;
        last = wide;
        if used < most {
            room_until = (out.len(), used);
        }
    }
    (out, used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_sorted_and_apart() {
        for ranges in [WIDE, ZERO, ORDERS] {
            assert!(ranges.iter().all(|(first, last)| first <= last));
            assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }

    #[test]
    fn cjk_and_emoji_take_two_columns_and_marks_none() {
        for (text, width) in [
            ("search", 6),
            ("zürich", 6),
            ("zu\u{308}rich", 6),
            ("検索", 4),
            ("검색", 4),
            ("ｈｉ", 4),
            ("🚀", 2),
            ("✅", 2),
            ("❤\u{fe0f}", 2),
            ("✓ ├─…→µ", 7),
            ("", 0),
        ] {
            assert_eq!(cut(text, 80), (text.to_owned(), width), "{text}");
        }
    }

    #[test]
    fn cut_by_columns_not_by_characters() {
        for (text, most, expected, width) in [
            ("search", 6, "search", 6),
            ("search", 5, "sear…", 5),
            ("search", 1, "…", 1),
            ("search", 0, "", 0),
            ("検索検索", 8, "検索検索", 8),
            ("検索検索", 7, "検索検…", 7),
            ("検索検索", 6, "検索…", 5),
            ("検索", 1, "…", 1),
        ] {
            assert_eq!(cut(text, most), (expected.to_owned(), width), "{text} in {most}");
        }
    }

    #[test]
    fn nothing_of_a_text_can_order_the_terminal() {
        let (text, width) = cut("a\n\x1b[31mb\r\t\u{7f}\u{85}\u{9b}2J\u{2028}\u{202e}\u{2066}c\u{feff}", 80);
        assert_eq!(text, "a··[31mb·····2J···c·");
        assert_eq!(width, 20);
    }

    #[test]
    fn piles_of_marks_end() {
        let (text, width) = cut(&"\u{301}".repeat(100_000), 10);
        assert!(text.len() < 100 && width <= 10, "{} bytes", text.len());
    }
}
