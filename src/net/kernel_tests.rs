//! Owns the tests of what is asked of the kernel, apart from it so that all of that file is what they look at.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;

use rustix::io::FdFlags;

use super::kernel::has_unread;
use super::kernel::inherited;
use super::kernel::queued_error;
use super::kernel::tcp_info;

#[test]
fn what_is_inherited_is_owned_and_inherited_no_further() {
    let (one, mut other) = UnixStream::pair().unwrap();
    rustix::io::fcntl_setfd(&one, FdFlags::empty()).unwrap();
    let owned = inherited(one.into_raw_fd()).unwrap();
    assert_eq!(rustix::io::fcntl_getfd(&owned).unwrap(), FdFlags::CLOEXEC);
    UnixStream::from(owned).write_all(b"hi").unwrap();
    let mut heard = String::new();
    other.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hi", "and it is closed with its owner");
    assert!(inherited(1 << 20).is_err(), "nothing is open there");
}

#[test]
fn bytes_that_nobody_has_read_are_seen() {
    let (one, mut other) = UnixStream::pair().unwrap();
    assert!(!has_unread(one.as_raw_fd()));
    other.write_all(b"x").unwrap();
    assert!(has_unread(one.as_raw_fd()));
}

#[test]
fn only_tcp_has_the_state_of_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let info = tcp_info(client.as_raw_fd()).unwrap();
    // 1: established.
    assert_eq!((info.tcpi_state, info.tcpi_snd_mss > 0), (1, true));
    assert!(tcp_info(UnixStream::pair().unwrap().0.as_raw_fd()).is_none());
}

#[test]
fn a_queue_without_errors_says_none() {
    assert!(queued_error(UdpSocket::bind("127.0.0.1:0").unwrap().as_raw_fd()).is_none());
}
