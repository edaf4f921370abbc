//! Owns the breaking of lines for a terminal: how wide a text is there, and where it may be broken.
//!
//! Chinese and Japanese have no spaces and characters of two columns; a line of theirs may be broken anywhere but before
//! a closing mark and after an opening one (after JIS X 4051).

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|character| if is_wide(character) { 2 } else { 1 }).sum()
}

/// The pieces of a text that are never broken, each with whether a space stands before it.
pub(super) fn pieces(text: &str) -> Vec<(bool, &str)> {
    let words = text.split(is_space).filter(|word| !word.is_empty());
    words.flat_map(|word| (0..).zip(parts(word)).map(|(index, part)| (index == 0, part))).collect()
}

/// A word, cut where a line may be broken inside it.
fn parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut before) = (0, None);
    for (at, character) in word.char_indices() {
        if before.is_some_and(|before| may_break(before, character)) {
            parts.extend(word.get(begin..at));
            begin = at;
        }
        before = Some(character);
    }
    parts.extend(word.get(begin..));
    parts
}

fn may_break(before: char, after: char) -> bool {
    (is_wide(before) || is_wide(after)) && !OPENING.contains(before) && !NOT_FIRST.contains(after)
}

/// White space at which a line may be broken: not the spaces that hold a number and its unit together.
fn is_space(character: char) -> bool {
    character.is_whitespace() && !matches!(character, '\u{a0}' | '\u{202f}')
}

/// Whether a terminal gives it two columns (Unicode's East Asian Width W and F, as far as our languages need it).
const fn is_wide(character: char) -> bool {
    matches!(character,
        '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{303E}' | '\u{3041}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7A3}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE6F}' | '\u{FF01}'..='\u{FF60}' | '\u{FFE0}'..='\u{FFE6}'
        | '\u{20000}'..='\u{3FFFD}')
}

const OPENING: &str = "「『（〈《【“‘(";

/// Closing marks, and what belongs to the sound before it.
const NOT_FIRST: &str = "、。，．：；？！」』）〉》】”’・ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々,.:;?!)%";

#[cfg(test)]
mod tests {
    use super::pieces;
    use super::width;

    #[test]
    fn a_wide_character_takes_two_columns() {
        for (text, columns) in [("abc", 3), ("Übergröße", 9), ("サーバー", 8), ("「源站」", 8), ("", 0)] {
            assert_eq!(width(text), columns, "{text}");
        }
    }

    #[test]
    fn a_line_may_be_broken_at_spaces_and_between_wide_characters() {
        for (text, broken) in [
            ("two words", "two| words"),
            ("74\u{a0}% sure", "74\u{a0}%| sure"),
            ("不是。你", "不|是。|你"),
            ("「源站」", "「源|站」"),
            ("请按 Ctrl+F5，再试", "请|按| Ctrl+F5，|再|试"),
            ("サーバー", "サー|バー"),
        ] {
            let shown: Vec<String> = pieces(text)
                .iter()
                .map(|(space, piece)| if *space { format!(" {piece}") } else { (*piece).into() })
                .collect();
            assert_eq!(shown.join("|").trim_start(), broken);
        }
    }
}
