//! Owns the reading of HTTP/2 frame heads as they pass, and what a server's frames tell: whether it has sent GOAWAY, and what it
//! said in it.
//!
//! The library that speaks HTTP/2 reads frames for itself and tells of a GOAWAY only its code. The last stream that was
//! processed and the text for people are evidence, so they are picked out of the bytes here. Nothing else is kept.

/// A GOAWAY as the server sent it (RFC 9113, section 6.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goaway {
    /// The error code; 0 where the server merely wants no more requests.
    pub code: u32,
    /// The last stream that may have been processed.
    pub last_stream: u32,
    /// What it wrote for people, cut and cleaned for display; empty where it wrote nothing.
    pub debug_data: String,
}

/// The head of a frame (RFC 9113, section 4.1), as far as anybody here looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Bytes of the payload that follows.
    pub length: usize,
}

/// What stands next in a stream of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A frame begins.
    Head(FrameHead),
    /// Bytes of the frame that has begun.
    Payload(&'a [u8]),
}

/// Tells frames apart in a stream of bytes, however they come.
#[derive(Debug, Default)]
pub struct Scanner {
    head: [u8; HEAD],
    /// Bytes of a head that are known.
    known: usize,
    /// Bytes of the frame under way that are still to come.
    rest: usize,
}

impl Scanner {
    /// The next piece, which is taken off these bytes; none where they are used up.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Piece<'a>> {
        if self.rest > 0 {
            let (taken, left) = bytes.split_at(bytes.len().min(self.rest));
            self.rest -= taken.len();
            *bytes = left;
            return (!taken.is_empty()).then_some(Piece::Payload(taken));
        }
        let (taken, left) = bytes.split_at(bytes.len().min(HEAD - self.known));
        let room = self.head.iter_mut().skip(self.known);
        room.zip(taken).for_each(|(place, byte)| *place = *byte);
        self.known += taken.len();
        *bytes = left;
        if self.known < HEAD {
            return None;
        }
        self.known = 0;
        let [high, middle, low, kind, flags, ..] = self.head;
        self.rest = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        Some(Piece::Head(FrameHead { kind, flags, length: self.rest }))
    }

    /// Whether one frame has ended and no other begun.
    #[must_use]
    pub const fn is_between_frames(&self) -> bool {
        self.rest == 0 && self.known == 0
    }
}

/// What a server's frames tell.
#[derive(Debug, Default)]
pub struct Frames {
    scanner: Scanner,
    /// What is kept of a GOAWAY under way.
    payload: Option<Vec<u8>>,
    goaway: Option<Goaway>,
    /// Whether a frame has come to its end.
    greeted: bool,
    /// The bytes of the block of fields under way, and of the largest that was seen.
    block: usize,
    largest_block: usize,
}

impl Frames {
    /// The last GOAWAY.
    #[must_use]
    pub const fn goaway(&self) -> Option<&Goaway> {
        self.goaway.as_ref()
    }

    /// Whether the first frame has come, which is the server's settings (RFC 9113, section 3.4).
    #[must_use]
    pub const fn greeted(&self) -> bool {
        self.greeted
    }

    /// How many bytes the largest block of fields had as it was sent, which is compressed.
    #[must_use]
    pub const fn largest_block(&self) -> usize {
        self.largest_block
    }

    /// The next bytes.
    pub fn read(&mut self, mut bytes: &[u8]) {
        while let Some(piece) = self.scanner.next(&mut bytes) {
            match piece {
                Piece::Head(head) => self.begin_frame(head),
                Piece::Payload(taken) => {
                    if let Some(payload) = &mut self.payload {
                        payload.extend(taken.iter().take(KEPT.saturating_sub(payload.len())));
                    }
                }
            }
            if self.scanner.is_between_frames() {
                self.greeted = true;
                if let Some(payload) = self.payload.take() {
                    self.goaway = goaway(&payload).or_else(|| self.goaway.take());
                }
            }
        }
    }

    fn begin_frame(&mut self, head: FrameHead) {
        self.payload = (head.kind == GOAWAY).then(Vec::new);
        match head.kind {
            HEADERS => self.block = head.length,
            CONTINUATION => self.block = self.block.saturating_add(head.length),
            _ => {}
        }
        self.largest_block = self.largest_block.max(self.block);
    }
}

fn goaway(payload: &[u8]) -> Option<Goaway> {
    let (last_stream, rest) = payload.split_first_chunk::<4>()?;
    let (code, debug_data) = rest.split_first_chunk::<4>()?;
    let shown = debug_data.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' });
    Some(Goaway {
        code: u32::from_be_bytes(*code),
        // The first bit is reserved.
        last_stream: u32::from_be_bytes(*last_stream) & (u32::MAX >> 1),
        debug_data: shown.collect::<String>().trim().to_owned(),
    })
}

/// DATA (RFC 9113, section 6), and the other types that somebody here looks for.
pub const DATA: u8 = 0;
/// HEADERS.
pub const HEADERS: u8 = 1;
/// `RST_STREAM`.
pub const RST_STREAM: u8 = 3;
/// GOAWAY.
pub const GOAWAY: u8 = 7;
/// CONTINUATION.
pub const CONTINUATION: u8 = 9;
/// The flag of DATA and HEADERS that ends a stream.
pub const END_STREAM: u8 = 1;
/// The flag of HEADERS and CONTINUATION that ends a block of fields.
pub const END_HEADERS: u8 = 4;

/// Length (3), type, flags, stream (4): RFC 9113, section 4.1.
const HEAD: usize = 9;
/// Last stream (4), code (4), and so much of the text.
const KEPT: usize = 8 + 200;

#[cfg(test)]
mod tests {
    use super::Frames;
    use super::Goaway;

    const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x80";
    const GOAWAY: &[u8] = b"\0\0\x0d\x07\0\0\0\0\0\x80\0\0\x05\0\0\0\x0bcalm\x07";

    #[test]
    fn a_goaway_is_read_however_the_bytes_come() {
        let bytes = [SETTINGS, GOAWAY, SETTINGS].concat();
        let wanted = Goaway { code: 11, last_stream: 5, debug_data: "calm".to_owned() };
        for size in [1, 2, 7, 9, 15, 16, bytes.len()] {
            let mut frames = Frames::default();
            bytes.chunks(size).for_each(|piece| frames.read(piece));
            assert_eq!(frames.goaway(), Some(&wanted), "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_goaway_leaves_nothing_and_no_text_grows_without_bound() {
        for bytes in [SETTINGS, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\x03\x07\0\0\0\0\0abc"] {
            let mut frames = Frames::default();
            frames.read(bytes);
            assert_eq!(frames.goaway(), None, "{bytes:?}");
        }
        let mut frames = Frames::default();
        frames.read(b"\xff\xff\xff\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0");
        (0..1700).for_each(|_| frames.read(&[b'x'; 10_000]));
        assert_eq!(frames.goaway().unwrap().debug_data.len(), 200);
    }
}
