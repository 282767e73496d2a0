//! How work flows: a source, stages and a supervisor, joined by bounded queues.
//!
//! The crate knows nothing of what it carries. In the order in which an item meets them:
//!
//! 1. [`Flow`] is the wiring, checked hop by hop by the compiler and read top to bottom.
//! 2. [`Source`] brings items in. It alone hears a stop request ([`Stopper`]);
//!    all that follows ends because its input has ended.
//! 3. A [`Queue`] holds items between two stages, bounded in their number and in their bytes
//!    ([`Payload`]). A full queue makes the sender wait: that is the backpressure.
//! 4. [`Stage`] does the work in batches ([`Batching`]) and sends results through an [`Outlet`].
//! 5. The supervisor restarts a stage that panicked, pins the panic to one item, and ends the flow
//!    when the restarts are spent or a worker hangs ([`Supervision`]).
//! 6. [`Report`] says how it ended; a [`Monitor`] shows the counters at any time.
//!
//! actix is the control plane and crossbeam the data plane. They meet in one message: every worker
//! is a sync actor that receives a single `Run { input, output }`, and its handler is the work
//! loop. Items never travel in actix messages, whose mailboxes hold nobody back.
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//! use starmill_actors::{
//!     Batching, BoxError, Ending, Flow, Halt, Next, Outlet, Payload, Queue, Source, Stage,
//!     Supervision, Width,
//! };
//!
//! struct Star(u32);
//! impl Payload for Star {
//!     fn bytes(&self) -> usize {
//!         size_of::<Self>()
//!     }
//! }
//!
//! struct Sky(u32);
//! impl Source for Sky {
//!     type Out = Star;
//!     fn next(&mut self, _patience: Duration) -> Result<Next<Star>, BoxError> {
//!         self.0 = match self.0.checked_sub(1) {
//!             Some(left) => left,
//!             None => return Ok(Next::End),
//!         };
//!         Ok(Next::Item(Star(self.0)))
//!     }
//! }
//!
//! struct Count(u32);
//! impl Stage for Count {
//!     type In = Star;
//!     type Out = Infallible;
//!     fn process(&mut self, stars: &mut [Star], _: &mut Outlet<'_, Infallible>) -> Result<(), Halt> {
//!         self.0 += u32::try_from(stars.len())?;
//!         Ok(())
//!     }
//!     fn salvage(_star: Star, _emitted: usize, _panic: &str) -> Vec<Infallible> {
//!         Vec::new()
//!     }
//! }
//!
//! let queue = Queue { items: 16, bytes: 1 << 20 };
//! let width = Width { workers: 1, queue, batching: Batching::SINGLE };
//! let report = Flow::from("sky", Sky(100), queue)
//!     .stage("count", width, || Ok(Count(0)))
//!     .run(Supervision {
//!         max_restarts: 3,
//!         restart_window: Duration::from_mins(1),
//!         stall_limit: Duration::from_mins(1),
//!         beat: Duration::from_millis(100),
//!         drain_limit: Duration::from_mins(1),
//!     });
//! assert!(matches!(report.ending, Ending::Drained));
//! assert_eq!(report.snapshot.stages[1].items_in, 100);
//! ```

mod fault;
mod feeder;
mod flow;
mod gate;
mod meter;
mod monitor;
mod outlet;
mod payload;
mod queue;
mod report;
mod settings;
mod source;
mod stage;
mod stopper;
mod supervisor;
mod sync;
mod work;
mod worker;

#[cfg(all(test, feature = "shuttle"))]
mod schedules;

pub use fault::Fault;
pub use flow::Flow;
pub use monitor::{Monitor, QueueSnapshot, Snapshot, StageSnapshot};
pub use outlet::{Closed, Outlet};
pub use payload::Payload;
pub use report::{Ending, Report};
pub use settings::{Batching, Queue, Supervision, Width};
pub use source::{Next, Source};
pub use stage::{Halt, Stage};
pub use stopper::Stopper;

/// Any error that a source or a stage may end with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
