use std::{ffi::OsString, io::Write, path::PathBuf};

use clap::{Args, Command, FromArgMatches, Parser, Subcommand};
use program::settings::{Common, Stop, resolve, template};

#[derive(Args, Debug)]
struct Sample {
    #[command(flatten)]
    common: Common,
    /// Where apps connect
    #[arg(long, default_value = "127.0.0.1:9501", value_parser = program::address::parse)]
    im_addr: String,
    /// Sessions at once
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_sessions: u32,
    /// Take the PROXY header
    #[arg(long)]
    proxy_protocol: bool,
    /// Certificate
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Name
    #[arg(long)]
    node_id: Option<String>,
    /// Where SMS go
    #[arg(long, value_name = "URL")]
    sms_webhook_url: Option<String>,
    /// Proxies
    #[arg(long, value_delimiter = ',')]
    trusted_proxies: Vec<String>,
    /// Secret
    #[arg(long, required_if_eq("log", "json"))]
    pay_secret: Option<String>,
}

#[derive(Parser, Debug)]
#[command(name = "sample", version)]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand, Debug)]
#[allow(clippy::large_enum_variant, reason = "made once")]
enum Commands {
    /// Serve
    Serve(Sample),
    /// Talk
    Chat {
        /// Who
        token: String,
    },
}

