//! What a server says first: any bytes have a name, only HTTP is called HTTP, and nothing behind the first lines changes that.

#![expect(clippy::wildcard_enum_match_arm, reason = "the others repeat nothing")]

use why502::fault::Spoken;
use why502::fault::failure::Malformed;
use why502::net::frames::Frames;

pub(crate) fn check(input: &[u8]) {
    let spoken = Spoken::recognise(input);
    assert_eq!(spoken.is_none(), input.is_empty());
    let Some(spoken) = spoken else { return };
    let is_http = input.starts_with(b"HTTP/1") || input.starts_with(b"HTTP/0");
    assert_eq!(spoken == Spoken::Http1, is_http, "{spoken:?}");
    assert!(!spoken.name().is_empty());
    if spoken.is_foreign() {
        let is_markup = matches!(input.trim_ascii_start(), [b'<', b'!'..=b'~', b' '..=b'~', ..]);
        let is_web = is_markup || matches!(input, [0x15 | 0x16, 3, 0..=4, ..]);
        assert!(!is_web, "{spoken:?}");
    }
    let longer = [input, &[b'x'; 300]].concat();
    if input.len() >= 200 {
        assert_eq!(Spoken::recognise(&longer), Some(spoken), "more bytes make it something else");
    }
    // A head that could not be read says what is wrong with it in words that a terminal can show.
    let malformed = Malformed::read(input).expect("there are bytes");
    let said = match &malformed {
        Malformed::ContentLength(values) => values.concat(),
        Malformed::TransferCoding(value) => value.clone(),
        Malformed::Bloated(name, _) => name.clone(),
        _ => String::new(),
    };
    assert!(!said.chars().any(char::is_control), "{said:?}");
    // Frames of HTTP/2 are the same in whatever pieces they come.
    let [mut whole, mut pieces] = [Frames::default(), Frames::default()];
    whole.read(input);
    input.chunks(3).for_each(|piece| pieces.read(piece));
    assert_eq!(format!("{:?}", whole.goaway()), format!("{:?}", pieces.goaway()));
    assert_eq!((whole.largest_block(), whole.greeted()), (pieces.largest_block(), pieces.greeted()));
}
