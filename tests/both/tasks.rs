//! The async half, each call waited for by a thread.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use npipe::tokio::{OwnedReadHalf, OwnedWriteHalf, PipeListener, PipeStream};
use npipe::{ConnectOptions, ListenOptions, Part, Peek, PipeInfo, PipeMode, PipeName, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, MutexGuard};
use tokio_stream::StreamExt;

use super::half::{Door, End, Half, Listener, Stream};

/// The async half in a runtime.
pub struct Tasks(Arc<Runtime>);

impl Tasks {
    pub fn new(runtime: Runtime) -> Tasks {
        Tasks(Arc::new(runtime))
    }
}

impl Half for Tasks {
    fn bind_with(&self, options: &ListenOptions, name: &OsStr) -> io::Result<Listener> {
        let _inside = self.0.enter();
        Ok(Listener(Box::new(TaskListener {
            runtime: self.0.clone(),
            listener: options.bind_tokio(name)?,
        })))
    }

    fn connect_with(&self, options: &ConnectOptions, name: &OsStr) -> io::Result<Stream> {
        let stream = self.0.block_on(options.connect_tokio(name))?;
        Ok(TaskStream::of(&self.0, stream))
    }
}

#[derive(Debug)]
struct TaskListener {
    runtime: Arc<Runtime>,
    listener: PipeListener,
}

impl Door for TaskListener {
    fn accept(&self) -> io::Result<Stream> {
        let stream = self.runtime.block_on(self.listener.accept())?;
        Ok(TaskStream::of(&self.runtime, stream))
    }

    fn next(&self) -> Option<io::Result<Stream>> {
        let next = self
            .runtime
            .block_on(async { self.listener.incoming().next().await })?;
        Some(next.map(|stream| TaskStream::of(&self.runtime, stream)))
    }

    fn close(&self) {
        self.listener.close();
    }

    fn mode(&self) -> PipeMode {
        self.listener.mode()
    }

    fn local_addr(&self) -> PipeName {
        self.listener.local_addr().clone()
    }

    fn security_descriptor(&self) -> io::Result<String> {
        self.listener.security_descriptor()
    }
}

/// A stream whose directions any thread may use.
#[derive(Debug)]
struct TaskStream {
    runtime: Arc<Runtime>,
    read: Mutex<Option<OwnedReadHalf>>,
    write: Mutex<Option<OwnedWriteHalf>>,
}

/// A half is there until its stream is dropped.
const THERE: &str = "the half is there";

impl TaskStream {
    fn of(runtime: &Arc<Runtime>, stream: PipeStream) -> Stream {
        let (read, write) = stream.into_split();
        Stream(Box::new(TaskStream {
            runtime: runtime.clone(),
            read: Mutex::new(Some(read)),
            write: Mutex::new(Some(write)),
        }))
    }

    /// Asks the stream, by the half that nobody is using.
    fn ask<T>(&self, question: impl Fn(&PipeStream) -> T) -> T {
        loop {
            if let Ok(read) = self.read.try_lock() {
                return question(read.as_ref().expect(THERE).as_ref());
            }
            if let Ok(write) = self.write.try_lock() {
                return question(write.as_ref().expect(THERE).as_ref());
            }
            std::thread::yield_now();
        }
    }

    async fn reading(&self) -> MutexGuard<'_, Option<OwnedReadHalf>> {
        self.read.lock().await
    }

    async fn writing(&self) -> MutexGuard<'_, Option<OwnedWriteHalf>> {
        self.write.lock().await
    }
}

impl Drop for TaskStream {
    fn drop(&mut self) {
        // The drop of a writing half alone would be a half close.
        let halves = (self.read.get_mut().take(), self.write.get_mut().take());
        if let (Some(read), Some(write)) = halves {
            drop(read.reunite(write));
        }
    }
}

impl End for TaskStream {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(async {
            let mut read = self.reading().await;
            read.as_mut().expect(THERE).read(buffer).await
        })
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(async {
            let mut write = self.writing().await;
            write.as_mut().expect(THERE).write(bytes).await
        })
    }

    fn flush(&self) -> io::Result<()> {
        self.runtime.block_on(async {
            let mut write = self.writing().await;
            write.as_mut().expect(THERE).flush().await
        })
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        self.runtime.block_on(async {
            let write = self.writing().await;
            write.as_ref().expect(THERE).send(message).await
        })
    }

    fn recv(&self, message: &mut Vec<u8>) -> io::Result<Option<usize>> {
        self.runtime.block_on(async {
            let read = self.reading().await;
            read.as_ref().expect(THERE).recv(message).await
        })
    }

    fn recv_part(&self, buffer: &mut [u8]) -> io::Result<Part> {
        self.runtime.block_on(async {
            let read = self.reading().await;
            read.as_ref().expect(THERE).recv_part(buffer).await
        })
    }

    fn transact(&self, request: &[u8], reply: &mut Vec<u8>) -> io::Result<Option<usize>> {
        self.runtime.block_on(async {
            let read = self.reading().await;
            let stream = read.as_ref().expect(THERE).as_ref();
            stream.transact(request, reply).await
        })
    }

    fn close_write(&self) -> io::Result<()> {
        self.ask(|stream| stream.close_write())
    }

    fn wait_drained(&self) -> io::Result<()> {
        self.runtime.block_on(async {
            let write = self.writing().await;
            write.as_ref().expect(THERE).wait_drained().await
        })
    }

    fn disconnect(&self) -> io::Result<()> {
        self.ask(|stream| stream.disconnect())
    }

    fn peek(&self) -> io::Result<Peek> {
        self.ask(|stream| stream.peek())
    }

    fn is_connected(&self) -> io::Result<bool> {
        self.ask(|stream| stream.is_connected())
    }

    fn info(&self) -> io::Result<PipeInfo> {
        self.ask(|stream| stream.info())
    }

    fn peer_pid(&self) -> io::Result<u32> {
        self.ask(|stream| stream.peer_pid())
    }

    fn security_descriptor(&self) -> io::Result<String> {
        self.ask(|stream| stream.security_descriptor())
    }

    fn mode(&self) -> PipeMode {
        self.ask(|stream| stream.mode())
    }

    fn role(&self) -> Role {
        self.ask(|stream| stream.role())
    }

    fn local_addr(&self) -> PipeName {
        self.ask(|stream| stream.local_addr().clone())
    }

    fn peer_addr(&self) -> PipeName {
        self.ask(|stream| stream.peer_addr().clone())
    }
}
