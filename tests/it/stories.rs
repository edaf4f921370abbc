//! Whole outages, as they happen to real sites: what worked, what broke, and whether the cause that is named is the true one.
//!
//! Each story runs on hosts of its own. It is told to the proxy twice, with the time between that the checks need, and the second
//! answer counts, as an operator would see it. What tells a story from its look-alikes stands in its name.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

use why502::demo::origin::PrivateDirectory;

use super::support::client::Client;
use super::support::eventually;
use super::support::names::Says;
use super::support::origin::Conversation;
use super::support::origin::work;
use super::support::proxy::Proxy;
use super::support::world::World;

/// What the second answer has to say.
struct Expect {
    fault: &'static str,
    cause: &'static str,
    above: f64,
    /// Words of the detail or the evidence.
    says: &'static [&'static str],
}

/// The proxy of a story, and its front door.
struct Told {
    proxy: Proxy,
    door: std::path::PathBuf,
}

fn begin(world: &World, servers: &[&str], upstream: &str, tables: &str) -> Told {
    let directory = PrivateDirectory::new().unwrap();
    let (door, token) = (directory.file("proxy.sock"), directory.file("token"));
    std::fs::write(&token, TOKEN).unwrap();
    let configuration = format!(
        "[[listener]]\naddress = \"unix:{}\"\n[operators]\ntoken_file = \"{}\"\n\
         [diagnosis]\nprobe_interval = \"1s\"\n[runtime]\nworkers = 1\n{tables}\n[[route]]\nupstream = \"app\"\n\
         [[upstream]]\nname = \"app\"\nservers = {servers:?}\nretry.attempts = 1\n\
         timeouts = {{ resolve = \"1s\", connect = \"1s\", tls = \"1s\", send = \"1500ms\", response = \"1500ms\", body = \"1500ms\" }}\n\
         {upstream}\n",
        door.display(),
        token.display()
    );
    Told { proxy: world.run(directory, &configuration), door }
}

impl Told {
    fn ask(&self, path: &str) -> super::support::client::Answer {
        let mut client = Client::connect_to_socket(&self.door);
        client.send(format!(
            "GET {path} HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\nX-Why502-Token: {TOKEN}\r\n\
             Connection: close\r\n\r\n"
        ));
        client.answer()
    }

    fn works(&self, times: usize, path: &str) {
        for _ in 0..times {
            assert_eq!(self.ask(path).head.status, 200, "{path} worked");
        }
    }

    /// Fails once, lets the checks end, fails again; the second answer is compared.
    fn fails(&mut self, path: &str, expect: &Expect) {
        assert_eq!(self.ask(path).head.status, 502);
        self.proxy.line("probe");
        let answer = self.ask(path).json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let said = format!("{} {}", text(&answer["detail"]), answer["evidence"]);
        let (fault, cause) = (text(&answer["fault"]), text(&answer["cause"]));
        let sure = answer["confidence"].as_f64().unwrap_or_default();
        let missing: Vec<_> = expect.says.iter().filter(|word| !said.contains(**word)).collect();
        assert!(
            expect.fault.split('|').any(|one| one == fault)
                && cause == expect.cause
                && sure >= expect.above
                && missing.is_empty(),
            "expected {} {} above {}, it says {missing:?}; but {answer:#}",
            expect.fault,
            expect.cause,
            expect.above
        );
    }
}

fn hello(conversation: &mut Conversation) {
    while conversation.next().is_some() {
        conversation.answer("hello");
    }
}

/// One answer a connection, so that the next request needs a new one.
fn hello_once(conversation: &mut Conversation) {
    if conversation.next().is_some() {
        conversation.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    }
}

const TOKEN: &str = "sesame-sesame-sesame-sesame";
const ORIGIN: &str = "http://10.9.0.5:3000";
const AT: &str = "10.9.0.5:3000";

