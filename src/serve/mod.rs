//! The night daemon: takes files from its inboxes as they come, keeps a catalogue for each night,
//! closes the nights, and says how things stand.
//!
//! The main thread runs one flow after the other, a new one whenever the configuration or the model
//! changes. Beside it the keeper watches over the nights and talks to systemd, and the closer seals
//! one night at a time. Which nights are open follows from the folders alone, so that any death of
//! the process is mended by the next start.

mod ahead;
mod alarms;
mod arrivals;
pub mod board;
mod closing;
pub mod detect;
pub mod hooks;
mod keeper;
mod maker;
mod manager;
mod nights;
mod recall;
mod reload;
mod volume;
mod window;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use chrono::Utc;
use starmill_actors::{Monitor, Snapshot};

use crate::catalogue::create_folders;
use crate::config::{Config, ConfigError, seconds};
use crate::interrupt::Interrupt;
use crate::night::Night;
use crate::outcome::{Outcome, SourceFile};
use crate::pipeline::{End, Known, Plan, end_of, supervision};
use crate::spectrum::Meta;
use crate::stage::{Counters, FileTask, NightOf, Persevere, Rack, Witness};
use crate::watch::{InboxState, Watch, WatchError};
pub use ahead::Ahead;
use ahead::OnTheWay;
use alarms::Alarms;
use arrivals::Arrivals;
use board::Board;
use keeper::Keeper;
use maker::Maker;
pub use nights::{Nights, Reason};
use reload::{Reload, Setting};
pub use volume::{CLOSED, Stage, Volume, volumes};

/// Folder of the nights within the service's own.
pub const NIGHTS: &str = "nights";
/// Folder of what the inboxes had that is done.
const SEEN: &str = "seen";

/// What the threads of the service share.
struct Service {
    folder: PathBuf,
    interrupt: Interrupt,
    counters: Arc<Counters>,
    nights: Arc<Nights>,
    on_the_way: Arc<OnTheWay>,
    /// What the service shows.
    board: Arc<Board>,
    rack: Arc<Mutex<Rack>>,
    reload: Reload,
    running: AtomicBool,
    now: Mutex<Now>,
    /// Held to the end of the process: one service to a folder.
    _lock: File,
}

/// What changes with the configuration.
struct Now {
    config: Arc<Config>,
    /// `None` until the first flow begins.
    watch: Option<Arc<Watch>>,
    alarms: Arc<Alarms>,
    monitor: Option<Monitor>,
    /// The models that ran in this process, the newest last: nights of earlier ones are sealed too.
    makers: Vec<Arc<Maker>>,
}

/// Models of this process that are remembered.
const MAKERS: usize = 4;

/// How far the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
}

/// Serves until a stop is asked for. `path` is where the configuration comes from.
///
/// # Errors
/// When it cannot start, or a stage failed for good. What was committed stays; the next start goes
/// on from there.
pub fn serve(path: Option<PathBuf>, config: Config, interrupt: &Interrupt) -> anyhow::Result<()> {
    let service = Service::new(config, interrupt)?;
    // To the end of this call: the page is there while the model loads.
    let _server = window::open(&service.config(), &service.board)?;
    Keeper::start(Arc::clone(&service)).context("no thread")?;
    fail::fail_point!("serve-starts");
    let config = service.config();
    let mut setting = Setting { maker: Arc::new(Maker::load(&config)?), config };
    reload::listen(Arc::clone(&service), path).context("signals cannot be heard")?;
    loop {
        run_flow(&service, &setting)?;
        if service.interrupt.is_asked() {
            // The keeper may not have come to say so.
            manager::stopping();
            service.nights.end();
            service.alarms().end(seconds(service.config().hooks.time_limit));
            tracing::info!("service stops");
            return Ok(());
        }
        setting = service.reload.take().context("the flow ended unasked; report this")?;
        tracing::info!(model = setting.maker.id(), "reloaded");
    }
}

