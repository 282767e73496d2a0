//! What the types of the configuration cannot express.

use super::{Config, ConfigError, MAX_INBOXES};

fn natural(key: &'static str, value: usize, most: usize) -> Result<(), ConfigError> {
    match value {
        0 => Err(ConfigError::Value { key, value: "0".into(), needs: "at least 1 is needed" }),
        value if value > most => {
            Err(ConfigError::Value { key, value: value.to_string(), needs: "that is too large" })
        }
        _ => Ok(()),
    }
}

fn seconds(key: &'static str, value: f64) -> Result<(), ConfigError> {
    match value {
        value if value > 0.0 && value <= 1e6 => Ok(()),
        _ => Err(ConfigError::Value {
            key,
            value: value.to_string(),
            needs: "a number of seconds above 0 and up to 1e6 is needed",
        }),
    }
}

impl Config {
    /// Checks what types cannot express.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        natural("list.queue_items", self.list.queue_items, 1 << 20)?;
        natural("read.queue_items", self.read.queue_items, 1 << 20)?;
        natural("prepare.queue_items", self.prepare.queue_items, 1 << 20)?;
        natural("infer.queue_items", self.infer.queue_items, 1 << 20)?;
        natural("infer.batch", self.infer.batch, 65536)?;
        natural("infer.threads", self.infer.threads, 1024)?;
        natural("input.retries", self.input.retries.max(1), 100)?;
        natural("write.retries", self.write.retries.max(1), 100)?;
        natural("write.segment_spectra", self.write.segment_spectra, 1 << 20)?;
        natural("write.compact_below", self.write.compact_below.max(1), 1 << 16)?;
        for (key, workers) in [
            ("read.workers", self.read.workers),
            ("prepare.workers", self.prepare.workers),
            ("infer.workers", self.infer.workers),
        ] {
            natural(key, workers.max(1), 1024)?;
        }
        seconds("infer.max_delay", self.infer.max_delay)?;
        seconds("write.segment_age", self.write.segment_age)?;
        seconds("write.pause", self.write.pause)?;
        seconds("supervision.drain_limit", self.supervision.drain_limit)?;
        seconds("supervision.restart_window", self.supervision.restart_window)?;
        seconds("supervision.stall_limit", self.supervision.stall_limit)?;
        seconds("supervision.beat", self.supervision.beat)?;
        natural("watch.waiting", self.watch.waiting, 1 << 20)?;
        seconds("watch.settle", self.watch.settle)?;
        seconds("watch.give_up", self.watch.give_up)?;
        seconds("watch.rescan", self.watch.rescan)?;
        natural("http.max_connections", self.http.max_connections, 1024)?;
        natural("http.max_streams", self.http.max_streams, self.http.max_connections)?;
        seconds("http.timeout", self.http.timeout)?;
        seconds("backfill.checkpoint", self.backfill.checkpoint)?;
        if !(0..=19).contains(&self.backfill.nice) {
            return Err(ConfigError::Value {
                key: "backfill.nice",
                value: self.backfill.nice.to_string(),
                needs: "a whole number from 0 to 19 is needed",
            });
        }
        self.rv.validate()?;
        self.report.validate()?;
        self.hooks.validate()?;
        self.validate_service()?;
        self.validate_inboxes()
    }

    fn validate_service(&self) -> Result<(), ConfigError> {
        natural("serve.open_nights", self.serve.open_nights, 1024)?;
        seconds("serve.commit_age", self.serve.commit_age)?;
        seconds("serve.progress_limit", self.serve.progress_limit)?;
        seconds("serve.start_limit", self.serve.start_limit)?;
        seconds("night.quiet", self.night.quiet)?;
        seconds("night.deadline", self.night.deadline)?;
        match self.night.longitude {
            longitude if (-180.0..=180.0).contains(&longitude) => Ok(()),
            longitude => Err(ConfigError::Value {
                key: "night.longitude",
                value: longitude.to_string(),
                needs: "degrees east from -180 to 180 are needed",
            }),
        }
    }

    fn validate_inboxes(&self) -> Result<(), ConfigError> {
        let refuse = |key, value: &str, needs| {
            Err(ConfigError::Value { key, value: format!("{value:?}"), needs })
        };
        if self.inbox.len() > MAX_INBOXES {
            let needs = "at most 16 are watched, each by a thread of its own";
            return refuse("inbox", &format!("{} of them", self.inbox.len()), needs);
        }
        for (number, inbox) in self.inbox.iter().enumerate() {
            let is_taken = self.inbox[..number].iter().any(|other| other.name == inbox.name);
            if inbox.name.is_empty() || is_taken {
                return refuse("inbox.name", &inbox.name, "each inbox needs a name of its own");
            }
            if inbox.folder.as_os_str().is_empty() {
                return refuse(
                    "inbox.folder",
                    "",
                    "the folder in which its files appear is needed",
                );
            }
        }
        Ok(())
    }
}
