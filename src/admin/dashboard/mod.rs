//! Owns the dashboard: one page that holds all it needs, and reads the rest from `/api/`.
//!
//! What the page shows comes from logs and networks, so its script writes it as text and never as markup; the policy allows the
//! page's own style and script by their digests, and nothing else.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use ring::digest;
use serde_json::json;

use crate::admin::reply;
use crate::admin::reply::Body;
use crate::diagnosis::Cause;
use crate::fault::Fault;

/// The page.
pub(super) fn page() -> Response<Body> {
    let mut answer = reply::of_type("text/html; charset=utf-8", StatusCode::OK, PAGE.clone());
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    answer
}

static PAGE: LazyLock<Bytes> = LazyLock::new(|| {
    let page = include_str!("page.html");
    page.replacen("/*style*/", STYLE, 1).replacen("/*words*/", &words(), 1).replacen("/*script*/", SCRIPT, 1).into()
});

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| BASE64_STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Of one family with the page of a failure. It stands in the page byte for byte, as the script does, since the policy allows each by its digest.
const STYLE: &str = concat!(include_str!("../../answer/house.css"), include_str!("page.css"));
const SCRIPT: &str = include_str!("page.js");

/// What causes and faults are called, for the script: they have their names in one place.
fn words() -> String {
    let causes: serde_json::Map<_, _> =
        Cause::ALL.iter().map(|cause| (cause.word().to_owned(), json!([cause.title(), cause.meaning()]))).collect();
    let faults: serde_json::Map<_, _> =
        Fault::ALL.iter().map(|fault| (fault.word().to_owned(), json!(fault.title()))).collect();
    // No title has a `<`, so that nothing in it can end the script.
    json!({ "causes": causes, "faults": faults }).to_string()
}

#[cfg(test)]
mod tests {
    use super::PAGE;
    use super::POLICY;
    use super::SCRIPT;
    use super::words;

    #[test]
    fn the_page_holds_all_it_needs_and_nothing_that_is_not_allowed() {
        let page = std::str::from_utf8(&PAGE).unwrap();
        for left in ["/*style*/", "/*words*/", "/*script*/", "http://", "https://", " style=", " onclick=", "src="] {
            assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(left), "{left}");
        }
        assert_eq!(page.matches("<style>").count(), 1);
        assert!(!words().contains('<'));
        let policy = POLICY.to_str().unwrap();
        assert!(policy.contains("style-src 'sha256-") && policy.contains("script-src 'sha256-"), "{policy}");
        for (begin, end, directive) in [("<style>", "</style>", "style-src"), ("<script>", "</script>", "script-src")] {
            let text = page.split(begin).nth(1).unwrap().split(end).next().unwrap();
            let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
            let hash = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, hash);
            assert!(policy.contains(&format!("{directive} 'sha256-{hash}'")), "{directive}");
        }
    }

    #[test]
    fn whatever_the_script_shows_it_writes_as_text() {
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", ".style"]
        {
            assert!(!SCRIPT.contains(way), "{way}");
        }
    }
}
