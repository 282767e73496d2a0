//! Prints what the flow itself costs: time per item over four hops whose stages do nothing.
//!
//! `cargo run --release -p starmill-actors --example overhead -- [items]`

use std::convert::Infallible;
use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use starmill_actors::{
    Batching, BoxError, Flow, Halt, Next, Outlet, Payload, Queue, Source, Stage, Supervision, Width,
};

/// About the size of a message that holds a boxed spectrum.
struct Item(Box<[f32; 16]>);

impl Payload for Item {
    fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

struct Boxes(u64);

impl Source for Boxes {
    type Out = Item;
    fn next(&mut self, _patience: Duration) -> Result<Next<Item>, BoxError> {
        let Some(left) = self.0.checked_sub(1) else {
            return Ok(Next::End);
        };
        self.0 = left;
        Ok(Next::Item(Item(Box::new([0.0; 16]))))
    }
}

struct Pass;

impl Stage for Pass {
    type In = Item;
    type Out = Item;
    fn process(&mut self, batch: &mut [Item], out: &mut Outlet<'_, Item>) -> Result<(), Halt> {
        for item in batch {
            out.send(Item(item.0.clone()))?;
        }
        Ok(())
    }
    fn salvage(_: Item, _: usize, _: &str) -> Vec<Item> {
        Vec::new()
    }
}

struct Sink;

impl Stage for Sink {
    type In = Item;
    type Out = Infallible;
    fn process(&mut self, _: &mut [Item], _: &mut Outlet<'_, Infallible>) -> Result<(), Halt> {
        Ok(())
    }
    fn salvage(_: Item, _: usize, _: &str) -> Vec<Infallible> {
        Vec::new()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let items: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |n| n.parse())?;
    for max_items in [1, 32, 256] {
        let queue = Queue { items: 256, bytes: 1 << 30 };
        let width = Width {
            workers: 1,
            queue,
            batching: Batching { max_items, max_age: Duration::from_millis(1) },
        };
        let begun = Instant::now();
        Flow::from("boxes", Boxes(items), queue)
            .stage("read", width, || Ok(Pass))
            .stage("prepare", width, || Ok(Pass))
            .stage("infer", width, || Ok(Pass))
            .stage("write", width, || Ok(Sink))
            .run(Supervision {
                max_restarts: 0,
                restart_window: Duration::from_secs(1),
                stall_limit: Duration::from_mins(1),
                beat: Duration::from_millis(100),
                drain_limit: Duration::from_mins(1),
            });
        let each = begun.elapsed().as_secs_f64() / items as f64 * 1e6;
        writeln!(std::io::stdout(), "batches of {max_items:>3}: {each:.2} microseconds an item")?;
    }
    Ok(())
}
