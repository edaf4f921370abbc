//! Owns the drawing of the way for a terminal: you, this proxy and the origin on a line, and below it where it broke.

use super::language::Language;
use super::place::Place;
use super::wrap::width;

/// Three lines at most. The stations stand where the English ones would, or further right where a language takes more room.
pub(super) fn way(place: Place, language: Language) -> Vec<String> {
    let (you, proxy, origin) = (language.say("you"), language.say("this proxy"), language.say("origin"));
    let (fine, broke) = (language.say("ok"), language.say("it broke here"));
    let (unreached, cut_off) = (language.say("not reached"), language.say("cut off"));
    let proxy_at = INDENT + width(you) + LINE;
    let origin_at = proxy_at + (width(proxy) + LINE).max(width(broke) + 4);
    let cut_at = proxy_at + width(proxy) + CUT;
    let (mut stations, mut marks) = (Row::default(), Row::default());
    stations.put(INDENT, you).line(proxy_at).put(proxy_at, proxy);
    marks.put(INDENT + 1, fine);
    match place {
        Place::Gateway => {
            stations.put(origin_at, origin);
            marks.put(proxy_at, "^ ").put(proxy_at + 2, broke).put(origin_at, unreached);
            vec![stations.0, marks.0]
        }
        Place::Way | Place::Talk => {
            let mut below = Row::default();
            stations.line(cut_at).put(cut_at, "x").put(origin_at, origin);
            marks.put(proxy_at, fine).put(cut_at, "^");
            marks.put(origin_at, if place == Place::Way { unreached } else { cut_off });
            below.put(cut_at, broke);
            vec![stations.0, marks.0, below.0]
        }
        Place::Origin => {
            stations.line(origin_at).put(origin_at, origin);
            marks.put(proxy_at, fine).put(origin_at, "^ ").put(origin_at + 2, broke);
            vec![stations.0, marks.0]
        }
    }
}

/// A line that grows to the right.
#[derive(Debug, Default)]
struct Row(String);

impl Row {
    /// Writes a text from a column on.
    fn put(&mut self, column: usize, text: &str) -> &mut Self {
        let gap = column.saturating_sub(width(&self.0));
        self.0.push_str(&" ".repeat(gap));
        self.0.push_str(text);
        self
    }

    /// Draws the connection up to the station at a column.
    fn line(&mut self, column: usize) -> &mut Self {
        let dashes = column.saturating_sub(width(&self.0) + 2);
        self.0.push(' ');
        self.0.push_str(&"-".repeat(dashes));
        self.0.push(' ');
        self
    }
}

/// Columns before the first station.
const INDENT: usize = 2;
/// Columns of the line between two stations, with the spaces around it.
const LINE: usize = 17;
/// Columns until a line that is cut ends.
const CUT: usize = 8;

#[cfg(test)]
mod tests {
    use super::Language;
    use super::Place;
    use super::way;

    #[test]
    fn the_break_is_drawn_where_it_is() {
        for (place, drawn) in [
            (
                Place::Gateway,
                "  you --------------- this proxy                 origin\n   ok                 ^ it broke here            not reached",
            ),
            (
                Place::Way,
                "  you --------------- this proxy ------ x        origin\n   ok                 ok                ^        not reached\n                                        it broke here",
            ),
            (
                Place::Talk,
                "  you --------------- this proxy ------ x        origin\n   ok                 ok                ^        cut off\n                                        it broke here",
            ),
            (
                Place::Origin,
                "  you --------------- this proxy --------------- origin\n   ok                 ok                         ^ it broke here",
            ),
        ] {
            assert_eq!(way(place, Language::ENGLISH).join("\n"), drawn, "{place:?}");
        }
    }
}
