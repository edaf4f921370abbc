//! Chaos on loopback: origins are killed, stopped, slowed and started again, the configuration is read again with another file
//! every few seconds, the program is replaced by a take-over, and clients check every byte of what they get meanwhile.
//!
//! `cargo test --test chaos` is a short one. The long one, ten minutes of it with 200 clients, is
//!
//! ```sh
//! cargo test --release --test chaos -- --seconds 600 --clients 200 --reload-every 5 --take-over-every 60
//! ```
//!
//! It fails where a request was lost that RFC 9110, section 9.2.2, would have let the proxy send again, where a POST came to
//! the origins twice, where a byte was wrong, where a file or a take-over had no effect, or where descriptors or memory grow. One
//! origin of the three is well at any time, so there is always a server that a request can be sent to again. A POST that an
//! origin may have had is not to be sent again: the client gets a 502, which is counted, and so are answers that broke off
//! when their origin was killed, which the client can tell.

#[cfg(test)]
mod client;
#[cfg(test)]
mod content;
#[cfg(test)]
mod origin;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod tally;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod wire;

#[cfg(test)]
fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match plan::Plan::read(&arguments) {
        plan::Task::Origin { port, ledger } => origin::run(port, &ledger),
        plan::Task::Nothing => std::process::ExitCode::SUCCESS,
        plan::Task::Chaos(plan) => chaos(&plan),
    }
}

#[cfg(not(test))]
fn main() {}

/// All of it: sets up, lets it run, and judges.
#[cfg(test)]
fn chaos(plan: &plan::Plan) -> std::process::ExitCode {
    use std::sync::Arc;

    let directory = why502::demo::origin::PrivateDirectory::new().expect("a directory can be made");
    let origins = trouble::Origins::start(directory.path());
    let mut proxy = proxy::Proxy::start(directory.path(), &origins.ports());
    let tally = Arc::new(tally::Tally::default());
    println!(
        "chaos for {:?}: {} clients, 3 origins, a reload every {:?}, a take-over every {:?}, seed {}",
        plan.time, plan.clients, plan.reload_every, plan.take_over_every, plan.seed
    );
    let end = std::time::Instant::now() + plan.time;
    std::thread::scope(|scope| {
        for number in 0..plan.clients {
            let tally = Arc::clone(&tally);
            let address = proxy.address;
            scope.spawn(move || client::run(number, plan.seed, address, end, &tally));
        }
        scope.spawn(|| origins.trouble(plan.seed, end));
        proxy.see_through(plan, end, &tally);
    });
    let ended = proxy.stop(&tally);
    let verdict = tally.judge(&origins.ledgers(), &ended);
    println!("{verdict}");
    if verdict.is_good() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
