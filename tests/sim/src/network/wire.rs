//! A spoke's end of the network: it delays, loses, doubles, cuts, stalls, and hears nothing when the hub is down.

use super::{Link, Listening, Network};
use crate::aim::Strike;
use crate::disk::Disk;
use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use hephd::spoke::{Away, HubError, Wire};
use hyper_util::service::TowerToHyperService;
use reqwest::{Request, Response};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

/// Tells that a machine has stopped on its wire.
#[derive(Default)]
pub struct Stopped {
    has: AtomicBool,
    notify: Notify,
}

impl Stopped {
    fn strike(&self) {
        self.has.store(true, Ordering::Relaxed);
        self.notify.notify_one();
    }

    /// Whether it has, since this was last asked.
    pub fn take(&self) -> bool {
        self.has.swap(false, Ordering::Relaxed)
    }

    /// Waits until it may have.
    pub async fn notified(&self) {
        self.notify.notified().await;
    }
}

/// The end of the network at one start of one spoke. Clones are the same end.
#[derive(Clone)]
pub struct SpokeWire {
    network: Network,
    spoke: usize,
    disk: Disk,
    /// The machine stops when so many more things have happened on its wire.
    stops_after: Arc<Mutex<Option<u64>>>,
    stopped: Arc<Stopped>,
}

/// A question to the hub, until its answer has come or is given up.
struct Asking {
    network: Network,
    spoke: usize,
    state: &'static str,
}

impl Asking {
    fn begin(network: &Network, spoke: usize, state: &'static str) -> Self {
        // Events are listened to all the time; that says nothing of what a spoke does.
        if state != "events" {
            network.locked().asking.insert(spoke, state);
        }
        Self { network: network.clone(), spoke, state }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if self.state != "events" {
            self.network.locked().asking.remove(&self.spoke);
        }
    }
}

/// The hub's work on an answer, until it is done or whoever asked is gone.
struct Answering(Network);

impl Answering {
    fn begin(network: &Network, state: &'static str) -> Self {
        network.locked().answering = Some(state);
        Self(network.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.locked().answering = None;
    }
}

/// Which call a path stands for, as a state of the protocol.
fn state(path: &str) -> &'static str {
    match path {
        "/v1/sync/hello" => "hello",
        "/v1/sync/vector" => "vector",
        "/v1/sync/pull" => "pull",
        "/v1/sync/push" => "push",
        "/v1/sync/fork" => "fork",
        "/v1/sync/digest" => "digest",
        "/v1/sync/ops" => "ops",
        "/v1/sync/events" => "events",
        _ => "other",
    }
}

/// Never answers, as somebody who is gone.
async fn silence<T>() -> T {
    std::future::pending().await
}

fn broken() -> HubError {
    HubError::Away(Away::Cut)
}

impl SpokeWire {
    /// The wire of a spoke that has just started on `disk`. `stopped` is told when it stops as planned.
    pub fn new(network: Network, spoke: usize, disk: Disk, stopped: Arc<Stopped>) -> Self {
        Self { network, spoke, disk, stops_after: Arc::default(), stopped }
    }

    /// Plans that the machine stops when `count` more things have happened on its wire.
    pub fn stop_after(&self, count: u64) {
        *self.stops_after.lock().unwrap_or_else(PoisonError::into_inner) = Some(count);
    }

