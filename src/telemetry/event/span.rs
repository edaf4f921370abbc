//! Owns the ids by which a request is known beyond this proxy (W3C Trace Context).

/// A trace, and this proxy's own part in it: their ids in hexadecimal digits, for each is written more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    trace_id: [u8; 32],
    span_id: [u8; 16],
}

impl Span {
    /// The trace of that id, and in it the part that is the parent of the origin's. Neither is zero.
    #[must_use]
    pub fn new(trace: u128, span: u64) -> Self {
        Self { trace_id: hexadecimal(trace), span_id: hexadecimal(span.into()) }
    }

    /// The trace's id in hexadecimal digits.
    #[must_use]
    pub const fn trace_id(&self) -> &[u8; 32] {
        &self.trace_id
    }

    /// The id of this proxy's part in hexadecimal digits.
    #[must_use]
    pub const fn span_id(&self) -> &[u8; 16] {
        &self.span_id
    }
}

/// The last digits of a number, in lower case.
#[inline]
fn hexadecimal<const LENGTH: usize>(number: u128) -> [u8; LENGTH] {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' - 10 + value };
    let mut digits = [b'0'; LENGTH];
    for (pair, byte) in digits.rchunks_exact_mut(2).zip(number.to_le_bytes()) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn ids_have_all_their_digits() {
        let span = Span::new(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0x00f0_67aa_0ba9_02b7);
        assert_eq!(span.trace_id(), b"0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.span_id(), b"00f067aa0ba902b7");
    }
}
