//! Owns `why502 demo`: where it listens. What it shows is `crate::demo`'s.

use std::io;
use std::net::SocketAddr;

use super::Exit;
use super::console::Console;
use crate::config::ListenAddress;
use crate::config::document::Written;
use crate::config::problem::Problem;
use crate::config::problem::Wrong;
use crate::config::problem::quoted;
use crate::demo;

/// Runs the demo until it is told to stop.
pub(super) fn demo(listen: &str, console: &mut Console<'_>) -> io::Result<Exit> {
    let listen = match address(listen) {
        Ok(address) => address,
        Err(wrong) => {
            console.complain([Problem { file: "--listen".to_owned(), place: None, wrong }])?;
            return Ok(Exit::Wrong);
        }
    };
    match demo::run(listen) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            console.complain_of(&error)?;
            Ok(Exit::Wrong)
        }
    }
}

/// The start page is for a browser, which opens no unix socket.
fn address(text: &str) -> Result<SocketAddr, Wrong> {
    match ListenAddress::parse(text)? {
        ListenAddress::Tcp(address) => Ok(address),
        ListenAddress::Unix(_) => {
            let what = format!("{} is a unix socket, which no browser opens", quoted(text));
            Err(Wrong::new(what, "write an address and a port, such as \"127.0.0.1:8080\""))
        }
    }
}

pub(super) const HELP: &str = "\
Open the address in a browser: the start page has a link to each way of failing,
as a visitor sees it and as an operator does. It needs no network, no other
program and no root; Ctrl-C ends it.

Examples:
  why502 demo
  why502 demo --listen 127.0.0.1:9000";
