//! Owns the stories of HTTP/2 towards origins.

use super::Row;
use super::teller::Story;
use crate::diagnosis::Cause;
use crate::fault::Fault;
use crate::fault::failure::H2Evidence;

pub(super) fn rows() -> Vec<Row> {
    let reset = |fault, code| {
        let unprocessed = code == 7;
        h2(fault, H2Evidence { stream: Some(3), reset_code: Some(code), unprocessed, ..H2Evidence::default() })
    };
    let goaway = |fault, code, unprocessed| {
        let debug_data = (code == 11).then(|| "too_many_pings".to_owned());
        let said =
            H2Evidence { stream: Some(5), goaway_code: Some(code), last_stream: Some(3), ..H2Evidence::default() };
        h2(fault, H2Evidence { debug_data, unprocessed, ..said })
    };
    vec![
        goaway(Fault::H2ConnectionError, 11, true)
            .ends("a server that is asked too often", Cause::Overload, 0.6, &["h2_calm_down"])
            .says(&["ENHANCE_YOUR_CALM", "too_many_pings"]),
        reset(Fault::H2StreamRefused, 7)
            .ends("a server with streams enough", Cause::Overload, 0.6, &["h2_stream_not_taken"])
            .says(&["REFUSED_STREAM", "not processed"]),
        goaway(Fault::H2StreamRefused, 0, true)
            .ends("a server that restarts", Cause::OriginDown, 0.5, &["h2_closing_in_order"])
            .says(&["GOAWAY", "restarts"]),
        reset(Fault::H2StreamReset, 13)
            .ends("a server that wants HTTP/1.1", Cause::FaultyProxy, 0.6, &["h2_wants_http1"])
            .says(&["HTTP_1_1_REQUIRED", "protocol = \"http1\""]),
        reset(Fault::H2StreamReset, 2)
            .ends("a program that failed", Cause::Application, 0.7, &["h2_internal_error"])
            .says(&["INTERNAL_ERROR"]),
        reset(Fault::H2StreamReset, 8)
            .ends("a request that was given up", Cause::Application, 0.6, &["h2_given_up"])
            .says(&["CANCEL"]),
        goaway(Fault::H2ConnectionError, 1, false)
            .ends("a server that finds fault", Cause::FaultyProxy, 0.5, &["h2_blames_proxy"])
            .says(&["PROTOCOL_ERROR"]),
        h2(Fault::H2ConnectionError, H2Evidence { found_code: Some(6), ..H2Evidence::default() })
            .ends("frames that are none", Cause::FaultyProxy, 0.4, &["h2_rules_broken"])
            .says(&["FRAME_SIZE_ERROR"]),
        h2(Fault::ResponseNotHttp, H2Evidence::default())
            .spoken(b"HTTP/1.1 400 Bad Request\r\n")
            .ends("a port that speaks HTTP/1 only", Cause::FaultyProxy, 0.8, &["http1_only"])
            .says(&["HTTP/1", "protocol = \"http1\""]),
        Story::of(Fault::TlsProtocolError)
            .at("https://10.0.0.5:443")
            .without_alpn("app.internal")
            .ends("TLS without HTTP/2", Cause::FaultyProxy, 0.6, &["no_alpn"])
            .says(&["ALPN"]),
    ]
}

fn h2(fault: Fault, said: H2Evidence) -> Story {
    Story::of(fault).sent(120).took(2.0).over_h2(said)
}

impl Story {
    /// HTTP/2 was spoken to it, and this was said.
    fn over_h2(mut self, said: H2Evidence) -> Self {
        self.last.h2 = Some(said);
        self
    }

    /// It took part in TLS under this name and agreed to no protocol.
    fn without_alpn(mut self, server_name: &str) -> Self {
        self.last.tls.get_or_insert_default().without_alpn = true;
        self.asked_for(server_name)
    }
}
