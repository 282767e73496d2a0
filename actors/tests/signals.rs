//! SIGTERM and SIGINT stop the source, and nothing that it sent is lost.

mod common;

use std::process::Command;
use std::thread;
use std::time::Duration;

use common::{From, Item, SUPERVISION, each, ids, room, run_to_end, wide};
use starmill_actors::{Ending, Flow, Next, Supervision};

#[test]
fn a_signal_drains_the_flow() {
    for name in ["TERM", "INT"] {
        let mut id = 0;
        // The source starts after the handler is in place, so the signal cannot come too early.
        let source = From(move |_| {
            id += 1;
            if id == 100 {
                raise(name)?;
            }
            Ok(Next::Item(Item::new(id)))
        });
        let flow = Flow::from("endless", source, room(8)).stage("slow", wide(1), || {
            Ok(each(|_| {
                thread::sleep(Duration::from_micros(100));
                Ok(())
            }))
        });
        let supervision = Supervision { signals: true, ..SUPERVISION };
        let (report, kept) = run_to_end(flow, supervision);
        assert!(matches!(report.ending, Ending::Stopped), "{report:?}");
        let sent = report.snapshot.stages[0].items_out;
        assert!(sent >= 100);
        assert_eq!(ids(&kept), (1..=sent).collect::<Vec<_>>());
    }
}

fn raise(signal: &str) -> std::io::Result<()> {
    let kill = format!("kill -{signal} {}", std::process::id());
    Command::new("sh").args(["-c", &kill]).status().map(drop)
}
