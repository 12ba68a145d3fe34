//! One table of cases for both halves of the library: blocking calls, and async ones on both kinds of runtime.

#[path = "../common/mod.rs"]
mod common;

mod half;
#[cfg(feature = "tokio")]
mod tasks;

/// Makes three tests of each case: `case::blocking`, `case::current_thread`, `case::multi_thread`.
macro_rules! both {
    ($($case:ident)*) => { $(
        mod $case {
            #[test]
            fn blocking() {
                super::$case(&crate::half::Blocking);
            }

            #[cfg(feature = "tokio")]
            #[test]
            fn current_thread() {
                let [runtime, _] = crate::common::tasks::runtimes();
                super::$case(&crate::tasks::Tasks::new(runtime));
            }

            #[cfg(feature = "tokio")]
            #[test]
            fn multi_thread() {
                let [_, runtime] = crate::common::tasks::runtimes();
                super::$case(&crate::tasks::Tasks::new(runtime));
            }
        }
    )* };
}

mod connect;
mod listener;
#[cfg(any(windows, target_os = "linux"))]
// elsewhere `bind` is Unsupported, as tests/listener.rs shows
mod message;
mod stream;
