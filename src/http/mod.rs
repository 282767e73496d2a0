//! The board over HTTP: an API, metrics and a page. It reads the board and changes nothing.
//!
//! 1. `access`: who may ask, and in which form.
//! 2. `api`: the routes, and the document that describes them.
//! 3. `events`: what is new, each second.
//! 4. `metrics`: for Prometheus.
//! 5. `page`: what the observer sees.

mod access;
mod api;
mod events;
mod metrics;
mod page;

use std::any::Any;
use std::net::{AddrParseError, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::rt::{System, net::TcpStream, time};
use actix_web::{App, HttpServer, web};
use rustix::net::sockopt;
use thiserror::Error;

use crate::config::seconds;
use crate::serve::board::{Board, STARS};
use access::Access;
use events::Streams;

pub use crate::config::HttpSettings;
pub use api::openapi;
pub use metrics::{METRICS, Metric};

/// A server that cannot start.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The address is none.
    #[error("http.address = {address}: {source}; give an IP address and a port, as 127.0.0.1:8765")]
    Address {
        /// What was given.
        address: String,
        /// The cause.
        source: AddrParseError,
    },
    /// It would be open to others without a token.
    #[error(
        "http.address = {0} can be reached from elsewhere; name a file with a token in \
         http.token_file, or use a loopback address and a tunnel"
    )]
    Open(SocketAddr),
    /// The token cannot be used.
    #[error("http.token_file = {path}: {problem}; `openssl rand -hex 32` makes a token")]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The address is taken or not allowed.
    #[error("http.address = {address}: {source}; choose another, or end what uses it")]
    Bind {
        /// What was given.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The system gives no thread.
    #[error("the HTTP server has no thread: {0}; raise the limit of tasks")]
    Thread(std::io::Error),
}

/// A server that runs on threads of its own until it is stopped or dropped.
pub struct Server {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// How often the board looks at queues and disk.
const TICK: Duration = Duration::from_secs(1);

/// What answers take, at the most: each connection may hold one with every star, of names of ordinary
/// length, while its client takes it.
pub fn most_bytes(settings: &HttpSettings) -> u64 {
    const STAR: usize = 1 << 10;
    const CONNECTION: usize = 256 << 10;
    if settings.address.is_empty() {
        return 0;
    }
    (settings.max_connections * (STARS * STAR + CONNECTION)) as u64
}

/// Starts a server that shows the board.
///
/// # Errors
/// [`HttpError`] says which key is wrong or why the address cannot be had.
pub fn start(settings: &HttpSettings, board: Arc<Board>) -> Result<Server, HttpError> {
    let address: SocketAddr = settings
        .address
        .parse()
        .map_err(|source| HttpError::Address { address: settings.address.clone(), source })?;
    let access = Arc::new(Access::new(settings, address)?);
    let bind = |source| HttpError::Bind { address, source };
    let listener = TcpListener::bind(address).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let (report, started) = sync_channel(1);
    let settings = settings.clone();
    let thread = std::thread::Builder::new()
        .name("http".into())
        .spawn(move || System::new().block_on(serve(settings, listener, access, board, report)))
        .map_err(HttpError::Thread)?;
    let gone = |_| std::io::Error::other("its thread ended");
    let handle = started.recv().map_err(gone).flatten().map_err(bind)?;
    tracing::info!(%address, "the board is shown over http");
    Ok(Server { address, handle, thread: Some(thread) })
}

impl Server {
    /// The address that it listens at; its port is the one that was given unless that was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it and the connections that it has.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            // The request is sent at once; the future would wait for the answer.
            drop(self.handle.stop(false));
            // A panic of the server has been logged and ends nothing else.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Serves until it is stopped; reports once whether that began.
async fn serve(
    settings: HttpSettings,
    listener: TcpListener,
    access: Arc<Access>,
    board: Arc<Board>,
    started: SyncSender<std::io::Result<ServerHandle>>,
) {
    let limit = seconds(settings.timeout);
    let (streams, shown) = (Streams::new(settings.max_streams), Arc::clone(&board));
    let app = move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&shown)))
            .app_data(web::Data::from(Arc::clone(&access)))
            .app_data(web::Data::new(streams.clone()))
            .wrap(from_fn(access::guard))
            .configure(api::routes)
    };
    let server = HttpServer::new(app)
        .workers(1)
        .backlog(64)
        .max_connections(settings.max_connections)
        .client_request_timeout(limit)
        .client_disconnect_timeout(limit)
        .keep_alive(limit)
        .disable_signals()
        .on_connect(move |connection, _| limit_connection(connection, limit))
        .listen(listener);
    let server = match server {
        Ok(server) => server.run(),
        // The receiver waits for one message, here as below.
        Err(error) => return drop(started.send(Err(error))),
    };
    let _ = started.send(Ok(server.handle()));
    let ticker = actix_web::rt::spawn(tick(board));
    if let Err(error) = server.await {
        tracing::error!(%error, "the http server ended, restart the service to have it back");
    }
    ticker.abort();
}

/// The most that the system keeps for a client who does not take it, bytes.
const UNSENT: usize = 1 << 17;

/// Lets the system close a connection whose client takes nothing for so long: a stream that waits
/// for its client is not asked for more, and could not see the time.
fn limit_connection(connection: &dyn Any, limit: Duration) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    let milliseconds = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
    let limited = sockopt::set_tcp_user_timeout(stream, milliseconds)
        .and_then(|()| sockopt::set_socket_send_buffer_size(stream, UNSENT));
    if let Err(error) = limited {
        tracing::debug!(%error, "a connection has no limits");
    }
}

async fn tick(board: Arc<Board>) {
    loop {
        board.tick(SystemTime::now());
        time::sleep(TICK).await;
    }
}
