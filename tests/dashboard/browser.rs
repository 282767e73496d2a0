//! A page that stays open while the test does something else, through the browser's debugging pipe:
//! a JSON object for each command and answer of the `DevTools` protocol, ended by a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What does not happen within this time never does; the page itself tries again after 15 s.
const PATIENCE: Duration = Duration::from_mins(1);

/// A browser with one page.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    said: Receiver<Value>,
    number: u64,
    session: Option<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a page.
    pub fn open(program: &Path, url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The browser reads commands from 3 and writes answers to 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "browser"])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, said) = sync_channel(64);
        std::thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let value = serde_json::from_slice(&message).expect("JSON");
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self { child, input, said, number: 0, session: None, _profile: profile };
        let target = browser.call("Target.createTarget", &json!({ "url": url }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", &attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser
    }

    /// The value of a script's expression.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        self.call("Runtime.evaluate", &parameters)["result"]["value"].clone()
    }

    /// Waits until a script's expression is true.
    #[track_caller]
    pub fn wait_until(&mut self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        let parameters = json!({ "expression": expression, "returnByValue": true });
        loop {
            // Between two documents a page has none, and the browser says so.
            let answer = self.ask("Runtime.evaluate", &parameters);
            if answer["result"]["result"]["value"] == true {
                return;
            }
            assert!(Instant::now() < end, "never {expression}: {answer}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    #[track_caller]
    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        let answer = self.ask(method, parameters);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The answer to a command, which may be an error.
    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.number += 1;
        let mut command = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        self.input.write_all(format!("{command}\0").as_bytes()).expect("the browser lives");
        loop {
            let answer = self.said.recv_timeout(PATIENCE).expect("the browser answers");
            if answer["id"] == self.number {
                return answer;
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
