//! Owns the id of a request: a ULID of ours, or the id that a trusted proxy has already given it.

use std::fmt;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use http::HeaderMap;
use http::HeaderValue;
use ulid::Ulid;

use super::fields::X_REQUEST_ID;

/// The id of a request, safe to be shown anywhere: letters, digits and a few marks.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// A new id, which sorts by time. The random part need not be secret, only different.
    #[must_use]
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a ULID is made of letters and digits")]
    pub fn new(now: SystemTime) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let milliseconds = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let mut buffer = [0; ulid::ULID_LEN];
        let text = Ulid::from_parts(milliseconds, fastrand::u128(..)).array_to_str(&mut buffer);
        Self(HeaderValue::from_str(text).expect("a ULID is visible ASCII"))
    }

    /// The id that a head already carries: exactly one, of 1 to 128 characters that need no escaping anywhere.
    #[must_use]
    pub fn given(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(X_REQUEST_ID).iter();
        match (lines.next(), lines.next()) {
            (Some(value), None) if is_safe(value.as_bytes()) => Some(Self(value.clone())),
            _ => None,
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The id as the value of a field.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

fn is_safe(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~:+/=".contains(byte))
}

/// Bytes of an id that is taken over.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::time::UNIX_EPOCH;

    use http::HeaderMap;
    use http::HeaderValue;

    use super::RequestId;
    use crate::proxy::fields::X_REQUEST_ID;

    fn given(lines: &[&str]) -> Option<String> {
        let headers: HeaderMap =
            lines.iter().map(|line| (X_REQUEST_ID, HeaderValue::from_str(line).unwrap())).collect();
        RequestId::given(&headers).map(|id| id.to_string())
    }

    #[test]
    fn new_ids_are_ulids_that_sort_by_time() {
        let at = |milliseconds| RequestId::new(UNIX_EPOCH + Duration::from_millis(milliseconds));
        let (early, late) = (at(1_700_000_000_000), at(1_700_000_000_001));
        assert!(early.as_str() < late.as_str(), "{early} {late}");
        assert_eq!(ulid::Ulid::from_string(early.as_str()).unwrap().timestamp_ms(), 1_700_000_000_000);
        assert_ne!(at(5).as_str(), at(5).as_str());
    }

    #[test]
    fn an_id_is_taken_over_where_it_is_one_and_safe() {
        let longest = "a".repeat(128);
        let too_long = "a".repeat(129);
        for (lines, expected) in [
            (&["01J-x_y.z:1/2+3=~"][..], Some("01J-x_y.z:1/2+3=~")),
            (&[&longest], Some(&*longest)),
            (&[&too_long], None),
            (&[""], None),
            (&["a b"], None),
            (&["<script>"], None),
            (&["a\"b"], None),
            (&["a", "b"], None),
            (&[], None),
        ] {
            assert_eq!(given(lines).as_deref(), expected, "{lines:?}");
        }
    }
}
