//! However a run ends, by Ctrl-C and its like or from within any thread, it leaves no socket behind.
//!
//! Windows takes its pipes away by itself. On Unix a socket is a file, which the listener removes when it is closed;
//! the end must not come before that.

use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use npipe::PipeListener;

/// A listener that is closed before a signal ends the process, or when this is dropped.
#[derive(Debug)]
pub struct Guarded(Arc<PipeListener>);

impl Guarded {
    /// For another thread, which may close it.
    pub fn share(&self) -> Arc<PipeListener> {
        self.0.clone()
    }
}

impl Deref for Guarded {
    type Target = PipeListener;

    fn deref(&self) -> &PipeListener {
        &self.0
    }
}

/// What else is given back when the process ends.
static LAST: Mutex<Option<fn()>> = Mutex::new(None);

/// Has this done before the process ends, by a signal too.
pub fn at_exit(last: fn()) {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    #[cfg(unix)]
    unix::watch_once();
}

fn do_last() {
    let last = *LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(last) = last {
        last();
    }
}

/// Ends the process from whichever thread, once all its listeners are closed.
pub fn exit(code: u8) -> ! {
    do_last();
    #[cfg(unix)]
    let _listeners = unix::close_all();
    std::process::exit(code.into())
}

#[cfg(windows)]
impl Guarded {
    pub fn bind(bind: impl FnOnce() -> io::Result<PipeListener>) -> io::Result<Guarded> {
        Ok(Guarded(Arc::new(bind()?)))
    }
}

#[cfg(unix)]
mod unix {
    use std::sync::{Mutex, MutexGuard, Once, PoisonError, Weak};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::iterator::Signals;

    use super::{Arc, Guarded, PipeListener, io};
    use crate::say;

    static LISTENERS: Mutex<Vec<Weak<PipeListener>>> = Mutex::new(Vec::new());

    impl Guarded {
        pub fn bind(bind: impl FnOnce() -> io::Result<PipeListener>) -> io::Result<Guarded> {
            watch_once();
            // Held over the bind: a signal that comes in between waits for what it has to close.
            let mut listeners = lock();
            let listener = Arc::new(bind()?);
            listeners.push(Arc::downgrade(&listener));
            Ok(Guarded(listener))
        }
    }

    impl Drop for Guarded {
        fn drop(&mut self) {
            // Held over the close, for the same reason.
            let mut listeners = lock();
            self.0.close();
            let ours = Arc::as_ptr(&self.0);
            listeners.retain(|listener| listener.as_ptr() != ours);
        }
    }

    fn lock() -> MutexGuard<'static, Vec<Weak<PipeListener>>> {
        LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes every listener. As long as what is returned is held, none is made and none is closed.
    pub fn close_all() -> MutexGuard<'static, Vec<Weak<PipeListener>>> {
        let listeners = lock();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            listener.close();
        }
        listeners
    }

    pub fn watch_once() {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| {
            if let Err(error) = watch() {
                say::note(format_args!(
                    "signals cannot be caught ({error}), so Ctrl-C will leave the socket's file behind"
                ));
            }
        });
    }

    fn watch() -> io::Result<()> {
        let ignored = ignored();
        let caught = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]
            .into_iter()
            .filter(|signal| ignored & (1 << (signal - 1)) == 0);
        let mut signals = Signals::new(caught)?;
        std::thread::Builder::new().spawn(move || {
            for signal in signals.forever() {
                let _listeners = close_all();
                super::do_last();
                // Ends the process as if nothing had been caught, so that a shell sees what ended it.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        })?;
        Ok(())
    }

    /// The signals that whoever started us wants ignored (`nohup`, a shell's `&`): these stay so.
    fn ignored() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0)
    }
}
