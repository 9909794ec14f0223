//! The status of a project with ten tasks, compared with a constant answer of the same length from
//! a minimal web server with the same framework and number of workers. That server is a separate
//! process, as the measured server is.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result, bail};

use super::{project, task};
use crate::client::Connection;
use crate::pairs::{Figure, Unit};
use crate::server::{Server, data_dir, free_address, setting};
use crate::stats::ms;
use crate::table::Line;
use crate::{Scale, load};

/// Subcommand that runs the static server; followed by its address and the length of the answer.
pub(crate) const SERVE: &str = "serve-static";

const CLIENTS: usize = 64;
const TASKS: usize = 10;

pub(crate) const FIGURES: &[Figure] =
    &[Figure { name: "status of 10 tasks, 64 clients", unit: Unit::PerSecond }];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let data = data_dir()?;
    let (server, path, _) = start(data.path()).await?;
    let time = Duration::from_millis(scale.of(2000, 1000) as u64);
    let outcome = get(server.address, path, time).await?;
    server.stop().await?;
    Ok(vec![outcome.rate])
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let time = Duration::from_millis(scale.of(4000, 1000) as u64);
    let data = data_dir()?;
    let (server, path, length) = start(data.path()).await?;

    // In alternation, twice, so that neither has better conditions.
    let fixed = Static::start(length).await?;
    let (mut rates, mut limits) = (Vec::new(), Vec::new());
    let mut p99 = Duration::ZERO;
    for _ in 0..2 {
        limits.push(get(fixed.address, "/".to_owned(), time / 2).await?.rate);
        let outcome = get(server.address, path.clone(), time / 2).await?;
        p99 = p99.max(outcome.samples.p99());
        rates.push(outcome.rate);
    }
    server.stop().await?;
    let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
    let line = Line::share("status of 10 tasks, 64 clients", mean(&rates), mean(&limits), 0.4);
    Ok(vec![line.note(format!(
        "p99 {:.1} ms; the limit is a handler of the same framework that answers {length} fixed \
         bytes",
        ms(p99)
    ))])
}

/// Starts a server on this folder with a project of ten tasks. Returns the path of its status and
/// the length of that answer.
async fn start(data: &Path) -> Result<(Server, String, usize)> {
    let server = Server::start(data, &[setting::NO_CODER]).await?;
    let mut connection = Connection::open(server.address).await?;
    let project = project(&mut connection).await?;
    for _ in 0..TASKS {
        let path = format!("/api/v1/projects/{project}/tasks");
        connection.create(&path, &task(64)).await?;
    }
    let path = format!("/api/v1/projects/{project}/status");
    let answer = connection.get(&path).await?;
    let tasks = answer.json()?["tasks"].as_array().map(Vec::len);
    if tasks != Some(TASKS) {
        bail!("the status shows {tasks:?} tasks");
    }
    let length = answer.body.len();
    Ok((server, path, length))
}

async fn get(address: SocketAddr, path: String, time: Duration) -> Result<load::Outcome> {
    load::drive(address, CLIENTS, time, move |_, mut connection| {
        let path = path.clone();
        async move {
            let answer = connection.get(&path).await?;
            if answer.status != 200 {
                bail!("answered {}", answer.status);
            }
            Ok(connection)
        }
    })
    .await
}

/// A running static server; killed when it is dropped.
struct Static {
    child: std::process::Child,
    address: SocketAddr,
}

impl Static {
    async fn start(length: usize) -> Result<Self> {
        let address = free_address()?;
        let child = Command::new(std::env::current_exe()?)
            .args([SERVE, &format!("{address}/{length}")])
            .stdin(Stdio::null())
            .spawn()?;
        let server = Self { child, address };
        for _ in 0..1000 {
            if let Ok(mut connection) = Connection::open(address).await
                && connection.get("/").await.is_ok()
            {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("the static server does not answer")
    }
}

impl Drop for Static {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs the static server until it is killed.
pub(crate) async fn serve(what: Option<String>) -> Result<()> {
    let what = what.context("an address and a length are needed")?;
    let (address, length) = what.split_once('/').context("as ADDRESS/LENGTH")?;
    let listener = TcpListener::bind(address)?;
    let body = "x".repeat(length.parse()?);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let answer = move || {
        let body = body.clone();
        let handler = move || {
            let body = body.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(body) }
        };
        App::new().route("/", web::get().to(handler))
    };
    let server = HttpServer::new(answer).workers(workers).tcp_nodelay(true).listen(listener)?;
    Ok(server.run().await?)
}
