//! Owns the ids by which a request is known beyond this proxy (W3C Trace Context).

/// A trace, and this proxy's own part in it. Neither is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The trace's id.
    pub trace: u128,
    /// The id of this proxy's part, which is the parent of the origin's.
    pub span: u64,
}

impl Span {
    /// The trace's id in hexadecimal digits.
    #[must_use]
    pub fn trace_id(self) -> [u8; 32] {
        hexadecimal(self.trace)
    }

    /// The id of this proxy's part in hexadecimal digits.
    #[must_use]
    pub fn span_id(self) -> [u8; 16] {
        hexadecimal(self.span.into())
    }
}

/// The last digits of a number, in lower case.
#[inline]
fn hexadecimal<const LENGTH: usize>(mut number: u128) -> [u8; LENGTH] {
    let mut digits = [b'0'; LENGTH];
    for digit in digits.iter_mut().rev() {
        let value = (number & 15) as u8;
        *digit = if value < 10 { b'0' + value } else { b'a' - 10 + value };
        number >>= 4;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn ids_have_all_their_digits() {
        let span = Span { trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, span: 0x00f0_67aa_0ba9_02b7 };
        assert_eq!(&span.trace_id(), b"0af7651916cd43dd8448eb211c80319c");
        assert_eq!(&span.span_id(), b"00f067aa0ba902b7");
    }
}
