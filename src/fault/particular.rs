//! Owns evidence that is particular to one protocol: what HTTP/2 says of an end, what SRV records say of a service.

/// What HTTP/2 said of the end of a stream or of its connection (RFC 9113, sections 5.4 and 7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct H2Evidence {
    /// The number of the request's stream, where it had got one.
    pub stream: Option<u32>,
    /// The code with which the server reset the stream.
    pub reset_code: Option<u32>,
    /// The code with which the server ended the connection (GOAWAY).
    pub goaway_code: Option<u32>,
    /// The last stream that the server may have processed, as its GOAWAY has it.
    pub last_stream: Option<u32>,
    /// What the server wrote into its GOAWAY for people, cleaned for display.
    pub debug_data: Option<String>,
    /// The code of the error that this proxy found in what the server sent.
    pub found_code: Option<u32>,
    /// Whether the server has said that it did not begin to process the request (RFC 9113, section 8.7).
    pub unprocessed: bool,
}

/// A look-up of SRV records (RFC 2782).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SrvEvidence {
    /// They were asked for.
    Asked,
    /// They say that the service is decidedly not there: the target is the root.
    NotOffered,
}
