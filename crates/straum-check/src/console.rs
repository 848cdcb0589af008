//! What is shown while a run goes on, and Ctrl-C. Never changes what happens in the run, but for
//! ending it early.

use std::io::{self, Stderr, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use straum_check::network::Envelope;
use straum_check::report::Progress;
use straum_check::run::{Observer, Snapshot};

pub(crate) struct Console {
    progress: Progress<Stderr>,
    log_send: bool,
    log_recv: bool,
    stop: Arc<AtomicBool>,
}

impl Console {
    pub(crate) fn new(log_send: bool, log_recv: bool) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // A second one ends us at once.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))?;
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        Ok(Self { progress: Progress::on_stderr(), log_send, log_recv, stop })
    }

    pub(crate) fn clear(&mut self) {
        self.progress.clear();
    }
}

impl Observer for Console {
    fn progress(&mut self, snapshot: &Snapshot) {
        self.progress.show(snapshot);
    }

    fn sent(&mut self, envelope: &Envelope) {
        if self.log_send {
            show("send", envelope);
        }
    }

    fn received(&mut self, envelope: &Envelope) {
        if self.log_recv {
            show("recv", envelope);
        }
    }

    fn stop(&mut self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn show(what: &str, envelope: &Envelope) {
    let Envelope { src, dest, body, .. } = envelope;
    writeln!(io::stderr(), "{what} {src} -> {dest} {body}").ok();
}
