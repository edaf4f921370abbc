//! why502: a reverse proxy that tells people why they got a 502.
//!
//! It stands in front of an origin and forwards everything faithfully. When the origin fails, it says what was observed,
//! why that likely happened, how sure this is, and what to do: to the visitor, to the operator and in the log, to each what
//! they may know. `README.md` is for those who use it; this page is for those who read the code.
//!
//! # The chain
//!
//! ```text
//! io / tls / http / dns error  ─classify→  Fault  ─in→  Failure  ─with history and observations→  Case
//! Case  ─rules→  Evidence  ─weigh→  ranked Causes  ─checklist→  Steps   =  Diagnosis
//! Diagnosis  ─for Visitor | Operator→  Report  ─render→  HTML | JSON | text | gRPC
//!                                              └record→  log line, counters
//! ```
//!
//! An error is classified where it is born, with its type in hand, and never from its text. A diagnosis is a function of a
//! case, without a clock or a socket. What a visitor may know is a type that has no field for the rest.
//!
//! # The floors
//!
//! A room imports only from floors below its own; `tests/architecture.rs` holds it to that. Rooms marked * decide and never
//! act: no socket, no clock, no task.
//!
//! ```text
//! command                               run, check, diagnose, report, demo
//! demo                                  origins that fail in one known way each
//! server                                builds the program, owns its threads, stops in order
//! admin        listener                 what operators look at; client connections
//! proxy                                 the story of one request
//! archive      webhook                  every incident, open and over; who is told of them elsewhere
//! answer*      probe        telemetry   what is said to people; what is checked; what is told to the log
//! upstream                              which server, which connection, once more or not
//! dns          incident*                names to addresses; runs of failures with one cause
//! diagnosis*   net          route*      why; sockets and TLS; which upstream
//! config       fault*      logbook*     what is set; what was observed; a log read back
//! per_core                              what each core counts for itself
//! ```
//!
//! # The words
//!
//! - **Origin**: what answers behind this proxy. An **upstream** is an origin as it is configured, with one or more
//!   **servers**. The **peer** is whoever is at the other end of a connection.
//! - **Visitor** and **operator**: who gets an answer. An operator sees addresses, evidence and commands, a visitor does not.
//!   The **owner** is whom the operator's steps speak to.
//! - **Stage**: where along an exchange something was met: resolve, connect, tls, send, response, body; or gateway, before
//!   any server was asked; or upstream, where the origin itself has answered 502, 503 or 504.
//! - **Fault**: what was observed, one word each ([`fault::Fault`]). A **failure** is a fault with all that was seen of it:
//!   address, times, bytes, error number ([`fault::Failure`]). An **attempt** is one exchange with one server; each that
//!   failed leaves a failure, and the most telling one is explained.
//! - **Case**: all that a diagnosis looks at ([`diagnosis::Case`]). **Evidence** is what a **rule** sees in it; a **cause**
//!   is why it likely happened ([`diagnosis::Cause`]); a **diagnosis** is both, with the steps
//!   ([`diagnosis::diagnose`]).
//! - **Round**: the checks of one failing server, shared by all who wait for it ([`probe`]); what it measures are
//!   **observations**, facts like a failure's ([`diagnosis::observation::Observation`]).
//! - **Runbook**: steps as data, `config/checklist.toml` or the operator's own. A **checklist** is what one case gets of it.
//! - **Incident**: a run of failures of one upstream with one cause ([`incident::Incident`]); its **record** is what is kept of it
//!   ([`archive::Record`]), in the **incident history** where that is a file. **History** alone is what an upstream did before
//!   ([`diagnosis::history::History`]); its **memory** is where that is noted.
//! - **Refusal**: a request that is the client's doing and never forwarded. It has no fault and no cause.
//! - **Line**: what an exchange runs on: a connection of HTTP/1 for itself, or a stream of HTTP/2 on one that is shared.
//! - **Core**: a thread with a runtime, connections and counters of its own. A **lane** is a server as one core uses it.
//!
//! # The life of a request
//!
//! ```text
//! listener::serve           accepts a client                    → too many of one address: closed
//!   entrance::enter         PROXY header, TLS                   → closed; 400 where it is plain HTTP
//!   connection::serve       hyper reads the head                → 400 408 414 431 505   Proxy::refuse_unread
//! Proxy::handle
//!   Client::identify        who asks, visitor or operator
//!   admission::admit        may it be forwarded?                → 400 405 417 501 …     Proxy::refuse
//!   State::find             which route, which upstream?        → 404 421               Proxy::refuse
//!   forward::request        the head as the origin gets it      → proxy_loop            Proxy::explain
//!   Upstream::call
//!     enter                 a server in service, with room      → no_healthy_server     Proxy::explain
//!                           or a wait for room                  → server_at_capacity    Proxy::explain
//!     attempt::run          an idle connection, or else
//!       resolve             names to addresses                  → dns_…                 ┐
//!       connect             both families, each with its limit  → connection_…, socket_ │
//!       tls                                                     → tls_…                 │ once more, where nothing
//!       send                                                    → reset_while_sending … │ can happen twice; then
//!                           the client's own body is at fault   → 400 408 413           │ Proxy::explain
//!       response            until the head is complete          → response_…, closed_…  ┘
//!       intercept           its own 502, 503, 504, if so set    → upstream_…            Proxy::explain
//!   Proxy::relay            a head that nobody should see       → response_malformed    Proxy::explain
//!     body                  on its way, with back-pressure      → response_truncated …  Proxy::explain_cut
//!   telemetry               the request's line
//! ```
//!
//! `Proxy::refuse` answers and logs a request. `Proxy::explain` makes the case, the diagnosis, the answer and the log's
//! `upstream_failure`; `Proxy::explain_cut` does so without an answer, since the head has gone out: the message is cut so
//! that the client can tell. After a 101 that was asked for, the connection is a two-way copy until either side ends.

pub mod config;
pub mod fault;
pub mod logbook;
pub mod per_core;

pub mod diagnosis;
pub mod net;
pub mod route;

pub mod dns;
pub mod incident;

pub mod upstream;

pub mod answer;
pub mod probe;
pub mod telemetry;

pub mod archive;
pub mod webhook;

pub mod proxy;

pub mod admin;
pub mod listener;

pub mod server;

pub mod demo;

pub mod command;