    /// Takes back what [`SpokeWire::stop_after`] planned.
    pub fn stop_never(&self) {
        *self.stops_after.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// One thing happens on the wire. A machine that is gone, or goes now, never sees what comes of it.
    async fn passes(&self, state: &'static str) {
        if self.disk.is_dead() {
            silence().await
        }
        let strikes = {
            let mut planned = self.stops_after.lock().unwrap_or_else(PoisonError::into_inner);
            match planned.as_mut() {
                Some(0) => {
                    *planned = None;
                    true
                }
                Some(left) => {
                    *left -= 1;
                    false
                }
                None => false,
            }
        };
        if strikes {
            self.network.1.fault("the spoke stops", state);
            self.stopped.strike();
            silence().await
        }
    }

    fn aimed(&self, state: &str, strike: Strike) -> bool {
        self.network.aimed(self.spoke, state, |aimed| (aimed == strike).then_some(())).is_some()
    }

    async fn carry(&self, request: Request) -> Result<Response, HubError> {
        let (network, state) = (&self.network, state(request.url().path()));
        let asking = Asking::begin(network, self.spoke, state);
        if self.aimed(state, Strike::SpokeStops) {
            let after = network.locked().rng.u64(0..3);
            self.stop_after(after);
        }
        network.fail(&self.disk, network.aimed(self.spoke, state, Strike::of_spoke_disk));
        self.passes(state).await;
        network.1.count(|counts| counts.messages += 1);
        network.1.asked(state);
        sleep(network.delay()).await;
        let (link, epoch) = network.link(self.spoke);
        match link {
            Link::Up => {}
            Link::Refused => {
                network.1.fault("no connection", state);
                return Err(HubError::Away(Away::ConnectionRefused));
            }
            Link::Silent => {
                network.1.fault("partition", state);
                silence().await
            }
        }
        let weather = network.locked().weather;
        let Some(hub) = network.hub() else {
            network.1.fault("the hub is down", state);
            return Err(HubError::Away(Away::ConnectionRefused));
        };
        if network.strikes(self.spoke, Strike::Lost, weather.lost, state) {
            network.1.fault("request lost", state);
            return Err(broken());
        }
        if network.strikes(self.spoke, Strike::Refused, weather.refused, state) {
            return self.refuse(state);
        }
        if network.strikes(self.spoke, Strike::Doubled, weather.doubled, state) && state != "events" {
            network.1.fault("request doubled", state);
            let (again, later) = (copy(&request)?, network.delay() * 5);
            let (twin, tally) = (hub.clone(), network.1.clone());
            tokio::spawn(async move {
                sleep(later).await;
                if !twin.disk.is_dead() {
                    tally.step(|| format!("the double of a {state} arrives"));
                    drop(answer(&twin, again).await); // Nobody hears it.
                }
            });
        }
        network.fail(&hub.disk, network.aimed(self.spoke, state, Strike::of_hub_disk));
        let answering = Answering::begin(network, state);
        let answered = answer(&hub, copy(&request)?).await.map_err(|_| broken())?;
        drop(answering);
        self.passes(state).await;
        let status = answered.status().as_u16();
        network.1.step(|| format!("spoke {} {state}: {status}", self.spoke));
        if network.strikes(self.spoke, Strike::Unanswered, weather.unanswered, state) {
            network.1.fault("answer lost", state);
            return Err(broken());
        }
        if network.strikes(self.spoke, Strike::Stalled, weather.stalled, state) {
            network.1.fault("half open", state);
            silence().await
        }
        if self.aimed(state, Strike::Silent) {
            network.silent_for_a_while(self.spoke);
        }
        if self.aimed(state, Strike::Broken) {
            network.break_connections(self.spoke);
        }
        sleep(network.delay()).await;
        Ok(self.receive(answered, hub, epoch, asking))
    }

    /// Somebody before the hub answers in its place.
    fn refuse(&self, state: &'static str) -> Result<Response, HubError> {
        let status = [413, 429, 502, 503][self.network.locked().rng.usize(0..4)];
        self.network.1.fault("refused on the way", state);
        let builder = hyper::Response::builder().status(status).header("content-type", "text/html");
        Ok(Response::from(builder.body("<html>no</html>").map_err(|error| HubError::BadAnswer(error.to_string()))?))
    }

    /// The answer, part by part, as the network lets it come.
    fn receive(&self, answered: hyper::Response<Body>, hub: Arc<Listening>, epoch: u64, asking: Asking) -> Response {
        let (head, body) = answered.into_parts();
        let weather = self.network.locked().weather;
        let cuts = self.network.strikes(self.spoke, Strike::Cut, weather.cut, asking.state);
        let cut = cuts.then(|| self.network.locked().rng.usize(0..4));
        let way = Way { wire: self.clone(), hub, epoch, state: asking.state, _asking: asking, cut };
        let parts = stream::unfold((Box::pin(body.into_data_stream()), way), |(mut body, mut way)| async move {
            let part = way.next(&mut body).await?;
            Some((part, (body, way)))
        });
        Response::from(hyper::Response::from_parts(head, reqwest::Body::wrap_stream(parts)))
    }
}

/// The way of one answer's body.
struct Way {
    wire: SpokeWire,
    hub: Arc<Listening>,
    epoch: u64,
    state: &'static str,
    _asking: Asking,
    /// It breaks off after so many parts.
    cut: Option<usize>,
}

impl Way {
    async fn next(
        &mut self,
        body: &mut (impl futures_util::Stream<Item = Result<Bytes, axum::Error>> + Unpin),
    ) -> Option<io::Result<Bytes>> {
        let network = self.wire.network.clone();
        if let Some(left) = &mut self.cut {
            if *left == 0 {
                network.1.fault("answer cut", self.state);
                return Some(Err(io::ErrorKind::ConnectionReset.into()));
            }
            *left -= 1;
        }
        // What a hub sends may be long in coming; meanwhile the link may break.
        let changes = network.locked().changes.clone();
        let part = loop {
            tokio::select! {
                biased;
                part = body.next() => break part,
                () = changes.notified() => {}
            }
            if let Some(error) = self.broken().await {
                return Some(Err(error));
            }
        };
        sleep(network.delay()).await;
        self.wire.passes(self.state).await;
        if let Some(error) = self.broken().await {
            return Some(Err(error));
        }
        part.map(|part| part.map_err(io::Error::other))
    }