#[test]
fn a_ban_of_the_proxys_address_on_a_host_that_is_there_is_a_firewalls() {
    let Some(world) = World::new("a ban") else { return };
    let origin = world.host("o", "10.9.0.5");
    origin.serve(AT, hello_once);
    let mut told = begin(&world, &[ORIGIN], "", "");
    told.works(2, "/");
    origin.block("ip saddr 10.9.0.2 drop");
    let says = &["10.9.0.5"];
    told.fails("/", &Expect { fault: "connection_timed_out", cause: "firewall", above: 0.6, says });
}

#[test]
fn a_host_whose_plug_was_pulled_is_down() {
    for (at, ip, says) in
        [(AT, "10.9.0.5", &["answers for 10.9.0.5"]), ("[fd09::5]:3000", "fd09::5", &["answers for fd09::5"])]
    {
        let Some(world) = World::new("a pulled plug") else { return };
        let origin = world.host("o", "10.9.0.5");
        origin.serve(at, hello_once);
        let mut told = begin(&world, &[&format!("http://{at}")], "", "");
        told.works(2, "/");
        origin.off();
        world.proxy.forget(ip.parse().unwrap());
        let fault = "connection_timed_out|host_unreachable";
        told.fails("/", &Expect { fault, cause: "origin_down", above: 0.6, says });
    }
}

#[test]
fn a_port_that_was_never_right_is_this_proxys_setting() {
    let Some(world) = World::new("a wrong port") else { return };
    world.host("o", "10.9.0.5").serve("10.9.0.5:8000", hello);
    let mut told = begin(&world, &[ORIGIN], "", "");
    told.fails("/", &Expect { fault: "connection_refused", cause: "faulty_proxy", above: 0.5, says: &["8000"] });
}

#[test]
fn a_program_that_listens_on_loopback_alone_is_found() {
    let Some(world) = World::new("a loopback listener") else { return };
    world.proxy.serve("127.0.0.1:3000", hello);
    let mut told = begin(&world, &["http://10.9.0.2:3000"], "", "");
    told.fails("/", &Expect { fault: "connection_refused", cause: "faulty_proxy", above: 0.6, says: &["127.0.0.1"] });
}

#[test]
fn a_full_accept_queue_on_this_host_is_overload() {
    let Some(world) = World::new("a full accept queue") else { return };
    let stuck = world.proxy.reserve("127.0.0.1:3000");
    stuck.listen_without_accepting(1);
    let mut told = begin(&world, &["http://127.0.0.1:3000"], "", "");
    let waiting: Vec<_> = (0..4).filter_map(|_| world.proxy.knock(stuck.address)).collect();
    told.fails("/", &Expect { fault: "connection_timed_out", cause: "overload", above: 0.6, says: &["queue"] });
    drop(waiting);
}

#[test]
fn one_path_that_hangs_while_the_others_answer_is_the_applications() {
    let Some(world) = World::new("a hanging path") else { return };
    world.host("o", "10.9.0.5").serve(AT, |conversation| {
        while let Some(request) = conversation.next() {
            if request.line.contains("/report") {
                conversation.hang();
                return;
            }
            conversation.answer("hello");
        }
    });
    let mut told = begin(&world, &[ORIGIN], "", "");
    told.works(3, "/");
    told.fails(
        "/report",
        &Expect { fault: "response_timed_out", cause: "application", above: 0.7, says: &["/report"] },
    );
}

#[test]
fn a_program_that_hangs_up_on_one_path_crashes_there() {
    let Some(world) = World::new("a crash") else { return };
    world.host("o", "10.9.0.5").serve(AT, |conversation| {
        while let Some(request) = conversation.next() {
            if request.line.contains("/checkout") {
                return;
            }
            conversation.answer("hello");
        }
    });
    let mut told = begin(&world, &[ORIGIN], "", "");
    told.works(3, "/");
    told.fails("/checkout", &Expect { fault: "closed_before_response", cause: "application", above: 0.7, says: &[] });
}

