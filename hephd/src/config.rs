//! Arguments become one valid [`Config`]: past this door nobody asks again whether an address is a loopback one or
//! whether two options go together. Nothing is opened or created here.

use clap::{Parser, ValueEnum};
use heph_api::socket::{PlaceError, db_path, socket_path};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Where a hub listens unless it is told.
const HTTP_ADDR: &str = "127.0.0.1:8787";
/// The name of the hub's control file, beside the replica. The replica itself cannot have it.
pub const CONTROL_FILE: &str = "hub.db";
/// The name of the hub's key file, unless `--hub-key` says another path.
const KEY_FILE: &str = "hub.key";
/// What a person may call a device, in bytes.
const DEVICE_NAME_BYTES_MAX: usize = crate::limits::DEVICE_NAME_BYTES_MAX;

/// What to run.
#[derive(Debug, Clone)]
pub enum Config {
    /// The hub.
    Server(ServerConfig),
    /// A spoke, or a local daemon without a hub.
    Local(LocalConfig),
}

/// How to run a hub. (That it is open, on a loopback address, is so far the only way.)
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The first owner's replica.
    pub db: PathBuf,
    /// The hub's control file.
    pub control: PathBuf,
    /// The file with the hub's key.
    pub key: PathBuf,
    /// Where to listen: a loopback address.
    pub http_addr: SocketAddr,
}

/// How to run a spoke.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// The replica.
    pub db: PathBuf,
    /// The local socket.
    pub socket: PathBuf,
    /// The hub, if there is one.
    pub hub_url: Option<HubUrl>,
    /// What its person calls this device.
    pub device_name: String,
}

/// A hub's address: `http://HOST[:PORT][/PATH]`, without credentials, query, fragment or a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUrl(String);