    fn is_gone(&self) -> bool {
        self.hub.disk.is_dead() || self.wire.network.hub().is_none_or(|hub| hub.number != self.hub.number)
    }

    /// Whether the connection is broken; a silent one never says.
    async fn broken(&self) -> Option<io::Error> {
        let (link, epoch) = self.wire.network.link(self.wire.spoke);
        if link == Link::Silent {
            self.wire.network.1.fault("partition", self.state);
            silence().await
        }
        let broken = epoch != self.epoch || self.is_gone();
        broken.then(|| {
            self.wire.network.1.fault("connection broken", self.state);
            io::ErrorKind::ConnectionReset.into()
        })
    }
}

/// Lets the hub answer; that it is asked for does not depend on whoever waits.
async fn answer(hub: &Arc<Listening>, request: hyper::Request<Body>) -> Result<hyper::Response<Body>, ()> {
    let (told, answered) = oneshot::channel();
    let routes = hub.routes.clone();
    hub.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
        let response = hyper::service::Service::call(&TowerToHyperService::new(routes), request).await;
        // Whoever asked may be gone.
        let _ = told.send(response);
    });
    match answered.await {
        Ok(Ok(response)) if !hub.disk.is_dead() => Ok(response),
        _ => Err(()),
    }
}

fn copy(request: &Request) -> Result<hyper::Request<Body>, HubError> {
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    let mut copy = hyper::Request::new(Body::from(Bytes::copy_from_slice(body)));
    *copy.method_mut() = request.method().clone();
    *copy.headers_mut() = request.headers().clone();
    // As a client's connection adds it.
    copy.headers_mut().insert(hyper::header::HOST, hyper::header::HeaderValue::from_static("127.0.0.1:8787"));
    let path = request.url().path().parse();
    *copy.uri_mut() = path.map_err(|_| HubError::BadAnswer("a path".to_owned()))?;
    Ok(copy)
}

impl Wire for SpokeWire {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, HubError>> {
        Box::pin(self.carry(request))
    }
}