#[test]
fn an_inspection_box_that_resets_one_path_is_a_firewalls() {
    let Some(world) = World::new("an inspection box") else { return };
    let origin = world.host("o", "10.9.0.5");
    origin.serve(AT, hello_once);
    let mut told = begin(&world, &[ORIGIN], "", "");
    told.works(2, "/");
    told.works(2, "/admin");
    // Bytes 4 to 7 of what the connection carries: `/adm` behind `GET `.
    origin.block("tcp dport 3000 @ih,32,32 0x2f61646d reject with tcp reset");
    told.works(2, "/");
    told.fails(
        "/admin",
        &Expect { fault: "reset_before_response|reset_while_sending", cause: "firewall", above: 0.4, says: &[] },
    );
}

#[test]
fn a_server_that_waits_for_a_proxy_header_is_set_up_otherwise_than_this_proxy() {
    let Some(world) = World::new("a PROXY header") else { return };
    world.host("o", "10.9.0.5").serve(AT, |conversation| {
        let begins = conversation.wire.line().unwrap_or_default();
        if begins.starts_with("PROXY ") && conversation.next().is_some() {
            conversation.answer("hello");
        }
    });
    let mut told = begin(&world, &[ORIGIN], "", "");
    let fault = "closed_before_response|reset_before_response";
    told.fails("/", &Expect { fault, cause: "faulty_proxy", above: 0.6, says: &["PROXY"] });
}

#[test]
fn a_record_that_was_changed_to_a_dead_address_is_named_with_the_old_one() {
    let Some(world) = World::new("a changed record") else { return };
    let resolver = world.host("d", "10.9.0.53");
    let names = resolver.names("10.9.0.53:53");
    names.say("app.internal", Says::Addresses(vec!["10.9.0.5".parse().unwrap()], 1));
    world.host("o", "10.9.0.5").serve(AT, hello_once);
    let dns = "[dns]\nservers = [\"10.9.0.53:53\"]\nmax_ttl = \"1s\"\nserve_stale = \"0s\"";
    let mut told = begin(&world, &["http://app.internal:3000"], "", dns);
    told.works(2, "/");
    names.say("app.internal", Says::Addresses(vec!["10.9.0.99".parse().unwrap()], 1));
    eventually("the new address", || (told.ask("/").head.status == 502).then_some(()));
    let fault = "connection_timed_out|host_unreachable";
    told.fails("/", &Expect { fault, cause: "dns", above: 0.6, says: &["10.9.0.5", "10.9.0.99"] });
}

#[test]
fn many_at_once_for_a_program_that_takes_one_at_a_time_is_overload() {
    let Some(world) = World::new("an overload") else { return };
    let (host, busy) = (world.host("o", "10.9.0.5"), Arc::new(AtomicBool::new(false)));
    let (origin, slow) = (host.listen(AT), Arc::clone(&busy));
    // One connection after the other, in the order in which they came, as a program with a single thread does.
    std::thread::spawn(move || {
        while let Some(mut conversation) = origin.wait() {
            if conversation.next().is_none() {
                continue;
            }
            if slow.load(Ordering::Relaxed) {
                work(Duration::from_millis(250));
            }
            let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
            // Who has given up wants no answer.
            conversation.wire.try_send(answer).ok();
        }
    });
    let mut told = begin(&world, &[ORIGIN], "", "");
    told.works(3, "/");
    busy.store(true, Ordering::Relaxed);
    let (door, go) = (told.door.clone(), Arc::new(AtomicUsize::new(0)));
    let crowd: Vec<_> = (0..30)
        .map(|number| {
            let (door, go) = (door.clone(), Arc::clone(&go));
            std::thread::spawn(move || {
                while go.load(Ordering::Relaxed) == 0 {
                    let mut client = Client::connect_to_socket(&door);
                    client.send(format!("GET /{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", number % 7));
                    client.answer();
                }
            })
        })
        .collect();
    eventually("the crowd's first failure", || (told.ask("/").head.status == 502).then_some(()));
    told.fails("/", &Expect { fault: "response_timed_out", cause: "overload", above: 0.5, says: &[] });
    go.store(1, Ordering::Relaxed);
    for client in crowd {
        client.join().unwrap();
    }
}