/// Runs one flow to its end.
fn run_flow(service: &Arc<Service>, setting: &Setting) -> anyhow::Result<()> {
    let Setting { config, maker } = setting;
    let persevere = service.persevere_under(config);
    let open = nights::opener(Arc::clone(&service.nights), Arc::clone(maker), Arc::clone(config));
    let counters = Arc::clone(&service.counters);
    *service.rack.lock().unwrap_or_else(PoisonError::into_inner) =
        Rack::new(config.serve.open_nights, counters, open);
    let witness = Arc::clone(service) as Arc<dyn Witness>;
    let plan = Plan {
        config,
        model: &maker.model,
        runtime: maker.runtime,
        known: Known { ledger: None, promote: Arc::new(|_, _| Ok(())) },
        night_of: Some(night_of(config.night.longitude, Arc::clone(&service.on_the_way))),
        commit_age: seconds(config.serve.commit_age),
        rack: &service.rack,
        persevere: &persevere,
        witness,
    };
    let Some(watch) = adopt_patiently(service, setting)? else { return Ok(()) };
    // What an earlier flow took and did not finish.
    watch.give_again();
    service.on_the_way.clear();
    let (counters, longitude) = (Arc::clone(&service.counters), config.night.longitude);
    let flow = plan.build(Arrivals { watch, counters, longitude });
    service.interrupt.stops(flow.stopper());
    service.reload.stops(flow.stopper());
    let is_first = service.begin(flow.monitor(), maker);
    tracing::info!(model = maker.id(), provider = maker.provider, "service is ready");
    if is_first {
        // What is committed from here on, this process counts itself.
        recall::start(service, maker);
    }
    let report = flow.run(supervision(config));
    match end_of(report.ending, &service.counters)? {
        End::Abandoned if !service.interrupt.is_asked() => {
            bail!("the flow did not drain for the reload; the next start goes on")
        }
        End::Abandoned | End::Stopped | End::Drained => Ok(()),
    }
}

/// Makes a setting the present one, as soon as the disk lets it; `None` if a stop request came first.
fn adopt_patiently(service: &Service, setting: &Setting) -> Result<Option<Arc<Watch>>, WatchError> {
    let mut waiting = false;
    loop {
        match service.adopt(setting) {
            Err(error) if error.may_pass() => {
                if service.interrupt.is_asked() {
                    return Ok(None);
                }
                if !waiting {
                    tracing::warn!(%error, "the inboxes cannot be watched yet, waiting");
                }
                waiting = true;
                std::thread::sleep(seconds(setting.config.write.pause));
            }
            watch => return watch.map(Some),
        }
    }
}

/// The night that a header names, else that of the arrival; it is noted as on its way. A night that
/// has not begun yet is a mistake of the header.
fn night_of(longitude: f64, on_the_way: Arc<OnTheWay>) -> NightOf {
    Arc::new(move |task: &FileTask, meta: &Meta| {
        let observed = meta.date_obs.as_deref();
        let night = observed
            .and_then(|text| Night::of_date_obs(text, longitude))
            .or_else(|| meta.lmjd.and_then(Night::of_lmjd))
            .filter(|night| *night <= Night::of(Utc::now(), longitude))
            .or(task.night)?;
        on_the_way.note(task.sequence, night);
        Some(night)
    })
}

