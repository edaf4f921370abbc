//! How long it takes to find a request's route, among few routes and among many.
//!
//! Run with `cargo bench --bench route`.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench speaks to a person and may fail loudly")]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use why502::config;
use why502::route::Routes;

fn main() {
    for count in [1, 10, 1000] {
        let routes = routes(count);
        let host = format!("host-{}.example", count / 2);
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            black_box(routes.find(black_box(&host), black_box("/api/v1/items"), black_box(false)).is_ok());
        }
        let each = begin.elapsed() / ROUNDS;
        println!("{count:>5} hosts  {each:?} a look-up");
    }
}

fn routes(count: usize) -> Routes<usize> {
    let mut text = "[[upstream]]\nname = \"app\"\nservers = [\"http://127.0.0.1:3000\"]\n".to_owned();
    for index in 0..count {
        let route = format!("[[route]]\nhost = \"host-{index}.example\"\npath = \"/api\"\nupstream = \"app\"\n");
        text.push_str(&route);
    }
    let config = config::from_text(&text, Path::new("bench.toml")).expect("the bench's configuration is right");
    Routes::new(&config.routes, |_, _| 0)
}

const ROUNDS: u32 = 1_000_000;
