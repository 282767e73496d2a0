//! A night that is made up: a flow of the real stages' names, and outcomes of four hours.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use starmill::config::Config;
use starmill::input::Digest;
use starmill::outcome::{Estimate, Identity, Origin, Outcome, SourceFile};
use starmill::quality::Quality;
use starmill::reject::Code;
use starmill::serve::board::{About, Board, Inbox, Label, NightPhase, NightSummary};
use starmill::spectrum::Meta;
use starmill::stage::Counters;
use starmill_actors::{
    Batching, BoxError, Flow, Halt, Next, Outlet, Payload, Queue, Source, Stage, Stopper,
    Supervision, Width,
};

/// A board that a flow and a feeder write on until it is dropped.
pub struct Night {
    pub board: Arc<Board>,
    stopper: Stopper,
    flow: Option<std::thread::JoinHandle<()>>,
}

struct Spectrum;

impl Payload for Spectrum {
    fn bytes(&self) -> usize {
        70_000
    }
}

struct Sky;

impl Source for Sky {
    type Out = Spectrum;
    fn next(&mut self, _: Duration) -> Result<Next<Spectrum>, BoxError> {
        Ok(Next::Item(Spectrum))
    }
}

/// Passes items on, so slowly.
struct Pass(Duration);

impl Stage for Pass {
    type In = Spectrum;
    type Out = Spectrum;
    fn process(
        &mut self,
        batch: &mut [Spectrum],
        out: &mut Outlet<'_, Spectrum>,
    ) -> Result<(), Halt> {
        for _ in batch {
            std::thread::sleep(self.0);
            out.send(Spectrum)?;
        }
        Ok(())
    }
    fn salvage(item: Spectrum, _: usize, _: &str) -> Vec<Spectrum> {
        vec![item]
    }
}

struct End;

impl Stage for End {
    type In = Spectrum;
    type Out = Infallible;
    fn process(&mut self, _: &mut [Spectrum], _: &mut Outlet<'_, Infallible>) -> Result<(), Halt> {
        Ok(())
    }
    fn salvage(_: Spectrum, _: usize, _: &str) -> Vec<Infallible> {
        Vec::new()
    }
}

impl Night {
    /// Four hours of a night, of which one file has this name.
    pub fn begin(name: &str) -> Self {
        let board = Arc::new(Board::new(about()));
        let now = SystemTime::now();
        // Last night, so that there are repeats.
        let mut sky = Chance(1);
        let yesterday = now - Duration::from_hours(24);
        let stars: Vec<_> = (0..900).map(|i| outcome(&mut sky, i, yesterday, 0.0)).collect();
        board.committed(&stars, yesterday);
        for minute in 0..240 {
            let at = now - Duration::from_secs(60 * (240 - minute));
            let burst = if minute < 4 { 180 } else { 6 + (minute % 7) };
            let stars = (0..burst).map(|i| outcome(&mut sky, (minute * 13 + i) % 1700, at, 35.0));
            let stars: Vec<_> = stars.collect();
            board.committed(&stars, at);
            for star in &stars {
                board.finished(&star.origin.file);
            }
        }
        let mut hostile = outcome(&mut sky, 1, now, 0.0);
        hostile = hostile.rejected(Code::NOT_FITS.because(format!("{name} begins with HTML")));
        let file = SourceFile { path: PathBuf::from(name), ..(*hostile.origin.file).clone() };
        hostile.origin.file = Arc::new(file);
        board.committed(&[hostile], now);
        let inbox = |name: &str, waiting, settling, oldest_s| Inbox {
            name: name.into(),
            waiting,
            settling,
            oldest_s,
        };
        board
            .inboxes(vec![inbox("live", 3, 1, Some(0.8)), inbox("catch-up", 1204, 0, Some(260.0))]);
        for (name, phase, files) in [
            ("2026-11-21", NightPhase::Open, 2460),
            ("2026-11-20", NightPhase::Closed, 3871),
            ("2026-11-19+1", NightPhase::Closed, 12),
            ("2026-11-19", NightPhase::Closed, 4011),
        ] {
            board.night(NightSummary {
                name: name.into(),
                phase,
                files,
                rows: files - files / 30,
                rejects: files / 30,
                folder: format!("/var/lib/starmill/nights/{name}"),
                report: None,
            });
        }
        board.set_ready(true);
        let (stopper, flow) = start(&board);
        Self { board, stopper, flow: Some(flow) }
    }

    /// Commits so many more outcomes at once.
    pub fn more(&self, outcomes: u64, at: SystemTime) {
        let mut sky = Chance(outcomes);
        let stars = (0..outcomes).map(|star| outcome(&mut sky, star, at, 0.0));
        self.board.committed(&stars.collect::<Vec<_>>(), at);
    }
}

impl Drop for Night {
    fn drop(&mut self) {
        self.stopper.stop();
        self.flow.take().map(std::thread::JoinHandle::join);
    }
}

