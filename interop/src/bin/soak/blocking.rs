//! The blocking half.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc;
use std::thread;

use npipe::{ConnectOptions, ListenOptions, PipeListener, PipeName, PipeStream};

use crate::tally::{CLIENTS, Came, InOrder, PATIENCE, Result, bytes, check, name, random, same};

/// Three quarters of it on a byte pipe, and one on a message pipe where the system has them.
fn by_mode(count: u64, part: fn(u64, &PipeListener, &str) -> Result<()>) -> Result<()> {
    let name = name();
    let bytes = PipeListener::bind(&name)?;
    part(count - count / 4, &bytes, &name)?;
    drop(bytes);
    let options = ListenOptions::new().message_mode(true);
    match options.bind(&name) {
        Ok(messages) => part(count / 4, &messages, &name),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Every client is delivered, in the order in which it came, with all that it wrote.
pub fn leave(count: u64) -> Result<()> {
    by_mode(count, |count, listener, name| {
        thread::scope(|scope| {
            for thread in 0..CLIENTS {
                scope.spawn(move || {
                    for at in (thread..count).step_by(CLIENTS as usize) {
                        let written =
                            connect(name).and_then(|stream| (&stream).write_all(&bytes(at)));
                        check(written.map_err(Into::into));
                    }
                });
            }
            let mut order = InOrder::from_the_first();
            for _ in 0..count {
                let got = read_all(&listener.accept_timeout(PATIENCE)?);
                check(got.and_then(|got| order.take(&got)));
            }
            Ok(())
        })
    })
}

/// What was written to a stream that is dropped at once arrives.
pub fn dropped(count: u64) -> Result<()> {
    by_mode(count, |count, listener, name| {
        let came = Came::none_of(count);
        thread::scope(|scope| -> Result<()> {
            for thread in 0..CLIENTS {
                let came = &came;
                scope.spawn(move || {
                    for _ in (thread..count).step_by(CLIENTS as usize) {
                        let got = connect(name)
                            .map_err(Into::into)
                            .and_then(|stream| read_all(&stream));
                        check(got.and_then(|got| came.take(&got)));
                    }
                });
            }
            for at in 0..count {
                let stream = listener.accept_timeout(PATIENCE)?;
                check((&stream).write_all(&bytes(at)).map_err(Into::into));
            }
            Ok(())
        })?;
        came.all()
    })
}

/// A close ends an accept, whenever it comes, and whoever learns of it finds the name free.
pub fn closes(count: u64) -> Result<()> {
    let name = &name();
    let (give, listeners) = mpsc::channel::<(PipeListener, bool)>();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            for (listener, takes) in listeners {
                let ended = loop {
                    match listener.accept() {
                        Ok(_client) => {}
                        Err(error) => break error,
                    }
                };
                let mut result = Ok(());
                if ended.kind() != ErrorKind::ConnectionAborted {
                    result = Err(ended.into());
                } else if takes {
                    result = PipeListener::bind(name).map(drop).map_err(Into::into);
                }
                if tell.send(result).is_err() {
                    return;
                }
            }
        });
        for at in 0..count {
            let listener = PipeListener::bind(name)?;
            // Whether the one that accepts is to take the name, or the one that closes.
            let takes = at % 2 == 0;
            give.send((listener.try_clone()?, takes))?;
            let client = (at % 4 == 1).then(|| PipeStream::connect(name));
            for _ in 0..random() % 2000 {
                std::hint::spin_loop();
            }
            listener.close();
            let taken = if takes {
                Ok(())
            } else {
                PipeListener::bind(name).map(drop).map_err(Into::into)
            };
            // One who connects to a listener that is there has a stream.
            let client = client.transpose().map(drop).map_err(Into::into);
            let accepted = told.recv_timeout(PATIENCE)?;
            check(taken.and(client).and(accepted));
        }
        drop(give);
        Ok(())
    })
}

/// A name that was given up can be had again at once, and leads to its new owner.
pub fn rebinds(count: u64) -> Result<()> {
    let name = name();
    let path = PipeName::new(&name)?.os_path().to_owned();
    for at in 0..count {
        let once = || -> Result<()> {
            let listener = PipeListener::bind(&name)?;
            let client = connect(&name)?;
            let server = listener.accept_timeout(PATIENCE)?;
            (&client).write_all(&at.to_le_bytes())?;
            drop(client);
            same(&read_all(&server)?, &at.to_le_bytes())?;
            drop(server);
            drop(listener);
            if cfg!(unix) && path.exists() {
                return Err("its file is left".into());
            }
            Ok(())
        };
        check(once());
    }
    Ok(())
}

fn connect(name: &str) -> io::Result<PipeStream> {
    ConnectOptions::new().timeout(PATIENCE).connect(name)
}

fn read_all(mut stream: &PipeStream) -> Result<Vec<u8>> {
    let mut all = Vec::with_capacity(16);
    stream.read_to_end(&mut all)?;
    Ok(all)
}
