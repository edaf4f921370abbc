//! Checks the grammar of the command line, and that its help can be read.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

fn run(config: Option<&str>, to: Option<&str>, listen: &str) -> Command {
    let (config, to, listen) = (config.map(PathBuf::from), to.map(str::to_owned), listen.to_owned());
    Command::Run(RunArguments { config, to, listen, pid_file: None })
}

fn with_pid_file(pid_file: &str) -> RunArguments {
    let listen = DEFAULT_ADDRESS.to_owned();
    RunArguments { config: None, to: None, listen, pid_file: Some(pid_file.into()) }
}

fn check(config: Option<&str>) -> Command {
    Command::Check(CheckArguments { config: config.map(PathBuf::from) })
}

fn demo(listen: &str) -> Command {
    Command::Demo(DemoArguments { listen: listen.to_owned() })
}

fn diagnose(url: &str, host: Option<&str>, config: Option<&str>, json: bool) -> Command {
    let (host, config) = (host.map(str::to_owned), config.map(PathBuf::from));
    Command::Diagnose(DiagnoseArguments { url: url.to_owned(), host, config, json })
}

fn report(change: impl FnOnce(&mut ReportArguments)) -> Command {
    let mut arguments = ReportArguments::default();
    change(&mut arguments);
    Command::Report(arguments)
}

#[test]
fn the_command_line_is_understood_or_refused() {
    let table = [
        ("run", Ok(run(None, None, "127.0.0.1:8080"))),
        ("run --config a.toml", Ok(run(Some("a.toml"), None, "127.0.0.1:8080"))),
        ("run --to http://a", Ok(run(None, Some("http://a"), "127.0.0.1:8080"))),
        ("run --to http://a --listen 0.0.0.0:80", Ok(run(None, Some("http://a"), "0.0.0.0:80"))),
        ("run --listen=[::]:80 --to=unix:/a", Ok(run(None, Some("unix:/a"), "[::]:80"))),
        ("run --pid-file a.pid", Ok(Command::Run(with_pid_file("a.pid")))),
        ("run --to http://a --config a.toml", Err(ErrorKind::ArgumentConflict)),
        ("run --config a.toml --listen 0.0.0.0:80", Err(ErrorKind::ArgumentConflict)),
        ("run --listen 0.0.0.0:80", Err(ErrorKind::MissingRequiredArgument)),
        ("run --to", Err(ErrorKind::InvalidValue)),
        ("run a.toml", Err(ErrorKind::UnknownArgument)),
        ("run --prot 80", Err(ErrorKind::UnknownArgument)),
        ("check", Ok(check(None))),
        ("check --config a.toml", Ok(check(Some("a.toml")))),
        ("check --config a.toml --config b.toml", Err(ErrorKind::ArgumentConflict)),
        ("demo", Ok(demo("127.0.0.1:8080"))),
        ("demo --listen 127.0.0.1:9000", Ok(demo("127.0.0.1:9000"))),
        ("", Err(ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)),
        ("--help", Err(ErrorKind::DisplayHelp)),
        ("help run", Err(ErrorKind::DisplayHelp)),
        ("--version", Err(ErrorKind::DisplayVersion)),
        ("rnu", Err(ErrorKind::InvalidSubcommand)),
        ("diagnose http://a", Ok(diagnose("http://a", None, None, false))),
        (
            "diagnose http://a/b --host c --config d.toml --json",
            Ok(diagnose("http://a/b", Some("c"), Some("d.toml"), true)),
        ),
        ("diagnose", Err(ErrorKind::MissingRequiredArgument)),
        ("diagnose http://a http://b", Err(ErrorKind::UnknownArgument)),
        ("report", Ok(report(|_| {}))),
        (
            "report a.log - --json",
            Ok(report(|report| (report.files, report.json) = (vec!["a.log".into(), "-".into()], true))),
        ),
        (
            "report --since 2h --until 1h --upstream app",
            Ok(report(|report| {
                (report.since, report.until) = (Some("2h".to_owned()), Some("1h".to_owned()));
                report.upstream = Some("app".to_owned());
            })),
        ),
        (
            "report --request A a.log",
            Ok(report(|report| (report.files, report.request) = (vec!["a.log".into()], Some("A".to_owned())))),
        ),
        ("report --request A --since 2h", Err(ErrorKind::ArgumentConflict)),
    ];
    for (line, expected) in table {
        let read = CommandLine::try_parse_from(["why502"].into_iter().chain(line.split_whitespace()));
        assert_eq!(read.map(|read| read.command).map_err(|error| error.kind()), expected, "why502 {line}");
    }
}

#[test]
fn help_fits_eighty_columns() {
    let mut grammar = CommandLine::command();
    grammar.build();
    let commands = grammar.get_subcommands_mut().map(|command| command.render_long_help().to_string());
    let helps: Vec<String> = commands.collect();
    for help in helps.iter().chain([&CommandLine::command().render_long_help().to_string()]) {
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "wider than 80 columns: {line}");
        }
    }
}

#[test]
fn each_way_to_end_has_its_exit_status() {
    let table = [(Exit::Done, ExitCode::SUCCESS), (Exit::Failed, ExitCode::from(1)), (Exit::Wrong, ExitCode::from(2))];
    for (exit, code) in table {
        assert_eq!(ExitCode::from(exit), code);
    }
}
