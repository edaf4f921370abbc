//! A client's bytes before hyper gets them: each message that a strict reader finds is passed on, a head at a time, and no body goes
//! on behind the place where a strict reader finds none.

use why502::listener::framing::Follows;
use why502::listener::framing::Framing;

use super::judge;
use super::judge::Message;
use super::judge::Reading;

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

pub(crate) fn check(input: &[u8]) {
    messages(input);
    chunks(input);
}

/// Goes through the messages as long as they are sound.
fn messages(mut input: &[u8]) {
    while let Reading::Whole(message, length) = judge::request(input) {
        let head = head_length(input);
        for piece in [1, 3, usize::MAX] {
            let mut framing = Framing::default();
            assert_eq!(passed(&mut framing, input, piece), head, "one head is passed on: {}", input.escape_ascii());
            assert!(framing.follow(follows(&message)), "it is sound: {}", input.escape_ascii());
            let body = &input[head..length];
            assert_eq!(passed(&mut framing, body, piece), body.len(), "so is its body: {}", input.escape_ascii());
            assert!(!framing.is_in_head(), "it has ended: {}", input.escape_ascii());
        }
        input = &input[length..];
    }
}

/// Takes all of it for a body in chunks, and what follows one.
fn chunks(input: &[u8]) {
    let read = |piece| {
        let mut framing = Framing::default();
        framing.follow(Follows::Chunks);
        (passed(&mut framing, input, piece), framing)
    };
    let (at_once, whole) = read(usize::MAX);
    let (single, pieces) = read(1);
    let broken = |framing: &Framing| matches!(framing, Framing::Broken);
    assert_eq!(broken(&whole), broken(&pieces), "{}", input.escape_ascii());
    assert!(single == at_once || broken(&whole), "{single} and {at_once}: {}", input.escape_ascii());
    let ended = matches!(whole, Framing::Head(_) | Framing::Between { .. });
    match judge::request(&[HEAD, input].concat()) {
        Reading::Whole(..) => assert!(ended, "a sound body ends: {}", input.escape_ascii()),
        Reading::Partial => assert!(!ended, "it goes on: {}", input.escape_ascii()),
        // hyper sees to sizes, to the names of trailers and to carriage returns that end nothing.
        Reading::Wrong(why) if why.contains("size is none") || why.contains("field") || has_stray_return(input) => {}
        Reading::Wrong(why) => assert!(broken(&whole), "{why}: {}", input.escape_ascii()),
    }
}

/// How much is passed on of what comes in such pieces.
fn passed(framing: &mut Framing, bytes: &[u8], piece: usize) -> usize {
    let mut passed = 0;
    for piece in bytes.chunks(piece.min(bytes.len().max(1))) {
        let now = framing.pass(piece).bytes;
        passed += now;
        if now < piece.len() {
            break;
        }
    }
    passed
}

fn has_stray_return(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
}

/// Where the first head ends.
fn head_length(bytes: &[u8]) -> usize {
    bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4)
}

fn follows(message: &Message) -> Follows {
    match message.framing {
        judge::Framing::Chunks => Follows::Chunks,
        judge::Framing::Length => Follows::Length(message.body.len() as u64),
        judge::Framing::Head | judge::Framing::Close => Follows::Nothing,
    }
}