fn about() -> About {
    let labels = [
        ("teff", "K"),
        ("logg", "dex"),
        ("fe_h", "dex"),
        ("c_fe", "dex"),
        ("n_fe", "dex"),
        ("mg_fe", "dex"),
    ];
    About {
        version: env!("CARGO_PKG_VERSION").into(),
        model: "fcresnet 1.0.0".into(),
        provider: "CPUExecutionProvider".into(),
        started: SystemTime::now() - Duration::from_hours(31),
        longitude: longitude(),
        match_arcsec: 1.0,
        folder: std::env::temp_dir(),
        labels: labels.map(|(name, unit)| Label { name: name.into(), unit: unit.into() }).into(),
        drift: Config::load(None).expect("the default configuration").report.drift_rule(),
    }
}

/// Where the evening is six hours old, so that the made-up hours are of one night.
fn longitude() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let hour = (since.as_secs() % 86_400) as f64 / 3600.0;
    (18.0 - hour) * 15.0 - if hour < 6.0 { 360.0 } else { 0.0 }
}

fn start(board: &Board) -> (Stopper, std::thread::JoinHandle<()>) {
    let bytes = 1 << 26;
    let queue = |items| Queue { items, bytes };
    let width = |workers, items| Width { workers, queue: queue(items), batching: Batching::SINGLE };
    let pass = |milliseconds| move || Ok(Pass(Duration::from_millis(milliseconds)));
    let flow = Flow::from("list", Sky, queue(256))
        .stage("read", width(2, 128), pass(2))
        .stage("prepare", width(1, 512), pass(1))
        .stage("infer", width(1, 1024), pass(8))
        .stage("write", width(1, 1), || Ok(End));
    board.attach(flow.monitor(), Arc::new(Counters::default()));
    let stopper = flow.stopper();
    let supervision = Supervision {
        max_restarts: 1,
        restart_window: Duration::from_mins(1),
        stall_limit: Duration::from_mins(5),
        beat: Duration::from_millis(100),
        drain_limit: Duration::from_secs(1),
    };
    let thread = std::thread::spawn(move || _ = flow.run(supervision));
    (stopper, thread)
}

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    /// From 0 to 1.
    fn uniform(&mut self) -> f32 {
        self.below(1 << 24) as f32 / (1 << 24) as f32
    }

    fn below(&mut self, most: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) % most
    }

    /// With a standard deviation of 1.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

fn outcome(chance: &mut Chance, star: u64, at: SystemTime, shift: f32) -> Outcome {
    // A giant branch: its place on it is the star's own, the noise the observation's.
    let place = Chance(star.wrapping_mul(0x9E37_79B9_7F4A_7C15)).uniform().max(0.02);
    let clump = star.is_multiple_of(3);
    let (teff, logg) =
        if clump { (4750.0, 2.45) } else { (3900.0 + 1300.0 * place, 0.4 + 3.0 * place) };
    let metal = Chance(star ^ 0x77).uniform() * 0.8 - 0.6;
    let snr = 10.0_f32.powf(1.1 + 1.1 * chance.uniform());
    let noise = 40.0 / snr;
    let values = vec![
        teff + shift + 60.0 * noise * chance.normal() - 150.0 * metal,
        logg + 0.12 * noise * chance.normal(),
        metal + 0.08 * noise * chance.normal(),
        0.1 * chance.normal(),
        0.1 + 0.12 * chance.normal(),
        0.15 + 0.07 * chance.normal(),
    ];
    let mut quality = Quality::NONE;
    quality.set_if(snr < 20.0, Quality::LOW_SNR);
    quality.set_if(chance.uniform() < 0.07, Quality::LABEL_RANGE);
    quality.set_if(chance.uniform() < 0.3, Quality::OR_MASK);
    quality.set_if(chance.uniform() < 0.03, Quality::EXTRAPOLATION);
    let latency = 0.25 + 0.5 * chance.uniform() + if chance.uniform() > 0.985 { 6.0 } else { 0.0 };
    let number = chance.below(1_000_000);
    let path = format!("/data/lamost/inbox/20261121/HD081530N344534M01/spec-61365-HD081530N344534M01_sp{:02}-{:03}.fits.gz", star % 16 + 1, number % 250).into();
    let file = SourceFile {
        arrived: Some(at - Duration::from_secs_f32(latency)),
        ..SourceFile::whole(number, path, Digest::of(&number.to_le_bytes()), 1)
    };
    let meta = Meta {
        ra: Some(120.0 + star as f64 * 0.01),
        dec: Some(34.0),
        snr: [None, Some(snr), None, None, None],
        ..Meta::default()
    };
    let name =
        format!("lamost-lrs:61365-HD081530N344534M01-{:02}-{:03}", star % 16 + 1, number % 250);
    let identity = Identity { name: Some(name), survey: Some("lamost-lrs"), meta };
    let estimate = Estimate { values, novelty: 0.4, quality, pixels: 3000, ..Estimate::default() };
    let reject = match chance.below(200) {
        0..=2 => Some(
            Code::CORRUPT_COMPRESSION.because("the gzip stream ends after 41 932 of 52 480 bytes"),
        ),
        3..=4 => {
            Some(Code::TOO_MANY_BAD_PIXELS.because("712 of 3121 pixels of the window are unusable"))
        }
        5 => Some(Code::FLAT_SPECTRUM.because("every bin is 0")),
        _ => None,
    };
    Outcome {
        origin: Origin { file: Arc::new(file), index: 0 },
        identity: Arc::new(identity),
        content: reject.map_or(Ok(estimate), Err),
    }
}
