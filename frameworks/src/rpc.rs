//! JSON-RPC 2.0 with `Content-Length` before each message, as StreamJsonRpc and editors speak it: both sides may call.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Notify, mpsc, oneshot};

/// `RequestCancelled` of the language server protocol.
pub const CANCELLED: i64 = -32800;
pub const METHOD_NOT_FOUND: i64 = -32601;
pub const INVALID_PARAMS: i64 = -32602;

/// A message longer than this is nobody's we want to talk to, in bytes.
const LONGEST: usize = 64 << 20;

/// What the other side said instead of a result.
#[derive(Clone, Debug)]
pub struct Failure {
    pub code: i64,
    pub message: String,
}

impl Failure {
    pub fn new(code: i64, message: impl Into<String>) -> Failure {
        let message = message.into();
        Failure { code, message }
    }
}

/// The answer to a request, which may take its time.
pub type Answer = Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send>>;

/// What this side does when it is called.
pub trait Service: Send + Sync + 'static {
    fn call(&self, other: Connection, method: &str, params: Value, cancel: Cancel) -> Answer;

    fn notified(&self, other: &Connection, method: &str, params: Value);
}

/// Told when the caller gives its request up.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Notify>);

impl Cancel {
    pub async fn cancelled(&self) {
        self.0.notified().await;
    }
}

/// One side of a connection; clones are the same.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Shared>);

/// What goes to the writer.
#[derive(Debug)]
enum Out {
    Message(Value),
    /// All before it has been written.
    Flushed(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Shared {
    last: AtomicU64,
    asked: Mutex<HashMap<u64, oneshot::Sender<Result<Value, Failure>>>>,
    working: Mutex<HashMap<String, Cancel>>,
    outbox: mpsc::UnboundedSender<Out>,
    ended: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    /// Starts to speak over `stream`. What runs until the other side has gone is returned beside it.
    pub fn start<S>(
        stream: S,
        service: impl Service,
    ) -> (Connection, impl Future<Output = io::Result<()>>)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, mut write) = tokio::io::split(stream);
        let (outbox, mut out) = mpsc::unbounded_channel();
        let connection = Connection(Arc::new(Shared {
            last: AtomicU64::new(0),
            asked: Mutex::default(),
            working: Mutex::default(),
            outbox,
            ended: Notify::new(),
        }));
        let writing = async move {
            while let Some(message) = out.recv().await {
                let message = match message {
                    Out::Message(message) => message,
                    Out::Flushed(flushed) => {
                        let _ = flushed.send(());
                        continue;
                    }
                };
                let body = message.to_string();
                let framed = format!("Content-Length: {}\r\n\r\n{body}", body.len());
                write.write_all(framed.as_bytes()).await?;
                write.flush().await?;
            }
            io::Result::Ok(())
        };
        let reading = connection.clone().read(BufReader::new(read), service);
        let running = async move {
            tokio::select! {
                read = reading => read,
                written = writing => written,
            }
        };
        (connection, running)
    }

    /// Calls `method` of the other side.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, Failure> {
        let (_, answer) = self.begin(method, params);
        answer.await
    }

    /// The same, and the number by which it can be cancelled.
    pub fn begin(
        &self,
        method: &str,
        params: Value,
    ) -> (u64, impl Future<Output = Result<Value, Failure>>) {
        let id = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (tell, told) = oneshot::channel();
        lock(&self.0.asked).insert(id, tell);
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let answer = async move {
            let gone = || Failure::new(0, "the other side has gone");
            told.await.unwrap_or_else(|_| Err(gone()))
        };
        (id, answer)
    }

    /// Tells the other side something that has no answer.
    pub fn notify(&self, method: &str, params: Value) {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Waits until all that was said so far has been written.
    pub async fn flush(&self) {
        let (tell, told) = oneshot::channel();
        let _ = self.0.outbox.send(Out::Flushed(tell));
        let _ = told.await;
    }

    /// Waits until the connection has ended.
    pub async fn ended(&self) {
        self.0.ended.notified().await;
    }

    fn send(&self, message: Value) {
        // If the writer has gone, so has the connection, which the reader tells.
        let _ = self.0.outbox.send(Out::Message(message));
    }

    async fn read(
        self,
        mut stream: BufReader<impl AsyncRead + Unpin>,
        service: impl Service,
    ) -> io::Result<()> {
        let service = Arc::new(service);
        let read = async {
            while let Some(message) = next(&mut stream).await? {
                self.take(message, &service);
            }
            Ok(())
        };
        let result = read.await;
        lock(&self.0.asked).clear();
        self.0.ended.notify_one();
        result
    }

    fn take(&self, mut message: Value, service: &Arc<impl Service>) {
        let id = message.get("id").filter(|id| !id.is_null()).cloned();
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            return self.answered(id, message);
        };
        let method = method.to_owned();
        let params = message["params"].take();
        let Some(id) = id else {
            if method == "$/cancelRequest" {
                let cancel = lock(&self.0.working)
                    .get(&params["id"].to_string())
                    .cloned();
                if let Some(Cancel(cancel)) = cancel {
                    cancel.notify_one();
                }
                return;
            }
            return service.notified(self, &method, params);
        };
        let cancel = Cancel::default();
        lock(&self.0.working).insert(id.to_string(), cancel.clone());
        let answer = service.call(self.clone(), &method, params, cancel);
        let connection = self.clone();
        tokio::spawn(async move {
            let answer = match answer.await {
                Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
                Err(Failure { code, message }) => {
                    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
                }
            };
            lock(&connection.0.working).remove(&id.to_string());
            connection.send(answer);
        });
    }

    fn answered(&self, id: Option<Value>, mut message: Value) {
        let asked = id
            .and_then(|id| id.as_u64())
            .and_then(|id| lock(&self.0.asked).remove(&id));
        let Some(asked) = asked else { return };
        let answer = match message.get("error") {
            Some(error) => Err(Failure::new(
                error["code"].as_i64().unwrap_or_default(),
                error["message"].as_str().unwrap_or_default(),
            )),
            None => Ok(message["result"].take()),
        };
        // Who asked may have given up.
        let _ = asked.send(answer);
    }
}

/// The next message; None at the end.
async fn next(stream: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<Option<Value>> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let mut length = None;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            let value = value.trim().parse::<usize>();
            length = Some(value.map_err(|_| wrong("a Content-Length that is no number"))?);
        }
    }
    let length = length.ok_or_else(|| wrong("a message without Content-Length"))?;
    if length > LONGEST {
        return Err(wrong("a message that is too long"));
    }
    let mut body = Vec::new();
    if stream.take(length as u64).read_to_end(&mut body).await? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&body)
        .map(Some)
        .map_err(io::Error::from)
}
