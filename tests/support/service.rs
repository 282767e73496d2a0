//! `starmill serve` with an emulated systemd: a socket that hears what the service says of itself.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Nobody waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(40);

/// A place for a service: its inbox, its folder and its configuration.
pub struct Place {
    folder: tempfile::TempDir,
}

/// A service that runs.
pub struct Service {
    child: Child,
    socket: UnixDatagram,
    log: PathBuf,
    /// Everything that it said so far, a line each, with the time.
    pub said: Vec<(Instant, String)>,
}

impl Place {
    /// A place whose nights close after two quiet seconds, with more settings.
    pub fn new(more: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.inbox()).unwrap();
        place.configure(more);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn inbox(&self) -> PathBuf {
        self.path("in")
    }

    /// Writes the configuration anew, with one live inbox.
    pub fn configure(&self, more: &str) {
        self.configure_inboxes(more, &[("live", "in", "live")]);
    }

    /// Writes the configuration anew, with inboxes of this name, folder and priority.
    pub fn configure_inboxes(&self, more: &str, inboxes: &[(&str, &str, &str)]) {
        let quoted = |path: PathBuf| format!("{:?}", path.to_string_lossy());
        let folder = quoted(self.path("state"));
        let lines = format!(
            "serve.folder = {folder}\nserve.progress_limit = 1.0\nhttp.address = \"\"\n\
             watch.settle = 0.2\nwatch.give_up = 0.5\n\
             infer.batch = 8\ninfer.max_delay = 0.001\nsupervision.drain_limit = 20.0\n\
             night.quiet = 2.0\n"
        );
        let key = |line: &str| line.split(" = ").next().unwrap_or_default().to_owned();
        let is_new = |line: &&str| !more.lines().any(|other| key(other) == key(line));
        let kept: Vec<&str> = lines.lines().filter(is_new).collect();
        let inbox = |(name, folder, priority): &(&str, &str, &str)| {
            let folder = quoted(self.path(folder));
            format!("[[inbox]]\nname = {name:?}\nfolder = {folder}\npriority = {priority:?}\n")
        };
        let inboxes: String = inboxes.iter().map(inbox).collect();
        let text = format!("{}\n{more}\n{inboxes}", kept.join("\n"));
        fs::write(self.path("config.toml"), text).unwrap();
    }

    /// The folder of a night's catalogue.
    pub fn night(&self, name: &str) -> PathBuf {
        self.path("state/nights").join(name)
    }

