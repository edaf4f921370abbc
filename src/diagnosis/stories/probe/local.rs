//! Owns the stories of what can be seen on this host: sockets' files, queues, processes, this proxy itself.

use super::asked;
use super::connected;
use super::failed;
use crate::diagnosis::Cause;
use crate::diagnosis::Cause::Application;
use crate::diagnosis::Cause::FaultyProxy;
use crate::diagnosis::Cause::OriginDown;
use crate::diagnosis::Cause::Overload;
use crate::diagnosis::observation::Observation;
use crate::diagnosis::observation::Own;
use crate::diagnosis::observation::ProcessState;
use crate::diagnosis::observation::SocketFile;
use crate::diagnosis::observation::SocketFound;
use crate::diagnosis::stories::Row;
use crate::diagnosis::stories::teller::Story;
use crate::fault::Fault;

pub(super) fn rows() -> Vec<Row> {
    [sockets(), programs(), ourselves()].into_iter().flatten().collect()
}

fn sockets() -> Vec<Row> {
    let story = |fault| Story::of(fault).at_socket("/run/app/app.sock").took(0.1);
    let file = |found| Observation::SocketFile(SocketFile { path: "/run/app/app.sock".to_owned(), found });
    let socket = |mode, listened_on| SocketFound::Socket { mode, owner: 33, group: 33, listened_on };
    vec![
        story(Fault::SocketMissing)
            .found(file(SocketFound::Nothing { nearest: "/run/app".to_owned() }))
            .ends("a program that was to make its socket", OriginDown, 0.75, &["socket_folder_empty"])
            .says(&["the folder /run/app exists"]),
        story(Fault::SocketMissing)
            .in_container()
            .found(file(SocketFound::Nothing { nearest: "/run".to_owned() }))
            .ends("a socket's folder that is not mounted", FaultyProxy, 0.5, &["socket_folder_missing"])
            .says(&["only /run"]),
        story(Fault::SocketMissing).found(file(SocketFound::Hidden)).ends(
            "a socket in a folder that is closed to this user",
            OriginDown,
            0.4,
            &["socket_hidden"],
        ),
        story(Fault::ConnectionRefused).found(file(SocketFound::NoSocket)).ends(
            "a file in the place of a socket",
            FaultyProxy,
            0.45,
            &["socket_is_another_file"],
        ),
        story(Fault::SocketPermissionDenied)
            .found(file(socket(0o600, None)))
            .ends("a socket of another user alone", FaultyProxy, 0.85, &["socket_mode_forbids"])
            .says(&["mode 0600, owner 33 and group 33"]),
        story(Fault::SocketPermissionDenied)
            .found(file(socket(0o666, Some(true))))
            .ends("a socket below a folder that is closed", FaultyProxy, 0.85, &["socket_mode_forbids"])
            .says(&["a folder above"]),
        story(Fault::ConnectionRefused).found(file(socket(0o666, Some(false)))).ends(
            "a socket that a crash left behind",
            OriginDown,
            0.85,
            &["socket_nobody_listens"],
        ),
        story(Fault::ConnectionRefused).found(file(socket(0o666, Some(true)))).ends(
            "a socket whose program is back",
            OriginDown,
            0.85,
            &["socket_back"],
        ),
        story(Fault::SocketBacklogFull)
            .found(Observation::AcceptQueue { waiting: 129, room: 128 })
            .ends("php-fpm with too few children", Overload, 0.9, &["accept_queue_full"])
            .says(&["129 wait", "128 may"]),
    ]
}

fn programs() -> Vec<Row> {
    let story = || Story::of(Fault::ResponseTimedOut).at("http://127.0.0.1:3000").sent(200).limit(1_500);
    let process = |state| Observation::Process { id: 4711, name: "node".to_owned(), state };
    let hangs = || failed("/", Fault::ResponseTimedOut, 1_000);
    vec![
        story()
            .found(connected("127.0.0.1:3000", None, 0))
            .found(hangs())
            .found(Observation::AcceptQueue { waiting: 3, room: 511 })
            .found(process(ProcessState::Stopped))
            .ends("a process that a debugger holds", Application, 0.85, &["process_stopped", "accept_queue_fills"])
            .says(&["node (4711)", "SIGSTOP"]),
        story().found(hangs()).found(process(ProcessState::Blocked)).ends(
            "a process that waits for its disk",
            Application,
            0.75,
            &["process_blocked"],
        ),
        story()
            .found(Observation::AcceptQueue { waiting: 12, room: 511 })
            .ends("connections that nobody takes", Overload, 0.45, &["accept_queue_fills"])
            .says(&["12 connections wait"]),
        Story::of(Fault::ConnectionRefused).at("http://127.0.0.1:3000").found(process(ProcessState::Zombie)).ends(
            "a process that ended before its parent knew",
            OriginDown,
            0.8,
            &["process_ended"],
        ),
        Story::of(Fault::ClosedBeforeResponse)
            .asking("/thumbnail")
            .took(900.0)
            .sent(200)
            .found(asked("/", 200, 1))
            .found(Observation::KilledForMemory { count: 2 })
            .ends("a worker that ran out of memory", Application, 0.9, &["killed_for_memory"])
            .says(&["lack of memory, 2 times"]),
        Story::of(Fault::ConnectionRefused).found(Observation::KilledForMemory { count: 1 }).ends(
            "a program that was killed and not started again",
            OriginDown,
            0.75,
            &["killed_and_gone"],
        ),
    ]
}

fn ourselves() -> Vec<Row> {
    let silent = || Story::of(Fault::ConnectionTimedOut).limit(3_000);
    let own = |own: Own| Observation::Own(own);
    vec![
        Story::of(Fault::ClosedBeforeResponse)
            .at("http://10.0.0.2:8080")
            .took(2.0)
            .found(own(Own { is_itself: true, ..Own::default() }))
            .ends("a server that is this proxy", FaultyProxy, 0.8, &["own_listener"])
            .says(&["itself listens on"]),
        Story::of(Fault::FileDescriptorsExhausted)
            .found(own(Own { descriptors: Some((1_020, 1_024)), ..Own::default() }))
            .ends("a limit on files that is too low", FaultyProxy, 0.85, &["own_descriptors_short"])
            .says(&["1020 of 1024"]),
        Story::of(Fault::LocalPortsExhausted)
            .found(own(Own { ports: Some((28_000, 28_232)), ..Own::default() }))
            .ends("every local port taken", FaultyProxy, 0.85, &["own_ports_short"])
            .says(&["28000 of this host's 28232"]),
        Story::of(Fault::ResponseTimedOut)
            .at("http://127.0.0.1:3000")
            .sent(200)
            .limit(1_500)
            .found(own(Own { load: Some((2_400, 2)), ..Own::default() }))
            .ends("a small machine that does everything", Overload, 0.5, &["shared_host_overloaded"])
            .says(&["24 programs waiting for its 2 processors"]),
        silent().found(own(Own { load: Some((2_400, 2)), ..Own::default() })).ends(
            "a proxy that is too slow itself",
            Cause::Firewall,
            0.3,
            &["own_host_overloaded"],
        ),
    ]
}
