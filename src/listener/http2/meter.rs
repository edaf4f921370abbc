//! Owns the judgement of what a client's frames bring and what they cost.
//!
//! Frames that ask for nothing and give nothing, and requests that are taken back, cost work all the same. A client has an
//! allowance of them: it comes back slowly with time, and with what every honest use of them comes with. A PING or a new window
//! comes with DATA that was sent, a new priority with a request, a reset now and then among answers that were taken. Who runs
//! out of it floods (RFC 9113, section 10.5; CVE-2019-9512, -9515, -9518, CVE-2023-44487).

use tokio::time::Instant;

use crate::net::frames::CONTINUATION;
use crate::net::frames::DATA;
use crate::net::frames::END_HEADERS;
use crate::net::frames::END_STREAM;
use crate::net::frames::FrameHead;
use crate::net::frames::HEADERS;
use crate::net::frames::Piece;
use crate::net::frames::RST_STREAM;
use crate::net::frames::Scanner;

/// What is known of the frames of one client.
#[derive(Debug)]
pub(super) struct Meter {
    /// Bytes of the preface that are still to come.
    preface: usize,
    scanner: Scanner,
    greeted: bool,
    /// Since when a block of fields is coming in.
    head_since: Option<Instant>,
    /// Whether it ends with the frame that is coming in.
    head_ends: bool,
    /// Frames that ask for nothing.
    idle: Allowance,
    /// Requests that were taken back.
    resets: Allowance,
    flooded: bool,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            preface: PREFACE,
            scanner: Scanner::default(),
            greeted: false,
            head_since: None,
            head_ends: false,
            idle: Allowance::new(MOST_IDLE, IDLE_A_SECOND, now),
            resets: Allowance::new(MOST_RESETS, RESETS_A_SECOND, now),
            flooded: false,
        }
    }

    /// The next bytes that the client has sent.
    pub(super) fn read(&mut self, bytes: &[u8], now: Instant) {
        let (preface, mut bytes) = bytes.split_at(bytes.len().min(self.preface));
        self.preface -= preface.len();
        while let Some(piece) = self.scanner.next(&mut bytes) {
            if let Piece::Head(head) = piece {
                self.begin_frame(head, now);
            }
            if self.scanner.is_between_frames() {
                self.greeted = true;
                if std::mem::take(&mut self.head_ends) {
                    self.head_since = None;
                }
            }
        }
    }

    fn begin_frame(&mut self, head: FrameHead, now: Instant) {
        let FrameHead { kind, flags, length } = head;
        let allowed = match kind {
            DATA if length > 0 || flags & END_STREAM != 0 => true,
            HEADERS => {
                self.idle.earn(IDLE_A_REQUEST);
                true
            }
            RST_STREAM => self.resets.spend(now),
            _ => self.idle.spend(now),
        };
        self.flooded |= !allowed;
        if matches!(kind, HEADERS | CONTINUATION) {
            self.head_since.get_or_insert(now);
            self.head_ends = flags & END_HEADERS != 0;
        }
    }

    /// A piece of a body was sent to the client.
    pub(super) fn sent(&mut self) {
        self.idle.earn(IDLE_A_PIECE);
    }

    /// A request was answered, and the answer was taken.
    pub(super) fn answered(&mut self) {
        self.resets.earn(1);
    }

    /// Whether the client's settings have come.
    pub(super) const fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// Since when a block of fields is coming in.
    pub(super) const fn head_since(&self) -> Option<Instant> {
        self.head_since
    }

    /// Whether the client floods.
    pub(super) const fn is_flooded(&self) -> bool {
        self.flooded
    }
}

/// So much of something, which comes back.
#[derive(Debug)]
struct Allowance {
    left: u32,
    most: u32,
    a_second: u32,
    counted: Instant,
}

impl Allowance {
    const fn new(most: u32, a_second: u32, now: Instant) -> Self {
        Self { left: most, most, a_second, counted: now }
    }

    fn earn(&mut self, amount: u32) {
        self.left = self.left.saturating_add(amount).min(self.most);
    }

    /// Takes one, if it is there. What time has brought is only counted when it is needed.
    fn spend(&mut self, now: Instant) -> bool {
        if self.left == 0 {
            let passed = now.duration_since(self.counted).as_millis() * u128::from(self.a_second) / 1000;
            if passed > 0 {
                self.counted = now;
                self.earn(u32::try_from(passed).unwrap_or(u32::MAX));
            }
        }
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        true
    }
}