impl HubUrl {
    /// Returns the address as text; a call's path is appended to it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads an address.
    ///
    /// # Errors
    /// If it is none, or one that this version does not speak to.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let usual = "such as --hub-url http://127.0.0.1:8787";
        let url = reqwest::Url::parse(text);
        let url = url.map_err(|why| Unusable::new(format!("--hub-url is not an address ({why})"), usual))?;
        match url.scheme() {
            "http" => {}
            "https" => return Err(no_tls()),
            _ => return Err(Unusable::new("--hub-url does not begin with http://", usual)),
        }
        if !url.username().is_empty() || url.password().is_some() {
            let message = "--hub-url holds a user name or password, which would end up in logs and process lists";
            return Err(Unusable::new(message, "leave it out of the address"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Unusable::new("--hub-url holds a query or a fragment", usual));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl std::fmt::Display for HubUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn no_tls() -> Unusable {
    let hint = "use http:// on this machine or inside a private tunnel (WireGuard, ssh -L); the hub proves who it is";
    Unusable::new("--hub-url begins with https://, which comes with a later release", hint)
}

/// Arguments that make no sense together, or help that was asked for.
#[derive(Debug)]
pub enum Refused {
    /// Clap's own words: unknown options, `--help`, `--version`.
    Clap(clap::Error),
    /// Ours.
    Unusable(Unusable),
}

/// Options that cannot be used, and what to type instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Unusable {
    message: String,
    hint: String,
}

impl Unusable {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl From<PlaceError> for Unusable {
    fn from(error: PlaceError) -> Self {
        Self::new(error.to_string(), error.hint())
    }
}

impl Refused {
    /// Says it, and returns the exit code: 2, or 0 for help that was asked for.
    pub fn exit(self) -> ExitCode {
        match self {
            Self::Clap(error) => error.exit(),
            Self::Unusable(Unusable { message, hint }) => {
                eprintln!("hephd: {message}\n  hint: {hint}");
                ExitCode::from(2)
            }
        }
    }
}

/// heph's daemon: a hub that devices sync through, or this device's own.
#[derive(Debug, Parser)]
#[command(name = "hephd", version)]
struct Arguments {
    /// Run a hub, or this device's daemon.
    #[arg(long, value_enum)]
    mode: Mode,
    /// The database [local: $HEPH_DB, else the usual place; a hub must be told].
    #[arg(long, value_name = "PATH")]
    db: Option<PathBuf>,
    /// Server: where to listen [default: 127.0.0.1:8787; port 0 takes a free one].
    #[arg(long, value_name = "ADDRESS:PORT")]
    http_addr: Option<String>,
    /// Server: let every program on this machine in, without a login. On loopback addresses only.
    #[arg(long)]
    open: bool,
    /// Server: the file with the hub's key, made at the first start [default: hub.key beside the database].
    #[arg(long, value_name = "PATH")]
    hub_key: Option<PathBuf>,
    /// Local: the hub to stay in step with; without it, this device works by itself.
    #[arg(long, value_name = "URL")]
    hub_url: Option<String>,
    /// Local: the socket for heph's surfaces [default: $HEPH_SOCKET, else the usual place].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Local: what to call this device [default: the host name].
    #[arg(long, value_name = "NAME")]
    device_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Server,
    Local,
}

impl Config {
    /// Returns what the arguments and the environment of this process ask for.
    ///
    /// # Errors
    /// If they make no sense, in words; also for `--help` and `--version`.
    pub fn from_arguments() -> Result<Self, Refused> {
        let arguments = Arguments::try_parse().map_err(Refused::Clap)?;
        arguments.into_config().map_err(Refused::Unusable)
    }
}

impl Arguments {
    fn into_config(self) -> Result<Config, Unusable> {
        self.check_mode()?;
        Ok(match self.mode {
            Mode::Server => Config::Server(self.server()?),
            Mode::Local => Config::Local(self.local()?),
        })
    }

    /// Refuses the options of the other mode.
    fn check_mode(&self) -> Result<(), Unusable> {
        let server =
            [("--http-addr", self.http_addr.is_some()), ("--open", self.open), ("--hub-key", self.hub_key.is_some())];
        let local = [
            ("--hub-url", self.hub_url.is_some()),
            ("--socket", self.socket.is_some()),
            ("--device-name", self.device_name.is_some()),
        ];
        let (others, this, other) = match self.mode {
            Mode::Server => (local, "server", "local"),
            Mode::Local => (server, "local", "server"),
        };
        match others.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => Err(Unusable::new(
                format!("{option} does not go with --mode {this}"),
                format!("leave it out, or use --mode {other}"),
            )),
        }
    }

    fn server(self) -> Result<ServerConfig, Unusable> {
        let db = self.db.ok_or_else(|| {
            let hint = "add --db PATH, in a directory of the hub's own: --db /var/lib/heph/heph.db";
            Unusable::new("a hub must be told where it keeps its data", hint)
        })?;
        check_db_name(&db)?;
        let http_addr = parse_address(self.http_addr.as_deref().unwrap_or(HTTP_ADDR))?;
        check_open(self.open, http_addr)?;
        let key = self.hub_key.unwrap_or_else(|| db.with_file_name(KEY_FILE));
        Ok(ServerConfig { control: db.with_file_name(CONTROL_FILE), key, http_addr, db })
    }

    fn local(self) -> Result<LocalConfig, Unusable> {
        let asked = |given: Option<PathBuf>, variable| given.or_else(|| std::env::var_os(variable).map(PathBuf::from));
        Ok(LocalConfig {
            db: db_path(asked(self.db, "HEPH_DB").as_deref())?,
            socket: socket_path(asked(self.socket, "HEPH_SOCKET").as_deref())?,
            hub_url: self.hub_url.as_deref().map(HubUrl::parse).transpose()?,
            device_name: device_name(self.device_name)?,
        })
    }
}

fn check_db_name(db: &Path) -> Result<(), Unusable> {
    match db.file_name() {
        None => Err(Unusable::new("--db names no file", "give the path of a file: --db /var/lib/heph/heph.db")),
        Some(name) if name == CONTROL_FILE => Err(Unusable::new(
            format!("--db cannot be called {CONTROL_FILE}: the hub keeps who may come in under that name, beside it"),
            "give it another name, such as heph.db",
        )),
        Some(_) => Ok(()),
    }
}

/// Reads `ADDRESS:PORT`, where the address may be the word `localhost`.
fn parse_address(text: &str) -> Result<SocketAddr, Unusable> {
    let literal = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    literal.as_deref().unwrap_or(text).parse().map_err(|_| {
        let hint = "such as --http-addr 127.0.0.1:8787, or [::1]:8787";
        Unusable::new("--http-addr is not an address and a port", hint)
    })
}

/// Everybody who can connect to an open hub can read and write everything in it: so only this machine can.
fn check_open(open: bool, http_addr: SocketAddr) -> Result<(), Unusable> {
    if !open {
        let message =
            "a hub needs a way to tell who may come in, and so far there is only --open: every program on this machine";
        return Err(Unusable::new(message, "add --open"));
    }
    if http_addr.ip().is_loopback() {
        return Ok(());
    }
    let message =
        format!("--open lets everybody in who can connect, and {} can be reached from other machines", http_addr.ip());
    Err(Unusable::new(message, "listen on 127.0.0.1 or [::1], and reach it from elsewhere through a tunnel (ssh -L)"))
}

fn device_name(given: Option<String>) -> Result<String, Unusable> {
    let hint = "give one: --device-name laptop";
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = given.unwrap_or_else(host).trim().to_owned();
    if name.is_empty() {
        return Err(Unusable::new("this device has no name", hint));
    }
    if name.len() > DEVICE_NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let message = format!("a device's name has at most {DEVICE_NAME_BYTES_MAX} bytes and stands on one line");
        return Err(Unusable::new(message, hint));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(words: &str) -> Result<Config, String> {
        let words = ["hephd"].into_iter().chain(words.split_whitespace());
        let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
        arguments.into_config().map_err(|unusable| unusable.message)
    }

    fn refused(words: &str) -> String {
        config(words).map(|config| format!("{config:?}")).unwrap_err()
    }

    #[test]
    fn a_hub_keeps_its_control_file_and_key_beside_the_database() {
        let Ok(Config::Server(server)) = config("--mode server --open --db /srv/x/heph.db") else { panic!("a server") };
        assert_eq!(server.control, Path::new("/srv/x/hub.db"));
        assert_eq!(server.key, Path::new("/srv/x/hub.key"));
        assert_eq!(server.http_addr.to_string(), "127.0.0.1:8787");
    }

    #[test]
    fn open_is_for_loopback_addresses_only() {
        for good in ["127.0.0.1:0", "127.7.7.7:1", "[::1]:80", "localhost:80"] {
            config(&format!("--mode server --open --db a.db --http-addr {good}")).unwrap();
        }
        for bad in ["0.0.0.0:80", "[::]:80", "192.168.1.2:80"] {
            let why = refused(&format!("--mode server --open --db a.db --http-addr {bad}"));
            assert!(why.contains("other machines"), "{why}");
        }
        assert!(refused("--mode server --db a.db").contains("so far there is only --open"));
        assert!(refused("--mode server --open --db a.db --http-addr example.org:80").contains("not an address"));
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        assert!(refused("--mode server --open").contains("where it keeps its data"));
        assert!(refused("--mode server --open --db /x/hub.db").contains("cannot be called hub.db"));
        assert!(refused("--mode local --open").contains("--open does not go with --mode local"));
        assert!(refused("--mode server --open --db a.db --hub-url http://h").contains("--mode server"));
        assert!(refused("--db a.db").contains("--mode"));
    }

    #[test]
    fn a_hub_url_is_plain_http_without_secrets() {
        let parse = |text| HubUrl::parse(text).map_err(|unusable| unusable.message);
        assert_eq!(parse("http://Hub.example:8787/heph/").unwrap().as_str(), "http://hub.example:8787/heph");
        assert_eq!(parse("http://[::1]:80").unwrap().as_str(), "http://[::1]");
        for (bad, word) in [
            ("https://hub", "later release"),
            ("ftp://hub", "http://"),
            ("hub:8787", "http://"),
            ("hub", "not an address"),
            ("http://ada:secret@hub", "password"),
            ("http://hub?token=1", "query"),
        ] {
            let why = parse(bad).unwrap_err();
            assert!(why.contains(word) && !why.contains("secret"), "{bad}: {why}");
        }
    }

    #[test]
    fn a_device_has_a_name_of_one_line() {
        assert_eq!(device_name(Some(" laptop ".into())).unwrap(), "laptop");
        assert!(device_name(Some("  ".into())).is_err());
        assert!(device_name(Some("a\nb".into())).is_err());
        assert!(device_name(Some("x".repeat(257))).is_err());
        assert!(!device_name(None).unwrap().is_empty());
    }
}