    /// Puts a file into the inbox, as a pipeline does: under another name, then renamed.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        self.put_into("in", name, bytes);
    }

    /// Puts a file into another folder in the same way.
    pub fn put_into(&self, folder: &str, name: &str, bytes: &[u8]) {
        let hidden = self.path("coming");
        fs::write(&hidden, bytes).unwrap();
        fs::create_dir_all(self.path(folder)).unwrap();
        fs::rename(hidden, self.path(folder).join(name)).unwrap();
    }

    /// Starts a service; `more` are variables of its environment.
    pub fn start(&self, more: &[(&str, &str)]) -> Service {
        let mut command = self.command();
        command.envs(more.iter().copied());
        self.start_as(command)
    }

    /// The program that serves this place.
    pub fn command(&self) -> Command {
        let mut command = super::starmill(&["serve", "--config"]);
        command.arg(self.path("config.toml"));
        command
    }

    /// Starts a service as this command does.
    pub fn start_as(&self, mut command: Command) -> Service {
        let path = self.path("notify");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        let log = self.path("log");
        let file = fs::File::options().create(true).append(true).open(&log).unwrap();
        let child =
            command.env("NOTIFY_SOCKET", &path).stdin(Stdio::null()).stderr(file).spawn().unwrap();
        Service { child, socket, log, said: Vec::new() }
    }

    /// Starts a service and waits until it takes files.
    #[track_caller]
    pub fn start_ready(&self) -> Service {
        let mut service = self.start(&[]);
        service.wait_for("READY=1");
        service
    }

    /// Waits until a night is closed; gives its rows, rejects and files.
    #[track_caller]
    pub fn closed(&self, name: &str) -> (u64, u64, u64) {
        let path = self.night(name).join("closed.json");
        wait_until(&format!("{name} closes"), || path.is_file());
        let closed: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let count = |key: &str| closed[key].as_u64().unwrap();
        (count("rows"), count("rejects"), count("files"))
    }

    /// The whole log of all services that ran here.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Service {
    /// Asks the service over HTTP, which it must be configured for; gives status and answer.
    #[track_caller]
    pub fn ask(&self, path: &str) -> (u16, String) {
        let mut address = None;
        wait_until("an address", || {
            let log = self.log();
            let last = log.rsplit_once("the night can be seen address=");
            address =
                last.and_then(|(_, rest)| Some(rest.split_once(char::is_whitespace)?.0.to_owned()));
            address.is_some()
        });
        let settings = ureq::config::Config::builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        let url = format!("http://{}{path}", address.unwrap_or_default());
        let mut answer = ureq::Agent::new_with_config(settings).get(&url).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    /// What the API says at a path.
    #[track_caller]
    pub fn api(&self, path: &str) -> serde_json::Value {
        let (status, said) = self.ask(&format!("/api/v1/{path}"));
        assert_eq!(status, 200, "{path}: {said}");
        serde_json::from_str(&said).unwrap()
    }

    /// Waits until the status is so; gives it.
    #[track_caller]
    pub fn wait_for_status(
        &self,
        what: &str,
        is_so: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.api("status");
            if is_so(&status) {
                return status;
            }
            assert!(Instant::now() < end, "never: {what}: {status:#}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Hears what is said until then.
    pub fn listen(&mut self, length: Duration) {
        let end = Instant::now() + length;
        while self.hear(end) {}
    }

    /// Hears one message, if one comes before the moment.
    fn hear(&mut self, end: Instant) -> bool {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        self.socket.set_read_timeout(Some(left)).unwrap();
        let mut buffer = [0; 4096];
        let Ok(length) = self.socket.recv(&mut buffer) else { return false };
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        self.said.extend(text.lines().map(|line| (Instant::now(), line.to_owned())));
        true
    }

    /// Waits for a line that begins so, from now on; gives the line.
    #[track_caller]
    pub fn wait_for(&mut self, begin: &str) -> String {
        self.wait_for_line(begin, |line| line.starts_with(begin))
    }

    /// Waits for a line, from now on.
    #[track_caller]
    pub fn wait_for_line(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let (mut from, end) = (self.said.len(), Instant::now() + PATIENCE);
        loop {
            if let Some((_, line)) = self.said[from..].iter().find(|(_, line)| is_it(line)) {
                return line.clone();
            }
            from = self.said.len();
            let heard = self.hear(end);
            assert!(heard, "never heard {what}: {:?}\n{}", self.child.try_wait(), self.log());
        }
    }

    /// How often a line was said since a moment.
    pub fn count_since(&self, line: &str, since: Instant) -> usize {
        self.said.iter().filter(|(at, said)| *at >= since && said == line).count()
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let kill = std::process::Command::new("kill").args([name, &id]).status();
        assert!(kill.unwrap().success());
    }

    /// The most memory that it had so far.
    pub fn peak_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Waits for the end, and hears what is said: a full socket holds the service up.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "never: the end\n{}", self.log());
            self.listen(Duration::from_millis(20));
        }
    }

    /// Asks for an orderly end and checks that it is one.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal("-TERM");
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    /// Ends it as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A test that failed leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until it is so.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a sealed catalogue says of itself: rows and rejects.
pub fn sealed(folder: &Path) -> (u64, u64) {
    let manifest = starmill::catalogue::Manifest::read(folder).unwrap().expect("it is sealed");
    (manifest.rows, manifest.rejects)
}
