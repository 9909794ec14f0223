//! Output of the commands. A reader that goes away (`… | head`) is no failure of a command: the
//! rest of its output is dropped, and its exit code stays what it is. `run` asks `is_closed` and
//! stops. Any other failure, such as a full disk, is reported by [`finish`].

use std::fmt;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line on standard output.
macro_rules! say {
    () => { $crate::output::write(::std::format_args!("\n")) };
    ($($part:tt)*) => {
        $crate::output::write(::std::format_args!("{}\n", ::std::format_args!($($part)*)))
    };
}

/// Prints a line on standard error. If that is not possible, nobody can be told.
macro_rules! say_error {
    ($($part:tt)*) => {
        $crate::output::write_error(::std::format_args!("{}\n", ::std::format_args!($($part)*)))
    };
}

pub(crate) use {say, say_error};

/// Prints on standard output at once.
pub(crate) fn write(text: fmt::Arguments<'_>) {
    if is_closed() {
        return;
    }
    let mut out = io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
        }
        Err(error) => {
            // A poisoned lock still holds a value.
            let mut failed = FAILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            failed.get_or_insert(error);
        }
    }
}

/// Prints on standard error.
pub fn write_error(text: fmt::Arguments<'_>) {
    drop(io::stderr().lock().write_fmt(text));
}

/// Returns `true` if the reader of standard output has gone away.
pub(crate) fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Returns the number of columns of the terminal; `None` where the output is no terminal.
pub(crate) fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Returns the first failure to print that was not the reader's going away.
///
/// # Errors
/// That failure.
pub fn finish() -> io::Result<()> {
    let mut failed = FAILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    failed.take().map_or(Ok(()), Err)
}