impl Service {
    fn new(config: Config, interrupt: &Interrupt) -> anyhow::Result<Arc<Self>> {
        let folder = folder(&config)?;
        create_folders(&folder.join(NIGHTS))?;
        let lock = lock(&folder)?;
        let counters: Arc<Counters> = Arc::default();
        let nights = Arc::new(Nights::find(folder.join(NIGHTS))?);
        // Without a model no night can be opened yet; the first flow brings another rack.
        let closed =
            Rack::new(0, Arc::clone(&counters), Box::new(|_| unreachable!("no flow runs")));
        let alarms = Arc::new(Alarms::new(&config.hooks));
        let board = Arc::new(window::board(&config, &folder));
        let config = Arc::new(config);
        Ok(Arc::new(Self {
            folder,
            interrupt: interrupt.clone(),
            counters,
            nights,
            on_the_way: Arc::default(),
            board,
            rack: Arc::new(Mutex::new(closed)),
            reload: Reload::default(),
            running: AtomicBool::new(false),
            now: Mutex::new(Now { config, watch: None, alarms, monitor: None, makers: Vec::new() }),
            _lock: lock,
        }))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.now().config)
    }

    /// How it stands with each inbox.
    fn inboxes(&self) -> Vec<InboxState> {
        let watch = self.now().watch.clone();
        watch.map(|watch| watch.waiting()).unwrap_or_default()
    }

    /// Files that are there and not taken, in all inboxes.
    fn waiting(&self) -> usize {
        self.inboxes().iter().map(|inbox| inbox.waiting + inbox.settling).sum()
    }

    fn snapshot(&self) -> Option<Snapshot> {
        self.now().monitor.as_ref().map(Monitor::snapshot)
    }

    fn alarms(&self) -> Arc<Alarms> {
        Arc::clone(&self.now().alarms)
    }

    /// A model that ran in this process.
    fn maker(&self, id: &str) -> Option<Arc<Maker>> {
        self.now().makers.iter().find(|maker| maker.id() == id).cloned()
    }

    /// Makes a setting the present one; gives its inboxes.
    fn adopt(&self, Setting { config, maker }: &Setting) -> Result<Arc<Watch>, WatchError> {
        let settings = config.watch_settings();
        let mut now = self.now();
        let watch = match now.watch.take() {
            Some(watch) if now.config.watch_settings() == settings => watch,
            old => {
                if let Some(old) = old {
                    drop_alone(old);
                }
                Arc::new(Watch::start(&settings, &self.folder.join(SEEN))?)
            }
        };
        now.watch = Some(Arc::clone(&watch));
        if now.config.hooks != config.hooks {
            now.alarms = Arc::new(Alarms::new(&config.hooks));
        }
        now.config = Arc::clone(config);
        now.makers.retain(|old| old.id() != maker.id());
        now.makers.push(Arc::clone(maker));
        let surplus = now.makers.len().saturating_sub(MAKERS);
        now.makers.drain(..surplus);
        Ok(watch)
    }

    /// A flow is about to run, and files to be taken; says whether it is the first one.
    fn begin(&self, monitor: Monitor, maker: &Maker) -> bool {
        self.now().monitor = Some(monitor.clone());
        let (config, counters) = (self.config(), Arc::clone(&self.counters));
        window::show_flow(&self.board, &config, maker, &self.folder, monitor, counters);
        let is_first = !self.running.swap(true, Relaxed);
        if is_first {
            self.alarms().started(maker);
        }
        manager::ready();
        is_first
    }

    fn phase(&self) -> Phase {
        if self.running.load(Relaxed) { Phase::Running } else { Phase::Starting }
    }

    fn persevere(&self) -> Persevere {
        self.persevere_under(&self.config())
    }

    fn persevere_under(&self, config: &Config) -> Persevere {
        Persevere::of(config, &self.interrupt, &self.counters)
    }
}

impl Witness for Service {
    fn lets_merge(&self) -> bool {
        self.board.is_recalled()
    }

    fn committed(&self, outcomes: &[Outcome]) {
        self.nights.committed(outcomes);
        self.alarms().committed(outcomes);
        self.board.committed(outcomes, SystemTime::now());
    }

    fn finished(&self, file: &SourceFile, is_new: bool) {
        self.nights.finished(file.night, is_new);
        self.on_the_way.done(file.sequence);
        if is_new {
            self.board.finished(file);
        }
        if let Some(watch) = &self.now().watch {
            watch.done(&file.path);
        }
    }
}

/// Drops what other threads hold for moments, and comes back when it is gone: what a watch
/// remembers belongs to one watch at a time.
fn drop_alone<T>(mut shared: Arc<T>) {
    while let Err(again) = Arc::try_unwrap(shared).map(drop) {
        shared = again;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The folder of the service: as configured, or as systemd gives it.
///
/// # Errors
/// [`ConfigError::Value`] when neither says one.
pub fn folder(config: &Config) -> Result<PathBuf, ConfigError> {
    if !config.serve.folder.as_os_str().is_empty() {
        return Ok(config.serve.folder.clone());
    }
    let given = std::env::var_os("STATE_DIRECTORY").filter(|folder| !folder.is_empty());
    given.map(PathBuf::from).ok_or(ConfigError::Value {
        key: "serve.folder",
        value: "empty".into(),
        needs: "a folder is needed where systemd gives none",
    })
}

/// Keeps a second service out of the folder for as long as this process lives.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(".service.lock");
    let file = File::create(&path).with_context(|| format!("{}", path.display()))?;
    if file.try_lock().is_err() {
        bail!(
            "{}: another service works there; stop it or choose another folder",
            folder.display()
        );
    }
    Ok(file)
}