fn command() -> Command {
    <Cli as clap::CommandFactory>::command()
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Sample, Stop> {
    let arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
    let environment: Vec<(String, String)> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let matches = resolve(command(), &arguments, &environment)?;
    match Cli::from_arg_matches(&matches).unwrap().command {
        Commands::Serve(sample) => Ok(sample),
        Commands::Chat { .. } => panic!("not serve"),
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let stop = run(arguments, environment).unwrap_err();
    assert_eq!(stop.status, 2, "{}", stop.text);
    stop.text
}

fn with_file(text: &str, more: &[&str], environment: &[(&str, &str)]) -> Result<Sample, Stop> {
    let file = file(text);
    let path = file.path().to_str().unwrap();
    let mut arguments = vec!["sample", "serve", "--config", path];
    arguments.extend(more);
    run(&arguments, environment)
}

#[test]
fn the_later_source_wins() {
    let text = "max_sessions = 10\nim_addr = \"127.0.0.1:1\"\nproxy_protocol = true\n";
    let sample = with_file(text, &[], &[]).unwrap();
    assert_eq!(sample.max_sessions, 10);
    assert!(sample.proxy_protocol);
    let environment = [("HUIZHEN_MAX_SESSIONS", "20"), ("HUIZHEN_PROXY_PROTOCOL", "no")];
    let sample = with_file(text, &[], &environment).unwrap();
    assert_eq!(sample.max_sessions, 20);
    assert!(!sample.proxy_protocol);
    assert_eq!(sample.im_addr, "127.0.0.1:1");
    let sample = with_file(
        text,
        &["--max-sessions", "30", "--proxy-protocol=false"],
        &environment,
    )
    .unwrap();
    assert_eq!(sample.max_sessions, 30);
    assert!(!sample.proxy_protocol);
    assert!(
        run(&["sample", "serve", "--proxy-protocol"], &[])
            .unwrap()
            .proxy_protocol
    );
    assert_eq!(run(&["sample", "serve"], &[]).unwrap().max_sessions, 20_000);
}

#[test]
fn rules_between_flags_hold_for_every_source() {
    let both = "log = \"json\"\npay_secret = \"x\"\n";
    assert!(with_file(both, &[], &[]).is_ok());
    assert!(with_file("pay_secret = \"x\"\n", &["--log", "json"], &[]).is_ok());
    assert!(with_file("log = \"json\"\n", &[], &[("HUIZHEN_PAY_SECRET", "x")]).is_ok());
    let stop = with_file("log = \"json\"\n", &[], &[]).unwrap_err();
    assert!(stop.text.contains("--pay-secret"), "{}", stop.text);
    let stop = with_file("\ntls_cert = \"a\"\n", &["--max-sessions=5"], &[]).unwrap_err();
    assert!(
        stop.text.contains(".toml:2: tls_cert") && stop.text.contains("--tls-key"),
        "{}",
        stop.text
    );
    let stop = with_file("", &[], &[("HUIZHEN_TLS_KEY", "a")]).unwrap_err();
    assert!(stop.text.contains("is set by HUIZHEN_TLS_KEY"), "{}", stop.text);
}

#[test]
fn lists_come_from_each_source() {
    let list = "trusted_proxies = [\"10.0.0.1\", \"10.0.0.2\"]\n";
    assert_eq!(
        with_file(list, &[], &[]).unwrap().trusted_proxies,
        ["10.0.0.1", "10.0.0.2"]
    );
    let environment = [("HUIZHEN_TRUSTED_PROXIES", "10.0.0.3, 10.0.0.4")];
    assert_eq!(
        with_file(list, &[], &environment).unwrap().trusted_proxies,
        ["10.0.0.3", "10.0.0.4"]
    );
    let stop = with_file("im_addr = [\"a\"]\n", &[], &[]).unwrap_err();
    assert!(
        stop.text.contains(":1: im_addr: takes one value, not a list"),
        "{}",
        stop.text
    );
}

#[test]
fn an_unknown_key_stops_with_line_and_nearest_name() {
    let stop = with_file("\n# a comment\nim_adr = \"127.0.0.1:1\"\n", &[], &[]).unwrap_err();
    assert_eq!(stop.status, 2);
    assert!(
        stop.text
            .contains(".toml:3: unknown setting `im_adr`; did you mean `im_addr`?"),
        "{}",
        stop.text
    );
    let stop = with_file("im-addr = \"127.0.0.1:1\"\n", &[], &[]).unwrap_err();
    assert!(stop.text.contains("did you mean `im_addr`?"), "{}", stop.text);
    let stop = with_file("colour_of_the_door = 1\n", &[], &[]).unwrap_err();
    assert!(
        stop.text
            .contains("unknown setting `colour_of_the_door`; --print-config lists"),
        "{}",
        stop.text
    );
    for reserved in ["config = \"x\"\n", "print_config = true\n", "help = true\n"] {
        assert!(with_file(reserved, &[], &[]).is_err(), "{reserved}");
    }
}

#[test]
fn a_bad_value_stops_with_line_and_key() {
    let stop = with_file("max_sessions = 0\nim_addr = \"nowhere\"\n", &[], &[]).unwrap_err();
    assert!(
        stop.text
            .contains(".toml:1: max_sessions: invalid value '0': 0 is not in 1..=1000000"),
        "{}",
        stop.text
    );
    assert!(
        stop.text.contains(".toml:2: im_addr: invalid value 'nowhere'"),
        "{}",
        stop.text
    );
    let stop = with_file("log = \"xml\"\n", &[], &[]).unwrap_err();
    assert!(
        stop.text.contains(":1: log: invalid value 'xml'") && stop.text.contains("text, json"),
        "{}",
        stop.text
    );
    for (text, told) in [
        (
            "[serve]\nim_addr = \"127.0.0.1:1\"\n",
            ".toml:1: unknown setting `serve`",
        ),
        (
            "im_addr = { ip = 1 }\n",
            "settings have no sections: write each key at the top",
        ),
        ("im_addr = 2026-01-01\n", "no setting is a date"),
        ("max_sessions = 99999999999999999999\n", "number too large to fit"),
        (
            "\nim_addr = 5\n",
            ".toml:2: im_addr: invalid value '5': expected HOST:PORT",
        ),
        (
            "im_addr = true\n",
            ".toml:1: im_addr: takes text in quotes, not true or false",
        ),
        (
            "im_addr = 1.5\n",
            ".toml:1: im_addr: takes text in quotes, not a number (the default is 127.0.0.1:9501)",
        ),
        (
            "tls_cert = 5\n",
            ".toml:1: tls_cert: takes a path in quotes, not a number (expected: TLS_CERT)",
        ),
        (
            "max_sessions = \"many\"\n",
            ".toml:1: max_sessions: invalid value 'many': invalid digit found in string (the default is 20000)",
        ),
        (
            "proxy_protocol = 7\n",
            ".toml:1: proxy_protocol: invalid value '7'",
        ),
        (
            "redis_url = 5\n",
            ".toml:1: redis_url: 5 is not a URL (expected: URL)",
        ),
        (
            "database_url = \"me:geheim@db/x\"\n",
            ".toml:1: database_url: the value is not a URL (expected: URL)",
        ),
        (
            "admin_addr = \"9100\"\n",
            ".toml:1: admin_addr: invalid value '9100': expected HOST:PORT",
        ),
        ("\nmax_sessions 7\n", ".toml:2: "),
        ("max_sessions = 1\nmax_sessions = 2\n", ".toml:2: "),
    ] {
        let stop = with_file(text, &[], &[]).unwrap_err();
        assert!(stop.text.contains(told), "{text}: {}", stop.text);
    }
    assert!(
        refused(&["sample", "serve", "--config", "/nowhere/x.toml"], &[])
            .contains("/nowhere/x.toml cannot be read: No such file")
    );
}

#[test]
fn a_bad_variable_stops_with_its_name() {
    let text = refused(&["sample", "serve"], &[("HUIZHEN_MAX_SESSIONS", "many")]);
    assert!(
        text.contains("HUIZHEN_MAX_SESSIONS: invalid value 'many'"),
        "{text}"
    );
    let text = refused(&["sample", "serve"], &[("HUIZHEN_IM_ADR", "x")]);
    assert!(
        text.contains("HUIZHEN_IM_ADR is not a setting; did you mean HUIZHEN_IM_ADDR?"),
        "{text}"
    );
    // Variables of an orchestrator and empty ones do not stop the start.
    let foreign = [
        ("HUIZHEN_IM_SERVICE_HOST", "10.0.0.1"),
        ("HUIZHEN_MAX_SESSIONS", ""),
    ];
    assert_eq!(run(&["sample", "serve"], &foreign).unwrap().max_sessions, 20_000);
}

#[test]
fn the_environment_can_name_the_file() {
    let file = file("max_sessions = 7\n");
    let path = file.path().to_str().unwrap();
    assert_eq!(
        run(&["sample", "serve"], &[("HUIZHEN_CONFIG", path)])
            .unwrap()
            .max_sessions,
        7
    );
}

#[test]
fn what_is_in_force_is_shown_with_its_source_and_without_secrets() {
    let stop = with_file(
        "max_sessions = 10\ndatabase_url = \"postgres://huizhen:geheim@db/huizhen\"\n",
        &["--im-addr", "127.0.0.1:7", "--print-config"],
        &[("HUIZHEN_PAY_SECRET", "geheim")],
    )
    .unwrap_err();
    assert_eq!(stop.status, 0);
    assert!(!stop.text.contains("geheim"), "{}", stop.text);
    for line in [
        "max_sessions = 10 # file, line 1",
        "im_addr = \"127.0.0.1:7\" # flag",
        "pay_secret = \"***\" # environment, HUIZHEN_PAY_SECRET",
        "database_url = \"postgres://huizhen:***@db/huizhen\" # file, line 2",
        "proxy_protocol = false # default",
        "# tls_cert = # not set",
    ] {
        let squeezed: Vec<String> = stop
            .text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert!(
            squeezed.iter().any(|shown| shown == line),
            "{line}\nin\n{}",
            stop.text
        );
    }
    // It is a file again.
    let shown = stop.text.replace("***", "x");
    assert!(with_file(&shown, &[], &[]).is_ok());
}

#[test]
fn help_comes_before_a_broken_file_and_other_commands_take_no_file() {
    let stop = run(&["sample", "serve", "--config", "/nowhere", "--help"], &[]).unwrap_err();
    assert_eq!(stop.status, 0);
    assert!(stop.text.contains("--max-sessions"), "{}", stop.text);
    let arguments: Vec<OsString> = ["sample", "chat", "me"].iter().map(Into::into).collect();
    let environment = [("HUIZHEN_CONFIG".to_owned(), "/nowhere".to_owned())];
    assert!(resolve(command(), &arguments, &environment).is_ok());
    assert!(refused(&["sample", "serve", "--max-sesions", "1"], &[]).contains("--max-sessions"));
    let stop = with_file(
        "im_addr = \"127.0.0.1:7\"\n",
        &["--max-sessions", "x", "--im-addr", "y"],
        &[],
    );
    assert!(stop.unwrap_err().text.contains("'x' for '--max-sessions"));
}

#[test]
fn the_template_holds_every_setting_and_changes_nothing() {
    let command = command();
    let serve = command.find_subcommand("serve").unwrap();
    let text = template(
        serve,
        &[
            ("max_sessions", "5"),
            ("tls_cert", "a \"b\".pem"),
            ("tls_key", "k.pem"),
        ],
    );
    for key in [
        "im_addr",
        "proxy_protocol",
        "trusted_proxies",
        "admin_addr",
        "database_url",
    ] {
        assert!(text.contains(&format!("# {key} = ")), "{key} in\n{text}");
    }
    let sample = with_file(&text, &[], &[]).unwrap();
    assert_eq!(sample.max_sessions, 5);
    assert_eq!(
        sample.tls_cert.as_deref(),
        Some(std::path::Path::new("a \"b\".pem"))
    );
    assert_eq!(sample.im_addr, "127.0.0.1:9501");
}