/// Bytes of the client's preface (RFC 9113, section 3.4).
const PREFACE: usize = 24;
/// Frames that ask for nothing: at once, in a second, with each request, with each piece of a body that was sent.
const MOST_IDLE: u32 = 2000;
const IDLE_A_SECOND: u32 = 100;
const IDLE_A_REQUEST: u32 = 10;
const IDLE_A_PIECE: u32 = 10;
/// Requests that are taken back, at once and in a second: a page that is left takes back all that it has under way.
const MOST_RESETS: u32 = 400;
const RESETS_A_SECOND: u32 = 50;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Meter;

    const SETTINGS: (u8, u8, usize) = (4, 0, 0);
    const PING: (u8, u8, usize) = (6, 0, 8);
    const RESET: (u8, u8, usize) = (3, 0, 4);
    const REQUEST: (u8, u8, usize) = (1, 5, 20);
    const EMPTY: (u8, u8, usize) = (0, 0, 0);

    fn frame((kind, flags, length): (u8, u8, usize)) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        let mut bytes = vec![size[1], size[2], size[3], kind, flags, 0, 0, 0, 1];
        bytes.resize(bytes.len() + length, 0);
        bytes
    }

    fn greeted(now: Instant) -> Meter {
        let mut meter = Meter::new(now);
        meter.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now);
        assert!(!meter.is_greeted());
        meter.read(&frame(SETTINGS), now);
        assert!(meter.is_greeted());
        meter
    }

    /// How many times this can be sent, and something be told of it, until it is a flood; none where it never is.
    fn flooded_after(frames: &[(u8, u8, usize)], pause: Duration, also: impl Fn(&mut Meter)) -> Option<usize> {
        let mut now = Instant::now();
        let mut meter = greeted(now);
        let bytes: Vec<u8> = frames.iter().flat_map(|head| frame(*head)).collect();
        (1..20_000).find(|_| {
            now += pause;
            meter.read(&bytes, now);
            also(&mut meter);
            meter.is_flooded()
        })
    }

    #[test]
    fn frames_that_ask_for_nothing_are_a_flood_when_they_are_many() {
        let nothing = |_: &mut Meter| {};
        for kind in [PING, SETTINGS, EMPTY, (2, 0, 5), (8, 0, 4), (99, 0, 3)] {
            assert_eq!(flooded_after(&[kind], Duration::ZERO, nothing), Some(2000), "{kind:?}");
            assert_eq!(
                flooded_after(&[kind], Duration::from_millis(10), nothing),
                None,
                "{kind:?}, a hundred a second"
            );
        }
    }

    #[test]
    fn requests_that_are_taken_back_are_a_flood_unless_others_are_answered() {
        let nothing = |_: &mut Meter| {};
        assert_eq!(flooded_after(&[REQUEST, RESET], Duration::ZERO, nothing), Some(401));
        assert_eq!(flooded_after(&[REQUEST, REQUEST, RESET], Duration::ZERO, Meter::answered), None);
        assert_eq!(flooded_after(&[RESET], Duration::from_millis(20), nothing), None);
    }

    #[test]
    fn frames_that_go_with_what_is_asked_for_and_sent_are_none() {
        assert_eq!(flooded_after(&[(8, 0, 4), (8, 0, 4), PING], Duration::ZERO, Meter::sent), None);
        assert_eq!(flooded_after(&[REQUEST, (16, 0, 12), (8, 0, 4)], Duration::ZERO, |_| {}), None);
        assert_eq!(flooded_after(&[(0, 0, 1000)], Duration::ZERO, |_| {}), None, "an upload");
    }

    #[test]
    fn a_head_is_under_way_until_its_last_frame_is_whole() {
        let now = Instant::now();
        let mut meter = greeted(now);
        let head = frame((1, 0, 10));
        meter.read(&head[..9], now);
        assert_eq!(meter.head_since(), Some(now));
        meter.read(&head[9..], now + Duration::from_secs(1));
        assert_eq!(meter.head_since(), Some(now), "CONTINUATION is to come");
        let last = frame((9, 4, 10));
        meter.read(&last[..12], now);
        assert_eq!(meter.head_since(), Some(now));
        meter.read(&last[12..], now);
        assert_eq!(meter.head_since(), None);
    }
}
